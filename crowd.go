// This file is responsible for how evenly the entries of a table are spread, as far as a look at some of its buckets says. It
// takes no lock and believes nothing for long: what it returns is advice.

package hushmap

import (
	"math/bits"
	"runtime"

	"github.com/hushmap/hushmap/internal/hash"
	"github.com/hushmap/hushmap/internal/swar"
)

// suspectDistance is how many buckets behind home an entry must land to make the table look at its hash: far more
// than random hashes lead to at load factor 0.75. A false alarm costs one sample of that many buckets.
const suspectDistance = 64

// crowdFrom is the number of entries from which on they can crowd: fewer are at most 64 buckets from home.
const crowdFrom = 512

// crowds reports whether length entries, which are all there are, would crowd in a table of n buckets, which are fewer:
// some stretch of it would have more entries than slots. Random hashes do not lead to that, but deleting in the
// order of hashes does, as a sweep goes: what it leaves over has its homes in one part of the table. All of it would go to the
// same part of a smaller one, and on from there, bucket by bucket: to delete a million entries in the order of a Range took
// half a minute.
//
// It looks at all buckets, or else at 64 stretches at most, which come from some thousand buckets all over the table. If these
// have far fewer entries than there should be, or next to none are to be expected in so few, it takes it that all are in one
// place between.
func (t *table[K, V]) crowds(length int, n uint64, all bool) bool {
	const stretch, stretches, enough = 16, 64, 16
	if n <= stretch || length < crowdFrom {
		return false
	}
	each := t.buckets() / n * stretch // buckets that become a stretch
	every := max(each, t.buckets()/stretches)
	if all {
		every = each
	}
	found := 0
	for from := uint64(0); from < t.buckets(); from += every {
		entries := 0
		for i := range each {
			entries += bits.OnesCount64(swar.Full(t.bucket(from + i).observeTophash()))
		}
		if entries > stretch*bucketSlots {
			runtime.KeepAlive(t)
			return true
		}
		found += entries
	}
	runtime.KeepAlive(t)
	expected := length / int(every/each)
	return !all && (expected < enough || found < expected/2)
}

// scatters reports whether the entries in the suspectDistance buckets from home on, of which most share a home
// now, would have many homes under another seed.
func (t *table[K, V]) scatters(home uint64, seed hash.Seed) bool {
	entries, homes := t.homesNear(home, t.buckets(), seed)
	return homes > entries/4
}

// homesNear returns how many entries there are in the suspectDistance buckets from home on, and how many homes these have
// in a table of n buckets under seed.
func (t *table[K, V]) homesNear(home, n uint64, seed hash.Seed) (entries, homes int) {
	other := *t
	other.seed, other.shift = seed, uint8(64-bits.Len64(n-1))
	found := make(map[uint64]struct{})
	for i := range min(suspectDistance, t.buckets()) {
		b := t.bucket((home + i) & t.mask)
		c := b.observe()
		for f := swar.Full(b.observeTophash()); f != 0; f = swar.Next(f) {
			key := t.loadKey(b, swar.First(f))
			if !b.unchanged(c) {
				break // never look into a torn key (I6); a sample is enough
			}
			entries++
			found[other.home(other.hash(key))] = struct{}{}
		}
	}
	runtime.KeepAlive(t)
	return entries, len(found)
}
