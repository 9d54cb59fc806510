// This file is responsible for noticing key sets that were chosen to collide, or come in the order of their hashes, and for
// the change of seed, or the growth, that scatters them.

package hushmap

import "github.com/hushmap/hushmap/internal/hash"

// sparsest is how many buckets for each entry a table may have and still grow because entries are far behind their home.
const sparsest = 16

// suspect is called when a home bucket's neighbourhood is fuller than its load explains. If a new seed would scatter
// the entries found there, it starts to rebuild the table under that seed, once per table; if not (the hasher itself
// is constant, say), it does nothing but remember that it looked. A table whose hash must stay grows instead: keys that come
// in the order of their hashes, as from a Range over another map with that hash, need the size that they have in the end.
func (c *core[K, V]) suspect(rm *readMap[K, V], home uint64) {
	if rm.old != nil || c.passes.Load() != 0 || c.read.Load() != rm {
		return
	}
	n, seed, helps := rm.buckets(), rm.seed, false // found out before mu is taken: it may call a user's hasher
	if c.options().stable {
		if n > sparsest*uint64(rm.length.Len()) || n*2 > maxBuckets[K, V]() {
			return
		}
		_, now := rm.homesNear(home, n, seed)
		n *= 2
		_, then := rm.homesNear(home, n, seed)
		helps = then > now+now/2
	} else {
		seed = hash.NewSeed()
		helps = rm.scatters(home, seed)
	}
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	defer c.decided()
	if !c.betweenPasses() || c.read.Load() != rm {
		return
	}
	if helps {
		c.resizeLocked(rm, n, seed, rm.traits)
		return
	}
	next := *rm
	next.reseeded = true
	c.publish(&next)
}
