// This file is responsible for Stats, the figures a map gives about itself.

package hushmap

import "github.com/hushmap/hushmap/internal/swar"

// Stats describes a map at about one moment. See [Map.Stats].
type Stats struct {
	Entries    int     // living entries, as Len
	Buckets    int     // buckets of the current table, 8 slots each; 0 before the first write
	B          int     // log2 of Buckets
	LoadFactor float64 // Entries per slot of the current table, 0 to 1

	Growing          bool // entries are being moved into the current table
	OldBuckets       int  // buckets of the table they come from; 0 if not Growing
	EvacuatedBuckets int  // of those, how many have been moved

	// Probes[i] is the number of entries that are i buckets behind their home bucket; the last counts those
	// farther away as well.
	Probes [16]int

	HeapBytes   uint64 // bytes of tables on the Go heap, 0 before the first write; what keys and values point to is not in it
	MappedBytes uint64 // bytes of tables outside the Go heap

	Growths  uint32 // growths since the map was made
	Shrinks  uint32 // likewise: moves into a smaller table
	Rebuilds uint32 // likewise: moves into a table of the same size
}

// Stats returns figures about the map. Each is right for some moment during the call, not all for the same.
//
// Complexity: O(slots), and a hash per entry.
// Blocking: takes no lock.
func (m *Map[K, V]) Stats() Stats {
	c := &m.core
	s := Stats{Growths: c.growths.Load(), Shrinks: c.shrinks.Load(), Rebuilds: c.rebuilds.Load()}
	rm := c.read.Load()
	if rm == nil {
		return s
	}
	s.Entries = rm.length.Len()
	s.Buckets = int(rm.buckets())
	s.B = 64 - int(rm.shift)
	s.LoadFactor = float64(s.Entries) / float64(rm.slotCount())
	s.HeapBytes = rm.bytes()
	rm.probes(&s.Probes)
	if e := rm.old; e != nil {
		s.Growing, s.OldBuckets, s.EvacuatedBuckets = true, int(e.buckets()), int(e.frozen.Load())
		s.HeapBytes += e.bytes()
		e.probes(&s.Probes)
	}
	return s
}

// bytes returns the size of the bucket array.
func (t *table[K, V]) bytes() uint64 { return t.buckets() * uint64(bucketSize[K, V]()) }

// probes adds the distances from home of the entries that the table owns.
func (t *table[K, V]) probes(histogram *[16]int) {
	var keys [bucketSlots]K
	for i := range t.buckets() {
		w, n := t.copyKeys(i, &keys)
		for f := swar.Full(w); n > 0; f, n = swar.Next(f), n-1 {
			s := swar.First(f)
			home, _ := t.homeOf(i, swar.Byte(w, s), keys[s])
			histogram[min((i-home)&t.mask, uint64(len(histogram)-1))]++
		}
	}
}

// copyKeys copies the keys of bucket i without a lock. It returns the tophash word and the number of keys, which is 0
// for a frozen bucket.
func (t *table[K, V]) copyKeys(i uint64, keys *[bucketSlots]K) (w uint64, n int) {
	b := t.bucket(i)
	for tries := 0; ; tries++ {
		c := b.observe()
		if c.moved() {
			return 0, 0
		}
		w = b.observeTophash()
		n = 0
		for f := swar.Full(w); f != 0; f = swar.Next(f) {
			keys[swar.First(f)] = b.loadKey(t.traits, swar.First(f))
			n++
		}
		if b.unchanged(c) {
			return w, n
		}
		pause(tries)
	}
}
