package run

import (
	"context"
	"fmt"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/result"
	"github.com/hushmap/hushmap/bench/internal/work"
)

// bytesPerEntry is an upper estimate of what a child holds per entry: map, garbage in waiting, keys.
const bytesPerEntry = 400

// throughput measures all mixes of a group. Each implementation has a child that keeps its map; the rounds of a cell go
// around the implementations in turn, so that a slow minute of the machine hits all of them. Where the maps of
// all children together would not fit in memory, each child does all its rounds before the next one starts,
// and a warning says so.
func (s *Session) throughput(ctx context.Context, g group) {
	impls := s.taking(g)
	batch := len(impls)
	if room := availableBytes(); room > 0 {
		if fit := int(room / 2 / float64(g.n*bytesPerEntry)); fit < batch {
			batch = max(1, fit)
			s.File.Warn("%d entries of %s keys: rounds interleaved %d implementations at a time, for lack of memory",
				g.n, g.keys, batch)
		}
	}
	for len(impls) > 0 && ctx.Err() == nil {
		now := impls[:min(batch, len(impls))]
		impls = impls[len(now):]
		s.batch(ctx, g, now)
	}
}

// contender is an implementation and the child that holds its map.
type contender struct {
	peer.Impl
	p       *process
	entries int
}

func (s *Session) batch(ctx context.Context, g group, impls []peer.Impl) {
	var all []*contender
	for _, impl := range impls {
		s.Progress.Step(fmt.Sprintf("%s %s n=%d load %s", g.work, g.keys, g.n, impl.Name))
		c := &contender{Impl: impl}
		opened := s.open(ctx, g, c)
		s.Progress.Done(loading(g))
		if opened {
			all = append(all, c)
			if g.keys == peer.KindReal {
				g.n = c.entries
			}
		}
	}
	for _, procs := range g.procs {
		for _, m := range g.mixes {
			s.Progress.Step(fmt.Sprintf("%s %s n=%d %s procs=%d", g.work, g.keys, g.n, m.Name, procs))
			for range s.Rounds {
				for _, c := range all {
					s.round(ctx, g, c, m, procs)
				}
			}
		}
	}
	for _, c := range all {
		s.finish(ctx, g, c)
	}
}

// open starts the child of a contender and has it load the map.
func (s *Session) open(ctx context.Context, g group, c *contender) bool {
	p, err := start(ctx)
	if err == nil {
		var r reply
		r, err = p.ask(request{Step: "open", Impl: c.Name, Spec: work.Spec{Kind: g.keys, N: g.n}}, patience(g.n))
		if err == nil && r.Void == "" {
			c.p, c.entries = p, r.Entries
			return true
		}
		if err == nil {
			err = fmt.Errorf("%s", r.Void)
			p.stop()
		}
	}
	if ctx.Err() == nil {
		s.void(s.cells(g), c.Name, err.Error())
	}
	return false
}

// round makes one measurement. A contender whose results are wrong, or that crashes, gets a new child, as the cells that
// follow are another question.
func (s *Session) round(ctx context.Context, g group, c *contender, m work.Mix, procs int) {
	defer s.Progress.Done(s.seconds(g))
	cells := []result.Cell{cell(g, procs, m.Name, work.Metrics(g.work)[0])}
	if unsafeFor(c.Impl, m, procs) {
		s.void(cells, c.Name, "not safe with several goroutines")
		return
	}
	if ctx.Err() != nil || s.File.Record(cells[0], c.Name).Void {
		return
	}
	if c.p == nil && !s.open(ctx, g, c) {
		return
	}
	r, err := c.p.ask(request{Step: "round", Mix: m.Name, Spec: work.Spec{Procs: procs, Time: s.Time}}, patience(g.n))
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.void(cells, c.Name, err.Error())
		c.p = nil
	case r.Void != "":
		s.void(cells, c.Name, r.Void)
		c.p.stop()
		c.p = nil
	default:
		s.add(g, procs, m.Name, c.Name, r)
	}
}

// finish has the whole content of a map checked. What it finds may be the fault of any cell before, so all are void.
func (s *Session) finish(ctx context.Context, g group, c *contender) {
	if c.p == nil {
		return
	}
	defer c.p.stop()
	r, err := c.p.ask(request{Step: "check"}, patience(g.n))
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.void(s.cells(g), c.Name, err.Error())
	case r.Void != "":
		s.void(s.cells(g), c.Name, "after the last round: "+r.Void)
	}
}
