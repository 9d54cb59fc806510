// This file is responsible for one bucket: its layout and what can be done to it alone.
//
//	bucket[K, V]                                  K = V = uint64: 16 + 8*16 = 144 bytes
//	+----------------+----------------+
//	| tophash        | control        |           one tophash byte per slot, 0 = free
//	+----------------+----------------+
//	| value 0        | key 0          |           8 slots, value beside key, each starting
//	| ...            | ...            |           on an 8-byte boundary
//	| value 7        | key 7          |
//	+----------------+----------------+
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
// Functions ending in Locked expect the bucket's lock to be held by the caller and leave it held.

package hushmap

import (
	"sync/atomic"
	"unsafe"

	"github.com/hushmap/hushmap/internal/swar"
)

const bucketSlots = 8

// slot is one key and one value. The zero-length arrays force 8-byte alignment, also on 32-bit machines. The key
// comes last because a zero-size last field would cost eight bytes, and maps used as sets have zero-size values.
type slot[K comparable, V any] struct {
	_ [0]atomic.Uint64
	v V
	_ [0]atomic.Uint64
	k K
}

type bucket[K comparable, V any] struct {
	tophash atomic.Uint64 // written under the lock; read by anyone
	control atomic.Uint64 // see control; written under the lock, except for the lock bit; read by anyone
	slots   [bucketSlots]slot[K, V]
}

// tophash returns the byte of the hash that is kept per slot. It is never 0, which means free, and shares no bit
// with the bucket index of any table that fits into memory.
func tophash(h uint64) uint8 {
	t := uint8(h)
	if t == 0 {
		t = 1
	}
	return t
}

// find returns the slot of key, or -1, and the control word under which that was true (I6, I7). The caller need
// not hold the lock, and looks at moved and overflow of the result.
func (b *bucket[K, V]) find(tr *traits[K], key K, th uint8) (slot int, c control) {
	for n := 0; ; n++ {
		c = b.observe()
		match := swar.Match(b.observeTophash(), th)
		if match == 0 {
			return -1, c
		}
		if slot, ok := b.findAmong(tr, key, match, c); ok {
			return slot, c
		}
		pause(n)
	}
}

// findAmong is find for the slots in match. It reports false if the bucket changed meanwhile.
func (b *bucket[K, V]) findAmong(tr *traits[K], key K, match uint64, c control) (slot int, ok bool) {
	for ; match != 0; match = swar.Next(match) {
		i := swar.First(match)
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

// insertLocked puts an entry into a free slot (I3).
func (b *bucket[K, V]) insertLocked(tr *traits[K], i int, th uint8, key K, value V) {
	b.storeSlot(tr, i, key, value)
	b.publishTophash(swar.With(b.tophash.Load(), i, th))
}

// removeLocked frees a slot (I4).
func (b *bucket[K, V]) removeLocked(tr *traits[K], i int) {
	b.publishTophash(swar.With(b.tophash.Load(), i, 0))
	b.bump()
	b.clearSlot(tr, i)
}

// overwriteLocked replaces the value in slot i (I5) and returns the slot the entry is in now.
func (b *bucket[K, V]) overwriteLocked(tr *traits[K], i int, value V) int {
	if tr.inPlace {
		b.storeValue(tr, i, value)
		return i
	}
	w := b.tophash.Load()
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
func (b *bucket[K, V]) raiseLocked() {
	b.publishControl(control(b.control.Load()).raised())
	if invariants {
		step(stepRaised)
	}
}

// lowerLocked takes back one raiseLocked, after the entry is gone (I3).
func (b *bucket[K, V]) lowerLocked() {
	b.publishControl(control(b.control.Load()).lowered())
	if invariants {
		step(stepLowered)
	}
}

// freezeUnlock sets moved and a new version in one store and releases the lock; nothing in the bucket changes
// afterwards (I8).
func (b *bucket[K, V]) freezeUnlock() {
	c := control(b.control.Load())
	b.publishControl((c | controlMoved) - controlLock + versionOne)
	if invariants {
		step(stepFrozen)
	}
}

// bucketSize returns the bytes of a bucket.
func bucketSize[K comparable, V any]() uintptr { return unsafe.Sizeof(bucket[K, V]{}) }
