// This file is responsible for the read map: what readers start from, who replaces it and when.
//
//	core.read ---> readMap { table, old, length }        immutable, replaced as a whole
//
//	  nil --first write--> {T0} --limit--> {T1, old T0} --T0 frozen--> {T1} --limit--> {T2, old T1} ...
//	   ^                    |                  |                        |
//	   +-------- Clear -----+------------------+------------------------+
//
// Only the holder of core.mu stores core.read. Readers and writers work with the read map they loaded, which may be
// stale by then:
//
//   - After a growth has started, a stale writer still writes to open buckets of the old table, which own their
//     keys; a frozen bucket sends it here for a fresh read map (I8).
//   - After Clear, a stale operation sees and changes the table that was dropped, as if it had come just before the
//     Clear: it began before the new read map was published.
//
// The length counter belongs to the read map and survives growth but not Clear, so that stale writers after a Clear
// count in the map they write to (I11).

package hushmap

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/hushmap/hushmap/internal/arena"
	"github.com/hushmap/hushmap/internal/hash"
	"github.com/hushmap/hushmap/internal/mem"
	"github.com/hushmap/hushmap/internal/stripe"
	"github.com/hushmap/hushmap/internal/swar"
)

const (
	// stripedBuckets is the size from which on the length counter is striped. Below it every insertion compares the
	// exact length with the limit; above it every few.
	stripedBuckets = 128

	// shrinkFraction: a table whose entries are fewer than its limit divided by shrinkFraction shrinks to a quarter.
	// From there it is a factor of two to the next growth and of four to the next shrinking, so that no oscillation of the
	// length by less than that makes the table thrash.
	shrinkFraction = 8
	shrinkShift    = 2

	// smallWaste: as long as all that is dead is less than tuning.waste times this, an arena is not left for it unless the
	// table and the living records take less. A thousand string keys of 20 bytes that come and go took 0.74 of the time
	// with 16 instead of 1, with 32 no less.
	smallWaste = 16

	// compactFraction: Compact leaves an arena of which less than one part in so many is dead.
	compactFraction = 16

	// readerHelps is how many lookups, on average, make one evacuate a bucket while a table grows. Lookups take several
	// times as long until it has ended: with 8 instead of 32 the first hundred milliseconds of lookups after 100 000
	// insertions took 0.6 of the time.
	readerHelps = 8

	// outgrownHelps is how many buckets a writer evacuates that finds the new table past its limit, or with no room left.
	outgrownHelps = 128
)

// readMap is an immutable view of the map.
type readMap[K comparable, V any] struct {
	table[K, V]                   // the current table
	old         *evacuation[K, V] // the table before it, while it is being evacuated; else nil
	quick       hashing           // how keys are hashed where one look at the current table may do, or hashNone
	length      *stripe.Counter   // entries of both tables
	checkEvery  uint64            // power of two - 1: insertions of a stripe between two looks at the length
	reserved    uint64            // buckets that Grow asked for; deletions do not shrink the table below
	reseeded    bool              // this table was rebuilt under a new seed, which is done once
	sealed      bool              // a smaller table may follow: insertions wait until that is decided
}

// core is the engine behind a Map: the tables and their transitions.
type core[K comparable, V any] struct {
	read     atomic.Pointer[readMap[K, V]] // nil: empty. Stored under mu, loaded by anyone
	mu       sync.Mutex                    // serialises transitions; no callback runs under it
	settings *settings                     // set by New, immutable; nil: the defaults
	watches  atomic.Pointer[watches[K]]    // Computes that cannot get through; else nil. See watch.go
	traits   *traits                       // of tables without an arena. Set under mu before the first read map is published, then immutable

	growths, shrinks, rebuilds atomic.Uint32 // added to under mu, loaded by anyone

	verifying sync.Mutex // of Verify, which holds all buckets' locks for long

	sweeps    atomic.Int32 // sweeps under way that have come to a table that can be crowded; see seedFor
	postponed atomic.Bool  // because of them, the table did not shrink
	passes    atomic.Int32 // sweeps under way over keys that may be NaN; tables do not shrink meanwhile
	deciding  atomic.Bool  // one is about to shrink, or to get another seed; stored under mu
}

var defaults = settings{tuning: defaultTuning}

// configure is New for a core that nobody uses yet.
func (c *core[K, V]) configure(opts []Option) {
	s := newSettings(opts)
	if limit := maxBuckets[K, V](); bucketsFor(s.capacity) > limit {
		panic(fmt.Sprintf("hushmap: New: WithCapacity(%d) exceeds the address space", s.capacity))
	}
	c.settings, c.traits = s, newTraits[K, V](s)
}

func (c *core[K, V]) options() *settings {
	if c.settings == nil {
		return &defaults
	}
	return c.settings
}

// writable returns the read map, after making the first table if there is none.
func (c *core[K, V]) writable() *readMap[K, V] {
	if rm := c.read.Load(); rm != nil {
		return rm
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if rm := c.read.Load(); rm != nil {
		return rm
	}
	if c.traits == nil {
		c.traits = newTraits[K, V](c.options())
	}
	rm := &readMap[K, V]{table: c.newTable(c.traits.withArena(), c.floor(), c.newSeed(), false)}
	c.publish(rm)
	return rm
}

// floor is the number of buckets below which deletions do not shrink the table.
func (c *core[K, V]) floor() uint64 { return bucketsFor(c.options().capacity) }

func (c *core[K, V]) newSeed() hash.Seed {
	if c.options().stable {
		return hash.StableSeed()
	}
	return hash.NewSeed()
}

func (c *core[K, V]) newTable(tr *traits, n uint64, seed hash.Seed, spread bool) table[K, V] {
	s := c.options()
	t := newTable[K, V](tr, n, seed, &s.tuning, mem.Policy{Huge: s.hugePages != HugePagesOff, Spread: spread})
	if invariants {
		step(stepTableMade)
	}
	return t
}

// publish makes rm the read map; the caller holds mu. A counter that is too narrow for the table is replaced by a
// striped one that includes it.
func (c *core[K, V]) publish(rm *readMap[K, V]) {
	if rm.length == nil {
		rm.length = stripe.New(1, nil)
	}
	if rm.buckets() >= stripedBuckets && rm.length.Stripes() == 1 {
		rm.length = stripe.New(min(4*runtime.GOMAXPROCS(0), 64), rm.length)
	}
	rm.checkEvery = 0
	if n := uint64(rm.length.Stripes()); n > 1 {
		for every := uint64(1); every*checkSlack*n <= uint64(rm.limit()); every *= 2 {
			rm.checkEvery = every - 1
		}
	}
	switch rm.quick = hashNone; {
	case rm.old != nil:
	case !rm.inRecords():
		rm.quick = rm.hashed
	case rm.hashed == hashString:
		rm.quick = hashRecord
	}
	c.read.Store(rm)
	if invariants {
		step(stepPublished)
	}
}

// lookup finds key without a lock and without writing shared memory. It is what nearly all lookups need, in one function: look
// at the home bucket, and if others have probed past it at the next. Whatever does not hold still meanwhile, and where the
// table begins anew, is left to lookupSlow. For records see [Bytes.lookup].
//
// It is written three times, as strings of up to 16 bytes and of 17 to 32 are hashed and compared without a call, and where
// there are calls the compiler keeps in memory what it could have in registers: 0.87 of the time for a thousand keys of 20
// bytes, 0.88 for the identifiers in a text.
//
//go:nocheckptr
func (c *core[K, V]) lookup(key K) (value V, ok bool) {
	rm := c.read.Load()
	if rm == nil {
		return c.lookupSlow(key)
	}
	if unsafe.Sizeof(key) == stringSize && rm.quick == hashString {
		str := stringOf(key)
		switch p, n := unsafe.Pointer(unsafe.StringData(str)), len(str); {
		case hash.IsMedium(n):
			h := hash.Tail(hash.Head(p, n, &rm.seed), p, n, &rm.seed)
		medium:
			for i := rm.home(h); ; i++ {
				b := bucketAt[ref, V](rm.base, i) // see table.bucket
				state := b.observe()
				match := swar.Match(b.observeTophash(), tophash(h))
				if match == 0 && state&(overflowMask|controlMoved) == 0 {
					runtime.KeepAlive(rm)
					return value, false
				}
				for ; match != 0; match = swar.Next(match) {
					s := swar.First(match)
					r := b.loadKey(rm.traits, s)
					if !r.mayBe(h) {
						continue
					}
					// A ref that matches leads to the whole key, whatever becomes of the slot meanwhile.
					q, same := rm.traits.arena.Short(r.at(), n)
					if !same || arena.Differ(p, q, 0)|arena.Differ(p, q, n-16) != 0 {
						continue
					}
					value = b.loadValue(rm.traits, s)
					if b.settled(state) {
						runtime.KeepAlive(rm)
						return value, true
					}
					break medium
				}
				if i == rm.mask || state&overflowMask == 0 || !b.settled(state) {
					break
				}
			}
			runtime.KeepAlive(rm)
			return c.lookupSlow(key)
		case hash.IsShort(n):
			var w0, w1 uint64
			if n >= hash.Least {
				w0, w1 = hash.Words(p, n)
			} else {
				w0 = hash.Few(p, n)
			}
			h := hash.Pair(w0, w1, n, &rm.seed)
		short:
			for i := rm.home(h); ; i++ {
				b := bucketAt[ref, V](rm.base, i) // see table.bucket
				state := b.observe()
				match := swar.Match(b.observeTophash(), tophash(h))
				if match == 0 && state&(overflowMask|controlMoved) == 0 {
					runtime.KeepAlive(rm)
					return value, false
				}
				for ; match != 0; match = swar.Next(match) {
					s := swar.First(match)
					r := b.loadKey(rm.traits, s)
					if !r.mayBe(h) {
						continue
					}
					q, same := rm.traits.arena.Short(r.at(), n)
					if !same {
						continue
					}
					var u0, u1 uint64 // the key of the record as the caller's above
					if n >= hash.Least {
						u0, u1 = hash.Words(q, n)
					} else {
						u0 = hash.Few(q, n)
					}
					if u0 != w0 || u1 != w1 {
						continue
					}
					value = b.loadValue(rm.traits, s)
					if b.settled(state) {
						runtime.KeepAlive(rm)
						return value, true
					}
					break short
				}
				if i == rm.mask || state&overflowMask == 0 || !b.settled(state) {
					break
				}
			}
			runtime.KeepAlive(rm)
			return c.lookupSlow(key)
		}
	}
	var h uint64
	switch quick := rm.quick; {
	case unsafe.Sizeof(key) == 8 && quick == hashWord:
		h = hash.Word(word(key), &rm.seed)
	case unsafe.Sizeof(key) == stringSize && quick == hashString:
		h = hash.String(stringOf(key), &rm.seed)
	case unsafe.Sizeof(key) == stringSize && quick == hashInterface:
		h = hash.Any(anyOf(key), &rm.seed)
	case quick <= hashRecord:
		return c.lookupSlow(key)
	default:
		h = rm.hashAny(key)
	}
	inArena := rm.inArena()
search:
	for i := rm.home(h); ; i++ {
		var b *bucket[K, V]
		if inArena {
			b = (*bucket[K, V])(unsafe.Pointer(bucketAt[ref, V](rm.base, i))) // see table.bucket
		} else {
			b = bucketAt[K, V](rm.base, i)
		}
		state := b.observe()
		match := swar.Match(b.observeTophash(), tophash(h))
		if match == 0 && state&(overflowMask|controlMoved) == 0 {
			runtime.KeepAlive(rm)
			return value, false
		}
		for ; match != 0; match = swar.Next(match) {
			s := swar.First(match)
			if inArena {
				r := b.refs().loadKey(rm.traits, s)
				if !r.mayBe(h) || !rm.traits.arena.Equal(r.at(), stringOf(key)) {
					continue
				}
				value = b.refs().loadValue(rm.traits, s)
			} else {
				k := b.loadKey(rm.traits, s)
				if unsafe.Sizeof(key) > wordSize && !b.unchanged(state) {
					break search // a torn string or interface must not be looked into (I6)
				}
				if k != key {
					continue
				}
				value = b.loadValue(rm.traits, s)
			}
			if b.settled(state) {
				runtime.KeepAlive(rm)
				return value, true
			}
			break search
		}
		if i == rm.mask || state&overflowMask == 0 || !b.settled(state) {
			break
		}
	}
	runtime.KeepAlive(rm)
	return c.lookupSlow(key)
}

// lookupSlow is lookup with all that can happen: no table yet, a growth under way, stale read maps, writers at work.
func (c *core[K, V]) lookupSlow(key K) (V, bool) {
	for rm := c.read.Load(); rm != nil; rm = c.newer(rm) {
		if rm.old != nil && rand.Uint32N(readerHelps) == 0 {
			c.helpIdly(rm)
		}
		v, r := rm.lookupBoth(key)
		runtime.KeepAlive(rm)
		if r != moved {
			return v, r == hit
		}
	}
	var zero V
	checkHashable(key)
	return zero, false
}

// checkHashable panics for a key that no map can hold.
func checkHashable[K comparable](key K) {
	hash.Comparable(&key, &unusedSeed)
}

var unusedSeed = hash.StableSeed()

// lookupBoth looks into the old table, if there is one, and then into the current one. An open old bucket owns its
// keys, so what it says holds (I7, I9).
func (rm *readMap[K, V]) lookupBoth(key K) (V, result) {
	if e := rm.old; e != nil {
		if v, r := e.lookup(key, e.hash(key)); r != moved {
			return v, r
		}
	}
	return rm.lookup(key, rm.hash(key))
}

// newer returns the read map that replaced rm, of which a bucket was found to have moved.
func (c *core[K, V]) newer(rm *readMap[K, V]) *readMap[K, V] {
	next := c.read.Load()
	if next == rm {
		panic("hushmap: corrupted: a bucket of the current table is marked as moved")
	}
	return next
}

// helpOld evacuates n old buckets and ends the growth when they were the last.
func (c *core[K, V]) helpOld(rm *readMap[K, V], n uint64, wait bool) {
	rm.old.help(n, wait)
	if rm.old.done() {
		c.finishAndShrink(rm)
	}
}

// finishAndShrink is finish for whoever moved the last: if the table is far too large still, no deletion need come to say so.
func (c *core[K, V]) finishAndShrink(rm *readMap[K, V]) {
	c.finish(rm)
	if next := c.read.Load(); next != nil {
		c.shrink(next)
	}
}

// helpIdly is a lookup's help. That an arena is full is no affair of a lookup.
func (c *core[K, V]) helpIdly(rm *readMap[K, V]) {
	defer func() {
		if p := recover(); p != nil && p != arena.Full {
			panic(p)
		}
	}()
	c.helpOld(rm, 1, false)
}

// finish publishes a read map without the old table, all of whose buckets are frozen.
func (c *core[K, V]) finish(rm *readMap[K, V]) {
	if !c.mu.TryLock() {
		return // the next writer will
	}
	defer c.mu.Unlock()
	if c.read.Load() == rm {
		next := *rm
		next.old = nil
		c.publish(&next)
		if rm.memory != nil {
			rm.memory.Settle()
			rm.joinPages(rm.length.Len())
		}
		if rm.inArena() && rm.traits.arena != rm.old.traits.arena {
			rm.traits.arena.Settle()
		}
	}
}

// lookAtLength is called now and then where there are insertions: a table that is over its limit has to grow, and a large one
// that began with more room than it needed is not written to all over before it is filled.
func (c *core[K, V]) lookAtLength(rm *readMap[K, V]) {
	if n := rm.length.Len(); n > rm.limit() {
		c.outgrown(rm)
	} else if rm.memory != nil && rm.old == nil {
		rm.joinPages(n)
	}
}

// joinPages sees to the pages of a large table that has n entries, if these are enough to be all over it. Buckets of several
// pages have entries in the first.
func (rm *readMap[K, V]) joinPages(n int) {
	if n >= rm.limit()/3 && bucketSize[K, V]() <= uintptr(os.Getpagesize()) {
		rm.memory.Join()
	}
}

// outgrown makes room: it starts a growth, or if one is under way already, does a larger part of it.
func (c *core[K, V]) outgrown(rm *readMap[K, V]) {
	if rm.old != nil {
		c.helpOld(rm, outgrownHelps, true)
		return
	}
	if !c.resize(rm, rm.buckets()*2) {
		runtime.Gosched() // whoever is at it may need the processor
	}
}

// recycle starts to move the keys to a fresh arena if too many bytes in theirs are dead.
func (c *core[K, V]) recycle(rm *readMap[K, V]) {
	if rm.old != nil || !c.wasteful(rm, rm.buckets()) {
		return
	}
	c.resizeAnd(rm, c.rebuiltSize(rm), true)
}

// rebuiltSize returns how many buckets rm's table is to have when it is rebuilt: as many as now, but if its entries are so
// far over the limit that they would not fit again, what they are about to get anyway.
func (c *core[K, V]) rebuiltSize(rm *readMap[K, V]) uint64 {
	if n := rm.buckets(); fits(rm.length.Len(), n, n) {
		return n
	}
	return rm.buckets() * 2
}

// wasteful reports whether so much of an arena is dead that the living records had better be copied when the entries
// move to a table of n buckets. While they are there are two tables and two arenas, which are to take no more than 2.5
// times the bytes of one table and the living records. That leaves half of these for dead ones, less the chunks that
// come next, and the records that come meanwhile: with 0.4 instead of 0.35 it was 2.52 times, with 3/8 of the living
// records dead and no regard to table and chunks between 2.0 and 2.8, and twice as many records copied. Of small maps
// it may be 3 times, see smallWaste. Once more than half of the arena's address space is used, dead records are no
// longer measured by the table's size. A move that might not come to an end, as the records might not fit, does not
// begin.
func (c *core[K, V]) wasteful(rm *readMap[K, V], n uint64) bool {
	if !rm.inArena() {
		return false
	}
	u := rm.traits.arena.Usage()
	waste := c.options().tuning.waste
	if u.Dead < waste {
		return false
	}
	table := n * uint64(bucketSize[K, V]())
	next, full := rm.traits.arena.Ahead()
	if rest := u.Used - u.Dead; u.Allocated+next-rest < min(waste+table+rest, waste*smallWaste) {
		return false
	}
	if full > 0.5 {
		table = 0
	}
	living := float64(u.Allocated) * float64(u.Used-u.Dead) / float64(u.Used)
	return float64(u.Allocated+next) > 1.35*living+0.5*float64(table) && rm.traits.arena.Movable()
}

// shrink starts to move the entries into a quarter of the table, or what may not be gone below, if they are few. It reports
// whether it did.
func (c *core[K, V]) shrink(rm *readMap[K, V]) (shrinks bool) {
	if rm.old != nil || c.options().noShrink || rm.length.Len() >= rm.limit()/shrinkFraction || c.passes.Load() != 0 {
		return false
	}
	floor := max(c.floor(), rm.reserved)
	if rm.buckets() <= floor {
		return false
	}
	n := max(rm.buckets()>>shrinkShift, floor)
	return c.replace(rm, n, c.wasteful(rm, n), false)
}

// shrinkAll shrinks as often as the length allows, for a caller who has looked at the whole table anyway, and waits until
// what is left has moved.
func (c *core[K, V]) shrinkAll() {
	few := func(rm *readMap[K, V]) bool { return rm != nil && rm.length.Len() < rm.limit()/shrinkFraction }
	for few(c.read.Load()) {
		if rm := c.settle(); !few(rm) || !c.shrink(rm) {
			return
		}
		c.settle()
	}
}

// seedFor returns the seed for a table of n buckets that is to take the entries of rm: another one if they would crowd in a
// part of it. It reports false if they would and the seed has to stay: that of a stable hash always, any while a sweep is
// under way, which would have to start over each time.
func (c *core[K, V]) seedFor(rm *readMap[K, V], n uint64) (seed hash.Seed, ok bool) {
	stable := c.options().stable // then all is looked at, as nothing but a crowd may keep the table large
	switch {
	case n >= rm.buckets() || !rm.crowds(rm.length.Len(), n, stable):
		return rm.seed, true
	case stable:
		return rm.seed, false
	case c.sweeps.Load() != 0:
		if c.postponed.Store(true); c.sweeps.Load() != 0 { // else the last of them may have ended too soon to see that
			return rm.seed, false
		}
	}
	return hash.NewSeed(), true
}

// beginPass keeps the table from being shrunk, or rebuilt under another seed. It waits for whoever is about to do so: of
// the two, one sees what the other has stored before.
func (c *core[K, V]) beginPass() {
	c.passes.Add(1)
	for n := 0; c.deciding.Load(); n++ {
		pause(n)
	}
}

// betweenPasses reports whether no sweep over keys that may be NaN is under way. Those that begin wait then until decided
// is called. The caller holds mu.
func (c *core[K, V]) betweenPasses() bool {
	c.deciding.Store(true)
	return c.passes.Load() == 0
}

// decided lets sweeps begin again.
func (c *core[K, V]) decided() { c.deciding.Store(false) }

// endPass allows the table to shrink again.
func (c *core[K, V]) endPass() {
	c.passes.Add(-1)
	if rm := c.read.Load(); rm != nil {
		c.shrink(rm)
	}
}

// resize starts to move the entries of rm into a new table of n buckets, and to a new arena if much of theirs is dead.
// It reports false if another transition is under way, rm is stale, or its entries or their records do not fit.
func (c *core[K, V]) resize(rm *readMap[K, V], n uint64) bool {
	return c.resizeAnd(rm, n, c.wasteful(rm, n))
}

// resizeAnd is resize for a caller who decides about the arena.
func (c *core[K, V]) resizeAnd(rm *readMap[K, V], n uint64, freshArena bool) bool {
	return c.replace(rm, n, freshArena, true)
}

// replace is resizeAnd for a caller who also decides whether sweeps over keys that may be NaN stand in the way.
func (c *core[K, V]) replace(rm *readMap[K, V], n uint64, freshArena, duringPasses bool) bool {
	seed, ok := c.seedFor(rm, n)
	if !ok || !c.mu.TryLock() {
		return false
	}
	next := func() *readMap[K, V] {
		defer c.mu.Unlock()
		if !duringPasses {
			defer c.decided()
			if !c.betweenPasses() {
				return nil
			}
		}
		tr := rm.traits
		if freshArena {
			tr = c.traits.withArena()
		}
		return c.resizeLocked(rm, n, seed, tr)
	}()
	if next == nil {
		return false
	}
	if next.old.buckets() <= c.options().tuning.atOnce {
		next.old.drain()
		c.finish(next)
	}
	return true
}

// resizeLocked publishes a read map that grows into a new table; the caller holds mu. It returns nil if rm is stale
// or growing already, or if its entries do not fit, or their records the new arena: some may have come until nothing could
// be added to the old one any more. tr are the traits of rm's table, or those of a table with a new arena. To make a table
// may take long, so nobody has to wait for anything before there is one (I10).
func (c *core[K, V]) resizeLocked(rm *readMap[K, V], n uint64, seed hash.Seed, tr *traits) *readMap[K, V] {
	if c.read.Load() != rm || rm.old != nil {
		return nil
	}
	if limit := maxBuckets[K, V](); n > limit {
		panic(fmt.Sprintf("hushmap: a table of %d buckets exceeds the address space", n))
	}
	if !fits(rm.length.Len(), rm.buckets(), n) {
		return nil
	}
	old := &evacuation[K, V]{table: rm.table, to: c.newTable(tr, n, seed, n > rm.buckets())}
	if homes := n / rm.buckets(); homes <= 2 && seed == rm.seed {
		old.homes = homes
	}
	if old.grows() {
		old.room.Store(roomAhead(rm.length.Len(), rm.buckets(), n))
	}
	from := rm.traits.arena
	if tr.arena != from {
		tr.arena.Expect(from)
	}
	if tr.arena != from && !from.Movable() || !old.grows() && !c.seal(rm, old) {
		if tr.arena != from {
			from.Stay()
		}
		return nil
	}
	next := &readMap[K, V]{table: old.to, old: old, length: rm.length, reserved: rm.reserved}
	if n > rm.buckets() && n > rm.reserved || n < rm.buckets() && n < rm.reserved {
		next.reserved = 0 // the room was used, or Compact takes it back
	}
	switch {
	case n > rm.buckets():
		c.growths.Add(1)
	case n < rm.buckets():
		c.shrinks.Add(1)
	default:
		c.rebuilds.Add(1)
		next.reseeded = seed != rm.seed
	}
	c.publish(next)
	rm.memory.Retire()
	return next
}

// seal holds up insertions and reports whether the entries still fit the new table of e, which then knows how many more
// it takes. Only those that hold a home bucket's lock by then can add to them, which roomAfter allows for: without it,
// a writer that decides to shrink and then loses its thread for a while would move more entries into the smaller table
// than it has slots. On false all is as before.
func (c *core[K, V]) seal(rm *readMap[K, V], e *evacuation[K, V]) bool {
	sealed := *rm
	sealed.sealed = true
	c.publish(&sealed)
	if length := rm.length.Len(); fits(length, e.buckets(), e.to.buckets()) {
		e.room.Store(roomAfter(length, e.buckets(), e.to.buckets()))
		return true
	}
	opened := *rm
	c.publish(&opened)
	return false
}

// settle ends the growth that is under way, if any, and returns the read map, which has no old table. It may be
// outdated at once.
func (c *core[K, V]) settle() *readMap[K, V] {
	for n := 0; ; n++ {
		rm := c.read.Load()
		if rm == nil || rm.old == nil {
			return rm
		}
		rm.old.drain()
		c.finish(rm)
		pause(n)
	}
}

// resizeTo moves all entries into a table of as many buckets as size returns for the current read map, and waits
// for the end of it. 0 means that nothing is to be done.
func (c *core[K, V]) resizeTo(size func(rm *readMap[K, V]) uint64) {
	for n := 0; ; n++ {
		rm := c.settle()
		if rm == nil {
			return
		}
		want := size(rm)
		if want == 0 || c.resize(rm, want) {
			c.settle()
			return
		}
		pause(n)
	}
}

// grow is Map.Grow.
func (c *core[K, V]) grow(n int) {
	if n < 0 {
		panic(fmt.Sprintf("hushmap: Grow(%d): the number of entries is negative", n))
	}
	for !c.reserve(n) {
		c.resizeTo(func(rm *readMap[K, V]) uint64 {
			if want := rm.roomFor(n); want > rm.buckets() {
				return want
			}
			return 0
		})
	}
}

// reserve notes that the table must not shrink below what n more entries need. It reports false if it is smaller
// as yet.
func (c *core[K, V]) reserve(n int) bool {
	c.writable()
	c.mu.Lock()
	defer c.mu.Unlock()
	rm := c.read.Load()
	if rm == nil {
		return false // cleared meanwhile
	}
	want := rm.roomFor(n)
	if want > rm.reserved {
		next := *rm
		next.reserved = want
		c.publish(&next)
	}
	return want <= rm.buckets()
}

// roomFor returns the number of buckets that hold n entries more than there are.
func (rm *readMap[K, V]) roomFor(n int) uint64 {
	entries := uint64(rm.length.Len()) + uint64(n)
	if entries > maxBuckets[K, V]()*slotLimit {
		panic(fmt.Sprintf("hushmap: Grow(%d) exceeds the address space", n))
	}
	return bucketsFor(int(entries))
}

// compact is Map.Compact. It goes down in steps that fit, and then leaves dead bytes of an arena behind.
func (c *core[K, V]) compact() {
	for again := true; again; {
		again = false
		c.resizeTo(func(rm *readMap[K, V]) uint64 {
			for shift := shrinkShift; shift > 0; shift-- {
				n := rm.buckets() >> shift
				if n < minBuckets || !fits(rm.length.Len(), rm.buckets(), n) {
					continue
				}
				if _, ok := c.seedFor(rm, n); ok {
					again = true
					return n
				}
			}
			return 0
		})
	}
	for n := 0; ; n++ {
		rm := c.settle()
		if rm == nil || !rm.inArena() {
			return
		}
		a := rm.traits.arena
		if u := a.Usage(); u.Dead*compactFraction <= u.Used || !a.Movable() || c.resizeAnd(rm, c.rebuiltSize(rm), true) {
			c.settle()
			return
		}
		pause(n)
	}
}

// len is Map.Len.
func (c *core[K, V]) len() int {
	for rm := c.read.Load(); rm != nil; rm = c.read.Load() {
		if n, current := c.lenOf(rm); current {
			return n
		}
	}
	return 0
}

// lenOf returns what rm's counter says, and whether rm was current until then. If it was not, deletions may count in a newer
// counter already, while insertions by writers who are late still count in rm's: it may say more than there ever was.
func (c *core[K, V]) lenOf(rm *readMap[K, V]) (n int, current bool) {
	n = rm.length.Len()
	return n, c.read.Load() == rm
}

// clear drops all tables (see the top of this file).
func (c *core[K, V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rm := c.read.Load(); rm != nil {
		rm.memory.Retire()
	}
	c.read.Store(nil)
	if invariants {
		step(stepPublished)
	}
}
