// Package hushmap provides a generic, concurrent hash map that the garbage collector hardly notices.
//
// [Map] has every method of [sync.Map] under its own name and with its meaning, and more; its zero value is an empty
// map, ready to use. [AnyMap] replaces sync.Map without another change of the program.
//
// # A tour of the code
//
// A table is a power-of-two array of buckets. A bucket is eight slots (a key and a value each), a tophash word with
// one byte of the hash per slot, and a control word: lock, moved, writing, overflow count, version.
//
//	Map ---> read map ---> table  [bucket][bucket][bucket][bucket] ...
//	                  \                   \
//	                   old table           | tophash | control | value 0 key 0 | ... | value 7 key 7 |
//	                   (while growing)
//
// The life of a key. Its hash's top bits choose the home bucket, its low byte is the tophash byte. A writer locks
// the home bucket, writes key and value into a free slot there, and publishes the entry with one store of the
// tophash word. If the home bucket is full the entry goes to the first bucket behind it with a free slot, and every
// bucket that it passed counts it in its overflow count. A reader takes no lock and writes nothing: it loads control,
// the tophash word, the words of the slots whose byte matches, and control again; if the version has changed, it
// looks again. A deletion changes the tophash word, then the version, then clears the slot.
//
// Growth. The write that exceeds the load limit of 3/4 publishes a read map with a new table of twice the size beside
// the old one. From then on every write evacuates the old buckets its key could be in, and a few more, until none is
// left; lookups ask the old table first. Mass deletion shrinks the table the same way. Only Compact, a DeleteFunc that leaves
// few entries, and Grow where the table is too small, always wait for a whole table to be moved; an insertion does if the new
// one has no room left before.
//
// The protocol, with its invariants by number, is in docs/design.md; the code refers to it as I1 to I11. The files, in
// the order in which they build on each other: options.go, layout.go (what words a type has), steps.go (where tests
// stop), barrier.go (how words enter and leave a slot), bucket.go, table.go (probing, locking), crowd.go, grow.go
// (evacuation), watch.go, readmap.go (which table is current), flood.go, write.go, sweep.go (Range), compute.go, flight.go
// (LoadOrCompute), map.go, stats.go, verify.go, batch.go, stringkeys.go, bytes.go. Keys of kind string lie in an
// internal/arena, and the slots hold where.
package hushmap

import "iter"

// noCopy makes `go vet` report a Map that is copied.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// Map is a concurrent map from K to V. Its zero value is an empty map, ready to use, and allocates nothing before
// the first write. A Map must not be copied after first use.
//
// All methods may be called by any number of goroutines at once, and each takes effect at one instant between its call
// and its return (it is linearizable), except for those that pass over the map while it changes: Range, All, Keys,
// Values, DeleteFunc, Stats, and Len if there are writes meanwhile. Of a batch, each key is an operation. Keys are
// compared by ==; a NaN key is stored but can only be reached by passing over the map, and deleted only by DeleteFunc
// and Clear.
//
// The following holds for every method unless its own comment says otherwise.
//
// Complexity: O(1) expected. During a growth an operation moves a bounded number of entries; an insertion moves more if
// the new table has no room left before the old one is empty. No allocation for the call as such, but now and then for the
// map: a write may have to make a larger or smaller table or a chunk for string keys, and an operation that helps to move
// entries, a read too, what they move to. Compute allocates when others keep changing its key. Passing a key or value to an
// interface type allocates at the caller.
//
// Blocking: a read takes no lock; but while a table grows, one in eight moves a bucket as writes do, and a value of
// several words that is just being overwritten in place is waited for. A write holds the lock of one bucket (eight
// entries), seldom two, and of three when it moves one: for well under a microsecond, unless a function given to
// WithHasher is slow, a string key is long or needs a new chunk, or the thread of the holder is not running. The first
// write to an empty map makes its table, and others wait for that. Functions passed to methods run without any lock and
// may call any method of the same map. A function that panics or calls [runtime.Goexit] leaves the map usable and its key
// unchanged.
//
// Ordering: in the terms of the Go memory model, a write synchronizes before any read that observes its effect.
//
// Errors: as for the built-in map, a key that holds an unhashable dynamic type panics with a runtime error. Storing a new
// key of kind string panics if such keys, with those deleted lately, exceed 32 GiB; nothing is changed then, lookups,
// overwrites and deletions go on, and after enough deletions insertions do.
//
// Keys of kind string are copied into the map, into chunks of up to 256 KiB that many keys share, or one long key has.
type Map[K comparable, V any] struct {
	_       noCopy
	core    core[K, V]
	flights flights[K, V] // of LoadOrCompute; see flight.go
}

// AnyMap has the method set of [sync.Map]: `var m sync.Map` becomes `var m hushmap.AnyMap`, and nothing else changes.
type AnyMap = Map[any, any]

// New returns an empty map with the given options. Without options it is the same as new(Map[K, V]). Of an option that is
// given twice the last holds.
//
// Errors: New panics if an option is invalid by itself, or does not fit K or another option.
func New[K comparable, V any](opts ...Option) *Map[K, V] {
	m := new(Map[K, V])
	m.core.configure(opts)
	return m
}

// Load returns the value stored for key, or the zero value and false if there is none.
func (m *Map[K, V]) Load(key K) (value V, ok bool) {
	return m.core.lookup(key)
}

// Store sets the value for key.
func (m *Map[K, V]) Store(key K, value V) {
	m.core.store(key, value)
}

// LoadOrStore returns the value that is present for key and true; or else stores the given value and returns it and
// false.
//
// Blocking: as Load if the key is present, else as Store.
func (m *Map[K, V]) LoadOrStore(key K, value V) (actual V, loaded bool) {
	if actual, loaded = m.core.lookup(key); loaded {
		return actual, true
	}
	return m.core.loadOrStore(key, value)
}

// LoadAndDelete deletes the entry for key and returns the value it had, or the zero value and false if there was
// none.
func (m *Map[K, V]) LoadAndDelete(key K) (value V, loaded bool) {
	return m.core.loadAndDelete(key)
}

// Delete deletes the entry for key, if there is one.
func (m *Map[K, V]) Delete(key K) {
	m.core.loadAndDelete(key)
}

// Swap sets the value for key and returns the value it had, or the zero value and false if there was none.
func (m *Map[K, V]) Swap(key K, value V) (previous V, loaded bool) {
	return m.core.swap(key, value)
}

// CompareAndSwap sets the value for key to new if it is == old, and reports whether it did. It returns false if the
// key is absent, even if old is the zero value.
//
// Errors: as sync.Map, it panics if V is not comparable, or is or holds an interface of which the present value
// and old have the same dynamic type, which is not comparable.
func (m *Map[K, V]) CompareAndSwap(key K, old, new V) (swapped bool) {
	if !m.core.comparable() {
		panic("called CompareAndSwap when value is not of comparable type")
	}
	return m.core.compareAnd(UpdateOp, key, old, new)
}

// CompareAndDelete deletes the entry for key if its value is == old, and reports whether it did. It returns false if
// the key is absent, even if old is the zero value.
//
// Errors: as CompareAndSwap.
func (m *Map[K, V]) CompareAndDelete(key K, old V) (deleted bool) {
	if !m.core.comparable() {
		panic("called CompareAndDelete when value is not of comparable type")
	}
	return m.core.compareAnd(DeleteOp, key, old, old)
}

// Range calls f for each key and value until f returns false. f may call any method of the map.
//
// Every key that is present throughout the call is visited exactly once, none twice, also while the map grows,
// shrinks or is rebuilt meanwhile. The value is one that the key had during the call; an entry that f deletes before
// its turn is not visited. Range is no snapshot: entries that are stored or deleted meanwhile may be visited or not.
// NaN keys are visited once each as well, unless Compact runs meanwhile; one that f deletes after the map has grown may be
// visited all the same.
//
// Complexity: O(slots), less if f returns false before the end; it moves what a growth has not moved yet as it goes.
// It allocates lists of a few entries for buckets that were too full for all of theirs, or change while it visits them.
// Blocking: locks a bucket that is too full for its entries while it lists them, for which it hashes the keys in the buckets
// behind, and the buckets that it moves. If keys may be NaN (floats, interfaces, what holds such), waits before the first
// call of f while another goroutine allocates a smaller table, and until it returns the map neither shrinks by itself nor
// defends itself against keys that collide. While any Range is under way, whatever the keys, a map whose entries are all
// in one part of the order does not shrink.
// Ordering: buckets come in the order of hashes, and entries in a bucket in an order that depends on what was stored and
// deleted before. Unless [WithStableHash] is given the hash is another for every map, but from one Range to the next it is
// mostly the same: the first entries are no random sample.
//
// A key of kind string stays valid for as long as it is kept, and keeps the chunk that it is in; [strings.Clone] makes one
// that does not.
func (m *Map[K, V]) Range(f func(key K, value V) bool) {
	s := sweep[K, V]{core: &m.core}
	s.run(f)
}

// All returns an iterator over keys and values. It is Range for a for statement.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return m.Range
}

// Keys returns an iterator over the keys, with the properties of Range.
func (m *Map[K, V]) Keys() iter.Seq[K] {
	return func(yield func(K) bool) {
		m.Range(func(key K, _ V) bool { return yield(key) })
	}
}

// Values returns an iterator over the values, with the properties of Range.
func (m *Map[K, V]) Values() iter.Seq[V] {
	return func(yield func(V) bool) {
		m.Range(func(_ K, value V) bool { return yield(value) })
	}
}

// Len returns the number of entries. It is exact when no write is under way; otherwise it is at least 0 and at most
// the largest number of entries that there ever was since the last Clear.
//
// Complexity: O(processors).
func (m *Map[K, V]) Len() int {
	return m.core.len()
}

// Clear deletes all entries and releases the tables, at one instant. An operation that began before and is still
// under way takes effect before that instant or after it.
//
// Complexity: O(1).
// Blocking: waits while another goroutine allocates a table.
func (m *Map[K, V]) Clear() {
	m.core.clear()
}

// Compute calls fn with the value of key (or the zero value and false) and does what it returns: [UpdateOp] stores
// the new value, [DeleteOp] deletes the entry, [CancelOp] leaves the map as it is. It returns the value that the key
// has then and true, or the zero value and false if it has none.
//
// Compute is optimistic: fn runs without a lock, and if the entry has changed when it returns it runs again with
// the new value. It should have no side effects. After many conflicts writers of the same key on other goroutines
// give way for a few milliseconds at most.
//
// Complexity: as a Load and a Store for each run of fn. Blocking: as these; fn may run any number of times.
// Errors: Compute panics if fn keeps changing the key it computes, or returns an unknown Op. An fn that waits for
// another goroutine which changes that key is not noticed and may run for ever.
func (m *Map[K, V]) Compute(key K, fn func(old V, loaded bool) (V, Op)) (actual V, ok bool) {
	return m.core.compute(key, fn)
}

// LoadOrCompute returns the value that is present for key and true; or else calls fn, stores its value and returns
// it and false. While fn runs, other callers of LoadOrCompute for the same key wait for it and get its result, with
// loaded set; other methods neither wait nor see anything of it. If the key is stored by one of those meanwhile,
// the stored value stays and is returned, with loaded set.
//
// fn runs once per missing key. If it returns an error, nothing is stored, and the caller and all who waited get the zero
// value and that error, loaded not set; if it panics or calls [runtime.Goexit], one of those who waited runs its own fn.
// A call from within fn that would wait for fn itself does not wait, but runs the function that it was given. That is
// noticed within one map, also through calls of LoadOrCompute on other goroutines. Functions that wait for each other
// through another map, or in any other way, wait for ever.
//
// Complexity: a miss allocates.
// Blocking: as Load if the key is present; may wait for another goroutine's fn. Misses of one map wait for each other while
// a value is stored, but not while fn runs.
func (m *Map[K, V]) LoadOrCompute(key K, fn func() (V, error)) (value V, loaded bool, err error) {
	return m.flights.loadOrCompute(&m.core, key, fn)
}

// DeleteFunc deletes the entries for which fn returns true and returns how many it deleted. An entry that changes
// between the call of fn and its deletion is not deleted before fn was asked again. It visits entries as Range does.
// NaN keys that a growth moves meanwhile may be left.
//
// Complexity: O(slots). It allocates what Range does, and smaller tables if few entries are left. Blocking: as Range, and as
// Delete for each entry; if few entries are left waits until they have moved, while other operations go on.
func (m *Map[K, V]) DeleteFunc(fn func(key K, value V) bool) int {
	return m.core.deleteFunc(fn)
}

// Grow makes room for n more entries, so that storing them will not grow the map. Deletions do not shrink the table below
// that, until it grows beyond or Compact or Clear is called.
//
// Units: entries.
// Complexity: O(slots + n) if the table is too small, else O(1).
// Blocking: if the table is too small, waits until all entries have moved; other operations go on meanwhile.
// Errors: Grow panics if n is negative or the table would not fit the address space.
func (m *Map[K, V]) Grow(n int) {
	m.core.grow(n)
}

// Compact makes the table as small as its entries allow, below the capacity given to [WithCapacity] if need be, and drops
// what is left of deleted string keys if that is more than a sixteenth. A table of which a Range has deleted all but one
// part stays larger if [WithStableHash] is given, and while any Range is under way.
//
// Complexity: O(slots).
// Blocking: waits until all entries have moved; other operations go on meanwhile.
func (m *Map[K, V]) Compact() {
	m.core.compact()
}
