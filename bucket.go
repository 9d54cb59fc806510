// This file is responsible for what can be done to one bucket alone: find, insert, overwrite, remove.
//
// A slot is free, then stored (words written, not visible), then living (its tophash byte is published), and after
// its removal free again:
//
//	        storeSlot           publishTophash
//	 free ------------> stored ---------------> living
//	  ^                                           |
//	  |   clearSlot      bump     publishTophash  |
//	  +-------------- <-------- <-----------------+
//
// Functions ending in Locked expect the bucket's lock to be held by the caller and leave it held. Those of a bucket[S, V]
// deal with stored keys, refs or keys; those of a bucket[K, V] with keys, wherever they are stored.

package hushmap

import (
	"unsafe"

	"github.com/hushmap/hushmap/internal/swar"
)

// tophash returns the byte of the hash that is kept per slot. It shares no bit with the bucket index of any table that
// fits into memory. It is never 0, which means free, and never 1: swar.Match(w, 1) may flag a 0 above a true 1, and a
// free slot must not be looked into, as it may hold a removed entry still.
func tophash(h uint64) uint8 {
	t := uint8(h)
	if t < 2 {
		t += 2
	}
	return t
}

// find returns the slot of key, or -1, and the control word under which that was true (I6, I7). The caller need
// not hold the lock, and looks at moved and overflow of the result.
func (b *bucket[K, V]) find(tr *traits, key K, h uint64) (slot int, c control) {
	for n := 0; ; n++ {
		c = b.observe()
		match := swar.Match(b.observeTophash(), tophash(h))
		if match == 0 {
			return -1, c
		}
		if slot, ok := b.findAmong(tr, key, h, match, c); ok {
			return slot, c
		}
		pause(n)
	}
}

// findAmong is find for the slots in match. It reports false if the bucket changed meanwhile.
func (b *bucket[K, V]) findAmong(tr *traits, key K, h, match uint64, c control) (slot int, ok bool) {
	for ; match != 0; match = swar.Next(match) {
		i := swar.First(match)
		if unsafe.Sizeof(key) == stringSize && tr.stored != inSlot {
			if b.refers(tr, i, key, h) {
				return i, b.unchanged(c)
			}
			continue
		}
		k := b.loadKey(tr, i)
		if unsafe.Sizeof(key) > wordSize && !b.unchanged(c) {
			return -1, false // a torn string or interface must not be looked into (I6)
		}
		if k == key {
			return i, b.unchanged(c)
		}
	}
	return -1, b.unchanged(c)
}

// refers reports whether slot i has a ref to key. No lock is needed: a ref may be outdated, or torn where it is two
// words, but whatever was published in this table leads to a whole record of its arena.
func (b *bucket[K, V]) refers(tr *traits, i int, key K, h uint64) bool {
	r := b.loadRef(tr, i)
	return r.mayBe(h) && tr.arena.Equal(r.at(), stringOf(key))
}

// findLocked is find for the holder of the lock, for whom nothing changes.
func (b *bucket[K, V]) findLocked(tr *traits, key K, h uint64) (slot int) {
	for match := swar.Match(b.tophashLocked(), tophash(h)); match != 0; match = swar.Next(match) {
		i := swar.First(match)
		if unsafe.Sizeof(key) == stringSize && tr.stored != inSlot {
			if b.refers(tr, i, key, h) {
				return i
			}
		} else if b.loadKey(tr, i) == key {
			return i
		}
	}
	return -1
}

// lacks reports whether the bucket's header alone says that no table has a key with the tophash byte th whose home
// the bucket is (I7). It takes no lock.
func (b *bucket[S, V]) lacks(th uint8) bool {
	c := b.observe()
	return c&(overflowMask|controlMoved) == 0 && swar.Match(b.observeTophash(), th) == 0
}

// insertLocked puts an entry into a free slot (I3).
func (b *bucket[S, V]) insertLocked(tr *traits, i int, th uint8, key S, value V) {
	b.storeSlot(tr, i, key, value)
	b.publishTophash(swar.With(b.tophashLocked(), i, th))
}

// removeLocked frees a slot (I4).
func (b *bucket[S, V]) removeLocked(tr *traits, i int) {
	b.publishTophash(swar.With(b.tophashLocked(), i, 0))
	b.bump()
	b.clearSlot(tr, i)
}

// overwriteLocked replaces the value in slot i (I5) and returns the slot the entry is in now.
func (b *bucket[S, V]) overwriteLocked(tr *traits, i int, value V) int {
	if tr.inPlace {
		b.storeValue(tr, i, value)
		return i
	}
	if b.storeData(tr, i, value) {
		return i
	}
	w := b.tophashLocked()
	free := swar.Empty(w)
	if free == 0 {
		b.beginWriting()
		b.storeValue(tr, i, value)
		b.endWriting()
		return i
	}
	j := swar.First(free)
	b.storeSlot(tr, j, b.loadKey(tr, i), value)
	b.publishTophash(swar.With(swar.With(w, j, swar.Byte(w, i)), i, 0))
	b.bump()
	b.clearSlot(tr, i)
	return j
}

// raiseLocked counts one more entry that probed past the bucket, before that entry is published (I3).
func (b *bucket[S, V]) raiseLocked() {
	b.publishControl(b.controlLocked().raised())
	if invariants {
		step(stepRaised)
	}
}

// lowerLocked takes back one raiseLocked, after the entry is gone (I3).
func (b *bucket[S, V]) lowerLocked() {
	b.publishControl(b.controlLocked().lowered())
	if invariants {
		step(stepLowered)
	}
}

// freezeUnlock sets moved and a new version in one store and releases the lock; nothing in the bucket changes
// afterwards (I8).
func (b *bucket[S, V]) freezeUnlock() {
	c := b.controlLocked()
	b.publishControl((c | controlMoved) - controlLock + versionOne)
	if invariants {
		step(stepFrozen)
	}
}
