// This file is responsible for operations on many keys at once. They do what single calls do, one after the other, and
// are faster in a map that is larger than the caches: a group of keys is first brought near, so that the processor waits
// for many memory accesses at the same time instead of for one after the other.
//
//	single    |hash|---- bucket ----|---- slot ----|hash|---- bucket ----|---- slot ----| ...
//
//	batch     |hash|hash|hash|---- buckets ----|---- slots ----|op|op|op|
//	                         |---- buckets ----|---- slots ----|
//	                         |---- buckets ----|---- slots ----|

package hushmap

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/hushmap/hushmap/internal/swar"
)

// batchGroup is how many keys are brought near at once. Processors wait for some ten to twenty cache misses at a time;
// at 10 M entries groups of 8, 16, 32 and 64 keys took BATCHFIGURES ns a key.
const batchGroup = 32

// nearBuckets is the size from which on it pays to bring keys near: smaller tables are in the cache.
const nearBuckets = 1 << 12

// LoadBatch loads keys[i] into vals[i] and found[i], for every i, and returns how many were found. Where a key is
// absent vals[i] becomes the zero value. Each key is looked up by itself, as by Load; together they are no snapshot.
//
// Complexity: as len(keys) calls of Load, with less waiting for memory in a large map. No allocation.
// Blocking: takes no lock.
// Errors: panics if the slices differ in length, before anything is loaded; or for an unhashable key, after those
// before it.
func (m *Map[K, V]) LoadBatch(keys []K, vals []V, found []bool) int {
	if len(keys) != len(vals) || len(keys) != len(found) {
		panic(fmt.Sprintf("hushmap: LoadBatch: %d keys, but %d values and %d results", len(keys), len(vals), len(found)))
	}
	n := 0
	for from := 0; from < len(keys); from += batchGroup {
		to := min(from+batchGroup, len(keys))
		n += m.core.loadGroup(keys[from:to], vals[from:to], found[from:to])
	}
	return n
}

// StoreBatch stores vals[i] for keys[i], for every i in ascending order. Each is stored by itself, as by Store.
//
// Complexity: as len(keys) calls of Store, with less waiting for memory in a large map.
// Blocking: as Store, for one key at a time.
// Errors: panics if the slices differ in length, before anything is stored; or for an unhashable key, after those
// before it.
func (m *Map[K, V]) StoreBatch(keys []K, vals []V) {
	if len(keys) != len(vals) {
		panic(fmt.Sprintf("hushmap: StoreBatch: %d keys, but %d values", len(keys), len(vals)))
	}
	m.core.inGroups(keys, func(i int, key K) { m.core.store(key, vals[i]) })
}

// DeleteBatch deletes the entries for all keys and returns how many there were. Each is deleted by itself, as by
// Delete.
//
// Complexity: as len(keys) calls of Delete, with less waiting for memory in a large map.
// Blocking: as Delete, for one key at a time.
// Errors: panics for an unhashable key, after deleting those before it.
func (m *Map[K, V]) DeleteBatch(keys []K) (deleted int) {
	m.core.inGroups(keys, func(_ int, key K) {
		if _, ok := m.core.loadAndDelete(key); ok {
			deleted++
		}
	})
	return deleted
}

// inGroups calls op for every key, in order, after bringing its group near.
func (c *core[K, V]) inGroups(keys []K, op func(i int, key K)) {
	for from := 0; from < len(keys); from += batchGroup {
		to := min(from+batchGroup, len(keys))
		var near [batchGroup]nearKey[K, V]
		rm := c.bringNear(keys[from:to], &near)
		runtime.KeepAlive(rm)
		for i := from; i < to; i++ {
			op(i, keys[i])
		}
	}
}

// loadGroup is LoadBatch for at most batchGroup keys. What the look at the group does not settle is looked up singly.
func (c *core[K, V]) loadGroup(keys []K, vals []V, found []bool) (n int) {
	var near [batchGroup]nearKey[K, V]
	rm := c.bringNear(keys, &near)
	for i, key := range keys {
		if v, ok := rm.loadNear(key, &near[i]); ok {
			vals[i], found[i] = v, true
		} else {
			vals[i], found[i] = c.lookup(key)
		}
		if found[i] {
			n++
		}
	}
	runtime.KeepAlive(rm)
	return n
}

// nearKey is what is known of a key on its way.
type nearKey[K comparable, V any] struct {
	bucket *bucket[K, V] // the home bucket; nil if nothing is known
	hash   uint64
	state  control // of the bucket, observed before match
	match  uint64  // slots to look at
	ref    ref     // in the first of them
}

// bringNear reads what operations on at most batchGroup keys will read. Every loop has one memory access per turn that
// does not depend on another turn's. It returns the read map it looked at, or nil if it did not look.
func (c *core[K, V]) bringNear(keys []K, near *[batchGroup]nearKey[K, V]) *readMap[K, V] {
	rm := c.read.Load()
	if rm == nil || rm.quick == hashNone || rm.buckets() < nearBuckets {
		return nil
	}
	if rm.traits.mayPanic || rm.hashed == hashCustom {
		defer func() { _ = recover() }() // the operation itself will panic, when it is its turn
	}
	for i, key := range keys {
		h := rm.hash(key)
		near[i].hash, near[i].bucket = h, rm.bucket(rm.home(h))
	}
	for i := range keys {
		k := &near[i]
		k.state = k.bucket.observe()
		k.match = swar.Match(k.bucket.observeTophash(), tophash(k.hash))
	}
	for i := range keys {
		if k := &near[i]; k.match != 0 && rm.inArena() {
			k.ref = k.bucket.loadRef(rm.traits, swar.First(k.match))
		} else if k.match != 0 {
			k.bucket.touch(swar.First(k.match))
		}
	}
	if rm.inArena() {
		for i := range keys {
			_ = rm.traits.arena.Equal(near[i].ref.at(), "") // looks at the record's length
		}
	}
	return rm
}

// loadNear finishes the lookup of a key that was brought near, if its first candidate is the key.
func (rm *readMap[K, V]) loadNear(key K, k *nearKey[K, V]) (value V, ok bool) {
	if rm == nil || k.bucket == nil || k.match == 0 {
		return value, false
	}
	i := swar.First(k.match)
	if rm.inArena() {
		if !k.bucket.refers(rm.traits, i, key, k.hash) {
			return value, false
		}
	} else {
		stored := k.bucket.loadKey(rm.traits, i)
		if unsafe.Sizeof(key) > wordSize && !k.bucket.unchanged(k.state) || stored != key {
			return value, false
		}
	}
	value = rm.loadValue(k.bucket, i)
	return value, k.bucket.settled(k.state)
}
