package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/result"
	"github.com/hushmap/hushmap/bench/internal/work"
)

// Terminal prints a run as text.
func Terminal(w io.Writer, f *result.File) {
	p := &printer{w: w}
	p.line("%s, %s, %d cores, %s; %d rounds", f.Meta.CPU, f.Meta.OS, f.Meta.Cores, f.Meta.Go, f.Meta.Rounds)
	p.line("%s", strings.Join(versionList(f), ", "))
	for _, s := range sections(f) {
		p.line("\n%s", s.Title)
		p.table(sectionTable(f, s))
	}
	if hasSubject(f) {
		p.scores(f)
	}
	p.line("")
	for _, n := range notes(f, true) {
		p.line("! %s", n)
	}
	for _, n := range notes(f, false) {
		p.line("- %s", n)
	}
	for _, n := range f.Warnings {
		p.line("WARNING: %s", n)
	}
}

type printer struct{ w io.Writer }

// line ignores what the terminal thinks of it: there is nowhere else to report to.
func (p *printer) line(format string, args ...any) { _, _ = fmt.Fprintf(p.w, format+"\n", args...) }

func sectionTable(f *result.File, s section) [][]string {
	table := [][]string{append(append([]string{""}, s.Impls...), "ratio", "to the best")}
	for _, row := range s.Rows {
		cells := []string{rowName(row.Cell)}
		for _, impl := range s.Impls {
			cells = append(cells, mark(row.By[impl]))
		}
		ratio, best := "", ""
		if r, name, ok := f.Ratio(row); ok && work.Scored(row.Work, row.Metric) {
			ratio, best = ratioText(r), name
			if r > 1 {
				ratio = "! " + ratio
			}
		}
		table = append(table, append(cells, ratio, best))
	}
	return table
}

// table aligns the first column and the last to the left, numbers to the right.
func (p *printer) table(rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, c := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i == 0 || i == len(row)-1 {
				b.WriteString(c + pad + "  ")
			} else {
				b.WriteString(pad + c + "  ")
			}
		}
		p.line("%s", strings.TrimRight(b.String(), " "))
	}
}

func (p *printer) scores(f *result.File) {
	scores, losses := f.Scores()
	if len(scores) == 0 {
		return
	}
	p.line("\n%s / best concurrent peer (below 1 is better)", peer.Subject)
	table := [][]string{{"", "geometric mean", "wins", "losses", ""}}
	for _, s := range scores {
		table = append(table, []string{s.Name, ratioText(s.GeoMean), fmt.Sprint(s.Wins), fmt.Sprint(s.Losses), ""})
	}
	p.table(table)
	if len(losses) == 0 {
		p.line("\nno losses")
		return
	}
	p.line("\nlosses")
	table = nil
	for _, l := range losses {
		table = append(table, []string{l.Work + "  " + rowName(l.Cell), ratioText(l.Ratio), l.Best})
	}
	p.table(table)
}

// Comparison prints how the second run differs from the first.
func Comparison(w io.Writer, before, after *result.File) error {
	changes, err := result.Compare(before, after)
	if err != nil {
		return err
	}
	p := &printer{w: w}
	p.line("new / old (below 1 is better); only changes beyond the spread of the rounds are listed")
	ratios := map[string][]float64{}
	table := [][]string{{"", "old", "new", "ratio", "implementation"}}
	for _, c := range changes {
		ratios[c.Impl] = append(ratios[c.Impl], c.Ratio)
		if c.Clear {
			table = append(table, []string{c.Cell.String(), number(c.Old), number(c.New), ratioText(c.Ratio), c.Impl})
		}
	}
	p.table(table)
	p.line("")
	table = [][]string{{"", "geometric mean", "measurements", ""}}
	for _, impl := range before.Peers {
		if r := ratios[impl]; len(r) > 0 {
			table = append(table, []string{impl, ratioText(result.GeoMean(r)), fmt.Sprint(len(r)), ""})
		}
	}
	p.table(table)
	return nil
}
