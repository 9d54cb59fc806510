package report

import (
	"bytes"
	"context"
	"os"
	"os/exec"
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
		Peers:    []string{peer.Subject, "xsync", "haxmap", "builtin"},
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
	r := f.Record(f.Records[0].Cell, "haxmap")
	r.Note, r.Void, r.Samples = "wrong result: key 1 of 9 is lost", true, []float64{0.1}
	longest := result.Cell{Work: work.Fill, Keys: "uint64", N: 1000, Procs: 1, Metric: "longest", Unit: "ns"}
	f.Record(longest, "xsync").Samples = []float64{1e6}
	f.Curves = []result.Curve{{Cell: longest, Impl: "xsync", Points: []work.Point{{Quantile: 0, Nanos: 50}, {Quantile: 1, Nanos: 1e6}}}}
	return f
}

// TestTerminal: the void record never counts as best, the reference is no peer, the loss is shown.
func TestTerminal(t *testing.T) {
	var b bytes.Buffer
	Terminal(&b, sample())
	text := b.String()
	require.Regexp(t, `uint64  1 k  2g  reads=100 +5\.00 +10\.0~ +WRONG +1\.00 +0\.50  xsync`, text)
	require.Regexp(t, `uint64  1 k  2g  reads=0 +30\.0 +20\.0 .*! 1\.50  xsync`, text)
	require.Regexp(t, `throughput, reads=100 +0\.50 +2 +0`, text)
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
	require.Regexp(t, `xsync +1\.00 +6`, b.String())
	require.Error(t, Comparison(&b, before, &result.File{}))
}

// TestPageIsSelfContained: nothing in the page makes a browser ask anybody for anything.
func TestPageIsSelfContained(t *testing.T) {
	path, err := HTML(t.TempDir(), sample())
	require.NoError(t, err)
	html := readFile(t, path)
	for _, bad := range []string{"src=", "<link", "@import", "url(", "<script", "#010203", "#040506", "NaN"} {
		require.NotContains(t, html, bad)
	}
	require.Equal(t, 4, strings.Count(html, "<svg"), "reads only, writes only, latency, GC")
}

// TestPageInChromium loads the page as a person would, and looks at what became of it.
func TestPageInChromium(t *testing.T) {
	browser := findBrowser()
	if browser == "" {
		t.Skip("skipped: no chromium in PATH (Debian package chromium), so the page was not loaded in a browser")
	}
	path, err := HTML(t.TempDir(), sample())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(),
		"--window-size=390,800", "--dump-dom", "file://"+path)
	var errors bytes.Buffer
	cmd.Stderr = &errors
	dom, err := cmd.Output()
	require.NoError(t, err, errors.String())
	for _, want := range []string{"hushmap beside its peers", "Where hushmap loses (1)", "WRONG", "</svg>", "Latency of a Store"} {
		require.Contains(t, string(dom), want)
	}
	require.NotContains(t, errors.String(), "CONSOLE")
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
