// This file is responsible for changing an entry depending on what it was: read without a lock, decide without a
// lock, and apply under the lock if the value's words are still the ones that were decided upon.

package hushmap

import (
	"fmt"
	"reflect"
	"unsafe"

	"github.com/hushmap/hushmap/internal/stackmark"
)

// Op is what a function given to [Map.Compute] wants done.
type Op uint8

const (
	// CancelOp leaves the map as it is.
	CancelOp Op = iota
	// UpdateOp stores the returned value, whether or not the key was present.
	UpdateOp
	// DeleteOp deletes the key, if it is present.
	DeleteOp
)

// String returns the constant's name.
func (op Op) String() string {
	switch op {
	case CancelOp:
		return "CancelOp"
	case UpdateOp:
		return "UpdateOp"
	case DeleteOp:
		return "DeleteOp"
	}
	return fmt.Sprintf("Op(%d)", uint8(op))
}

// apply carries out op on key if its entry is still what the caller was told: absent, or present with the words of
// old. It reports whether it was.
func (c *core[K, V]) apply(key K, old V, loaded bool, value V, op Op) bool {
	return c.applyWatched(nil, key, old, loaded, value, op)
}

// applyWatched is apply for a Compute whose own watch, if any, must not stand in its way.
func (c *core[K, V]) applyWatched(own *watch[K], key K, old V, loaded bool, value V, op Op) bool {
	for n := 0; ; n++ {
		var p place[K, V]
		rm := c.lockKeyFor(own, key, &p)
		if !c.stillLocked(rm, &p, &old, loaded) {
			rm.release(&p)
			return false
		}
		switch {
		case op == DeleteOp && loaded:
			c.removeUnlock(rm, &p)
			return true
		case op == DeleteOp:
			rm.release(&p)
			return true
		case loaded && c.overwriteUnlock(rm, &p, key, value), !loaded && c.insertUnlock(rm, &p, key, value):
			return true
		}
		pause(n)
	}
}

// lockKeyFor is lockKey for a Compute that does not give way to its own watch.
func (c *core[K, V]) lockKeyFor(own *watch[K], key K, p *place[K, V]) *readMap[K, V] {
	if own == nil {
		return c.lockKey(key, p)
	}
	return c.lockKeySlow(key, p, own)
}

// stillLocked reports whether the place holds the words of old, or nothing if loaded is false.
func (c *core[K, V]) stillLocked(rm *readMap[K, V], p *place[K, V], old *V, loaded bool) bool {
	if (p.slot >= 0) != loaded {
		return false
	}
	if !loaded {
		return true
	}
	now := rm.valueLocked(p)
	return rm.traits.whole.same(unsafe.Pointer(&now), unsafe.Pointer(old))
}

// compute is Map.Compute. The function runs until what it was given is still true when it returns.
func (c *core[K, V]) compute(key K, fn func(old V, loaded bool) (V, Op)) (actual V, ok bool) {
	for n := 0; n < watchAfter; n++ {
		old, loaded := c.lookup(key)
		value, op := fn(old, loaded)
		if actual, ok, done := c.conclude(nil, key, old, loaded, value, op); done {
			return actual, ok
		}
		pause(n)
	}
	return c.computeWatched(key, fn)
}

// conclude applies what a Compute's function wants and returns the results of Compute. It reports whether the entry
// was still what the function was given.
func (c *core[K, V]) conclude(own *watch[K], key K, old V, loaded bool, value V, op Op) (actual V, ok, done bool) {
	switch op {
	case CancelOp:
		return old, loaded, true
	case UpdateOp:
		return value, true, c.applyWatched(own, key, old, loaded, value, op)
	case DeleteOp:
		return actual, false, !loaded || c.applyWatched(own, key, old, loaded, value, op)
	}
	panic("hushmap: Compute: the function returned the unknown " + op.String())
}

// computeWatched is compute for a key that keeps changing while the function runs.
func (c *core[K, V]) computeWatched(key K, fn func(V, bool) (V, Op)) (actual V, ok bool) {
	w := &watch[K]{key: key, id: ids.Add(1)}
	defer c.unwatch(w)
	for n, strikes, watching := 0, 0, false; ; n++ {
		watching = watching || c.watch(w)
		var value V
		var op Op
		writes := w.writes.Load()
		old, loaded := c.lookup(key)
		stackmark.Call(w.id, func() { value, op = fn(old, loaded) })
		actual, ok, done := c.conclude(w, key, old, loaded, value, op)
		if done {
			return actual, ok
		}
		if strikes++; w.writes.Load() == writes {
			strikes = 0 // it was somebody else
		}
		if strikes == ownChanges {
			panic("hushmap: Compute: the function keeps changing the key that it computes")
		}
		pause(min(n, giveWayPauses/2))
	}
}

// watch puts w on the list, unless another Compute's watch is on the same key: they get through one after the other.
// Computes that call one another on one stack cannot, and each has its own.
func (c *core[K, V]) watch(w *watch[K]) bool {
	for {
		l := c.watches.Load()
		if l.blocks(w.key) {
			return false
		}
		if c.watches.CompareAndSwap(l, &watches[K]{w, l}) {
			return true
		}
	}
}

// unwatch takes w off the list, if it is there.
func (c *core[K, V]) unwatch(w *watch[K]) {
	w.over.Store(true)
	for {
		l := c.watches.Load()
		if c.watches.CompareAndSwap(l, l.without(w)) {
			return
		}
	}
}

// comparable reports whether values can be compared at all.
func (c *core[K, V]) comparable() bool {
	if rm := c.read.Load(); rm != nil {
		return rm.traits.comparable
	}
	return reflect.TypeFor[V]().Comparable()
}

// compareAnd applies op to key if its value is == old, and reports whether it was. The comparison may panic; it
// runs without a lock.
func (c *core[K, V]) compareAnd(op Op, key K, old, new V) bool {
	for n := 0; ; n++ {
		now, loaded := c.lookup(key)
		if !loaded || any(now) != any(old) {
			return false
		}
		if c.apply(key, now, true, new, op) {
			return true
		}
		pause(n)
	}
}

// deleteFunc is Map.DeleteFunc.
func (c *core[K, V]) deleteFunc(fn func(key K, value V) bool) (deleted int) {
	var zero V
	s := sweep[K, V]{core: c}
	s.run(func(key K, value V) bool {
		for loaded := true; loaded && fn(key, value); {
			if s.in.traits.irreflexive && key != key {
				if e := s.visiting(); c.removeIrreflexive(s.in, &e, value) {
					deleted++
				}
				break
			}
			if c.apply(key, value, true, zero, DeleteOp) {
				deleted++
				break
			}
			value, loaded = c.lookup(key)
		}
		return true
	})
	if deleted != 0 {
		c.shrinkAll()
	}
	return deleted
}
