// Package report shows a run: tables on the terminal, a page with plots, and the comparison of two runs.
package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/result"
	"github.com/hushmap/hushmap/bench/internal/work"
)

// number shows three significant digits, with a unit prefix where it helps.
func number(v float64) string {
	if v == 0 {
		return "0"
	}
	for _, p := range []struct {
		from   float64
		suffix string
	}{{1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if a := math.Abs(v); a >= p.from {
			scale := map[string]float64{"G": 1e9, "M": 1e6, "k": 1e3}[p.suffix]
			return digits(v/scale) + p.suffix
		}
	}
	return digits(v)
}

func digits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.01:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
}

// entries shows a number of entries as people say it.
func entries(n int) string {
	switch {
	case n >= 1_000_000 && n%100_000 == 0:
		return strconv.FormatFloat(float64(n)/1e6, 'f', -1, 64) + " M"
	case n >= 1_000 && n%1_000 == 0:
		return strconv.Itoa(n/1000) + " k"
	}
	return strconv.Itoa(n)
}

func ratioText(r float64) string {
	if r < 0.001 {
		return "<0.001"
	}
	if r < 0.1 {
		return strconv.FormatFloat(r, 'f', 3, 64)
	}
	return strconv.FormatFloat(r, 'f', 2, 64)
}

// mark is what stands for a record: the median, "~" behind it if the rounds disagree, or why there is none.
func mark(r *result.Record) string {
	v, ok := r.Median()
	switch {
	case ok && r.Spread() > result.NoisySpread:
		return number(v) + "~"
	case ok:
		return number(v)
	case r == nil || r.Note == "":
		return ""
	case strings.HasPrefix(r.Note, "wrong result"), strings.HasPrefix(r.Note, "after the last round"):
		return "WRONG"
	case strings.HasPrefix(r.Note, "crashed"):
		return "CRASH"
	case strings.HasPrefix(r.Note, "gave up"):
		return "TOO SLOW"
	}
	return "-"
}

// section is what is shown as one table: the rows of a work that have their columns in common.
type section struct {
	Work  string
	Title string
	Impls []string
	Rows  []result.Row
}

// sections splits the rows of a run by work, and leaves out implementations that have nothing to show in one.
func sections(f *result.File) []section {
	var out []section
	for _, row := range f.Rows() {
		if !hasValue(f, row) {
			continue
		}
		if n := len(out); n == 0 || out[n-1].Work != row.Work {
			title := titles[row.Work]
			if s := f.Subject(row); s != peer.Subject {
				title += "; ratio of " + s
			}
			out = append(out, section{Work: row.Work, Title: title})
		}
		s := &out[len(out)-1]
		s.Rows = append(s.Rows, row)
	}
	for i := range out {
		for _, impl := range f.Peers {
			if slices.ContainsFunc(out[i].Rows, func(r result.Row) bool { return mark(r.By[impl]) != "" }) {
				out[i].Impls = append(out[i].Impls, impl)
			}
		}
	}
	return out
}

func hasValue(f *result.File, row result.Row) bool {
	return slices.ContainsFunc(f.Peers, func(impl string) bool {
		_, ok := row.By[impl].Median()
		return ok
	})
}

var titles = map[string]string{
	work.Throughput: "throughput: wall time per operation of all goroutines together, ns (lower is better)",
	work.Batch: fmt.Sprintf("batch: wall time per operation as in throughput, where %d of a kind come at once: %s does them in one call, "+
		"all others one by one, ns (lower is better)", peer.BatchLen, peer.SubjectBatch),
	work.Fill:  "fill: from empty to n entries, and empty again",
	work.GC:    "gc: what n living entries cost the garbage collector",
	work.Embed: "embed: 20-byte string to 32 bytes, as a cache stores them (hushmap: Map[string, []byte])",
}

// rowName names a row within its section.
func rowName(c result.Cell) string {
	parts := []string{c.Keys, entries(c.N), strconv.Itoa(c.Procs) + "g"}
	if c.Mix != "" {
		return strings.Join(append(parts, c.Mix), "  ")
	}
	return strings.Join(append(parts, c.Metric+" "+c.Unit), "  ")
}

// notes lists every reason why a value is missing, once each: of those that failed, or of those marked "-", who could
// not take part.
func notes(f *result.File, failed bool) []string {
	var out []string
	where := map[string][]string{}
	for _, r := range f.Records {
		if !r.Void || r.Note == "" || (mark(r) != "-") != failed {
			continue
		}
		key := r.Impl + ": " + r.Note
		if where[key] == nil {
			out = append(out, key)
		}
		where[key] = append(where[key], r.Cell.String())
	}
	for i, key := range out {
		cells := where[key]
		out[i] = fmt.Sprintf("%s (%s", key, cells[0])
		if len(cells) > 1 {
			out[i] += fmt.Sprintf(" and %d more", len(cells)-1)
		}
		out[i] += ")"
	}
	return out
}

// versionList lists the implementations with their versions.
func versionList(f *result.File) []string {
	var out []string
	for _, impl := range f.Peers {
		out = append(out, impl+" "+f.Versions[impl])
	}
	return out
}

func hasSubject(f *result.File) bool { return slices.ContainsFunc(f.Peers, peer.IsSubject) }
