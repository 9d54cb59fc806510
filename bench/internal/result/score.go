package result

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/work"
)

// minValue stands for a measured 0 in ratios: less than any clock or counter here can tell.
const minValue = 1e-6

// specialists are the subjects that are made for a work.
var specialists = map[string]string{work.Batch: peer.SubjectBatch, work.Embed: peer.SubjectBytes}

// Subject returns who is compared with the peers in the row.
func (f *File) Subject(row Row) string {
	if s := specialists[row.Work]; slices.Contains(f.Peers, s) {
		return s
	}
	return peer.Subject
}

// Best returns the best concurrent peer of the subject in the row.
func (f *File) Best(row Row) (impl string, value float64, ok bool) {
	for _, name := range f.Peers {
		if peer.IsSubject(name) || !f.Concurrent(name) {
			continue
		}
		if v, counts := row.By[name].Median(); counts && (!ok || v < value) {
			impl, value, ok = name, v, true
		}
	}
	return impl, value, ok
}

// Ratio returns subject / best concurrent peer: below 1 the subject wins.
func (f *File) Ratio(row Row) (ratio float64, best string, ok bool) {
	best, value, ok := f.Best(row)
	own, measured := row.By[f.Subject(row)].Median()
	if !ok || !measured {
		return 0, "", false
	}
	return max(own, minValue) / max(value, minValue), best, true
}

// Score sums a set of rows up.
type Score struct {
	Name         string
	Wins, Losses int
	GeoMean      float64
}

// Loss is a row the subject loses.
type Loss struct {
	Row
	Best  string
	Ratio float64
}

// Scores returns a score per work, one per metric where a work has several, and every loss.
func (f *File) Scores() (scores []Score, losses []Loss) {
	ratios := map[string][]float64{}
	var names []string
	for _, row := range f.Rows() {
		ratio, best, ok := f.Ratio(row)
		if !ok || !work.Scored(row.Work, row.Metric) {
			continue
		}
		if ratio > 1 {
			losses = append(losses, Loss{row, best, ratio})
		}
		for _, name := range scoreNames(row.Cell) {
			if ratios[name] == nil {
				names = append(names, name)
			}
			ratios[name] = append(ratios[name], ratio)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(scoreRank(a), scoreRank(b)) })
	for _, name := range names {
		scores = append(scores, score(name, ratios[name]))
	}
	return scores, losses
}

// scoreRank puts the mean over a work before those over its mixes, and these before those over its kinds of key.
func scoreRank(name string) int {
	w, rest, parts := strings.Cut(name, ", ")
	rank := 3 * slices.Index(work.Works, w)
	switch {
	case !parts:
		return rank
	case strings.HasSuffix(rest, " keys"):
		return rank + 2
	}
	return rank + 1
}

// scoreNames lists the means that a cell takes part in.
func scoreNames(c Cell) []string {
	if work.Mixed(c.Work) {
		return []string{c.Work, c.Work + ", " + c.Mix, c.Work + ", " + c.Keys + " keys"}
	}
	return []string{c.Work + ", " + c.Metric}
}

func score(name string, ratios []float64) Score {
	s := Score{Name: name, GeoMean: GeoMean(ratios)}
	for _, r := range ratios {
		if r > 1 {
			s.Losses++
		} else {
			s.Wins++
		}
	}
	return s
}
