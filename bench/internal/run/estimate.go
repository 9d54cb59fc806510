package run

import (
	"time"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/work"
)

// shortestTime is the least that the timed parts of gc and embed take: the neighbour needs a few collections.
const shortestTime = 150 * time.Millisecond

// rounds is how often a single-shot work is repeated: half as often as throughput, as one takes long and repeats its short
// parts itself; and large maps vary less.
func (s *Session) rounds(g group) int {
	half := (s.Rounds + 1) / 2
	if g.n > 2_000_000 {
		return min(half, 2)
	}
	return half
}

// total estimates a group.
func (s *Session) total(g group) float64 {
	taking := 0.0
	for _, impl := range s.impls {
		if excuse(impl, g) == "" {
			taking++
		}
	}
	if g.work == work.Throughput {
		return taking * (loading(g) + s.seconds(g)*float64(s.Rounds*len(g.mixes)*len(g.procs)))
	}
	return taking * s.seconds(g) * float64(s.rounds(g))
}

// loading estimates how long a child takes to fill a map, in seconds.
func loading(g group) float64 { return 0.05 + float64(g.n)/1e6 }

// seconds estimates one round of one implementation. It serves the progress bar alone; the figures come from runs on a machine
// with two cores.
func (s *Session) seconds(g group) float64 {
	millions := float64(g.n) / 1e6
	timed := max(s.Time, shortestTime).Seconds()
	if g.keys != peer.KindUint64 {
		millions *= 1.8
	}
	switch g.work {
	case work.Throughput:
		return s.Time.Seconds() + 0.02 + 0.1*min(millions, 4)
	case work.Fill:
		return 0.1 + 2.2*millions
	case work.GC:
		return 0.1 + 2*timed + 1.2*millions
	default:
		return 0.2 + timed + 2*millions
	}
}
