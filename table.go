// This file is responsible for the bucket array: the probe sequence, finding and changing an entry anywhere in one
// table, and the order in which buckets are locked.
//
// An entry lives in its home bucket, or in the first bucket behind it that had a free slot when it came. Every
// bucket it probed past counts it in its overflow count, so a search ends at the first bucket whose count is 0;
// there are no tombstones, and insertions and deletions at constant size leave nothing behind.
//
//	         home                            where key 7 went
//	+---+   +---+---+   +---+---+           +---+---+
//	|   |   |full   |-->|full   |---------->|key 7  |--> free slots
//	+---+   +---+---+   +---+---+           +---+---+
//	overflow:   1           1                   0        a search for key 7 stops here
//
// I1 and I2: a key's writers hold its home bucket; whoever changes another bucket locks that one as well, in
// ascending order. Where the sequence wraps around to bucket 0 locks are only tried; on failure everything is
// released and the operation starts again.

package hushmap

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"unsafe"

	"github.com/hushmap/hushmap/internal/arena"
	"github.com/hushmap/hushmap/internal/hash"
	"github.com/hushmap/hushmap/internal/mem"
	"github.com/hushmap/hushmap/internal/prefetch"
	"github.com/hushmap/hushmap/internal/swar"
)

const (
	// nearFrom is the number of buckets from which on records are asked for ahead of their copying, or of their keys' use.
	// Those of smaller tables are in the cache: a rebuild of a thousand entries took 0.85 of the time without.
	nearFrom = 4096

	// minBuckets is the size of the first table. Four buckets of 16-byte slots are 576 bytes.
	minBuckets = 4

	// maxDisplacement is how far from home a NaN-like key may be; see homeOf.
	maxDisplacement = 254
)

// table is a power-of-two array of buckets with the hash that indexes it. It is immutable (the buckets are not)
// and copied freely: read maps and evacuations embed it, which saves readers a dependent load.
type table[K comparable, V any] struct {
	base   unsafe.Pointer // the first bucket
	seed   hash.Seed
	shift  uint8 // 64 - log2(number of buckets): home is the hash's top bits
	hashed hashing
	stored storage
	far    bool   // too large for the cache: batches ask for its memory ahead
	stride uint32 // from one bucket to the next, in words of 8 bytes
	mask   uint64 // number of buckets - 1
	traits *traits
	memory *mem.Block // owns the array, if it is large or outside the Go heap; base keeps one on the heap alive
}

// newTable allocates a table of n buckets, a power of two. Buckets without pointers may lie outside the Go heap: then
// only memory keeps them, so whoever looks into a bucket keeps the table (or the read map that it is in) alive until it
// is done, by using it or with runtime.KeepAlive.
func newTable[K comparable, V any](tr *traits, n uint64, seed hash.Seed, tu *tuning, policy mem.Policy) table[K, V] {
	t := table[K, V]{
		mask: n - 1, traits: tr, seed: seed,
		shift: uint8(64 - bits.Len64(n-1)), hashed: tr.hashing, stored: tr.stored,
		far: uintptr(n)*bucketSize[K, V]() >= tu.farFrom, stride: uint32(bucketSize[K, V]() / 8),
	}
	size := uintptr(n) * bucketSize[K, V]()
	switch {
	case !tr.hasPointers && size >= tu.mapFrom:
		policy.Threshold = tu.mapFrom
		t.memory = mem.Alloc(size, policy)
		t.base = t.memory.Base()
	case t.inRecords():
		t.base = unsafe.Pointer(unsafe.SliceData(make([]bucket[ref, nothing], n)))
	case t.inArena():
		t.base = unsafe.Pointer(unsafe.SliceData(make([]bucket[ref, V], n)))
	default:
		t.base = unsafe.Pointer(unsafe.SliceData(make([]bucket[K, V], n)))
	}
	if t.memory == nil {
		t.memory = mem.Adopt(t.base, size, policy)
	}
	if tu.control != 0 {
		for i := range n {
			t.bucket(i).publishControl(control(tu.control))
		}
	}
	return t
}

// bucketsFor returns the number of buckets that hold n entries within the load limit.
func bucketsFor(n int) uint64 {
	b := (uint64(n) + slotLimit - 1) / slotLimit
	if b <= minBuckets {
		return minBuckets
	}
	return 1 << bits.Len64(b-1)
}

// slotLimit is how many entries per bucket a table takes before it grows: load factor 0.75.
const slotLimit = bucketSlots * 3 / 4

// maxBuckets is the largest power of two of buckets that the address space could hold. A ref keeps 32 bits of the hash, so
// a table of refs that were larger could not be moved to another: a bit of the home would be missing.
func maxBuckets[K comparable, V any]() uint64 {
	const addressable = uint64(math.MaxInt) >> (unsafe.Sizeof(uintptr(0)) - 1) // 47 bits of 64, 28 of 32
	limit := addressable / uint64(bucketSize[K, V]())
	if storageOf[K, V]() != inSlot {
		limit = min(limit, uint64(refHash>>32)+1)
	}
	n := uint64(minBuckets)
	for n*2 <= limit {
		n *= 2
	}
	return n
}

func (t *table[K, V]) buckets() uint64 { return t.mask + 1 }
func (t *table[K, V]) limit() int      { return int(t.buckets() * slotLimit) }
func (t *table[K, V]) slotCount() int  { return int(t.buckets() * bucketSlots) }

// inArena reports whether slots hold refs instead of keys, inRecords whether values are there as well.
func (t *table[K, V]) inArena() bool {
	var key K
	return unsafe.Sizeof(key) == stringSize && t.stored != inSlot
}

func (t *table[K, V]) inRecords() bool {
	var value V
	return unsafe.Sizeof(value) == stringSize && t.stored == byRecord
}

// bucket returns bucket i. Where slots hold refs only its header is what it seems.
func (t *table[K, V]) bucket(i uint64) *bucket[K, V] { return headerAt[K, V](t.base, i, t.stride) }

// loadKey copies a key out of a slot of b. Unless it is in the arena it may be torn until unchanged says otherwise.
func (t *table[K, V]) loadKey(b *bucket[K, V], i int) K {
	if t.inArena() {
		return keyOf[K](t.traits.arena.Key(b.loadRef(t.traits, i).at()))
	}
	return b.loadKey(t.traits, i)
}

// loadValue copies a value out of a slot of b. It may be torn until settled says otherwise.
func (t *table[K, V]) loadValue(b *bucket[K, V], i int) V {
	switch {
	case t.inRecords():
		return keyOf[V](t.traits.arena.Value(b.loadRef(t.traits, i).at()))
	case t.inArena():
		return b.refs().loadValue(t.traits, i)
	default:
		return b.loadValue(t.traits, i)
	}
}

// wordOf returns the address of a word of slot i of b, to prefetch.
func (t *table[K, V]) wordOf(b *bucket[K, V], i int) unsafe.Pointer {
	switch {
	case t.inRecords():
		return b.records().wordOf(i)
	case t.inArena():
		return b.refs().wordOf(i)
	default:
		return b.wordOf(i)
	}
}

// near asks for the records of bucket i, modulo the number of buckets. It needs no lock, and believes nothing that it
// sees there.
func (t *table[K, V]) near(i uint64) {
	if !t.inArena() || t.buckets() < nearFrom {
		return
	}
	b := t.bucket(i & t.mask)
	var records [bucketSlots]unsafe.Pointer
	n := 0
	for f := swar.Full(b.observeTophash()); f != 0; f = swar.Next(f) {
		records[n] = t.traits.arena.WordOf(b.loadRef(t.traits, swar.First(f)).at())
		n++
	}
	prefetch.Words(records[:n])
}

// nearKeys asks for what the keys of bucket i, modulo the number of buckets, have behind them where they are interfaces. It
// needs no lock either.
func (t *table[K, V]) nearKeys(i uint64) {
	if !stringSized[K]() || t.hashed != hashInterface || t.buckets() < nearFrom {
		return
	}
	b := t.bucket(i & t.mask)
	var data [bucketSlots]unsafe.Pointer
	n := 0
	for f := swar.Full(b.observeTophash()); f != 0; f = swar.Next(f) {
		data[n] = b.loadData(swar.First(f))
		n++
	}
	prefetch.Hints(data[:n])
}

// nearValues asks for what the values of bucket i, modulo the number of buckets, point to where they are pointers or have one.
// It needs no lock either.
func (t *table[K, V]) nearValues(i uint64) {
	var value V
	if unsafe.Sizeof(value) < wordSize || t.traits.data == noData {
		return
	}
	b := t.bucket(i & t.mask)
	var data [bucketSlots]unsafe.Pointer
	n := 0
	for f := swar.Full(b.observeTophash()); f != 0; f = swar.Next(f) {
		if t.inArena() {
			data[n] = b.refs().loadValueData(t.traits, swar.First(f))
		} else {
			data[n] = b.loadValueData(t.traits, swar.First(f))
		}
		n++
	}
	prefetch.Hints(data[:n])
}

// home returns the index of the first bucket of h's probe sequence.
func (t *table[K, V]) home(h uint64) uint64 { return h >> (t.shift & 63) }

// lastOf returns the largest hash whose home is bucket i.
func (t *table[K, V]) lastOf(i uint64) uint64 { return i<<(t.shift&63) + (1<<(t.shift&63) - 1) }

// hash returns the key's hash under the table's seed. It panics for an unhashable key.
func (t *table[K, V]) hash(key K) uint64 {
	switch {
	case unsafe.Sizeof(key) == 8 && t.hashed == hashWord:
		return hash.Word(word(key), &t.seed)
	case unsafe.Sizeof(key) == stringSize && t.hashed == hashString:
		return hash.String(stringOf(key), &t.seed)
	case unsafe.Sizeof(key) == stringSize && t.hashed == hashInterface:
		return hash.Any(anyOf(key), &t.seed)
	}
	return t.hashAny(key)
}

// hashAny is hash for all kinds of keys.
func (t *table[K, V]) hashAny(key K) uint64 {
	switch t.hashed {
	case hashWord:
		return hash.Word(word(key), &t.seed)
	case hashString:
		return hash.String(stringOf(key), &t.seed)
	case hashInterface:
		return hash.Any(any(key), &t.seed)
	case hashComparable:
		return hash.Comparable(&key, &t.seed)
	default:
		return t.hashBy(key)
	}
}

// hashBy hashes by the functions that options choose.
func (t *table[K, V]) hashBy(key K) uint64 {
	if t.traits.mayPanic {
		_ = hash.Comparable(&key, &t.seed) // an unhashable key must panic here, whatever the function does
	}
	if t.traits.irreflexive && key != key {
		return rand.Uint64() // as hash.Comparable does: such keys must not pile up in one bucket
	}
	if t.hashed == hashStable {
		return t.traits.stable.Sum(unsafe.Pointer(&key), &t.seed)
	}
	if t.inArena() {
		arena.Touch(stringOf(key)) // a caller's bytes that cannot be read must be a fault here, before anything is locked
	}
	h := hash.Custom(t.traits.custom.(func(K, uint64) uint64), &key, &t.seed)
	if t.traits.rawHash {
		return h
	}
	return hash.Mix(h, &t.seed)
}

// word returns the bits of a key of at most eight bytes.
func word[K comparable](key K) uint64 {
	switch unsafe.Sizeof(key) {
	case 8:
		return *(*uint64)(unsafe.Pointer(&key))
	case 4:
		return uint64(*(*uint32)(unsafe.Pointer(&key)))
	case 2:
		return uint64(*(*uint16)(unsafe.Pointer(&key)))
	default:
		return uint64(*(*uint8)(unsafe.Pointer(&key)))
	}
}

// result is what a search of one table concluded.
type result uint8

const (
	absent result = iota // the key is not in the map (I7)
	hit                  // the key was found
	moved                // not found, but a bucket on the way was evacuated: look in the newer table
)

// lookup finds key without a lock and without writing shared memory.
func (t *table[K, V]) lookup(key K, h uint64) (value V, r result) {
	for i, n := t.home(h), uint64(0); n <= t.mask; i, n = (i+1)&t.mask, n+1 {
		b := t.bucket(i)
		slot, c := b.find(t.traits, key, h)
		for tries := 0; slot >= 0 && !c.moved(); tries++ {
			if value = t.loadValue(b, slot); b.settled(c) {
				return value, hit
			}
			pause(tries)
			slot, c = b.find(t.traits, key, h)
		}
		if c.moved() {
			r = moved
		}
		if c.overflow() == 0 {
			break
		}
	}
	var zero V
	return zero, r
}

// place is where a key is, or would be, in the table that owns it. Its home bucket is locked, and the bucket it is
// in as well.
type place[K comparable, V any] struct {
	hash   uint64
	home   uint64 // index of the home bucket
	bucket uint64 // index of the bucket the key is in; home if it is absent
	slot   int    // -1: the key is absent
	ref    ref    // what to put into the slot, where keys are in an arena; see core.keepKey
}

// lockKey locks key's home bucket and finds the key. It reports false, holding no lock, if the table does not own
// the key any more or a lock could not be had in order.
func (t *table[K, V]) lockKey(key K, h uint64, p *place[K, V]) bool {
	b := t.bucket(t.home(h))
	if !b.tryLock() && !b.lock() {
		return false
	}
	return t.placeLocked(key, h, b.findLocked(t.traits, key, h), p)
}

// placeLocked is lockKey from where key's home bucket is locked and has the key in slot, or if that is -1 has not. On failure
// it unlocks home.
func (t *table[K, V]) placeLocked(key K, h uint64, slot int, p *place[K, V]) bool {
	home := t.home(h)
	*p = place[K, V]{hash: h, home: home, bucket: home, slot: slot}
	return slot >= 0 || t.bucket(home).controlLocked().overflow() == 0 || t.findBehindLocked(key, p)
}

// findBehindLocked searches the buckets behind home, which is locked. On failure it unlocks home.
func (t *table[K, V]) findBehindLocked(key K, p *place[K, V]) bool {
	for i, n := (p.home+1)&t.mask, uint64(0); n < t.mask; i, n = (i+1)&t.mask, n+1 {
		slot, c := t.bucket(i).find(t.traits, key, p.hash)
		if c.moved() || slot >= 0 && !t.lockBehind(p.home, i) {
			t.bucket(p.home).release()
			return false
		}
		if slot >= 0 { // only the holder of home can take it away, and we are that
			p.bucket, p.slot = i, slot
			return true
		}
		if c.overflow() == 0 {
			break
		}
	}
	return true
}

// lockBehind locks bucket i for a caller that holds bucket home and none behind i (I2). It reports false if the
// bucket has moved, or if waiting for it could close a cycle.
func (t *table[K, V]) lockBehind(home, i uint64) bool {
	if i > home {
		return t.bucket(i).lock()
	}
	return t.bucket(i).tryLock()
}

// unlock releases the locks of a place after a change.
func (t *table[K, V]) unlock(p *place[K, V]) {
	if p.bucket != p.home {
		t.bucket(p.bucket).release()
	}
	t.bucket(p.home).unlock()
	runtime.KeepAlive(t)
}

// release is unlock without a fence; see bucket.release.
func (t *table[K, V]) release(p *place[K, V]) {
	if p.bucket != p.home {
		t.bucket(p.bucket).release()
	}
	t.bucket(p.home).release()
	runtime.KeepAlive(t)
}

// valueLocked returns the value at a place that is not absent.
func (t *table[K, V]) valueLocked(p *place[K, V]) V {
	return t.loadValue(t.bucket(p.bucket), p.slot)
}

// overwriteLocked replaces the value at a place that is not absent: by the record that the place has the ref of, where
// values are in records.
func (t *table[K, V]) overwriteLocked(p *place[K, V], value V) {
	b := t.bucket(p.bucket)
	switch {
	case t.inRecords():
		b.storeRef(t.traits, p.slot, p.ref)
	case t.inArena():
		p.slot = b.refs().overwriteLocked(t.traits, p.slot, value)
	default:
		p.slot = b.overwriteLocked(t.traits, p.slot, value)
	}
	if invariants {
		t.checkLocked(p.bucket)
	}
}

// insertion is the outcome of insertLocked.
type insertion uint8

const (
	inserted  insertion = iota // the entry is visible; home is locked still
	disturbed                  // a bucket has moved or could not be locked in order: nothing is locked, start again
	full                       // no slot is free in the whole table: nothing is locked
)

// insertLocked puts an entry at an absent place. distance is how many buckets behind home it went, or would have gone next.
func (t *table[K, V]) insertLocked(p *place[K, V], key K, value V) (in insertion, distance uint64) {
	b := t.bucket(p.home)
	if free := swar.Empty(b.observeTophash()); free != 0 {
		th := tophash(p.hash)
		if t.traits.irreflexive && key != key {
			th = 1
		}
		t.insertAtLocked(p, p.home, swar.First(free), th, key, value)
		return inserted, 0
	}
	return t.insertBehindLocked(p, key, value)
}

// insertAtLocked puts an entry into free slot s of bucket i: the key, or where keys are in an arena the place's ref.
func (t *table[K, V]) insertAtLocked(p *place[K, V], i uint64, s int, th uint8, key K, value V) {
	b := t.bucket(i)
	switch {
	case t.inRecords():
		b.records().insertLocked(t.traits, s, th, p.ref, nothing{})
	case t.inArena():
		b.refs().insertLocked(t.traits, s, th, p.ref, value)
	default:
		b.insertLocked(t.traits, s, th, key, value)
	}
	if invariants {
		t.checkLocked(i)
	}
}

// insertBehindLocked probes for a free slot, raising the overflow count of every bucket it passes before the entry
// is published behind it (I3). It holds home and one more bucket at a time.
func (t *table[K, V]) insertBehindLocked(p *place[K, V], key K, value V) (in insertion, distance uint64) {
	th, nan := tophash(p.hash), t.traits.irreflexive && key != key
	in = full
	t.bucket(p.home).raiseLocked()
	i, n := (p.home+1)&t.mask, uint64(1)
	for ; n <= t.mask; i, n = (i+1)&t.mask, n+1 {
		if nan && n > maxDisplacement || !t.lockBehind(p.home, i) {
			in = disturbed
			break
		}
		b := t.bucket(i)
		free := swar.Empty(b.observeTophash())
		if free == 0 {
			b.raiseLocked()
			b.release()
			continue
		}
		if nan {
			th = uint8(n + 1)
		}
		t.insertAtLocked(p, i, swar.First(free), th, key, value)
		b.release()
		return inserted, n
	}
	t.traits.lowering.Add(1)
	t.bucket(p.home).release()
	t.lower(p.home, n)
	return in, n
}

// removeUnlock removes the entry at a place that is not absent and releases all locks. Buckets between home and
// the entry count one entry too many until it returns, which costs a reader a look and nothing else.
func (t *table[K, V]) removeUnlock(p *place[K, V]) {
	switch b := t.bucket(p.bucket); {
	case t.inRecords():
		b.records().removeLocked(t.traits, p.slot)
	case t.inArena():
		b.refs().removeLocked(t.traits, p.slot)
	default:
		b.removeLocked(t.traits, p.slot)
	}
	if invariants {
		t.checkLocked(p.bucket)
	}
	if p.bucket == p.home {
		t.unlock(p)
		return
	}
	t.traits.lowering.Add(1)
	t.unlock(p)
	t.lower(p.home, (p.bucket-p.home)&t.mask)
}

// lower takes one entry off the overflow counts of the n buckets from index i on. The caller holds no lock of this
// table, so the order of locking does not matter, and has announced it in traits.lowering before it released them.
// Frozen buckets keep their counts (I8).
func (t *table[K, V]) lower(i, n uint64) {
	for ; n > 0; i, n = (i+1)&t.mask, n-1 {
		if b := t.bucket(i); b.lock() {
			b.lowerLocked()
			b.release()
		}
	}
	t.traits.lowering.Add(-1)
}

// homeOf returns the home bucket and the hash of an entry of bucket i with tophash byte th. A key that differs from itself
// cannot be looked up, and its hash means nothing: such an entry has its distance from home plus 1 in the place of
// the tophash byte, and gets a random hash of that home.
func (t *table[K, V]) homeOf(i uint64, th uint8, key K) (home, h uint64) {
	if t.traits.irreflexive && key != key {
		home = (i - uint64(th-1)) & t.mask
		return home, home<<(t.shift&63) | rand.Uint64()&(1<<(t.shift&63)-1)
	}
	h = t.hash(key)
	return t.home(h), h
}

// checkLocked panics if the entries of bucket i, whose lock the caller holds, break an invariant that can be seen
// from there. Builds with the tag hushmap_invariants call it after each mutation.
func (t *table[K, V]) checkLocked(i uint64) {
	b := t.bucket(i)
	w, c := b.observeTophash(), b.observe()
	if !c.locked() || c.moved() || c.writing() {
		panic(fmt.Sprintf("hushmap: bucket %d: control %#x while it is being changed (I2, I8)", i, uint64(c)))
	}
	for f := swar.Full(w); f != 0; f = swar.Next(f) {
		s := swar.First(f)
		key := t.loadKey(b, s)
		for g := swar.Next(f); g != 0; g = swar.Next(g) {
			if t.loadKey(b, swar.First(g)) == key {
				panic(fmt.Sprintf("hushmap: bucket %d: slots %d and %d hold the same key (I1)", i, s, swar.First(g)))
			}
		}
		if t.hashed == hashCustom {
			continue // it may be inconsistent, and it may panic
		}
		home, h := t.homeOf(i, swar.Byte(w, s), key)
		if key == key && tophash(h) != swar.Byte(w, s) {
			panic(fmt.Sprintf("hushmap: bucket %d slot %d: tophash %#x, hash %#x (I3)", i, s, swar.Byte(w, s), h))
		}
		for j := home; j != i; j = (j + 1) & t.mask {
			if t.bucket(j).observe().overflow() == 0 {
				panic(fmt.Sprintf("hushmap: bucket %d slot %d: hidden by bucket %d (I3)", i, s, j))
			}
		}
	}
}
