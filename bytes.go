// This file is responsible for Bytes, a map whose values are bytes as well: key and value lie in one record of an
// arena, and a slot is one word, the ref to it.
//
//	slot               record in the arena
//	+-----+            +------+-----------+------+-------------+
//	| ref |----------->| klen | key bytes | vlen | value bytes |
//	+-----+            +------+-----------+------+-------------+
//
// Records never change. Overwriting a value makes another record and puts its ref in place of the old one, by one
// store (I5), so a reader has either the old record or the new one, and never half of one. The old one counts as dead,
// and is left behind when the living ones move to another arena.
//
// To the engine it is a map from string to record, whose tables it stores in this way.

package hushmap

import (
	"iter"
	"runtime"

	"github.com/hushmap/hushmap/internal/hash"
	"github.com/hushmap/hushmap/internal/swar"
)

// Bytes is a concurrent map from strings, or the bytes of strings, to byte slices. Its zero value is an empty map,
// ready to use. A Bytes must not be copied after first use.
//
// Keys and values are copied into the map and values are appended to what the caller gives, so neither side sees memory
// that the other changes. The garbage collector sees one object per 256 KiB of them, and one for the table. Unlike a
// cache it loses nothing, and it compares keys whole. A nil value is the same as an empty one.
//
// The methods may be called by any number of goroutines at once, and each but Range, All, Stats and Len, as for a
// [Map], takes effect at one instant. A method that ends in B takes its key as bytes, and is otherwise like the one
// without; it does not keep the slice, which must not change while the call runs.
//
// Complexity: expected O(1) and the length of key and value. No allocation, but for the chunks that hold the records,
// tables, and growing dst. When a part of the records is dead, the living ones are copied, a few with each write.
// Blocking: as [Map]; a write holds the lock of one bucket while it copies key and value.
// Ordering: as [Map].
// Errors: a write panics if the keys and values, with those deleted or overwritten lately, exceed 32 GiB. Nothing is
// lost then; reads, Delete and Clear go on, and after enough deletions writes do.
type Bytes struct {
	_    noCopy
	core core[string, record]
}

// NewBytes returns an empty Bytes with the given options. Without options it is the same as new(Bytes).
//
// Errors: NewBytes panics if an option is invalid by itself, or does not fit string keys or another option.
func NewBytes(opts ...Option) *Bytes {
	m := new(Bytes)
	m.core.configure(opts)
	return m
}

// Get appends the value stored for key to dst and returns the result and true; or dst and false if there is none.
func (m *Bytes) Get(dst []byte, key string) (value []byte, ok bool) {
	v, ok := m.lookup(key)
	return append(dst, v...), ok
}

// GetB is [Bytes.Get] for a key of bytes.
func (m *Bytes) GetB(dst, key []byte) (value []byte, ok bool) {
	return m.Get(dst, borrowed[string](key))
}

// Has reports whether there is a value for key.
func (m *Bytes) Has(key string) bool {
	_, ok := m.lookup(key)
	return ok
}

// HasB is [Bytes.Has] for a key of bytes.
func (m *Bytes) HasB(key []byte) bool { return m.Has(borrowed[string](key)) }

// Set sets the value for key to a copy of value.
func (m *Bytes) Set(key string, value []byte) {
	m.core.store(key, borrowed[record](value))
}

// SetB is [Bytes.Set] for a key of bytes.
func (m *Bytes) SetB(key, value []byte) { m.Set(borrowed[string](key), value) }

// LoadOrStore appends to dst the value that is present for key, and returns the result and true; or else it stores a
// copy of value, and returns it appended to dst and false.
func (m *Bytes) LoadOrStore(dst []byte, key string, value []byte) (actual []byte, loaded bool) {
	v, loaded := m.lookup(key)
	if !loaded {
		v, loaded = m.core.loadOrStore(key, borrowed[record](value))
	}
	return append(dst, v...), loaded
}

// LoadOrStoreB is [Bytes.LoadOrStore] for a key of bytes.
func (m *Bytes) LoadOrStoreB(dst, key, value []byte) (actual []byte, loaded bool) {
	return m.LoadOrStore(dst, borrowed[string](key), value)
}

// CompareAndSwap sets the value for key to a copy of new if it has the bytes of old, and reports whether it did. It
// returns false if the key is absent, even if old is empty.
func (m *Bytes) CompareAndSwap(key string, old, new []byte) (swapped bool) {
	for n := 0; ; n++ {
		now, ok := m.lookup(key)
		if !ok || string(now) != string(old) {
			return false
		}
		if m.core.apply(key, now, true, borrowed[record](new), UpdateOp) {
			return true
		}
		pause(n)
	}
}

// CompareAndSwapB is [Bytes.CompareAndSwap] for a key of bytes.
func (m *Bytes) CompareAndSwapB(key, old, new []byte) (swapped bool) {
	return m.CompareAndSwap(borrowed[string](key), old, new)
}

// Delete deletes the entry for key and reports whether there was one.
func (m *Bytes) Delete(key string) (deleted bool) {
	_, deleted = m.core.loadAndDelete(key)
	return deleted
}

// DeleteB is [Bytes.Delete] for a key of bytes.
func (m *Bytes) DeleteB(key []byte) (deleted bool) { return m.Delete(borrowed[string](key)) }

// Range calls f for each key and value until f returns false, with the properties of [Map.Range]. The key stays valid
// and keeps its chunk alive, of up to 256 KiB, or more for one long record; strings.Clone makes one that does not. The
// value is a copy that is valid until f returns, as the next call gets the same memory.
func (m *Bytes) Range(f func(key string, value []byte) bool) {
	var buffer []byte
	s := sweep[string, record]{core: &m.core}
	s.run(func(key string, value record) bool {
		buffer = append(buffer[:0], value...)
		return f(key, buffer)
	})
}

// All returns an iterator over keys and values. It is Range for a for statement.
func (m *Bytes) All() iter.Seq2[string, []byte] { return m.Range }

// Len returns the number of entries, as [Map.Len] does.
func (m *Bytes) Len() int { return m.core.len() }

// Clear deletes all entries and releases their memory, as [Map.Clear] does.
func (m *Bytes) Clear() { m.core.clear() }

// Grow makes room in the table for n more entries, as [Map.Grow] does.
func (m *Bytes) Grow(n int) { m.core.grow(n) }

// Compact makes the table as small as its entries allow and drops what is left of deleted and overwritten ones, as
// [Map.Compact] does.
func (m *Bytes) Compact() { m.core.compact() }

// Stats returns figures about the map, as [Map.Stats] does. ArenaBytes holds keys and values.
func (m *Bytes) Stats() Stats { return m.core.stats() }

// Verify checks the structure of the map, as [Map.Verify] does.
func (m *Bytes) Verify() error { return m.core.verify() }

// lookup is core.lookup for records. A ref that was in a slot leads to one key and the value that it had at the time, but
// only an unchanged control word says that the entry was visible then: a slot is written before its tophash byte. That a bucket
// lacks the key needs no second look: for as long as an entry is there it stays in its slot, and a bucket that has moved
// keeps its entries (I8), as they were during the call, since there was no growth when it began.
func (m *Bytes) lookup(key string) (value record, ok bool) {
	rm := m.core.read.Load()
	if rm == nil || rm.quick != hashRecord {
		return m.core.lookupSlow(key)
	}
	h := hash.String(key, &rm.seed)
search:
	for i := rm.home(h); ; i++ {
		b := bucketAt[ref, nothing](rm.base, i)
		state := b.observe()
		match := swar.Match(b.observeTophash(), tophash(h))
		if match == 0 && state&(overflowMask|controlMoved) == 0 {
			runtime.KeepAlive(rm)
			return "", false
		}
		for ; match != 0; match = swar.Next(match) {
			r := b.loadKey(rm.traits, swar.First(match))
			if !r.mayBe(h) || !rm.traits.arena.Equal(r.at(), key) {
				continue
			}
			if b.settled(state) {
				value = record(rm.traits.arena.Value(r.at()))
				runtime.KeepAlive(rm)
				return value, true
			}
			break search
		}
		if i == rm.mask || state&overflowMask == 0 {
			break
		}
	}
	runtime.KeepAlive(rm)
	return m.core.lookupSlow(key)
}
