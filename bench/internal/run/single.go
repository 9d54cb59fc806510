package run

import (
	"context"
	"fmt"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/work"
)

// singleShot measures a group of fill, gc or embed: every round of every implementation is a child of its own, and the
// rounds go around the implementations in turn.
func (s *Session) singleShot(ctx context.Context, g group) {
	impls := s.taking(g)
	if room, need := availableBytes(), float64(g.n)*bytesPerEntryOf(g.work); room > 0 && room < need {
		for _, impl := range impls {
			s.void(s.cells(g), impl.Name, fmt.Sprintf("not enough memory: %d entries may need %.1f GiB", g.n, need/(1<<30)))
		}
		return
	}
	for round := range s.rounds(g) {
		for _, impl := range impls {
			s.Progress.Step(fmt.Sprintf("%s %s n=%d procs=%d %s, round %d", g.work, g.keys, g.n, g.procs[0], impl.Name, round+1))
			s.once(ctx, g, impl)
			s.Progress.Done(s.seconds(g))
		}
	}
}

// bytesPerEntryOf is an upper estimate of what a child that does one work holds per entry: what lives, up to 130 bytes in sync.Map
// and 200 with a value of 32 bytes, as much again in garbage before the collector runs, and room for a table that grows.
func bytesPerEntryOf(w string) float64 {
	if w == work.Embed {
		return 600
	}
	return bytesPerEntry
}

func (s *Session) once(ctx context.Context, g group, impl peer.Impl) {
	procs, cells := g.procs[0], s.cells(g)
	if !impl.Concurrent && procs > 1 {
		s.void(cells, impl.Name, "not safe with several goroutines")
		return
	}
	if ctx.Err() != nil || s.File.Record(cells[0], impl.Name).Void {
		return
	}
	p, err := start(ctx)
	if err != nil {
		s.void(cells, impl.Name, err.Error())
		return
	}
	spec := work.Spec{Kind: g.keys, N: g.n, Procs: procs, Time: max(s.Time, shortestTime)}
	r, err := p.ask(request{Step: g.work, Impl: impl.Name, Spec: spec}, patience(g.n))
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.void(cells, impl.Name, err.Error())
		return
	case r.Void != "":
		s.void(cells, impl.Name, r.Void)
	default:
		s.add(g, procs, "", impl.Name, r)
	}
	p.stop()
}
