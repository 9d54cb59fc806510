// This file is responsible for moving the entries of one table into another: evacuation. Growing, shrinking and
// rebuilding differ only in the size and the seed of the new table.
//
//	old     [moved][moved][     ][moved][     ][     ]     cursor: next bucket to be claimed
//	           |      |             ^ a writer needed it early
//	           v      v
//	new     [      ][      ][      ][      ][      ][      ][      ][      ] ...
//
// An old bucket is open, then locked by its evacuator, then frozen (I8). While it is open it owns its entries, and
// the new table has no entry for their keys; once it is frozen the new table owns them (I9). Locks of the new table
// are taken under a lock of the old one, never the other way round.

package hushmap

import (
	"math/rand/v2"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/hushmap/hushmap/internal/arena"
	"github.com/hushmap/hushmap/internal/cacheline"
	"github.com/hushmap/hushmap/internal/hash"
	"github.com/hushmap/hushmap/internal/swar"
)

// checkSlack bounds what a striped length counter does not notice: a table may exceed its limit by one part in so many
// before an insertion compares the two. With 16 a table of 256 buckets is compared at every 12th insertion or so of a
// goroutine; with 64 it was every third, and adding up the stripes was a third of the time of a write.
const checkSlack = 16

// faultAhead is how many buckets of a new table that the collector scans are seen to ahead, for each old bucket that a step
// evacuates. Twice what these become is the least that keeps ahead. With four times as much, two goroutines filled a map of a
// million any keys in 0.9 of the time, one of ten million in 1.0, and the slowest Store of ten thousand took 3 times as long.
const faultAhead = 4

// evacuation is a table on its way out and the progress made so far.
type evacuation[K comparable, V any] struct {
	table[K, V]             // the old table; immutable
	to          table[K, V] // the new table; immutable
	homes       uint64      // 1: bucket i becomes bucket i of the new table; 2: it splits into 2i and 2i+1; 0: neither. Immutable
	_           cacheline.Pad
	cursor      atomic.Uint64 // buckets claimed by helpers; past the end the claims start over
	_           cacheline.Pad
	frozen      atomic.Uint64 // buckets frozen so far
	_           cacheline.Pad
	faulted     atomic.Uint64 // buckets of the new table that helpers have claimed to see to ahead; see faultIn
	_           cacheline.Pad
	room        atomic.Int64 // slots the new table has left for insertions before the old one is empty; written by everybody
	_           cacheline.Pad
}

// done reports whether every bucket is frozen. Then the new table owns all keys.
func (e *evacuation[K, V]) done() bool { return e.frozen.Load() == e.buckets() }

// fits reports whether a table of n buckets takes the entries of one of old buckets however writers race with their
// evacuation, so that adopt always finds a free slot. Every table counts the insertions that it admits, and what came after
// the last free slot would have to wait. Until the old one is empty there come a sixteenth as many writes as it has buckets, as
// each evacuates sixteen, unless evacuators lose their threads. A larger table has room for four times the buckets at least; of
// any other a quarter is asked.
func fits(length int, old, n uint64) bool {
	return n > old || roomAfter(length, old, n) >= int64(old/4)
}

// roomAfter returns how many free slots a table of n buckets has left when it has taken the entries of one of old
// buckets: the length entries that were counted, and of every bucket one that was being inserted meanwhile.
func roomAfter(length int, old, n uint64) int64 {
	return int64(n*bucketSlots) - int64(length) - int64(old)
}

// roomAhead is roomAfter for a larger table, while insertions into the old one go on: however many these are, there are no
// more entries than the old one has slots. Of what it has beyond these, a table admits no more than what its limit leaves of
// the length that was counted, or searches would be long.
func roomAhead(length int, old, n uint64) int64 {
	return min(int64((n-old)*bucketSlots), int64(n*slotLimit)-int64(length))
}

// grows reports whether the new table is larger.
func (e *evacuation[K, V]) grows() bool { return e.to.mask > e.mask }

// admits reports whether an insertion may put its entry into the new table, where its home bucket is locked. If it
// does not in the end, it vacates the slot that it was promised.
func (e *evacuation[K, V]) admits() bool {
	if e.room.Add(-1) >= 0 || e.done() {
		return true
	}
	e.vacate()
	return false
}

// vacate notes that a slot of the new table, taken or promised, is free. Once the old table is empty that means nothing.
func (e *evacuation[K, V]) vacate() { e.room.Add(1) }

// evacuate moves the entries of old bucket i, if nobody has yet. It waits for the bucket's lock if wait is set, else
// leaves a locked bucket alone.
func (e *evacuation[K, V]) evacuate(i uint64, wait bool) {
	b := e.bucket(i)
	if b.observe().moved() {
		return
	}
	e.touch(i)
	if wait && !b.lock() || !wait && !b.tryLock() {
		return
	}
	var next [bucketSlots]nextPlace
	living := e.prepareLocked(i, &next)
	if e.homes != 0 && living != 0 {
		living = e.adoptHomes(i, living, &next)
	}
	for ; living != 0; living = swar.Next(living) {
		s := swar.First(living)
		e.adopt(b, s, next[s])
		if invariants {
			step(stepAdopted)
		}
	}
	b.freezeUnlock()
	e.frozen.Add(1)
}

// touch sees to the memory in which the entries of old bucket i are going to have their home, before anybody holds a lock
// that others wait for.
func (e *evacuation[K, V]) touch(i uint64) {
	m := e.to.memory
	if m == nil || !e.grows() {
		return
	}
	homes := bucketSize[K, V]() << (e.shift - e.to.shift)
	m.Touch(uintptr(i) * homes)
	m.Touch(uintptr(i+1)*homes - 1)
}

// faultIn stores to the next pages of a large new table that the collector scans, for a step that is about to evacuate n old
// buckets. The collector scans all of a new table, and soon, as a large table was allocated; where it comes first it loads, which
// costs the later store a second page fault that interrupts every processor; see lockFresh. So helpers run ahead of evacuation
// until they are through, and do that while they hold no lock.
func (e *evacuation[K, V]) faultIn(n uint64) {
	if !e.traits.hasPointers || e.to.buckets() < nearFrom || e.faulted.Load() > e.to.mask {
		return
	}
	perPage := max(1, uint64(os.Getpagesize()/8)/uint64(e.to.stride))
	end := e.faulted.Add(n * faultAhead)
	for i := end - n*faultAhead; i < min(end, e.to.buckets()); i += perPage {
		e.to.bucket(i).faultIn()
	}
}

// nextPlace is what an entry has in the new table.
type nextPlace struct {
	hash uint64
	ref  ref // where keys are in an arena
}

// prepareLocked finds out what the entries of bucket i have in the new table. All of that comes before the first
// entry moves: a user's hasher that panics, or an arena that is full, leaves the bucket as it was, and unlocked. Hashes
// come before copies, which must not be made twice: there may be no room for that.
func (e *evacuation[K, V]) prepareLocked(i uint64, next *[bucketSlots]nextPlace) (living uint64) {
	b := e.bucket(i)
	w := b.observeTophash()
	finished := false
	defer func() {
		if !finished {
			b.release()
		}
	}()
	living = swar.Full(w)
	e.near(i)
	var key K
	for f := living; f != 0; f = swar.Next(f) {
		s := swar.First(f)
		if unsafe.Sizeof(key) == 8 && e.to.hashed == hashWord { // rehash without a call
			key = b.loadKey(e.traits, s)
			next[s].hash = hash.Word(word(key), &e.to.seed)
		} else {
			next[s].hash = e.rehash(i, s, swar.Byte(w, s))
		}
	}
	if e.inArena() && living != 0 {
		e.adoptRefs(b, living, next)
	}
	finished = true
	return living
}

// near asks for what the evacuation of old bucket i is going to read beyond the bucket, so that it comes while another is
// evacuated: records that are to be copied, and keys that are to be hashed.
func (e *evacuation[K, V]) near(i uint64) {
	if e.to.traits.arena != e.traits.arena {
		e.table.near(i)
	}
	e.nearKeys(i)
}

// rehash returns the hash in the new table of the entry in slot s of old bucket i. A ref keeps the hash for as long as
// the seed stays.
func (e *evacuation[K, V]) rehash(i uint64, s int, th uint8) uint64 {
	b := e.bucket(i)
	if e.inArena() && e.seed == e.to.seed {
		return b.loadRef(e.traits, s).hash(th)
	}
	key := e.loadKey(b, s)
	if e.traits.irreflexive && key != key {
		_, h := e.homeOf(i, th, key)
		return h
	}
	return e.to.hash(key)
}

// adoptHomes copies those of the living entries of old bucket i to the new table whose home there, one of the one or two
// that the bucket becomes, has room. It returns the others. A lock or two, in ascending order (I2), do for all, and one
// store of each tophash word makes them visible (I3); the old bucket stays open until its entries can be found in the new
// table (I8, I9).
func (e *evacuation[K, V]) adoptHomes(i, living uint64, next *[bucketSlots]nextPlace) (others uint64) {
	from, first := e.bucket(i), i*e.homes
	last := first + e.homes - 1
	pair := [2]*bucket[K, V]{e.to.bucket(first), e.to.bucket(last)}
	if !pair[0].lockFresh() || last != first && !pair[1].lockFresh() {
		panic("hushmap: corrupted: a bucket was evacuated before the table before it")
	}
	words := [2]uint64{pair[0].tophashLocked(), pair[1].tophashLocked()}
	for f := living; f != 0; f = swar.Next(f) {
		s := swar.First(f)
		which := e.to.home(next[s].hash) - first
		if which >= e.homes || swar.Empty(words[which&1]) == 0 {
			others |= f & -f // displaced into bucket i, or out of its home
			continue
		}
		to, free, th := pair[which&1], swar.First(swar.Empty(words[which&1])), tophash(next[s].hash)
		if e.inArena() {
			e.copyRef(to, free, from, s, next[s].ref)
		} else {
			to.copySlot(e.traits, free, from, s)
			if e.traits.irreflexive {
				if key := from.loadKey(e.traits, s); key != key {
					th = 1
				}
			}
		}
		words[which&1] = swar.With(words[which&1], free, th)
	}
	for n := range e.homes {
		if words[n&1] == pair[n&1].tophashLocked() {
			continue
		}
		pair[n&1].publishTophash(words[n&1])
		if invariants {
			e.to.checkLocked(first + n)
			step(stepAdopted)
		}
	}
	if last != first {
		pair[1].release()
	}
	pair[0].release()
	return others
}

// copyRef puts a ref into slot i of a locked bucket of the new table, and what else slot j of an old bucket has.
func (e *evacuation[K, V]) copyRef(to *bucket[K, V], i int, from *bucket[K, V], j int, r ref) {
	if e.inRecords() {
		to.records().storeSlot(e.to.traits, i, r, nothing{})
	} else {
		to.refs().storeSlot(e.to.traits, i, r, from.refs().loadValue(e.traits, j))
	}
}

// entry returns what the slot s of old bucket b holds, but for what lies in the arena.
func (e *evacuation[K, V]) entry(b *bucket[K, V], s int) (key K, value V) {
	if !e.inArena() {
		key = e.loadKey(b, s)
	}
	if !e.inRecords() {
		value = e.loadValue(b, s)
	}
	return key, value
}

// adopt inserts the entry in slot s of old bucket b into the new table, which has none for its key (I9).
func (e *evacuation[K, V]) adopt(b *bucket[K, V], s int, next nextPlace) {
	key, value := e.entry(b, s)
	for n := 0; ; n++ {
		home := e.to.home(next.hash)
		p := place[K, V]{hash: next.hash, home: home, bucket: home, slot: -1, ref: next.ref}
		if !e.to.bucket(home).lockFresh() {
			panic("hushmap: corrupted: a bucket was evacuated before the table before it")
		}
		in, distance := e.to.insertLocked(&p, key, value)
		if in == inserted {
			e.to.release(&p)
			return
		}
		if key != key && distance > maxDisplacement { // its neighbourhood is full
			next.hash = rand.Uint64()
		}
		pause(n)
	}
}

// adoptRefs finds out which refs the living entries of b have in the new table. If that has an arena of its own, their
// records are copied there, all or none.
func (e *evacuation[K, V]) adoptRefs(b *bucket[K, V], living uint64, next *[bucketSlots]nextPlace) {
	var at [bucketSlots]arena.Ref
	n := 0
	for f := living; f != 0; f = swar.Next(f) {
		at[n] = b.loadRef(e.traits, swar.First(f)).at()
		n++
	}
	if to := e.to.traits.arena; to != e.traits.arena {
		to.Copy(here(), e.traits.arena, at[:n])
	}
	n = 0
	for f := living; f != 0; f = swar.Next(f) {
		s := swar.First(f)
		next[s].ref = newRef(next[s].hash, at[n])
		n++
	}
}

// evacuatePath evacuates every old bucket that key could be in (I9).
func (e *evacuation[K, V]) evacuatePath(key K) {
	i := e.home(e.hash(key))
	for n := uint64(0); n <= e.mask; i, n = (i+1)&e.mask, n+1 {
		e.evacuate(i, true)
		if e.bucket(i).observe().overflow() == 0 {
			return
		}
	}
}

// evacuateRange evacuates every old bucket that holds an entry with a home of from to to, both included.
func (e *evacuation[K, V]) evacuateRange(from, to uint64) {
	for i, n := from, uint64(0); n <= e.mask; i, n = (i+1)&e.mask, n+1 {
		e.evacuate(i, true)
		if n >= to-from && e.bucket(i).observe().overflow() == 0 {
			return
		}
	}
}

// help evacuates n buckets that are nobody's in particular (I10), waiting for locked ones if wait is set. When all
// have been claimed it goes round again, past locked ones: a helper that lost its thread holds up one bucket, and the
// two of the new table that it has locked, not the growth of the others.
func (e *evacuation[K, V]) help(n uint64, wait bool) {
	e.faultIn(n)
	start := e.cursor.Add(n) - n
	for i := start; i < start+n && !e.done(); i++ {
		e.near(i + 1)
		e.evacuate(i&e.mask, wait && i <= e.mask)
	}
}

// drain evacuates all that is left, waiting for locked buckets.
func (e *evacuation[K, V]) drain() {
	for i := uint64(0); i <= e.mask && !e.done(); i++ {
		e.near(i + 1)
		e.evacuate(i, true)
	}
}
