// This file is responsible for operations on many keys at once. They do what single calls do, one after the other, and
// are faster in a map that is larger than the caches, because they ask for the memory of later keys before they come to
// them. Keys go through a pipeline in groups:
//
//	            | turn 1    turn 2    turn 3    turn 4    turn 5 ...
//	------------+-----------------------------------------------
//	header      | group 1   group 2   group 3   group 4            hash the keys, ask for the home buckets' headers
//	slot        |           group 1   group 2   group 3   group 4  look at the tophash bytes, ask for the slots
//	record      |                     group 1   group 2   group 3  look there, ask for keys in the arena or in interfaces
//	operation   |                               group 1   group 2
//
// What the first three stages saw only says which memory to ask for. LoadBatch also begins its search where they
// ended, and validates as every reader does (I6).

package hushmap

import (
	"fmt"
	"math"
	"runtime"
	"unsafe"

	"github.com/hushmap/hushmap/internal/prefetch"
	"github.com/hushmap/hushmap/internal/swar"
)

const (
	// batchGroup is the number of keys in a group. Groups of 4, 6, 8, 12 and 16 keys were compared in maps of 10 M entries:
	// with uint64 keys they took 0.62, 0.53, 0.48, 0.46 and 0.68 of the time that single loads did, and with string keys
	// 0.29, 0.27, 0.36, 0.37 and 0.42. Processors remember only so many prefetches.
	batchGroup = 8

	// batchStages is the number of groups under way.
	batchStages = 4
)

// LoadBatch loads keys[i] into vals[i] and found[i], for every i, and returns how many were found. Where a key is
// absent vals[i] becomes the zero value. Each key is looked up by itself, as by Load; together they are no snapshot.
//
// Complexity: as len(keys) calls of Load, with less waiting for memory in a large map; with fewer than eight keys, in a
// table of less than 8 MiB, and while a table grows, it is just these calls. It allocates no more than they do.
// Blocking: as Load.
// Errors: panics if the slices differ in length, before anything is loaded; or for an unhashable key, after those
// before it.
func (m *Map[K, V]) LoadBatch(keys []K, vals []V, found []bool) int {
	if len(keys) != len(vals) || len(keys) != len(found) {
		panic(fmt.Sprintf("hushmap: LoadBatch: %d keys, but %d values and %d results", len(keys), len(vals), len(found)))
	}
	n, c := 0, &m.core
	if !c.runsAhead(len(keys)) {
		for i, key := range keys {
			if vals[i], found[i] = c.lookup(key); found[i] {
				n++
			}
		}
		return n
	}
	var p pipeline[K, V]
	for at := 0; at < len(keys); at += batchGroup {
		g := p.turn(c, keys, at)
		for i, key := range g.keys {
			var v V
			ok := false
			if g.rm == c.read.Load() { // or an earlier key may have been looked up in a newer map, after a Clear
				v, ok = g.load(i)
			}
			if !ok {
				v, ok = c.lookup(key)
			}
			if vals[at+i], found[at+i] = v, ok; ok {
				n++
			}
		}
		runtime.KeepAlive(g.rm)
	}
	return n
}

// StoreBatch stores vals[i] for keys[i], for every i in ascending order. Each is stored by itself, as by Store.
//
// Complexity: as len(keys) calls of Store, with less waiting for memory where LoadBatch has.
// Blocking: as Store, for one key at a time.
// Errors: panics if the slices differ in length, before anything is stored; or for an unhashable key, after those
// before it.
func (m *Map[K, V]) StoreBatch(keys []K, vals []V) {
	if len(keys) != len(vals) {
		panic(fmt.Sprintf("hushmap: StoreBatch: %d keys, but %d values", len(keys), len(vals)))
	}
	c := &m.core
	if !c.runsAhead(len(keys)) {
		for i, key := range keys {
			c.store(key, vals[i])
		}
		return
	}
	var p pipeline[K, V]
	for at := 0; at < len(keys); at += batchGroup {
		for i, key := range p.turn(c, keys, at).keys {
			c.store(key, vals[at+i])
		}
	}
}

// DeleteBatch deletes the entries for all keys and returns how many there were. Each is deleted by itself, as by
// Delete.
//
// Complexity: as len(keys) calls of Delete, with less waiting for memory where LoadBatch has.
// Blocking: as Delete, for one key at a time.
// Errors: panics for an unhashable key, after deleting those before it.
func (m *Map[K, V]) DeleteBatch(keys []K) (deleted int) {
	c := &m.core
	if !c.runsAhead(len(keys)) {
		for _, key := range keys {
			if _, ok := c.loadAndDelete(key); ok {
				deleted++
			}
		}
		return deleted
	}
	var p pipeline[K, V]
	for at := 0; at < len(keys); at += batchGroup {
		for _, key := range p.turn(c, keys, at).keys {
			if _, ok := c.loadAndDelete(key); ok {
				deleted++
			}
		}
	}
	return deleted
}

// nearKey is what is known of a key on its way.
type nearKey[K comparable, V any] struct {
	bucket *bucket[K, V] // the home bucket
	hash   uint64
	state  control // of the bucket, observed before match
	match  uint64  // slots to look at
}

// group is some keys that go through the pipeline together.
type group[K comparable, V any] struct {
	rm    *readMap[K, V] // that they are looked for in; nil: nothing is known of them
	keys  []K
	near  [batchGroup]nearKey[K, V]
	words [batchGroup]unsafe.Pointer // to ask for
}

// runsAhead reports whether a batch of so many keys should ask for the memory of later keys. Of keys that take no memory there
// may be so many that an index past the last would overflow.
func (c *core[K, V]) runsAhead(keys int) bool {
	rm := c.read.Load()
	return rm != nil && rm.far && rm.old == nil && keys >= batchGroup && keys <= math.MaxInt-batchStages*batchGroup
}

// pipeline is the groups of a batch that are under way, in a ring.
type pipeline[K comparable, V any] struct {
	ring  [batchStages]group[K, V]
	turns int
}

// turn returns the group at keys[at:], when what it needs is near; at is 0, and batchGroup more in each turn. The group is
// valid until the next turn.
func (p *pipeline[K, V]) turn(c *core[K, V], keys []K, at int) *group[K, V] {
	if at == 0 {
		for before := batchStages - 1; before > 0; before-- {
			p.step(c, keys, -before*batchGroup)
		}
	}
	return p.step(c, keys, at)
}

// step moves every group one stage further, and returns the one at keys[at:], if there is one.
func (p *pipeline[K, V]) step(c *core[K, V], keys []K, at int) *group[K, V] {
	turn := p.turns
	p.turns++
	p.ring[turn%batchStages].header(c, keys, at+(batchStages-1)*batchGroup)
	p.ring[(turn+3)%batchStages].slot()
	p.ring[(turn+2)%batchStages].record()
	return &p.ring[(turn+1)%batchStages]
}

// header begins with the group at keys[from:], if there is one.
func (g *group[K, V]) header(c *core[K, V], keys []K, from int) {
	before, rm := g.rm, c.read.Load()
	g.rm, g.keys = nil, keys[min(from, len(keys)):min(from+batchGroup, len(keys))]
	if rm == nil || !rm.far || rm.old != nil {
		g.forget()
		runtime.KeepAlive(before)
		return
	}
	if rm != before {
		g.forget()
		runtime.KeepAlive(before)
	}
	if rm.traits.mayPanic || rm.hashed == hashCustom {
		defer func() {
			if recover() != nil { // the operation itself will panic, when it is its turn
				g.forget()
			}
		}()
	}
	for i, key := range g.keys {
		h := rm.hash(key)
		b := rm.bucket(rm.home(h))
		g.near[i].hash, g.near[i].bucket, g.words[i] = h, b, unsafe.Pointer(b)
	}
	g.rm = rm
	g.ask()
}

// forget drops all addresses, as their table may be unmapped once nobody has its read map.
func (g *group[K, V]) forget() {
	clear(g.near[:])
	clear(g.words[:])
}

// slot goes on with the headers.
func (g *group[K, V]) slot() {
	if g.rm == nil {
		return
	}
	for i := range g.keys {
		k := &g.near[i]
		k.state = k.bucket.observe()
		k.match = swar.Match(k.bucket.observeTophash(), tophash(k.hash))
		g.words[i] = g.rm.wordOf(k.bucket, swar.First(k.match)%bucketSlots)
	}
	g.ask()
}

// record goes on with the refs, or with what keys have behind them that are hashed as interfaces, if there are any.
func (g *group[K, V]) record() {
	switch {
	case g.rm == nil:
	case g.rm.inArena():
		for i := range g.keys {
			if k := &g.near[i]; k.match != 0 {
				g.words[i] = g.rm.traits.arena.WordOf(k.bucket.loadRef(g.rm.traits, swar.First(k.match)).at())
			}
		}
		g.ask()
	case stringSized[K]() && g.rm.hashed == hashInterface:
		for i := range g.keys {
			if k := &g.near[i]; k.match != 0 {
				g.words[i] = k.bucket.loadData(swar.First(k.match))
			}
		}
		prefetch.Hints(g.words[:len(g.keys)])
	}
}

func (g *group[K, V]) ask() { prefetch.Words(g.words[:len(g.keys)]) }

// load finishes the lookup of keys[i], if its first candidate is the key.
func (g *group[K, V]) load(i int) (value V, ok bool) {
	rm, key, k := g.rm, g.keys[i], &g.near[i]
	if rm == nil || k.match == 0 {
		return value, false
	}
	slot := swar.First(k.match)
	if rm.inArena() {
		if !k.bucket.refers(rm.traits, slot, key, k.hash) {
			return value, false
		}
	} else {
		stored := k.bucket.loadKey(rm.traits, slot)
		if unsafe.Sizeof(key) > wordSize && !k.bucket.unchanged(k.state) || stored != key {
			return value, false
		}
	}
	value = rm.loadValue(k.bucket, slot)
	return value, k.bucket.settled(k.state)
}
