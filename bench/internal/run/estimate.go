package run

import (
	"time"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/work"
)

// shortestTime is the least that the timed parts of gc and embed take: the neighbour needs a few collections, and asks for
// one every 30 ms or so.
const shortestTime = 100 * time.Millisecond

// rounds is how often a single-shot work is repeated: a third as often as a mix, as one takes long and repeats its
// short parts itself; and large maps vary less.
func (s *Session) rounds(g group) int {
	third := (s.Rounds + 2) / 3
	if g.n > 2_000_000 {
		return min(third, 2)
	}
	return third
}

// total estimates a group.
func (s *Session) total(g group) float64 {
	taking := 0.0
	for _, impl := range s.impls {
		if excuse(impl, g) == "" {
			taking++
		}
	}
	if work.Mixed(g.work) {
		return taking * (loading(g) + checking(g) + s.seconds(g)*float64(s.Rounds*len(g.mixes)*len(g.procs)))
	}
	return taking * s.seconds(g) * float64(s.rounds(g))
}

// weight is the number of entries in millions, counted higher for keys that cost an allocation.
func weight(g group) float64 {
	millions := float64(g.n) / 1e6
	if g.keys != peer.KindUint64 {
		millions *= 1.8
	}
	return millions
}

// loading and checking estimate how long a child takes to fill a map and to look at all of it, in seconds; several children do
// so at once.
func loading(g group) float64  { return 0.01 + 0.35*weight(g) }
func checking(g group) float64 { return 0.01 + 0.25*weight(g) }

// seconds estimates one round of one implementation. It serves the progress bar alone; the figures come from runs on a machine
// with two cores.
func (s *Session) seconds(g group) float64 {
	timed := max(s.Time, shortestTime).Seconds()
	switch g.work {
	case work.Throughput, work.Batch:
		return s.Time.Seconds() + 0.005 + 0.06*min(weight(g), 4)/float64(s.Rounds)
	case work.Fill:
		return 0.1 + 1.5*weight(g)
	case work.GC:
		return 0.07 + 2*timed + 0.7*weight(g)
	default:
		return 0.1 + timed + 0.8*weight(g)
	}
}
