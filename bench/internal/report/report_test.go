package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/result"
	"github.com/hushmap/hushmap/bench/internal/work"
)

// sample is a run of three implementations: the subject wins one cell, loses another, and a peer is disqualified.
func sample() *result.File {
	f := &result.File{
		Meta:     result.Meta{CPU: "some CPU", Cores: 2, Rounds: 3},
		Peers:    []string{peer.Subject, peer.SubjectBatch, "xsync", "haxmap", "builtin"},
		NotPeers: []string{"builtin"},
		Versions: map[string]string{"xsync": "v4.5.0"},
	}
	add := func(w, mix, metric, unit string, n int, impl string, samples ...float64) {
		c := result.Cell{Work: w, Keys: "uint64", N: n, Procs: 2, Mix: mix, Metric: metric, Unit: unit}
		f.Record(c, impl).Samples = samples
	}
	for _, n := range []int{1000, 1_000_000} {
		add(work.Throughput, "reads=100", "time", "ns/op", n, peer.Subject, 5, 5.1, 4.9)
		add(work.Throughput, "reads=100", "time", "ns/op", n, "xsync", 10, 10, 15)
		add(work.Throughput, "reads=100", "time", "ns/op", n, "builtin", 1)
		add(work.GC, "", "cpu", "ms/cycle", n, peer.Subject, 0)
		add(work.GC, "", "cpu", "ms/cycle", n, "xsync", float64(n)/1e4)
	}
	add(work.Throughput, "reads=0", "time", "ns/op", 1000, peer.Subject, 30)
	add(work.Throughput, "reads=0", "time", "ns/op", 1000, "xsync", 20)
	add(work.Batch, "loads", "time", "ns/op", 1_000_000, peer.Subject, 20)
	add(work.Batch, "loads", "time", "ns/op", 1_000_000, peer.SubjectBatch, 10)
	add(work.Batch, "loads", "time", "ns/op", 1_000_000, "xsync", 40)
	r := f.Record(f.Records[0].Cell, "haxmap")
	r.Note, r.Void, r.Samples = "wrong result: key 1 of 9 is lost", true, []float64{0.1}
	longest := result.Cell{Work: work.Fill, Keys: "uint64", N: 1000, Procs: 1, Metric: "longest", Unit: "ns"}
	f.Record(longest, "xsync").Samples = []float64{1e6}
	f.Curves = []result.Curve{{Cell: longest, Impl: "xsync", Points: []work.Point{{Quantile: 0, Nanos: 50}, {Quantile: 1, Nanos: 1e6}}}}
	return f
}

// TestTerminal: the void record never counts as best, the reference is no peer, the loss is shown, and batches have a table
// of their own.
func TestTerminal(t *testing.T) {
	var b bytes.Buffer
	Terminal(&b, sample())
	text := b.String()
	require.Regexp(t, `uint64  1 k  2g  reads=100 +5\.00 +10\.0~ +WRONG +1\.00 +0\.50  xsync`, text)
	require.Regexp(t, `uint64  1 k  2g  reads=0 +30\.0 +20\.0 .*! 1\.50  xsync`, text)
	require.Regexp(t, `(?s)batch: .*; ratio of hushmap.Batch\n +hushmap  hushmap.Batch  xsync  ratio  to the best\n`+
		`uint64  1 M  2g  loads +20\.0 +10\.0 +40\.0 +0\.25  xsync\n\n`, text)
	require.Regexp(t, `throughput, reads=100 +0\.50 +2 +0`, text)
	require.Regexp(t, `batch, loads +0\.25 +1 +0`, text)
	require.Regexp(t, `losses\nthroughput  uint64  1 k  2g  reads=0 +1\.50  xsync`, text)
	require.Contains(t, text, "! haxmap: wrong result: key 1 of 9 is lost")
}

func TestComparison(t *testing.T) {
	before, after := sample(), sample()
	for _, r := range after.Records {
		for i := range r.Samples {
			if r.Impl == peer.Subject {
				r.Samples[i] /= 2
			}
		}
	}
	var b bytes.Buffer
	require.NoError(t, Comparison(&b, before, after))
	require.Regexp(t, `throughput/keys=uint64/n=1000/procs=2/reads=0/time +30\.0 +15\.0 +0\.50  hushmap`, b.String())
	require.NotRegexp(t, `0\.50  xsync`, b.String())
	require.Regexp(t, `xsync +1\.00 +7`, b.String())
	require.Error(t, Comparison(&b, before, &result.File{}))
}

// TestPageIsSelfContained: nothing in the page makes a browser ask anybody for anything.
func TestPageIsSelfContained(t *testing.T) {
	path, err := HTML(t.TempDir(), sample())
	require.NoError(t, err)
	text := readFile(t, path)
	for _, bad := range []string{"src=", "<link", "@import", "url(", "<script", "#010203", "#040506", "NaN"} {
		require.NotContains(t, text, bad)
	}
	require.Equal(t, 5, strings.Count(text, "<svg"), "reads only, writes only, batches of Loads, latency, GC")
}

// layout, put at the end of the page, writes down in the title of the frame around it what a person would see of it.
const layout = `<script>addEventListener("load", () => {
	const root = document.documentElement, style = getComputedStyle(document.body);
	const sizes = [...document.querySelectorAll("svg text")].map(t => t.getBoundingClientRect().height);
	const wide = [...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll") && e.getBoundingClientRect().right > root.clientWidth);
	parent.document.title = JSON.stringify({wide: wide.map(e => e.outerHTML.slice(0, 80)), scroll: root.scrollWidth - root.clientWidth,
		text: Math.min(...sizes), ink: style.color, paper: style.backgroundColor});
})</script>`

// frame shows a page at a width; the window of a headless browser cannot be as narrow as a phone.
func frame(page string, width int) string {
	return fmt.Sprintf(`<html><body><iframe style="border:0;width:%dpx;height:800px" srcdoc="%s"></iframe></body></html>`,
		width, html.EscapeString(page+layout))
}

// TestPageInChromium loads the page as a person would, and looks at what became of it.
func TestPageInChromium(t *testing.T) {
	browser := findBrowser()
	if browser == "" {
		t.Skip("skipped: no chromium in PATH (Debian package chromium), so the page was not loaded in a browser")
	}
	if _, err := load(t, browser, "about:blank"); err != nil {
		t.Skipf("skipped: %s does not start here, so the page was not loaded in it: %v", browser, err)
	}
	path, err := HTML(t.TempDir(), sample())
	require.NoError(t, err)
	dom, err := load(t, browser, "file://"+path)
	require.NoError(t, err)
	for _, want := range []string{"hushmap beside its peers", "Where hushmap loses (1)", "WRONG", "</svg>", "Latency of a Store"} {
		require.Contains(t, dom, want)
	}

	const dark = "--blink-settings=preferredColorScheme=0"
	seen := map[string]bool{}
	for _, c := range []struct {
		width int
		flags []string
	}{{360, nil}, {1200, []string{"--window-size=1300,900", dark}}} {
		probe := filepath.Join(t.TempDir(), "probe.html")
		require.NoError(t, os.WriteFile(probe, []byte(frame(readFile(t, path), c.width)), 0o644))
		dom, err := load(t, browser, "file://"+probe, c.flags...)
		require.NoError(t, err)
		title := regexp.MustCompile(`<title>(\{.*\})</title>`).FindStringSubmatch(dom)
		require.NotNil(t, title, "the page has not told its layout")
		var l struct {
			Wide         []string
			Scroll, Text float64
			Ink, Paper   string
		}
		require.NoError(t, json.Unmarshal([]byte(html.UnescapeString(title[1])), &l))
		require.Empty(t, l.Wide, "nothing sticks out to the side at %d pixels", c.width)
		require.Zero(t, l.Scroll, "nothing is wider than %d pixels", c.width)
		require.Greater(t, l.Text, 9.0, "letters in plots are at least 9 pixels high")
		require.NotEqual(t, l.Ink, l.Paper)
		seen[l.Paper] = true
	}
	require.Len(t, seen, 2, "a light page and a dark one")
}

// load returns the document that a page has become. It has all the time that the test has; a browser that takes longer says
// nothing about the page.
func load(t *testing.T, browser, url string, flags ...string) (dom string, err error) {
	t.Helper()
	args := append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir=" + t.TempDir()}, flags...)
	ctx := t.Context()
	if end, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-30*time.Second))
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, browser, append(args, "--dump-dom", url)...)
	var messages bytes.Buffer
	cmd.Stderr = &messages
	out, err := cmd.Output()
	if ctx.Err() != nil {
		t.Skipf("skipped: %s had not loaded %s when the time of the tests was up", browser, url)
	}
	if err == nil && !strings.Contains(string(out), "<html") {
		err = errors.New("no document")
	}
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, messages.String())
	}
	return string(out), nil
}

func findBrowser() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}
