package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/result"
	"github.com/hushmap/hushmap/bench/internal/work"
)

// figure is a drawn plot with its caption.
type figure struct {
	Title string
	Sub   string
	SVG   template.HTML
}

// chapter groups figures under a heading.
type chapter struct {
	Title, Text string
	Figures     []figure
	Impls       []string // for the legend
}

// chapters draws everything the run has data for.
func chapters(f *result.File) ([]chapter, error) {
	var out []chapter
	for _, draw := range []func(*result.File) (chapter, error){
		throughputFigures, batchFigures, latencyFigures, gcFigures, bytesFigures, embedFigures,
	} {
		c, err := draw(f)
		if err != nil {
			return nil, err
		}
		if len(c.Figures) > 0 {
			out = append(out, c)
		}
	}
	return out, nil
}

// add draws rows that differ in size only: lines over several sizes, bars for one.
func (c *chapter) add(f *result.File, title, sub, unit string, logY bool, rows []result.Row, y func(float64) float64) error {
	lines := series(f, rows, y)
	if len(lines) == 0 {
		return nil
	}
	c.use(lines)
	if len(rows) == 1 {
		sub = strings.TrimPrefix(sub+", "+entries(rows[0].N)+" entries", ", ")
		svg, err := bars(f.Peers, func(impl string) (float64, bool) {
			v, ok := rows[0].By[impl].Median()
			return y(v), ok
		}, unit)
		c.Figures = append(c.Figures, figure{title, sub, template.HTML(svg)})
		return err
	}
	svg, err := chart{x: "entries", y: unit, logX: true, logY: logY, lines: lines, glyphs: true}.svg()
	c.Figures = append(c.Figures, figure{title, sub, template.HTML(svg)})
	return err
}

func (c *chapter) use(lines []line) {
	for _, l := range lines {
		if !slices.Contains(c.Impls, l.impl) {
			c.Impls = append(c.Impls, l.impl)
		}
	}
}

// runs splits rows where anything but the size changes.
func runs(rows []result.Row, keep func(result.Cell) bool) [][]result.Row {
	var out [][]result.Row
	at := map[result.Cell]int{}
	for _, row := range rows {
		if !keep(row.Cell) {
			continue
		}
		key := row.Cell
		key.N = 0
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], row)
	}
	return out
}

func throughputFigures(f *result.File) (chapter, error) {
	c := chapter{Title: "Throughput by size", Text: "Million operations per second, all goroutines together (for Range: million entries visited), on a logarithmic axis where there are several sizes; higher is better."}
	err := c.addMixes(f, work.Throughput)
	return c, err
}

func batchFigures(f *result.File) (chapter, error) {
	c := chapter{Title: "Batches by size", Text: fmt.Sprintf("Million operations per second, all goroutines together, where %d of a kind come at once: "+
		"%s does them in one call, all others one by one; higher is better.", peer.BatchLen, peer.SubjectBatch)}
	err := c.addMixes(f, work.Batch)
	return c, err
}

// addMixes draws the mixes of a work.
func (c *chapter) addMixes(f *result.File, w string) error {
	mops := func(ns float64) float64 { return 1e3 / max(ns, 0.001) }
	for _, rows := range runs(f.Rows(), func(c result.Cell) bool { return c.Work == w }) {
		r := rows[0]
		title := fmt.Sprintf("%s keys, %s", r.Keys, mixTitle(r.Mix))
		if err := c.add(f, title, goroutines(r.Procs), "Mops/s", true, rows, mops); err != nil {
			return err
		}
	}
	return nil
}

func goroutines(n int) string {
	if n == 1 {
		return "1 goroutine"
	}
	return fmt.Sprintf("%d goroutines", n)
}

func mixTitle(mix string) string {
	switch mix {
	case "reads=100":
		return "reads only"
	case "reads=0":
		return "writes only"
	case "miss":
		return "reads that miss"
	case "hot":
		return "one hot key"
	case "zipf":
		return "Zipf 0.99, 90 % reads"
	case "loadorstore":
		return "LoadOrStore"
	case "range":
		return "Range under writers"
	case "loads":
		return "batches of Loads"
	case "writes":
		return "batches of Stores and of Deletes"
	}
	return mix[len("reads="):] + " % reads"
}

func identity(v float64) float64 { return v }

// floored keeps a value that was too small to measure on a logarithmic axis.
func floored(v float64) float64 { return max(v, 1e-3) }

func gcFigures(f *result.File) (chapter, error) {
	c := chapter{Title: "GC CPU by entries", Text: "CPU milliseconds of one forced collection while the map is alive; lower is better."}
	for _, rows := range runs(f.Rows(), func(c result.Cell) bool { return c.Work == work.GC && c.Metric == "cpu" }) {
		if err := c.add(f, rows[0].Keys+" keys", "", "CPU ms per cycle", true, rows, floored); err != nil {
			return c, err
		}
	}
	return c, nil
}

func bytesFigures(f *result.File) (chapter, error) {
	c := chapter{Title: "Bytes per entry", Text: "Resident memory of a filled map, keys and values included, after a collection; lower is better."}
	for _, rows := range runs(f.Rows(), func(c result.Cell) bool { return c.Work == work.GC && c.Metric == "bytes" }) {
		if err := c.add(f, rows[0].Keys+" keys", "", "bytes per entry", false, rows, identity); err != nil {
			return c, err
		}
	}
	return c, nil
}

func embedFigures(f *result.File) (chapter, error) {
	c := chapter{Title: "Inside a cache", Text: "String keys of 20 bytes, values of 32 bytes, maps and caches side by side; lower is better."}
	for _, rows := range runs(f.Rows(), func(c result.Cell) bool {
		return c.Work == work.Embed && (c.Metric == "mixed" || c.Metric == "bytes")
	}) {
		r := rows[0]
		title, unit := "90 % Get, 10 % Set", "ns/op"
		if r.Metric == "bytes" {
			title, unit = "resident memory", "bytes per entry"
		}
		if err := c.add(f, title, goroutines(r.Procs), unit, false, rows, identity); err != nil {
			return c, err
		}
	}
	return c, nil
}

func latencyFigures(f *result.File) (chapter, error) {
	c := chapter{
		Title: "Latency of a Store while the map grows",
		Text: "From empty to full, every single Store timed, clock included; nanoseconds on a logarithmic axis over the share of " +
			"Stores that took no longer. Lower is better; the right end is the longest pause.",
	}
	for _, rows := range runs(f.Rows(), func(c result.Cell) bool { return c.Work == work.Fill && c.Metric == "longest" }) {
		for _, row := range rows {
			lines := latencyLines(f, row.Cell)
			if len(lines) == 0 {
				continue
			}
			c.use(lines)
			svg, err := chart{
				x: "share of Stores", y: "time of one Store", logX: true, logY: true, lines: lines, xTicks: nines{}, yTicks: durations{},
			}.svg()
			if err != nil {
				return c, err
			}
			title, sub := row.Keys+" keys", entries(row.N)+" entries, "+goroutines(row.Procs)
			c.Figures = append(c.Figures, figure{title, sub, template.HTML(svg)})
		}
	}
	return c, nil
}

// latencyLines takes, of each implementation, the round whose longest Store is the median.
func latencyLines(f *result.File, cell result.Cell) []line {
	var lines []line
	for _, impl := range f.Peers {
		var rounds []result.Curve
		for _, c := range f.Curves {
			if c.Cell == cell && c.Impl == impl {
				rounds = append(rounds, c)
			}
		}
		if len(rounds) == 0 {
			continue
		}
		slices.SortFunc(rounds, func(a, b result.Curve) int {
			return int(a.Points[len(a.Points)-1].Nanos - b.Points[len(b.Points)-1].Nanos)
		})
		lines = append(lines, line{impl, tailPoints(rounds[len(rounds)/2], cell.N)})
	}
	return lines
}

// tailPoints stretches the quantiles so that each further nine is as wide as the last; the longest of n stands at 1 - 1/n.
func tailPoints(c result.Curve, n int) plotter.XYs {
	var xys plotter.XYs
	for _, p := range c.Points {
		x := 1 / max(1-p.Quantile, 1/float64(n))
		xys = append(xys, plotter.XY{X: x, Y: max(p.Nanos, 1)})
	}
	return xys
}

// nines labels 1/(1-q) by q.
type nines struct{}

func (nines) Ticks(_, high float64) []plot.Tick {
	t := []plot.Tick{{Value: 1, Label: "0"}}
	labels := []string{"90 %", "99 %", "99.9 %", "99.99 %", "5 nines", "6 nines", "7 nines"}
	for i, l := range labels {
		if v := math.Pow(10, float64(i+1)); v <= high*1.001 {
			t = append(t, plot.Tick{Value: v, Label: l})
		}
	}
	return t
}
