// This file is responsible for visiting every entry once, while writers, growths and the visitor itself change the
// map.
//
// Hashes are visited in ascending order. As the index of a home bucket is the top bits of the hash, "all hashes
// below position are done" means the same in a table of any size, and an entry that moves to a larger or smaller
// table stays on its side of position:
//
//	position                v
//	8 buckets   [ 0 ][ 1 ][ 2 ][ 3 ][ 4 ][ 5 ][ 6 ][ 7 ]
//	4 buckets   [    0   ][    1   ][    2   ][    3   ]
//
// A rebuild under a new seed changes the order. The sweep then starts over in the new order and leaves out what has
// a hash below position in any of the earlier ones.

package hushmap

import (
	"runtime"
	"unsafe"

	"github.com/hushmap/hushmap/internal/hash"
	"github.com/hushmap/hushmap/internal/swar"
)

// sweepAhead is how many buckets ahead of a sweep records are asked for.
const sweepAhead = 4

// entryRef is an entry as a sweep found it.
type entryRef[K comparable] struct {
	key     K
	bucket  uint64
	slot    int
	tophash uint8
	control control // of the bucket when the entry was found
}

// bucketCopy are the keys of a bucket as they were at one instant.
type bucketCopy[K comparable] struct {
	bucket  uint64
	control control
	tophash uint64
	keys    [bucketSlots]K // of those slots that have a tophash byte
}

// entry is the entry in a slot that has a tophash byte.
func (c *bucketCopy[K]) entry(slot int) entryRef[K] {
	return entryRef[K]{c.keys[slot], c.bucket, slot, swar.Byte(c.tophash, slot), c.control}
}

// bound says that all hashes below position under seed are done.
type bound struct {
	seed     hash.Seed
	position uint64
}

// sweep is the state of one pass over a map. Its batch are the entries of one home bucket: those in copied if none of them is in
// another bucket, and otherwise those on the list.
type sweep[K comparable, V any] struct {
	core    *core[K, V]
	in      *readMap[K, V] // the read map of the last pass
	now     bound
	earlier []bound
	copied  bucketCopy[K]
	bucket  *bucket[K, V] // of which copied is a copy
	all     bool          // copied is the batch, and not list
	list    []entryRef[K]
	turn    int    // the entry visited last: a slot in copied, or an index of list
	first   uint64 // the batch is of hashes from first
	last    uint64 // to last
}

// run calls visit for every entry, in the order of hashes, until visit returns false. No lock is held meanwhile.
// An entry that stays is visited exactly once; one that comes, goes or changes may be seen before or after.
func (s *sweep[K, V]) run(visit func(key K, value V) bool) {
	c := s.core
	rm := c.read.Load()
	if rm == nil {
		return
	}
	if rm.traits.irreflexive { // the position of a NaN-like key is only as fine as its table
		c.beginPass()
		defer c.endPass()
		rm = c.read.Load()
	}
	for over := false; rm != nil && !over; rm = c.read.Load() {
		over = s.pass(rm, visit)
		runtime.KeepAlive(rm)
	}
}

// pass visits the entries of one home bucket. It reports whether that ended the sweep.
func (s *sweep[K, V]) pass(rm *readMap[K, V], visit func(K, V) bool) (over bool) {
	if !s.collect(rm) {
		return false
	}
	done := s.advance()
	if s.all {
		return !s.visitCopied(rm, visit) || done
	}
	return !s.visitList(rm, visit) || done
}

// visitCopied visits all that was copied. It reports false if visit did.
func (s *sweep[K, V]) visitCopied(rm *readMap[K, V], visit func(K, V) bool) bool {
	c := &s.copied
	for f := swar.Full(c.tophash); f != 0; f = swar.Next(f) {
		slot := swar.First(f)
		var value V
		switch { // rm.loadValue in place: mostly what current would find; dropped if the look after it says no (I6)
		case rm.inRecords():
			value = rm.loadValue(s.bucket, slot)
		case rm.inArena():
			value = s.bucket.refs().loadValue(rm.traits, slot)
		default:
			value = s.bucket.loadValue(rm.traits, slot)
		}
		if s.core.read.Load() != rm || !s.bucket.settled(c.control) {
			e, ok := c.entry(slot), false
			if value, ok = s.current(rm, &e); !ok {
				continue
			}
		}
		if s.turn = slot; !visit(c.keys[slot], value) {
			return false
		}
	}
	return true
}

// visitList visits what is on the list. It reports false if visit did.
func (s *sweep[K, V]) visitList(rm *readMap[K, V], visit func(K, V) bool) bool {
	for i := range s.list {
		e := &s.list[i]
		if value, ok := s.current(rm, e); ok {
			if s.turn = i; !visit(e.key, value) {
				return false
			}
		}
	}
	return true
}

// visiting is the entry that visit is being called for.
func (s *sweep[K, V]) visiting() entryRef[K] {
	if s.all {
		return s.copied.entry(s.turn)
	}
	return s.list[s.turn]
}

// advance moves position behind the batch. It reports whether that was the last.
func (s *sweep[K, V]) advance() (done bool) {
	s.now.position = s.last + 1
	return s.now.position == 0
}

// collect fills the batch with the entries whose home is the bucket that position is in. It reports false if rm is
// stale.
func (s *sweep[K, V]) collect(rm *readMap[K, V]) bool {
	if rm != s.in {
		s.enter(rm)
	}
	home := rm.home(s.now.position)
	s.first, s.last = s.now.position, home<<(rm.shift&63)+(1<<(rm.shift&63)-1)
	if rm.old != nil {
		s.evacuate(rm, home)
	}
	if rm.far && rm.old == nil { // during a growth the buckets ahead are empty, and their pages perhaps not there yet
		rm.near(home + sweepAhead)
	}
	b := rm.bucket(home)
	s.list = s.list[:0]
	for n := 0; ; n++ {
		c := b.observe()
		switch {
		case c.moved():
			return false
		case c.overflow() != 0:
			s.all = false
			if !s.copyPath(rm, home) {
				return false
			}
			s.filter(rm)
		case !s.copyBucket(rm, b, home):
			pause(n)
			continue
		default:
			if s.all = true; !s.undisplaced(rm, home) {
				s.filterCopied(rm)
			}
		}
		return true
	}
}

// enter goes on in read map rm, from the start if its seed is another one.
func (s *sweep[K, V]) enter(rm *readMap[K, V]) {
	s.in, s.bucket = rm, nil // the table that this one was in may be unmapped from now on
	if rm.seed != s.now.seed {
		if s.now.position != 0 {
			s.earlier = append(s.earlier, s.now)
		}
		s.now = bound{seed: rm.seed}
	}
}

// undisplaced reports whether what was copied from bucket home is just the entries of that home that have not
// been visited, so that none needs to be hashed. That is so if nothing had probed past the bucket before it. An entry
// that did and is gone again has changed the version of this one, and current will notice.
func (s *sweep[K, V]) undisplaced(rm *readMap[K, V], home uint64) bool {
	return rm.bucket((home-1)&rm.mask).observe().overflow() == 0 && len(s.earlier) == 0 &&
		s.first == home<<(rm.shift&63)
}

// evacuate moves the entries of one home bucket into the current table, so that there is one place to look.
func (s *sweep[K, V]) evacuate(rm *readMap[K, V], home uint64) {
	e := rm.old
	if e.seed != rm.seed {
		e.drain()
	} else {
		e.evacuateRange(e.home(home<<(rm.shift&63)), e.home(s.last))
	}
	if e.done() {
		s.core.finish(rm)
	}
}

// copyBucket copies bucket i. It reports false, and has copied nothing of use, if the bucket changed meanwhile.
func (s *sweep[K, V]) copyBucket(rm *readMap[K, V], b *bucket[K, V], i uint64) bool {
	c := &s.copied
	s.bucket = b
	c.bucket, c.control, c.tophash = i, b.observe(), b.observeTophash()
	switch {
	case rm.inArena():
		for f := swar.Full(c.tophash); f != 0; f = swar.Next(f) {
			slot := swar.First(f)
			c.keys[slot] = keyOf[K](rm.traits.arena.Key(b.loadRef(rm.traits, slot).at()))
		}
	case unsafe.Sizeof(c.keys[0]) <= wordSize: // faster than to look which slots are free
		for slot := range bucketSlots {
			c.keys[slot] = b.loadKey(rm.traits, slot)
		}
	default:
		for f := swar.Full(c.tophash); f != 0; f = swar.Next(f) {
			slot := swar.First(f)
			c.keys[slot] = b.loadKey(rm.traits, slot)
		}
	}
	return b.unchanged(c.control)
}

// enlist appends what was copied to the list.
func (s *sweep[K, V]) enlist() {
	if s.list == nil {
		s.list = make([]entryRef[K], 0, 4*bucketSlots)
	}
	for f := swar.Full(s.copied.tophash); f != 0; f = swar.Next(f) {
		s.list = append(s.list, s.copied.entry(swar.First(f)))
	}
}

// copyPath lists the entries of home and of the buckets behind it that its entries may be in. While home is
// locked no entry of it comes, goes or turns up elsewhere (I1). It reports false if a bucket has moved.
func (s *sweep[K, V]) copyPath(rm *readMap[K, V], home uint64) bool {
	if !rm.bucket(home).lock() {
		return false
	}
	defer rm.bucket(home).release()
	for i, n := home, uint64(0); n <= rm.mask; i, n = (i+1)&rm.mask, n+1 {
		for tries := 0; !s.copyBucket(rm, rm.bucket(i), i); tries++ {
			pause(tries)
		}
		s.enlist()
		c := rm.bucket(i).observe()
		if c.moved() {
			return false
		}
		if c.overflow() == 0 {
			break
		}
	}
	return true
}

// filterCopied is filter for what was copied.
func (s *sweep[K, V]) filterCopied(rm *readMap[K, V]) {
	c := &s.copied
	for f := swar.Full(c.tophash); f != 0; f = swar.Next(f) {
		slot := swar.First(f)
		if e := c.entry(slot); !s.due(rm, &e) {
			c.tophash = swar.With(c.tophash, slot, 0)
		}
	}
}

// filter leaves on the list what belongs to it and no earlier part of the sweep has visited. It runs without a lock,
// as it may call a user's hasher.
func (s *sweep[K, V]) filter(rm *readMap[K, V]) {
	kept := s.list[:0]
	for i := range s.list {
		if e := &s.list[i]; s.due(rm, e) {
			kept = append(kept, *e)
		}
	}
	s.list = kept
}

// due reports whether e has a hash of the batch and has not been visited under an earlier seed.
func (s *sweep[K, V]) due(rm *readMap[K, V], e *entryRef[K]) bool {
	_, h := rm.homeOf(e.bucket, e.tophash, e.key)
	return s.first <= h && h <= s.last && !s.visited(rm, e.key)
}

// visited reports whether key came up under an earlier seed.
func (s *sweep[K, V]) visited(rm *readMap[K, V], key K) bool {
	for _, b := range s.earlier {
		other := rm.table
		other.seed = b.seed
		if other.hash(key) < b.position {
			return true
		}
	}
	return false
}

// current returns the value that an entry of the batch has now, or false if it is gone.
func (s *sweep[K, V]) current(rm *readMap[K, V], e *entryRef[K]) (value V, ok bool) {
	b := rm.bucket(e.bucket)
	now := s.core.read.Load()
	if now == nil {
		return value, false
	}
	if now.base == rm.base || now.old != nil && now.old.base == rm.base {
		if v := rm.loadValue(b, e.slot); b.settled(e.control) {
			return v, true
		}
	}
	if rm.traits.irreflexive && e.key != e.key {
		if !now.length.Includes(rm.length) {
			return value, false // a Clear has dropped it
		}
		return rm.irreflexiveValue(e)
	}
	if !s.due(rm, e) {
		return value, false
	}
	return s.core.lookupSlow(e.key) // lookup is not for records
}

// irreflexiveValue returns the value of a NaN-like key's entry, which cannot be looked up: its slot is all there is to
// ask. If the bucket has been evacuated the slot keeps the value the entry had then.
func (t *table[K, V]) irreflexiveValue(e *entryRef[K]) (value V, ok bool) {
	b := t.bucket(e.bucket)
	for tries := 0; ; tries++ {
		c := b.observe()
		same := t.sameEntry(e)
		value = t.loadValue(b, e.slot)
		if b.unchanged(c) && !c.writing() {
			if !same {
				var zero V
				value = zero
			}
			return value, same
		}
		pause(tries)
	}
}

// sameEntry reports whether the slot of e holds an entry with the same bits for a key. Without the lock it means
// something only if the bucket turns out to be unchanged.
func (t *table[K, V]) sameEntry(e *entryRef[K]) bool {
	b := t.bucket(e.bucket)
	if swar.Byte(b.observeTophash(), e.slot) != e.tophash {
		return false
	}
	key := b.loadKey(t.traits, e.slot)
	return t.traits.key.same(unsafe.Pointer(&key), unsafe.Pointer(&e.key))
}

// removeIrreflexive removes the entry of a NaN-like key, of which only the slot says which one it is. It reports
// false if the entry is gone, has moved or has another value.
func (c *core[K, V]) removeIrreflexive(rm *readMap[K, V], e *entryRef[K], value V) bool {
	home, h := rm.homeOf(e.bucket, e.tophash, e.key)
	p := place[K, V]{hash: h, home: home, bucket: e.bucket, slot: e.slot}
	for n := 0; ; n++ {
		if !rm.bucket(home).lock() {
			return false
		}
		if home == e.bucket || rm.lockBehind(home, e.bucket) {
			break
		}
		rm.bucket(home).release()
		if rm.bucket(e.bucket).observe().moved() {
			return false
		}
		pause(n)
	}
	now := rm.valueLocked(&p)
	if !rm.sameEntry(e) || !rm.traits.whole.same(unsafe.Pointer(&now), unsafe.Pointer(&value)) {
		rm.release(&p)
		return false
	}
	c.removeUnlock(rm, &p)
	return true
}
