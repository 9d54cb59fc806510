package report

import (
	"bytes"
	"image/color"
	"math"
	"regexp"
	"slices"
	"strconv"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/result"
)

const (
	plotWidth  = 5 * vg.Inch
	plotHeight = 3.3 * vg.Inch
)

// Two colours that no series has stand for the text colour and the grid of the page: the SVG refers to
// those instead, so one plot serves light and dark.
var (
	ink  = color.RGBA{R: 1, G: 2, B: 3, A: 255}
	grid = color.RGBA{R: 4, G: 5, B: 6, A: 255}
)

// colours are legible on white and on near-black.
var colours = map[string]color.RGBA{
	peer.Subject:      {0xe8, 0x4d, 0x1f, 255},
	peer.SubjectBytes: {0xc2, 0x25, 0x2b, 255},
	peer.SubjectBatch: {0xc2, 0x25, 0x2b, 255},
	"xsync":           {0x2f, 0x80, 0xe0, 255},
	"sync.Map":        {0x1c, 0xa0, 0x6a, 255},
	"rwmutex":         {0x9a, 0x68, 0xd8, 255},
	"sharded":         {0xbd, 0x8a, 0x00, 255},
	"cmap":            {0xd8, 0x55, 0xa4, 255},
	"haxmap":          {0x1f, 0xa3, 0xb5, 255},
	"bigcache":        {0x7f, 0x96, 0x2c, 255},
	"freecache":       {0xb5, 0x6c, 0x3c, 255},
	"fastcache":       {0x5f, 0x76, 0xc9, 255},
	"otter":           {0xb3, 0x4f, 0x67, 255},
	"builtin":         {0x88, 0x88, 0x88, 255},
}

func colour(impl string) color.RGBA {
	if c, ok := colours[impl]; ok {
		return c
	}
	return color.RGBA{0x88, 0x88, 0x88, 255}
}

// glyphs tell lines apart without colour, in the order of reports.
var glyphs = []draw.GlyphDrawer{
	draw.CircleGlyph{}, draw.SquareGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{}, draw.BoxGlyph{}, draw.TriangleGlyph{},
	draw.PlusGlyph{}, draw.CrossGlyph{},
}

// line is a series of one implementation.
type line struct {
	impl   string
	points plotter.XYs
}

// chart is a plot before it is drawn.
type chart struct {
	Title      string
	x, y       string
	logX, logY bool
	lines      []line
	glyphs     bool
	xTicks     plot.Ticker // in place of the usual
	yTicks     plot.Ticker
}

// svg draws the chart.
func (c chart) svg() (string, error) {
	p := c.frame()
	shapes := map[string]draw.GlyphDrawer{}
	for i, l := range c.lines {
		shapes[l.impl] = glyphs[i%len(glyphs)]
	}
	for _, l := range subjectLast(c.lines) {
		drawn, points, err := plotter.NewLinePoints(l.points)
		if err != nil {
			return "", err
		}
		drawn.Color, drawn.Width = colour(l.impl), vg.Points(1.4)
		points.Color, points.Shape, points.Radius = colour(l.impl), shapes[l.impl], vg.Points(3)
		if peer.IsSubject(l.impl) {
			drawn.Width = vg.Points(3)
		}
		if l.impl == "builtin" {
			drawn.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
		}
		p.Add(drawn)
		if c.glyphs {
			p.Add(points)
		}
	}
	if !c.logY {
		p.Y.Max *= 1.05
	}
	return render(p, plotHeight)
}

// subjectLast moves the subject to the end, so that it is drawn over the others.
func subjectLast(lines []line) []line {
	return slices.SortedStableFunc(slices.Values(lines), func(a, b line) int {
		switch {
		case peer.IsSubject(a.impl) && !peer.IsSubject(b.impl):
			return 1
		case peer.IsSubject(b.impl) && !peer.IsSubject(a.impl):
			return -1
		}
		return 0
	})
}

func (c chart) frame() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	style(p)
	p.X.Label.Text, p.Y.Label.Text = c.x, c.y
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks{}, ticks{}
	if c.logX {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, decades{}
	}
	if c.logY {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, decades{}
	} else {
		p.Y.Min = 0
	}
	if c.xTicks != nil {
		p.X.Tick.Marker = c.xTicks
	}
	if c.yTicks != nil {
		p.Y.Tick.Marker = c.yTicks
	}
	g := plotter.NewGrid()
	g.Horizontal.Color, g.Vertical.Color = grid, grid
	g.Horizontal.Width, g.Vertical.Width = vg.Points(0.8), vg.Points(0.8)
	p.Add(g)
	return p
}

func style(p *plot.Plot) {
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Color, a.Tick.Color, a.Tick.Label.Color, a.Label.TextStyle.Color = ink, ink, ink, ink
		a.Tick.Label.Font.Size, a.Label.TextStyle.Font.Size = 11, 11
		a.Tick.Label.Font.Variant, a.Label.TextStyle.Font.Variant = "Sans", "Sans"
		a.Padding = vg.Points(4)
	}
}

// ticks labels a linear axis without too many digits.
type ticks struct{}

func (ticks) Ticks(low, high float64) []plot.Tick {
	t := plot.DefaultTicks{}.Ticks(low, high)
	for i := range t {
		if t[i].Label != "" {
			t[i].Label = power(t[i].Value)
		}
	}
	return t
}

// decades labels a logarithmic axis at powers of ten.
type decades struct{}

func (decades) Ticks(low, high float64) []plot.Tick {
	var t []plot.Tick
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		v := math.Pow(10, e)
		t = append(t, plot.Tick{Value: v, Label: power(v)})
		for m := 2.0; m < 10; m++ {
			t = append(t, plot.Tick{Value: m * v})
		}
	}
	// A tick outside would make the plot reserve room for its label.
	t = slices.DeleteFunc(t, func(x plot.Tick) bool { return x.Value < low*0.999 || x.Value > high*1.001 })
	if countLabelled(t) >= 2 {
		return t
	}
	for i := range t { // hardly a decade: label 2 and 5 as well
		m := t[i].Value / math.Pow(10, math.Floor(math.Log10(t[i].Value)*(1+1e-12)))
		if m < 2.5 || m > 4.5 && m < 5.5 {
			t[i].Label = power(t[i].Value)
		}
	}
	return t
}

// durations labels a logarithmic axis of nanoseconds.
type durations struct{}

func (durations) Ticks(low, high float64) []plot.Tick {
	t := decades{}.Ticks(low, high)
	for i := range t {
		if t[i].Label != "" {
			t[i].Label = time.Duration(math.Round(t[i].Value)).String()
		}
	}
	return t
}

func countLabelled(t []plot.Tick) int {
	n := 0
	for _, x := range t {
		if x.Label != "" {
			n++
		}
	}
	return n
}

func power(v float64) string {
	if v >= 1e3 {
		for _, s := range []struct {
			scale float64
			name  string
		}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
			if v >= s.scale*0.999 {
				return strconv.FormatFloat(v/s.scale, 'g', 3, 64) + s.name
			}
		}
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// bars draws one horizontal bar per implementation; value is what it stands for.
func bars(impls []string, value func(string) (float64, bool), unit string) (string, error) {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	style(p)
	p.X.Label.Text, p.X.Min = unit, 0
	p.X.Tick.Marker = ticks{}
	p.Y.Tick.Length, p.Y.LineStyle.Width = 0, 0
	var names []string
	for _, impl := range slices.Backward(impls) {
		v, ok := value(impl)
		if !ok {
			continue
		}
		bar, err := plotter.NewBarChart(plotter.Values{v}, vg.Points(13))
		if err != nil {
			return "", err
		}
		bar.Horizontal, bar.Color, bar.LineStyle.Width, bar.XMin = true, colour(impl), 0, float64(len(names))
		p.Add(bar)
		names = append(names, impl+"  "+number(v))
	}
	p.NominalY(names...)
	return render(p, vg.Length(len(names))*vg.Points(22)+vg.Points(48))
}

var (
	sizeAttributes = regexp.MustCompile(`<svg width="[^"]*" height="[^"]*"`)
	fontFamily     = regexp.MustCompile(`font-family:[^;"]*;font-weight:[^;"]*;font-style:[^;"]*`)
	prologue       = regexp.MustCompile(`(?s)^.*?<svg`)
)

// render draws the plot as an SVG element that takes its size, its text colour and its font from the page.
func render(p *plot.Plot, height vg.Length) (string, error) {
	canvas := vgsvg.New(plotWidth, height)
	p.Draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", err
	}
	s := prologue.ReplaceAllString(b.String(), "<svg")
	s = sizeAttributes.ReplaceAllString(s, `<svg role="img"`)
	s = fontFamily.ReplaceAllString(s, "font-family:inherit")
	s = regexp.MustCompile(`#010203`).ReplaceAllString(s, "currentColor")
	return regexp.MustCompile(`#040506`).ReplaceAllString(s, "var(--grid)"), nil
}

// series collects, for each implementation, y over the number of entries in the rows chosen.
func series(f *result.File, rows []result.Row, y func(float64) float64) []line {
	var lines []line
	for _, impl := range f.Peers {
		l := line{impl: impl}
		for _, row := range rows {
			if v, ok := row.By[impl].Median(); ok {
				l.points = append(l.points, plotter.XY{X: float64(row.N), Y: y(v)})
			}
		}
		if len(l.points) > 0 {
			lines = append(lines, l)
		}
	}
	return lines
}
