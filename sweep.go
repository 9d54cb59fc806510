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
//
// A home bucket that has all of its entries, and no others, is visited as it stands, slot by slot. Of any other, and of
// one that changes meanwhile, the keys are copied first; then those that were visited as it stood are left out.

package hushmap

import (
	"math/bits"
	"runtime"
	"slices"
	"unsafe"

	"github.com/hushmap/hushmap/internal/hash"
	"github.com/hushmap/hushmap/internal/swar"
)

const (
	// sweepAhead is how many buckets ahead a sweep asks for what it, or whom it calls, will look into.
	sweepAhead = 4

	// pointersFrom is the number of buckets from which on that includes what keys and values point to. With 400 thousand
	// interfaces, in 65536 buckets, a Range takes half the time then, with a hundred thousand a tenth more.
	pointersFrom = 1 << 16
)

// entryRef is an entry as a sweep found it.
type entryRef[K comparable] struct {
	key     K
	bucket  uint64
	slot    int
	tophash uint8
	control control // of the bucket when the entry was found
}

// bucketCopy are the keys of a bucket as they were at one instant, or those of them that belong to the batch.
type bucketCopy[K comparable] struct {
	bucket  uint64
	control control
	tophash uint64           // 0 also for entries that are not of the batch
	keys    [bucketSlots]K   // of those slots that have a tophash byte
	refs    [bucketSlots]ref // to the keys, if they are in an arena
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

// begun is a home bucket that changed while a sweep visited its entries as they stood.
type begun[K comparable] struct {
	keys []K    // of the entries that were visited; if there are none, there is no such bucket
	last uint64 // the last hash whose home the bucket is
}

// sweep is the state of one pass over a map. Its batch are the entries of one home bucket: those that were found there, in
// copied, and those that were found in buckets behind, on the list.
type sweep[K comparable, V any] struct {
	core    *core[K, V]
	in      *readMap[K, V] // the read map of the last pass
	now     bound
	earlier []bound
	copied  bucketCopy[K]
	bucket  *bucket[K, V] // of which copied is a copy
	list    []entryRef[K]
	turn    int // the entry visited last: a slot in copied, or if listed an index of list
	listed  bool
	first   uint64 // the batch is of hashes from first
	last    uint64 // to last
	begun   begun[K]
	counted bool // in core.sweeps
}

// run calls visit for every entry, in the order of hashes, until visit returns false. No lock is held meanwhile.
// An entry that stays is visited exactly once; one that comes, goes or changes may be seen before or after.
func (s *sweep[K, V]) run(visit func(key K, value V) bool) {
	c := s.core
	rm := c.read.Load()
	if rm == nil {
		return
	}
	defer s.end()
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

// end shrinks the table if that had to wait for the sweep.
func (s *sweep[K, V]) end() {
	if !s.counted || s.core.sweeps.Add(-1) != 0 || !s.core.postponed.Swap(false) {
		return
	}
	if rm := s.core.read.Load(); rm != nil {
		s.core.shrink(rm)
	}
}

// pass visits the entries of one home bucket, after those of all before it that are visited as they stand. It reports
// whether that ended the sweep.
func (s *sweep[K, V]) pass(rm *readMap[K, V], visit func(K, V) bool) (over bool) {
	if rm != s.in {
		s.enter(rm)
	}
	if s.visitHomes(rm, visit) {
		return true
	}
	if !s.collect(rm) {
		return false
	}
	if len(s.begun.keys) != 0 {
		s.leaveOutVisited()
	}
	done := s.advance()
	return !s.visitCopied(rm, visit) || len(s.list) != 0 && !s.visitList(rm, visit) || done
}

// visitHomes visits entries as they stand, home bucket by home bucket from position on, up to one that needs a copy. It
// reports whether that ended the sweep.
//
// The tophash bytes of a bucket show all entries of that home if nothing has probed past it, and no others if afterwards
// nothing is seen to have probed past the bucket before; see undisplaced. NaN-like keys, which have 1 for a tophash byte
// at home, are left to copies, as they could not be left out later.
func (s *sweep[K, V]) visitHomes(rm *readMap[K, V], visit func(K, V) bool) (over bool) {
	home := rm.home(s.now.position)
	if rm.old != nil || len(s.earlier) != 0 || len(s.begun.keys) != 0 || s.now.position != home<<(rm.shift&63) {
		return false
	}
	asks, visited := s.asks(rm), &s.copied.keys // which nothing else needs before the next copy
	for {
		b := rm.bucket(home)
		c, w := b.observe(), b.observeTophash()
		if c&(controlMoved|overflowMask) != 0 || rm.bucket((home-1)&rm.mask).observe().overflow() != 0 ||
			rm.traits.irreflexive && swar.Match(w, 1) != 0 {
			return false
		}
		if asks {
			s.ask(rm, home)
		}
		n := 0
		for f := swar.Full(w); f != 0; f = swar.Next(f) {
			slot := swar.First(f)
			var key K
			var value V
			switch { // rm.loadKey and rm.loadValue in place; dropped if the look after them says no (I6)
			case rm.inRecords():
				key, value = rm.loadKey(b, slot), rm.loadValue(b, slot)
			case rm.inArena():
				at := b.refs().loadKey(rm.traits, slot).at()
				s, ok := rm.traits.arena.ShortKey(at)
				if !ok {
					s = rm.traits.arena.Key(at)
				}
				key, value = keyOf[K](s), b.refs().loadValue(rm.traits, slot)
			default:
				key, value = b.loadKey(rm.traits, slot), b.loadValue(rm.traits, slot)
			}
			if s.core.read.Load() != rm || !b.settled(c) {
				s.begun.keys, s.begun.last = append(s.begun.keys, visited[:n]...), rm.lastOf(home)
				return false
			}
			visited[n&(bucketSlots-1)] = key
			n++
			if !visit(key, value) {
				return true
			}
		}
		if home == rm.mask {
			return true
		}
		home++
		s.now.position = home << (rm.shift & 63)
	}
}

// asks reports whether ask is of use. During a growth it is not: the buckets ahead are empty, and their pages perhaps not
// there yet.
func (s *sweep[K, V]) asks(rm *readMap[K, V]) bool {
	return rm.far && rm.old == nil && (rm.inArena() || rm.hashed == hashInterface || rm.traits.data != noData)
}

// ask asks for the records of the bucket that follows sweepAhead buckets behind home, and for what its keys and values
// point to.
func (s *sweep[K, V]) ask(rm *readMap[K, V], home uint64) {
	rm.near(home + sweepAhead)
	if rm.buckets() >= pointersFrom {
		rm.nearKeys(home + sweepAhead)
		rm.nearValues(home + sweepAhead)
	}
}

// leaveOutVisited takes what has been visited of the home bucket that was begun out of the batch.
func (s *sweep[K, V]) leaveOutVisited() {
	c := &s.copied
	for f := swar.Full(c.tophash); f != 0; f = swar.Next(f) {
		if slot := swar.First(f); slices.Contains(s.begun.keys, c.keys[slot]) {
			c.tophash = swar.With(c.tophash, slot, 0)
		}
	}
	s.list = slices.DeleteFunc(s.list, func(e entryRef[K]) bool { return slices.Contains(s.begun.keys, e.key) })
}

// visitCopied visits all that was copied. It reports false if visit did.
func (s *sweep[K, V]) visitCopied(rm *readMap[K, V], visit func(K, V) bool) bool {
	c := &s.copied
	s.listed = false
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
	s.listed = true
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
	if s.listed {
		return s.list[s.turn]
	}
	return s.copied.entry(s.turn)
}

// advance moves position behind the batch. It reports whether that was the last. A home bucket that was begun is done with
// when position is behind it. If the seed has changed since, no position is.
func (s *sweep[K, V]) advance() (done bool) {
	if s.last >= s.begun.last && len(s.earlier) == 0 {
		s.begun.keys = s.begun.keys[:0]
	}
	s.now.position = s.last + 1
	return s.now.position == 0
}

// collect fills the batch with the entries whose home is the bucket that position is in. It reports false if rm is
// stale.
func (s *sweep[K, V]) collect(rm *readMap[K, V]) bool {
	home := rm.home(s.now.position)
	s.first, s.last = s.now.position, rm.lastOf(home)
	if rm.old != nil {
		s.evacuate(rm, home)
	}
	if s.asks(rm) {
		s.ask(rm, home)
	}
	b := rm.bucket(home)
	s.bucket, s.list = b, s.list[:0]
	for n := 0; !copyBucket(&s.copied, rm, b, home); n++ {
		pause(n)
	}
	switch c := s.copied.control; {
	case c.moved(): // the copy would do, as current looks up what is in it; but the newer table has the entries at hand
		return false
	case c.overflow() != 0:
		return s.collectPath(rm, home)
	}
	if !s.undisplaced(rm, home) {
		s.filterCopied(rm)
	}
	return true
}

// collectPath is collect for a home whose entries may be in the buckets behind as well.
func (s *sweep[K, V]) collectPath(rm *readMap[K, V], home uint64) bool {
	if !s.copyPath(rm, home) {
		return false
	}
	if !s.undisplaced(rm, home) {
		s.filterCopied(rm)
	}
	if !s.narrows(rm) {
		s.filter(rm)
	}
	return true
}

// enter goes on in read map rm, from the start if its seed is another one.
func (s *sweep[K, V]) enter(rm *readMap[K, V]) {
	s.in, s.bucket = rm, nil // the table that this one was in may be unmapped from now on
	if !s.counted && rm.limit() >= crowdFrom {
		s.counted = true
		s.core.sweeps.Add(1)
	}
	if rm.seed != s.now.seed {
		if s.now.position != 0 || len(s.begun.keys) != 0 {
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
		s.core.finishAndShrink(rm)
	}
}

// copyBucket copies bucket i. It reports false, and has copied nothing of use, if the bucket changed meanwhile.
func copyBucket[K comparable, V any](c *bucketCopy[K], rm *readMap[K, V], b *bucket[K, V], i uint64) bool {
	c.bucket, c.control, c.tophash = i, b.observe(), b.observeTophash()
	switch {
	case rm.inArena():
		for f := swar.Full(c.tophash); f != 0; f = swar.Next(f) {
			slot := swar.First(f)
			r := b.loadRef(rm.traits, slot)
			c.keys[slot], c.refs[slot] = keyOf[K](rm.traits.arena.Key(r.at())), r
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

// copyPath copies home, and lists the entries of the buckets behind it that its entries may be in. While home is locked
// no entry of it comes, goes or turns up elsewhere (I1). It reports false if a bucket has moved.
func (s *sweep[K, V]) copyPath(rm *readMap[K, V], home uint64) bool {
	if !rm.bucket(home).lock() {
		return false
	}
	defer rm.bucket(home).release()
	for tries := 0; !copyBucket(&s.copied, rm, rm.bucket(home), home); tries++ {
		pause(tries)
	}
	var behind bucketCopy[K]
	for i, n := home, uint64(0); n < rm.mask && rm.bucket(i).observe().overflow() != 0; n++ {
		i = (i + 1) & rm.mask
		for tries := 0; !copyBucket(&behind, rm, rm.bucket(i), i); tries++ {
			pause(tries)
		}
		if behind.control.moved() {
			return false
		}
		s.enlist(rm, &behind)
	}
	return true
}

// enlist appends to the list what belongs there, or at least may, of a bucket's copy.
func (s *sweep[K, V]) enlist(rm *readMap[K, V], c *bucketCopy[K]) {
	if s.narrows(rm) {
		s.narrow(rm, c)
	}
	if s.list == nil && c.tophash != 0 {
		s.list = make([]entryRef[K], 0, 2*bucketSlots)
	}
	for f := swar.Full(c.tophash); f != 0; f = swar.Next(f) {
		s.list = append(s.list, c.entry(swar.First(f)))
	}
}

// narrows reports whether narrow can tell, and be asked while a bucket is locked: a user's hasher cannot.
func (s *sweep[K, V]) narrows(rm *readMap[K, V]) bool {
	return len(s.earlier) == 0 && (rm.inArena() || rm.hashed != hashCustom)
}

// narrow is filter for a copy, where narrows says so. No branch depends on a hash; in refs, and in words of eight bytes, it
// looks at free slots too, so that none depends on which are full.
func (s *sweep[K, V]) narrow(rm *readMap[K, V], c *bucketCopy[K]) {
	var key K
	var due uint64
	switch {
	case rm.inArena():
		for slot, r := range c.refs {
			due |= s.dueByte(r.hash(0), slot) // the bits that a ref lacks are 0 in first, as no table of refs has as many buckets
		}
	case unsafe.Sizeof(key) == 8 && rm.hashed == hashWord:
		for slot, key := range c.keys {
			due |= s.dueByte(hash.Word(word(key), &rm.seed), slot)
		}
	default:
		for f := swar.Full(c.tophash); f != 0; f = swar.Next(f) {
			slot := swar.First(f)
			_, h := rm.homeOf(c.bucket, swar.Byte(c.tophash, slot), c.keys[slot])
			due |= s.dueByte(h, slot)
		}
	}
	c.tophash &= due
}

// dueByte returns a word in which the bits of byte i are set if h is a hash of the batch, and no others.
func (s *sweep[K, V]) dueByte(h uint64, i int) uint64 {
	_, beyond := bits.Sub64(s.last-s.first, h-s.first, 0)
	return (beyond - 1) & (0xff << (8 * i & 63))
}

// filterCopied is filter for what was copied.
func (s *sweep[K, V]) filterCopied(rm *readMap[K, V]) {
	c := &s.copied
	if s.narrows(rm) {
		s.narrow(rm, c)
		return
	}
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
