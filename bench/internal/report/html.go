package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"os"
	"path/filepath"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/result"
	"github.com/hushmap/hushmap/bench/internal/work"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"colour": func(impl string) template.CSS {
		c := colour(impl)
		return template.CSS(fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B))
	},
	"ratio": ratioText,
}).Parse(pageText))

type pageData struct {
	*result.File
	Subject  string
	Scores   []result.Score
	Losses   []pageLoss
	Chapters []chapter
	Tables   []pageTable
	Failed   []string
	Unable   []string
}

type pageLoss struct {
	Where, Best string
	Ratio       float64
}

type pageTable struct {
	Title string
	Impls []string
	Rows  []pageRow
}

type pageRow struct {
	Keys, Size, Procs, What string
	Values                  []pageValue
	Ratio                   string
	Best                    string
	Lost                    bool
}

type pageValue struct {
	Text, Tip string
	Best      bool
}

// HTML writes the page, plots and all, to dir/index.html; it needs nothing from elsewhere. Beside it, every plot is in
// a file of its own.
func HTML(dir string, f *result.File) (path string, err error) {
	data := pageData{File: f, Subject: peer.Subject, Failed: notes(f, true), Unable: notes(f, false), Tables: pageTables(f)}
	if data.Chapters, err = chapters(f); err != nil {
		return "", err
	}
	if hasSubject(f) {
		var losses []result.Loss
		data.Scores, losses = f.Scores()
		for _, l := range losses {
			data.Losses = append(data.Losses, pageLoss{l.Work + ", " + rowName(l.Cell), l.Best, l.Ratio})
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := writeImages(dir, data.Chapters); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "index.html")
	out, err := os.Create(path)
	if err != nil {
		return "", err
	}
	if err := page.Execute(out, data); err != nil {
		_ = out.Close()
		return "", err
	}
	return path, out.Close()
}

func pageTables(f *result.File) []pageTable {
	var tables []pageTable
	for _, s := range sections(f) {
		t := pageTable{Title: s.Title, Impls: s.Impls}
		for _, row := range s.Rows {
			t.Rows = append(t.Rows, pageRowOf(f, s, row))
		}
		tables = append(tables, t)
	}
	return tables
}

func pageRowOf(f *result.File, s section, row result.Row) pageRow {
	out := pageRow{Keys: row.Keys, Size: entries(row.N), Procs: fmt.Sprint(row.Procs), What: row.Mix}
	if row.Mix == "" {
		out.What = row.Metric + ", " + row.Unit
	}
	if r, best, ok := f.Ratio(row); ok && work.Scored(row.Work, row.Metric) {
		out.Ratio, out.Best, out.Lost = ratioText(r), best, r > 1
	}
	for _, impl := range s.Impls {
		r := row.By[impl]
		v := pageValue{Text: mark(r), Best: impl == out.Best}
		if _, ok := r.Median(); ok {
			v.Tip = fmt.Sprintf("spread %.0f %% over %d rounds", 100*r.Spread(), len(r.Samples))
		} else if r != nil {
			v.Tip = r.Note
		}
		out.Values = append(out.Values, v)
	}
	return out
}
