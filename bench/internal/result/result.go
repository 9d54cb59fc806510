// Package result holds what was measured: records as they go to JSON, and the ratios, means and warnings made of them.
package result

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/hushmap/hushmap/bench/internal/work"
)

// Cell is one question asked of every implementation.
type Cell struct {
	Work   string `json:"work"`
	Keys   string `json:"keys"`
	N      int    `json:"n"`
	Procs  int    `json:"procs"`
	Mix    string `json:"mix,omitempty"`
	Metric string `json:"metric"`
	Unit   string `json:"unit"`
}

// String names the cell as in flags.
func (c Cell) String() string {
	s := fmt.Sprintf("%s/keys=%s/n=%d/procs=%d", c.Work, c.Keys, c.N, c.Procs)
	if c.Mix != "" {
		s += "/" + c.Mix
	}
	return s + "/" + c.Metric
}

// Record is what one implementation answered: a sample per round, lower being better, or a note that says why not.
type Record struct {
	Cell
	Impl    string    `json:"impl"`
	Samples []float64 `json:"samples,omitempty"`
	Note    string    `json:"note,omitempty"`
	// Void says that the samples do not count: wrong results, a crash, or not measured at all.
	Void bool `json:"void,omitempty"`
}

// Median returns the middle sample and whether there is one that counts.
func (r *Record) Median() (float64, bool) {
	if r == nil || r.Void || len(r.Samples) == 0 {
		return 0, false
	}
	s := slices.Sorted(slices.Values(r.Samples))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2, true
}

// Spread returns the distance from the lowest to the highest sample as a share of the median.
func (r *Record) Spread() float64 {
	m, ok := r.Median()
	if !ok || m == 0 {
		return 0
	}
	return (slices.Max(r.Samples) - slices.Min(r.Samples)) / m
}

// NoisySpread is the spread above which a cell is reported as noisy.
const NoisySpread = 0.20

// Curve is the latency distribution of one implementation in one round.
type Curve struct {
	Cell
	Impl   string       `json:"impl"`
	Points []work.Point `json:"points"`
}

// File is a whole run.
type File struct {
	Meta     Meta              `json:"meta"`
	Versions map[string]string `json:"versions"` // by implementation
	Remarks  map[string]string `json:"remarks"`
	Peers    []string          `json:"peers"`     // implementations in the order of reports
	NotPeers []string          `json:"not_peers"` // of these, the references that do not count as concurrent
	Records  []*Record         `json:"records"`
	Curves   []Curve           `json:"curves,omitempty"`
	Warnings []string          `json:"warnings,omitempty"`
}

// Meta says where and how a run was made.
type Meta struct {
	Date     string `json:"date"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	Flags    string `json:"flags"`
	Rounds   int    `json:"rounds"`
	Duration string `json:"duration"`
	Complete bool   `json:"complete"` // false if the run was interrupted
}

// Read loads a run from a JSON file.
func Read(path string) (*File, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := new(File)
	if err := json.Unmarshal(b, f); err != nil {
		return nil, fmt.Errorf("%s is not a result of hushbench: %w", path, err)
	}
	return f, nil
}

// Write saves the run.
func (f *File) Write(path string) error {
	b, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// Record returns the record of an implementation in a cell, made if need be.
func (f *File) Record(c Cell, impl string) *Record {
	if r := f.find(c, impl); r != nil {
		return r
	}
	r := &Record{Cell: c, Impl: impl}
	f.Records = append(f.Records, r)
	return r
}

func (f *File) find(c Cell, impl string) *Record {
	i := slices.IndexFunc(f.Records, func(r *Record) bool { return r.Cell == c && r.Impl == impl })
	if i < 0 {
		return nil
	}
	return f.Records[i]
}

// Concurrent says whether an implementation counts as a concurrent peer.
func (f *File) Concurrent(impl string) bool { return !slices.Contains(f.NotPeers, impl) }

// Warn adds a warning once.
func (f *File) Warn(format string, args ...any) {
	if w := fmt.Sprintf(format, args...); !slices.Contains(f.Warnings, w) {
		f.Warnings = append(f.Warnings, w)
	}
}

// WarnOfNoise adds a warning if the rounds of too many cells disagree.
func (f *File) WarnOfNoise() {
	measured, noisy := 0, 0
	for _, r := range f.Records {
		if _, ok := r.Median(); !ok || !work.Scored(r.Work, r.Metric) {
			continue
		}
		measured++
		if r.Spread() > NoisySpread {
			noisy++
		}
	}
	if noisy*10 > measured {
		f.Warn("the machine was noisy: in %d of %d measurements the rounds differ by more than %.0f %% (marked ~)",
			noisy, measured, NoisySpread*100)
	}
}

// Row is a cell with what each implementation answered.
type Row struct {
	Cell
	By map[string]*Record
}

// Rows returns the cells in the order of reports.
func (f *File) Rows() []Row {
	at := map[Cell]int{}
	var rows []Row
	for _, r := range f.Records {
		i, ok := at[r.Cell]
		if !ok {
			i = len(rows)
			at[r.Cell] = i
			rows = append(rows, Row{r.Cell, map[string]*Record{}})
		}
		rows[i].By[r.Impl] = r
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return compareCells(a.Cell, b.Cell) })
	return rows
}

func compareCells(a, b Cell) int {
	return cmp.Or(
		cmp.Compare(slices.Index(work.Works, a.Work), slices.Index(work.Works, b.Work)),
		cmp.Compare(kindRank(a.Keys), kindRank(b.Keys)),
		cmp.Compare(mixRank(a.Mix), mixRank(b.Mix)),
		cmp.Compare(a.N, b.N),
		cmp.Compare(a.Procs, b.Procs),
		cmp.Compare(metricRank(a), metricRank(b)),
	)
}

// GeoMean returns the geometric mean, or NaN of nothing.
func GeoMean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += math.Log(x)
	}
	return math.Exp(sum / float64(len(v)))
}
