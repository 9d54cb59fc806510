// This file is responsible for writing to one key: find out which table owns it, lock it there, change it, and see
// whether the table has become too small, too large or suspiciously crowded.

package hushmap

import (
	"runtime"
	"unsafe"

	"github.com/hushmap/hushmap/internal/arena"
	"github.com/hushmap/hushmap/internal/hash"
	"github.com/hushmap/hushmap/internal/swar"
)

// spot is a place in the home bucket, which is locked, in as few words as registers hold.
type spot[K comparable, V any] struct {
	rm   *readMap[K, V] // nil: nothing is locked
	b    *bucket[K, V]
	hash uint64
	slot int // -1: the key is not in this bucket
}

// lockHome locks key's home bucket and looks for the key there, if there is a table, no growth is under way and nobody
// watches a key.
func (c *core[K, V]) lockHome(key K) (s spot[K, V]) {
	rm := c.read.Load()
	if rm == nil || rm.old != nil || c.watches.Load() != nil {
		return s
	}
	h := rm.hash(key)
	b := rm.bucket(rm.home(h))
	if !b.tryLock() && !b.lock() {
		runtime.KeepAlive(rm)
		return s
	}
	return spot[K, V]{rm, b, h, b.findLocked(rm.traits, key, h)}
}

// insertHome is insertUnlock for a spot with no slot. It reports false, and the bucket stays locked, unless this bucket
// alone says that the key is absent, and has room, and the arena's chunk at hand has, if there is one: not if others have
// probed past it, not where keys are NaN, and not while insertions must wait or go elsewhere.
func (c *core[K, V]) insertHome(s spot[K, V], key K, value V) bool {
	rm, b := s.rm, s.b
	free := swar.Empty(b.tophashLocked())
	if free == 0 || b.controlLocked().overflow() != 0 || c.read.Load() != rm || rm.sealed ||
		rm.traits.irreflexive && key != key {
		return false
	}
	if i, th := swar.First(free), tophash(s.hash); rm.inArena() {
		r := s.keep(key, value)
		if r == 0 {
			return false
		}
		if rm.inRecords() {
			b.records().insertLocked(rm.traits, i, th, r, nothing{})
		} else {
			b.refs().insertLocked(rm.traits, i, th, r, value)
		}
	} else {
		b.insertLocked(rm.traits, i, th, key, value)
	}
	n := rm.length.Inserted(here())
	if invariants {
		rm.checkLocked(rm.home(s.hash))
	}
	b.release()
	if n&rm.checkEvery == 0 {
		c.lookAtLength(rm)
	}
	runtime.KeepAlive(rm)
	return true
}

// keep copies a new entry's key, or key and value, to the arena, if its chunk at hand has room. If not it returns 0, and the
// bucket stays locked. It does not if the bytes cannot be read, which debug.SetPanicOnFault makes a panic.
func (s *spot[K, V]) keep(key K, value V) ref {
	panics := true
	defer func() {
		if panics {
			s.b.release()
		}
	}()
	var at arena.Ref
	if a := s.rm.traits.arena; s.rm.inRecords() {
		at = a.TryAddPair(here(), stringOf(key), stringOf(value))
	} else {
		at = a.TryAdd(here(), stringOf(key))
	}
	panics = false
	if at == 0 {
		return 0
	}
	return newRef(s.hash, at)
}

// lockKey locks key's home bucket in the table that owns the key and finds the key there. It returns the read map
// the place is in.
func (c *core[K, V]) lockKey(key K, p *place[K, V]) *readMap[K, V] {
	return c.lockKeyFrom(c.lockHome(key), key, p)
}

// lockKeyFrom is lockKey from a spot on, or if that is empty from the beginning.
func (c *core[K, V]) lockKeyFrom(s spot[K, V], key K, p *place[K, V]) *readMap[K, V] {
	if s.rm != nil {
		if s.rm.placeLocked(key, s.hash, s.slot, p) {
			return s.rm
		}
		runtime.KeepAlive(s.rm)
	}
	return c.lockKeySlow(key, p, nil)
}

// lockKeySlow is lockKey with all that can happen: no table yet, a growth under way, a watch other than the caller's
// own, stale read maps.
func (c *core[K, V]) lockKeySlow(key K, p *place[K, V], own *watch[K]) *readMap[K, V] {
	rm := c.writable()
	if l := c.watches.Load(); l != nil {
		_ = rm.hash(key) // an unhashable key must panic here, as it cannot be compared either
		l.giveWay(key, own)
	}
	for n := 0; ; n++ {
		rm = c.writable()
		h := rm.hash(key)
		if rm.old != nil {
			c.prepare(rm, key)
		}
		if rm.table.lockKey(key, h, p) {
			return rm
		}
		if rm.bucket(rm.home(h)).observe().moved() {
			c.newer(rm)
		}
		runtime.KeepAlive(rm)
		pause(n)
	}
}

// prepare does a writer's share of a growth: the buckets of its own key, and a few more (I9, I10).
func (c *core[K, V]) prepare(rm *readMap[K, V], key K) {
	rm.old.evacuatePath(key)
	c.helpOld(rm, c.options().tuning.chunk, true)
}

// insertUnlock inserts an entry at an absent place and releases its locks. On false the caller starts again: the
// place was disturbed, or insertions must wait until a smaller table is decided on (sealed) or the old one is empty
// (admits). A stale read map may be followed by a sealed one.
func (c *core[K, V]) insertUnlock(rm *readMap[K, V], p *place[K, V], key K, value V) bool {
	if c.read.Load() != rm || rm.sealed {
		rm.release(p)
		return false
	}
	if e := rm.old; e != nil && !e.admits() {
		rm.release(p)
		c.helpOld(rm, outgrownHelps, false)
		return false
	}
	if rm.inArena() && !c.keepKey(rm, p, key, value) {
		return false
	}
	in, distance := rm.insertLocked(p, key, value)
	if in != inserted {
		if rm.old != nil {
			rm.old.vacate()
		}
		if rm.inArena() {
			c.discard(rm, p.ref) // before outgrown, which panics if the arena has no room for what it moves
		}
		if in == full {
			c.outgrown(rm)
		}
		return false
	}
	n := rm.length.Inserted(here())
	rm.release(p)
	if n&rm.checkEvery == 0 {
		c.lookAtLength(rm)
	}
	if distance > suspectDistance && !rm.reseeded {
		c.suspect(rm, p.home)
	}
	return true
}

// keepKey copies a new entry's key, or key and value, to the arena. It reports false, and the place is unlocked, if the
// records are moving to another arena, and the read map is about to say so. If the arena is full it panics, with the place
// unlocked and the slot vacated that an insertion was promised; if it is full of dead bytes, no deletion need come to say so.
func (c *core[K, V]) keepKey(rm *readMap[K, V], p *place[K, V], key K, value V) (kept bool) {
	panics := true
	defer func() {
		if kept {
			return
		}
		if p.slot < 0 && rm.old != nil {
			rm.old.vacate()
		}
		rm.release(p)
		if panics {
			c.recycle(rm)
		}
	}()
	var at arena.Ref
	if a := rm.traits.arena; rm.inRecords() {
		at = a.AddPair(here(), stringOf(key), stringOf(value))
	} else {
		at = a.Add(here(), stringOf(key))
	}
	panics = false
	if at == 0 {
		return false
	}
	p.ref = newRef(p.hash, at)
	return true
}

// removeUnlock removes the entry at a place that is not absent and releases its locks.
func (c *core[K, V]) removeUnlock(rm *readMap[K, V], p *place[K, V]) {
	n := rm.length.Removed(here()) // before anyone can see it, or Len could exceed what was ever stored
	if rm.inArena() {
		dead := rm.bucket(p.bucket).loadRef(rm.traits, p.slot)
		rm.removeUnlock(p)
		c.discard(rm, dead)
	} else {
		rm.removeUnlock(p)
	}
	if rm.old != nil {
		rm.old.vacate()
	}
	if n&rm.checkEvery == 0 {
		c.shrink(rm)
	}
}

// overwriteUnlock replaces the value at a place that is not absent and releases its locks. On false the caller starts
// again: the arena takes no more records, as they are moving to another.
func (c *core[K, V]) overwriteUnlock(rm *readMap[K, V], p *place[K, V], key K, value V) bool {
	if !rm.inRecords() {
		rm.overwriteLocked(p, value)
		rm.unlock(p)
		return true
	}
	dead := rm.bucket(p.bucket).loadRef(rm.traits, p.slot)
	if !c.keepKey(rm, p, key, value) {
		return false
	}
	rm.overwriteLocked(p, value)
	rm.unlock(p)
	c.discard(rm, dead)
	return true
}

// discard accounts the bytes of a ref that is not in the table any more.
func (c *core[K, V]) discard(rm *readMap[K, V], r ref) {
	if rm.traits.arena.Free(here(), r.at()) {
		c.recycle(rm)
	}
}

// store is Map.Store. As lookup is, it is one function for what is most frequent, which is no growth and room at home: the
// fewer instructions a write takes, the more writes the processor has under way. The rest is left to storeFrom.
func (c *core[K, V]) store(key K, value V) {
	rm := c.read.Load()
	if rm == nil || rm.old != nil || c.watches.Load() != nil {
		c.storeFrom(spot[K, V]{}, key, value)
		return
	}
	var h uint64
	switch {
	case unsafe.Sizeof(key) == 8 && rm.hashed == hashWord:
		h = hash.Word(word(key), &rm.seed)
	case unsafe.Sizeof(key) == stringSize && rm.hashed == hashString:
		h = hash.String(stringOf(key), &rm.seed)
	default:
		h = rm.hash(key)
	}
	b := rm.bucket(rm.home(h))
	if !b.tryLock() && !b.lock() {
		runtime.KeepAlive(rm)
		c.storeFrom(spot[K, V]{}, key, value)
		return
	}
	inArena := rm.inArena()
	for match := swar.Match(b.tophashLocked(), tophash(h)); match != 0; match = swar.Next(match) {
		i := swar.First(match)
		if inArena {
			if !b.refers(rm.traits, i, key, h) {
				continue
			}
		} else if b.loadKey(rm.traits, i) != key {
			continue
		}
		switch {
		case rm.inRecords():
			c.storeFrom(spot[K, V]{rm, b, h, i}, key, value)
			return
		case inArena:
			b.refs().overwriteLocked(rm.traits, i, value)
		case rm.traits.inPlace: // overwriteLocked without a call
			b.storeValue(rm.traits, i, value)
		case unsafe.Sizeof(value) > wordSize && b.storeData(rm.traits, i, value): // it is done
		default:
			b.overwriteLocked(rm.traits, i, value)
		}
		if invariants {
			rm.checkLocked(rm.home(h))
		}
		b.unlock()
		runtime.KeepAlive(rm)
		return
	}
	if s := (spot[K, V]{rm, b, h, -1}); !c.insertHome(s, key, value) {
		c.storeFrom(s, key, value)
	}
}

// storeFrom is store from a spot on, or if that is empty from the beginning.
func (c *core[K, V]) storeFrom(s spot[K, V], key K, value V) {
	for n := 0; ; n++ {
		var p place[K, V]
		rm := c.lockKeyFrom(s, key, &p)
		if p.slot >= 0 && c.overwriteUnlock(rm, &p, key, value) || p.slot < 0 && c.insertUnlock(rm, &p, key, value) {
			return
		}
		s = spot[K, V]{}
		pause(n)
	}
}

// swap is Map.Swap.
func (c *core[K, V]) swap(key K, value V) (previous V, loaded bool) {
	for n := 0; ; n++ {
		var p place[K, V]
		rm := c.lockKey(key, &p)
		if p.slot >= 0 {
			previous = rm.valueLocked(&p)
			if c.overwriteUnlock(rm, &p, key, value) {
				return previous, true
			}
		} else if c.insertUnlock(rm, &p, key, value) {
			var none V
			return none, false
		}
		pause(n)
	}
}

// loadOrStore is Map.LoadOrStore for a key that was absent a moment ago.
func (c *core[K, V]) loadOrStore(key K, value V) (actual V, loaded bool) {
	s := c.lockHome(key)
	if s.rm != nil && s.slot < 0 && c.insertHome(s, key, value) {
		return value, false
	}
	for n := 0; ; n++ {
		var p place[K, V]
		rm := c.lockKeyFrom(s, key, &p)
		if p.slot >= 0 {
			actual = rm.valueLocked(&p)
			rm.release(&p)
			return actual, true
		}
		if c.insertUnlock(rm, &p, key, value) {
			return value, false
		}
		s = spot[K, V]{}
		pause(n)
	}
}

// loadAndDelete is Map.LoadAndDelete. As store is, it is one function for what is most frequent; the rest is left to
// loadAndDeleteFrom.
func (c *core[K, V]) loadAndDelete(key K) (value V, loaded bool) {
	rm := c.read.Load()
	if rm == nil || rm.old != nil {
		return c.loadAndDeleteFrom(spot[K, V]{}, key)
	}
	var h uint64
	switch {
	case unsafe.Sizeof(key) == 8 && rm.hashed == hashWord:
		h = hash.Word(word(key), &rm.seed)
	case unsafe.Sizeof(key) == stringSize && rm.hashed == hashString:
		h = hash.String(stringOf(key), &rm.seed)
	default:
		h = rm.hash(key)
	}
	b, th := rm.bucket(rm.home(h)), tophash(h)
	if b.lacks(th) {
		runtime.KeepAlive(rm)
		return value, false
	}
	if c.watches.Load() != nil || !b.tryLock() && !b.lock() {
		runtime.KeepAlive(rm)
		return c.loadAndDeleteFrom(spot[K, V]{}, key)
	}
	inArena := rm.inArena()
	for match := swar.Match(b.tophashLocked(), th); match != 0; match = swar.Next(match) {
		i := swar.First(match)
		if inArena {
			if !b.refers(rm.traits, i, key, h) {
				continue
			}
		} else if b.loadKey(rm.traits, i) != key {
			continue
		}
		value = rm.loadValue(b, i)
		var dead ref
		if inArena {
			dead = b.loadRef(rm.traits, i)
		}
		n := rm.length.Removed(here()) // as in removeUnlock
		switch {
		case rm.inRecords():
			b.records().removeLocked(rm.traits, i)
		case inArena:
			b.refs().removeLocked(rm.traits, i)
		default:
			b.removeLocked(rm.traits, i)
		}
		if invariants {
			rm.checkLocked(rm.home(h))
		}
		b.unlock()
		if inArena {
			c.discard(rm, dead)
		}
		if n&rm.checkEvery == 0 {
			c.shrink(rm)
		}
		runtime.KeepAlive(rm)
		return value, true
	}
	return c.loadAndDeleteFrom(spot[K, V]{rm, b, h, -1}, key)
}

// loadAndDeleteFrom is loadAndDelete from a spot on, or if that is empty from the beginning.
func (c *core[K, V]) loadAndDeleteFrom(s spot[K, V], key K) (value V, loaded bool) {
	if s.rm == nil && c.read.Load() == nil { // a spot's bucket has to be unlocked, whatever has become of the map
		checkHashable(key)
		return value, false
	}
	var p place[K, V]
	rm := c.lockKeyFrom(s, key, &p)
	if p.slot < 0 {
		rm.release(&p)
		return value, false
	}
	value = rm.valueLocked(&p)
	c.removeUnlock(rm, &p)
	return value, true
}
