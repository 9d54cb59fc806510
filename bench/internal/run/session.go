package run

import (
	"context"
	"os"
	"slices"
	"time"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/result"
	"github.com/hushmap/hushmap/bench/internal/work"
)

// Progress hears of each finished step.
type Progress interface {
	// Step says what comes next.
	Step(what string)
	// Done adds seconds of estimated work that are over.
	Done(seconds float64)
}

// Session is one run of the program.
type Session struct {
	Config
	File     *result.File
	Progress Progress

	impls []peer.Impl
}

// NewSession finds the implementations selected.
func NewSession(c Config, p Progress) (*Session, error) {
	impls, err := c.implementations()
	if err != nil {
		return nil, err
	}
	s := &Session{Config: c, Progress: p, File: &result.File{}, impls: impls}
	s.describe()
	return s, nil
}

// Seconds estimates the whole run.
func (s *Session) Seconds() float64 {
	total := 0.0
	for _, g := range s.plan() {
		total += s.total(g)
	}
	return total
}

// Run makes all measurements, until ctx ends.
func (s *Session) Run(ctx context.Context) {
	begin := time.Now()
	for _, g := range s.plan() {
		if ctx.Err() != nil {
			break
		}
		if work.Mixed(g.work) {
			s.throughput(ctx, g)
		} else {
			s.singleShot(ctx, g)
		}
	}
	s.File.Meta.Duration = time.Since(begin).Round(time.Second).String()
	s.File.Meta.Complete = ctx.Err() == nil
	if ctx.Err() != nil {
		s.File.Warn("interrupted: this is what had been measured by then; large maps have not had their last check")
	}
	s.File.WarnOfNoise()
}

// taking returns the implementations that take part in a group, and notes why the others do not.
func (s *Session) taking(g group) []peer.Impl {
	return slices.DeleteFunc(slices.Clone(s.impls), func(impl peer.Impl) bool {
		why := excuse(impl, g)
		if why != "" && !impl.BytesOnly() && !impl.Batches {
			s.void(s.cells(g), impl.Name, why)
		}
		return why != ""
	})
}

// cells lists the cells of a group.
func (s *Session) cells(g group) []result.Cell {
	var cells []result.Cell
	for _, p := range g.procs {
		if !work.Mixed(g.work) {
			for _, m := range work.Metrics(g.work) {
				cells = append(cells, cell(g, p, "", m))
			}
			continue
		}
		for _, m := range g.mixes {
			cells = append(cells, cell(g, p, m.Name, work.Metrics(g.work)[0]))
		}
	}
	return cells
}

func cell(g group, procs int, mix string, m work.Metric) result.Cell {
	return result.Cell{Work: g.work, Keys: g.keys, N: g.n, Procs: procs, Mix: mix, Metric: m.Name, Unit: m.Unit}
}

func (s *Session) void(cells []result.Cell, impl, why string) {
	for _, c := range cells {
		r := s.File.Record(c, impl)
		r.Note, r.Void = why, true
	}
}

// add records what a reply holds.
func (s *Session) add(g group, procs int, mix, impl string, r reply) {
	for _, m := range work.Metrics(g.work) {
		v, ok := r.Values[m.Name]
		if !ok {
			continue
		}
		rec := s.File.Record(cell(g, procs, mix, m), impl)
		rec.Samples = append(rec.Samples, v)
		if r.Note != "" {
			rec.Note = r.Note
		}
	}
	if len(r.Curve) > 0 {
		c := cell(g, procs, mix, work.Metric{Name: "longest", Unit: "ns"})
		s.File.Curves = append(s.File.Curves, result.Curve{Cell: c, Impl: impl, Points: r.Curve})
	}
}

// patience is how long a step on n entries may take before the child is given up. It is for children that hang, not a verdict on
// slow ones: 100 µs per entry is far more than the slowest peer takes on a machine that is busy with other things.
func patience(n int) time.Duration {
	return time.Minute + time.Duration(n)*100*time.Microsecond
}

// availableBytes reads how much memory the machine can still give, or 0 if it does not say.
func availableBytes() float64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	return meminfo(string(b), "MemAvailable")
}
