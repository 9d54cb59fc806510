// This file is responsible for noticing key sets that were chosen to collide, and for the change of seed that
// scatters them.

package hushmap

import (
	"runtime"

	"github.com/hushmap/hushmap/internal/hash"
	"github.com/hushmap/hushmap/internal/swar"
)

// suspectDistance is how many buckets behind home an entry must land to make the table look at its hash: far more
// than random hashes lead to at load factor 0.75. A false alarm costs one sample of that many buckets.
const suspectDistance = 64

// suspect is called when a home bucket's neighbourhood is fuller than its load explains. If a new seed would scatter
// the entries found there, it starts to rebuild the table under that seed, once per table; if not (the hasher itself
// is constant, say), it does nothing but remember that it looked.
func (c *core[K, V]) suspect(rm *readMap[K, V], home uint64) {
	if rm.old != nil || c.options().stable || c.passes.Load() != 0 || c.read.Load() != rm {
		return
	}
	seed := hash.NewSeed()
	helps := rm.scatters(home, seed) // before mu is taken: it may call a user's hasher
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	defer c.decided()
	if !c.betweenPasses() || c.read.Load() != rm {
		return
	}
	if helps {
		c.resizeLocked(rm, rm.buckets(), seed, rm.traits)
		return
	}
	next := *rm
	next.reseeded = true
	c.publish(&next)
}

// scatters reports whether the entries in the suspectDistance buckets from home on, of which most share a home
// now, would have many homes under another seed.
func (rm *readMap[K, V]) scatters(home uint64, seed hash.Seed) bool {
	other := rm.table
	other.seed = seed
	entries, homes := 0, make(map[uint64]struct{})
	for n := uint64(0); n < min(suspectDistance, rm.buckets()); n++ {
		b := rm.bucket((home + n) & rm.mask)
		c := b.observe()
		for f := swar.Full(b.observeTophash()); f != 0; f = swar.Next(f) {
			key := rm.loadKey(b, swar.First(f))
			if !b.unchanged(c) {
				break // never look into a torn key (I6); a sample is enough
			}
			entries++
			homes[other.home(other.hash(key))] = struct{}{}
		}
	}
	runtime.KeepAlive(rm)
	return len(homes) > entries/4
}
