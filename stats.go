// This file is responsible for Stats, the figures a map gives about itself.

package hushmap

import (
	"runtime"

	"github.com/hushmap/hushmap/internal/mem"
	"github.com/hushmap/hushmap/internal/swar"
)

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

	// HeapBytes is the size of tables and arenas on the Go heap, 0 before the first write. What keys and values point to
	// is not in it. MappedBytes is the size of tables outside the Go heap.
	HeapBytes, MappedBytes uint64
	// Memory says where the current table lies: "heap", or outside the Go heap on "plain" pages, on pages that are
	// huge if the system has some ("advised"), or on reserved huge pages ("hugetlb"). Empty before the first write.
	Memory string
	// ArenaBytes is the part of HeapBytes that holds the bytes of string keys, and DeadBytes the part of that which is
	// left of deleted ones.
	ArenaBytes, DeadBytes uint64

	Growths  uint32 // growths since the map was made
	Shrinks  uint32 // likewise: moves into a smaller table
	Rebuilds uint32 // likewise: moves into a table of the same size
}

// Stats returns figures about the map. Each is right for some moment during the call, not all for the same.
//
// Complexity: O(slots), and a hash per entry.
// Blocking: may wait while memory for string keys, or for a Bytes, is allocated.
func (m *Map[K, V]) Stats() Stats { return m.core.stats() }

func (c *core[K, V]) stats() Stats {
	s := Stats{Growths: c.growths.Load(), Shrinks: c.shrinks.Load(), Rebuilds: c.rebuilds.Load()}
	var rm *readMap[K, V]
	for current := false; !current; {
		if rm = c.read.Load(); rm == nil {
			return s
		}
		s.Entries, current = c.lenOf(rm)
	}
	s.Buckets = int(rm.buckets())
	s.B = 64 - int(rm.shift)
	s.LoadFactor = float64(s.Entries) / float64(rm.slotCount())
	s.Memory = rm.kind().String()
	rm.addBytes(&s)
	rm.addArena(&s)
	rm.probes(&s.Probes)
	if e := rm.old; e != nil {
		s.Growing, s.OldBuckets, s.EvacuatedBuckets = true, int(e.buckets()), int(e.frozen.Load())
		e.addBytes(&s)
		if e.traits.arena != rm.traits.arena {
			e.addArena(&s)
		}
		e.probes(&s.Probes)
	}
	runtime.KeepAlive(rm)
	return s
}

// kind returns where the bucket array lies.
func (t *table[K, V]) kind() mem.Kind {
	if t.memory == nil {
		return mem.Heap
	}
	return t.memory.Kind()
}

// addBytes adds the size of the bucket array.
func (t *table[K, V]) addBytes(s *Stats) {
	if t.kind() == mem.Heap {
		s.HeapBytes += t.buckets() * uint64(bucketSize[K, V]())
	} else {
		s.MappedBytes += uint64(t.memory.MappedBytes())
	}
}

// addArena adds the size of the arena, if there is one.
func (t *table[K, V]) addArena(s *Stats) {
	if a := t.traits.arena; a != nil {
		u := a.Usage()
		s.HeapBytes += u.Allocated
		s.ArenaBytes += u.Allocated
		s.DeadBytes += u.Dead
	}
}

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
			keys[swar.First(f)] = t.loadKey(b, swar.First(f))
			n++
		}
		if b.unchanged(c) {
			return w, n
		}
		pause(tries)
	}
}
