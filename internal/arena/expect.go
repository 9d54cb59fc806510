package arena

// How an Arena keeps address space for the records of another, which are going to
// be copied, lest Add take it and a copy find no place.
//
// Records are packed as they come, and a chunk is left when a record does not fit.
// So its tail is shorter than that record, which ends no other chunk. Take any
// bound called tail, and let a record up to the bound cost its granules, and one
// above it twice as many: once for what it fills, and once for the tail it causes.
// Then what a chunk holds and what ended it cost together at least
//
//	chunkGranules - tail
//
// and the costs of all records divided by that are how many chunks they fill at
// most, in whatever order; each shard has one more, the first. A record of more
// than half a chunk costs the indices of a chunk of its own, which it takes unless
// it fits a shard's. The bound is the one that promises most for the records there
// are: a sixteenth of a chunk, an eighth, a quarter, or the largest of the shared.
//
// While copies need less than what is left, Add may do as it likes, also in chunks
// that they have opened. When a chunk would leave too little, the Arena becomes
// tight, and every position says so: Add finds it full, and chunks have the full
// size. What room there is at that moment is not counted on. So it does no harm
// if Add gets more again, because records died or were packed well.

import (
	"math"
	"math/bits"
)

const (
	// smallGranules: records up to this, 16 KiB, are counted with all others only.
	smallGranules = chunkGranules / 16

	// classes are those of larger records: up to an eighth, a quarter and half a chunk.
	classes = 3

	// expectSpare is how many indices are kept besides: the first of each shard,
	// twice, as there may be other shards then.
	expectSpare = 2 * maxShards
)

// classOf returns the class of a record above smallGranules, or classes if it
// has more than half a chunk.
func classOf(g uint64) int {
	return min(bits.Len64((g-1)/smallGranules)-1, classes)
}

// cost returns what a copy of g granules costs, and 0 if none is expected.
func (a *Arena) cost(g uint64) uint64 {
	tail := uint64(a.tail.Load())
	switch {
	case tail == 0:
		return 0
	case g <= tail:
		return g
	case g <= chunkGranules/2:
		return 2 * g
	default:
		return indicesOf(g) * (chunkGranules - tail)
	}
}

// count notes that a record above smallGranules lives.
func (a *Arena) count(s *shard, g uint64) {
	c := classOf(g)
	if c == classes {
		a.lock()
		defer a.mu.Unlock()
		a.ownIndices += indicesOf(g)
		a.ownUsed += g
		return
	}
	s.large[c].Add(g)
	for {
		n := s.largest.Load()
		if g <= n || s.largest.CompareAndSwap(n, g) {
			return
		}
	}
}

// forget notes that a record above smallGranules is dying. It is not dead yet:
// otherwise a look between the two would find too few granules in small ones.
func (a *Arena) forget(s *shard, g uint64) {
	if c := classOf(g); c < classes {
		s.large[c].Add(-g)
		return
	}
	a.lock()
	defer a.mu.Unlock()
	a.ownIndices -= indicesOf(g)
	a.ownUsed -= g
}

// Expect keeps address space for the living records of the Arena from, of which
// all are going to be copied: Add finds this Arena full if it would take that
// away, and Copy only if there is not enough to begin with. Nothing can be added
// to from any more. Expect is called before the first Copy, and Settle after the
// last; or Stay instead, if nothing is copied after all: from may have got records
// since it was found Movable, and only from now on that stays so. (Who has just
// reserved a record and not counted it yet is covered by expectSpare.)
func (a *Arena) Expect(from *Arena) {
	from.leave(true)
	a.lock()
	defer a.mu.Unlock()
	a.from = from
	u := from.Usage()
	a.moving = (u.Used - u.Dead) / granule
	tail, _ := from.need()
	a.tail.Store(uint32(tail))
}

// Stay takes an Expect back that was for this Arena's records.
func (a *Arena) Stay() { a.leave(false) }

// leave has nothing be added any more, or lets it be added again. Who adds at the
// same time is done before, or is not going to.
func (a *Arena) leave(left bool) {
	a.lock()
	defer a.mu.Unlock()
	a.left = left
	a.setTight(left)
}

// Settle gives back what Expect has kept.
func (a *Arena) Settle() {
	a.lock()
	defer a.mu.Unlock()
	a.from, a.moving = nil, 0
	a.tail.Store(0)
	a.setTight(false)
}

// claim panics if there are not n indices for a chunk, or if Add would take what
// is kept.
func (a *Arena) claim(n uint64, expected bool) {
	left, kept := a.limit-max(len(a.bases), 1), a.kept()
	after := left - int(n)
	if kept > 0 && after < kept && !expected {
		a.setTight(left-1 < kept) // if it is not only that this record is large
		panic(Full)
	}
	a.setTight(kept > 0 && after < kept)
	if after < 0 {
		panic(Full)
	}
}

// kept returns how many indices the copies that are to come may need.
func (a *Arena) kept() int {
	if a.from == nil {
		return 0
	}
	copied := uint64(0) // first: what is copied by now is in the costs
	for s := range a.all {
		copied += s.copied.Load()
	}
	tail := uint64(a.tail.Load())
	costs := a.from.costs(tail)
	return int((costs-min(copied, costs))/(chunkGranules-tail)) + expectSpare
}

// setTight has Add leave the room in chunks to copies, or lets it have that again.
func (a *Arena) setTight(tight bool) {
	if a.tight == tight {
		return
	}
	a.tight = tight
	for s := range a.all {
		if tight {
			s.pos.Or(uint64(keptBit))
		} else {
			s.pos.And(^uint64(keptBit))
		}
	}
}

// Movable reports whether an Arena of their own is sure to take copies of all
// living records. It may not be if these are both many and large.
func (a *Arena) Movable() bool {
	_, need := a.need()
	return need+expectSpare < maxIndices
}

// need returns how many indices copies of all living records need at most, but
// for expectSpare, and the bound for which that is so.
func (a *Arena) need() (tail, indices uint64) {
	indices = math.MaxUint64
	for _, t := range [...]uint64{smallGranules, 2 * smallGranules, 4 * smallGranules, a.largest()} {
		if n := a.costs(t) / (chunkGranules - t); n < indices {
			tail, indices = t, n
		}
	}
	return tail, indices
}

// costs returns what copies of all living records cost.
func (a *Arena) costs(tail uint64) uint64 {
	a.lock()
	defer a.mu.Unlock()
	used, dead := a.used()
	large := int64(0) // that cost twice
	for s := range a.all {
		for c := range classes {
			if uint64(smallGranules)<<c >= tail {
				large += int64(s.large[c].Load())
			}
		}
	}
	return used - dead - a.ownUsed + uint64(max(large, 0)) + a.ownIndices*(chunkGranules-tail)
}

// largest returns the granules of the largest record of up to half a chunk that
// there ever was, or smallGranules.
func (a *Arena) largest() uint64 {
	a.lock()
	defer a.mu.Unlock()
	g := uint64(smallGranules)
	for s := range a.all {
		g = max(g, s.largest.Load())
	}
	return g
}

// all yields all shards that there are.
func (a *Arena) all(yield func(*shard) bool) {
	if !yield(&a.first) {
		return
	}
	for i := range a.more {
		if !yield(&a.more[i]) {
			return
		}
	}
}
