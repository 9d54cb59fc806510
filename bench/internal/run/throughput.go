package run

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/result"
	"github.com/hushmap/hushmap/bench/internal/work"
)

// bytesPerEntry is an upper estimate of what a child holds per entry: map, garbage in waiting, keys.
const bytesPerEntry = 400

// throughput measures all mixes of a group, be it of the work batch. Each implementation has a child that keeps its map;
// the rounds of a cell go around the implementations in turn, so that a slow minute of the machine hits all of them. Where
// the maps of all children together would not fit in memory, each child does all its rounds before the next one starts,
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
		s.together(ctx, g, now)
	}
}

// contender is an implementation and the child that holds its map.
type contender struct {
	peer.Impl
	p       *process
	entries int
}

func (s *Session) together(ctx context.Context, g group, impls []peer.Impl) {
	all, g := s.openAll(ctx, g, impls)
	for _, procs := range g.procs {
		for _, m := range g.mixes {
			for round := range s.Rounds {
				s.Progress.Step(fmt.Sprintf("%s %s n=%d %s procs=%d, round %d", g.work, g.keys, g.n, m.Name, procs, round+1))
				for _, c := range all {
					s.round(ctx, g, c, m, procs)
				}
			}
		}
	}
	s.Progress.Step(fmt.Sprintf("%s %s n=%d last check", g.work, g.keys, g.n))
	atOnce(all, func(c *contender) error { return s.lastCheck(ctx, g, c) }, func(c *contender, err error) {
		if err != nil && ctx.Err() == nil {
			s.void(s.cells(g), c.Name, err.Error())
		}
		s.Progress.Done(checking(g))
	})
}

// openAll returns the contenders that have loaded their maps, and the group with the number of entries that real keys
// turned out to make.
func (s *Session) openAll(ctx context.Context, g group, impls []peer.Impl) ([]*contender, group) {
	var all, opened []*contender
	for _, impl := range impls {
		all = append(all, &contender{Impl: impl})
	}
	s.Progress.Step(fmt.Sprintf("%s %s n=%d load", g.work, g.keys, g.n))
	loaded := g
	atOnce(all, func(c *contender) error { return c.open(ctx, g) }, func(c *contender, err error) {
		switch {
		case err == nil:
			opened = append(opened, c)
			if g.keys == peer.KindReal {
				loaded.n = c.entries
			}
		case ctx.Err() == nil:
			s.void(s.cells(loaded), c.Name, err.Error())
		}
		s.Progress.Done(loading(g))
	})
	return opened, loaded
}

// atOnce does an untimed step for every contender, as many at a time as there are processors, and then hands the outcomes
// over one by one.
func atOnce(all []*contender, do func(*contender) error, then func(*contender, error)) {
	processors := make(chan struct{}, runtime.GOMAXPROCS(0))
	outcomes := make([]chan error, len(all))
	for i, c := range all {
		outcomes[i] = make(chan error, 1)
		go func() {
			processors <- struct{}{}
			outcomes[i] <- do(c)
			<-processors
		}()
	}
	for i, c := range all {
		then(c, <-outcomes[i])
	}
}

// open starts the child of a contender and has it load the map.
func (c *contender) open(ctx context.Context, g group) error {
	p, err := start(ctx)
	if err != nil {
		return err
	}
	r, err := p.ask(request{Step: "open", Impl: c.Name, Spec: work.Spec{Kind: g.keys, N: g.n}}, patience(g.n))
	switch {
	case err != nil:
		return err
	case r.Void != "":
		p.stop()
		return errors.New(r.Void)
	}
	c.p, c.entries = p, r.Entries
	return nil
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
	if c.p == nil {
		if err := c.open(ctx, g); err != nil {
			if ctx.Err() == nil {
				s.void(cells, c.Name, err.Error())
			}
			return
		}
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

// lastCheck has the whole content of a map checked, and ends the child. What it finds may be the fault of any cell before, so
// all are void.
func (s *Session) lastCheck(ctx context.Context, g group, c *contender) error {
	if c.p == nil {
		return nil
	}
	defer c.p.stop()
	r, err := c.p.ask(request{Step: "check"}, patience(g.n))
	if err == nil && r.Void != "" {
		err = errors.New("after the last round: " + r.Void)
	}
	return err
}
