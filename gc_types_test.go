//go:build hushmap_types || !(race || hushmap_invariants || hushmap_atomic || 386)

// This file is about what the collector can free, over many types. It is left out where suite_types_test.go is, and where
// words are stored with atomic instructions or have 32 bits, unless the tag hushmap_types asks for it.

package hushmap

import (
	"fmt"
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mtHolder has pointers in its first and last word.
type mtHolder struct {
	o  *mtObject
	id int
	s  any
}

// mtKeyClass and mtValueClass make keys and values that hold an object of w.
type (
	mtKeyClass[K comparable] func(w *mtWatched, id int) K
	mtValueClass[V any]      func(w *mtWatched, id int) V
)

var (
	mtPointerKey mtKeyClass[*mtObject] = func(w *mtWatched, id int) *mtObject { return w.object(id) }
	mtAnyKey     mtKeyClass[any]       = func(w *mtWatched, id int) any { return w.object(id) }
	mtStringKey  mtKeyClass[string]    = func(w *mtWatched, id int) string {
		b := w.bytes(id)
		return unsafe.String(&b[0], len(b))
	}

	// mtCopiedKey is a key that the map copies, so that nothing of it is to be watched.
	mtCopiedKey mtKeyClass[string] = func(_ *mtWatched, id int) string { return fmt.Sprint("key ", id) }

	mtPointerValue mtValueClass[*mtObject]          = func(w *mtWatched, id int) *mtObject { return w.object(id) }
	mtStructValue  mtValueClass[mtHolder]           = func(w *mtWatched, id int) mtHolder { return mtHolder{w.object(id), id, w.object(id)} }
	mtAnyValue     mtValueClass[any]                = func(w *mtWatched, id int) any { return w.object(id) }
	mtStringValue  mtValueClass[struct{ s string }] = func(w *mtWatched, id int) struct{ s string } {
		return struct{ s string }{mtStringKey(w, id)}
	}
	mtBytesValue mtValueClass[[]byte] = func(w *mtWatched, id int) []byte { return w.bytes(id)[:] }
	mtFuncValue  mtValueClass[func()] = func(w *mtWatched, id int) func() {
		o := w.object(id)
		return func() { runtime.KeepAlive(o) }
	}
)

// FAILURES: deleted keys and values stay alive.
func TestDeletedEntriesDie(t *testing.T) {
	t.Run("pointer,pointer", func(t *testing.T) { mtTestDeath(t, mtPointerKey, mtPointerValue) })
	t.Run("any,any", func(t *testing.T) { mtTestDeath(t, mtAnyKey, mtAnyValue) })
	t.Run("string,struct", func(t *testing.T) { mtTestDeath(t, mtCopiedKey, mtStructValue) })
	t.Run("any,bytes", func(t *testing.T) { mtTestDeath(t, mtAnyKey, mtBytesValue) })
}

// mtTestDeath runs every way in which entries go, over every way in which tables go.
func mtTestDeath[K comparable, V any](t *testing.T, key mtKeyClass[K], value mtValueClass[V]) {
	for way, leave := range mtWaysToLeave[K, V]() {
		for when, move := range mtWaysToMove[K, V]() {
			t.Run(way+", "+when, func(t *testing.T) { mtTestDeathBy(t, key, value, leave, move) })
		}
	}
}

// mtWaysToLeave are functions that make the entries with the given keys disappear.
func mtWaysToLeave[K comparable, V any]() map[string]func(m *Map[K, V], keys []K) {
	each := func(f func(m *Map[K, V], k K)) func(m *Map[K, V], keys []K) {
		return func(m *Map[K, V], keys []K) {
			for _, k := range keys {
				f(m, k)
			}
		}
	}
	return map[string]func(m *Map[K, V], keys []K){
		"Delete":        each(func(m *Map[K, V], k K) { m.Delete(k) }),
		"LoadAndDelete": each(func(m *Map[K, V], k K) { m.LoadAndDelete(k) }),
		"Compute": each(func(m *Map[K, V], k K) {
			m.Compute(k, func(old V, _ bool) (V, Op) { return old, DeleteOp })
		}),
		"DeleteFunc": func(m *Map[K, V], keys []K) {
			gone := make(map[K]bool)
			for _, k := range keys {
				gone[k] = true
			}
			m.DeleteFunc(func(k K, _ V) bool { return gone[k] })
		},
	}
}

// mtWaysToMove are functions that move all entries of a map to other tables, to the end.
func mtWaysToMove[K comparable, V any]() map[string]func(m *Map[K, V]) {
	to := func(size func(now uint64) uint64) func(m *Map[K, V]) {
		return func(m *Map[K, V]) {
			mtResize(m, size(m.core.settle().buckets()))
			m.core.settle()
		}
	}
	return map[string]func(m *Map[K, V]){
		"not moved": func(*Map[K, V]) {},
		"grown":     to(func(now uint64) uint64 { return now * 4 }),
		"shrunk":    to(func(now uint64) uint64 { return now / 2 }),
		"rebuilt":   to(func(now uint64) uint64 { return now }),
		"compacted": func(m *Map[K, V]) { m.Compact() },
	}
}

// mtTestDeathBy lets half of all entries leave, before and after the others move.
func mtTestDeathBy[K comparable, V any](t *testing.T, key mtKeyClass[K], value mtValueClass[V],
	leave func(*Map[K, V], []K), move func(*Map[K, V])) {
	const entries = 60
	m := New[K, V](WithoutShrink(), WithCapacity(4*entries))
	var stay, early, late mtWatched
	func() { // in a frame of its own, which is gone when the collector runs
		var earlyKeys, lateKeys []K
		for id := range entries {
			switch id % 4 {
			case 0:
				k := key(&early, id)
				m.Store(k, value(&early, id))
				earlyKeys = append(earlyKeys, k)
			case 1:
				k := key(&late, id)
				m.Store(k, value(&late, id))
				lateKeys = append(lateKeys, k)
			default:
				m.Store(key(&stay, id), value(&stay, id))
			}
		}
		leave(m, earlyKeys)
		move(m)
		leave(m, lateKeys)
	}()
	assert.True(t, early.allDie(), "%d of %d that left before the move are alive", early.alive(), len(early))
	assert.True(t, late.allDie(), "%d of %d that left after the move are alive", late.alive(), len(late))
	assert.Equal(t, len(stay), stay.alive(), "stored keys and values are alive")
	require.NoError(t, m.Verify())
	require.Equal(t, entries/2, m.Len())
	m.Clear()
	assert.True(t, stay.allDie(), "%d of %d are alive after Clear", stay.alive(), len(stay))
	runtime.KeepAlive(m)
}

// FAILURES: deleted keys and values stay alive. Values that were overwritten, in buckets with a free slot and in full
// ones, and the keys that were given with them.
func TestOverwrittenValuesDie(t *testing.T) {
	t.Run("pointer", func(t *testing.T) { mtTestOverwritten(t, mtPointerValue) })
	t.Run("struct", func(t *testing.T) { mtTestOverwritten(t, mtStructValue) })
	t.Run("any", func(t *testing.T) { mtTestOverwritten(t, mtAnyValue) })
	t.Run("string", func(t *testing.T) { mtTestOverwritten(t, mtStringValue) })
	t.Run("bytes", func(t *testing.T) { mtTestOverwritten(t, mtBytesValue) })
	t.Run("func", func(t *testing.T) { mtTestOverwritten(t, mtFuncValue) })
}

func mtTestOverwritten[V any](t *testing.T, value mtValueClass[V]) {
	const entries = 24 // one hash: three full buckets
	for name, opts := range map[string][]Option{
		"spread":  nil,
		"crowded": {WithHasher(func(int, uint64) uint64 { return 0 }), WithCapacity(entries)},
	} {
		t.Run(name, func(t *testing.T) {
			m := New[int, V](opts...)
			var old, now mtWatched
			func() {
				for id := range entries {
					m.Store(id, value(&old, id))
				}
				for id := range entries {
					switch id % 3 {
					case 0:
						m.Store(id, value(&now, id))
					case 1:
						m.Swap(id, value(&now, id))
					case 2:
						m.Compute(id, func(V, bool) (V, Op) { return value(&now, id), UpdateOp })
					}
				}
			}()
			assert.True(t, old.allDie(), "%d of %d overwritten values are alive", old.alive(), len(old))
			assert.Equal(t, len(now), now.alive())
			require.NoError(t, m.Verify())
			runtime.KeepAlive(m)
		})
	}
}

// The map keeps the key that came first and does not keep equal ones that came later.
func TestKeysOfOverwritesDie(t *testing.T) {
	type key = struct{ s string }
	m := New[key, int]()
	var first, later mtWatched
	for id := range 50 {
		m.Store(mtStringValue(&first, id), id)
	}
	content := func(id int) key { // equal to the first key, elsewhere
		k := mtStringValue(&later, id)
		*later[len(later)-1].Value() = *first[id].Value()
		return k
	}
	for id := range 50 {
		m.Store(content(id), -id)
		m.Swap(content(id), -id)
		m.LoadOrStore(content(id), 7)
	}
	require.Equal(t, 50, m.Len())
	assert.True(t, later.allDie(), "%d of %d are alive", later.alive(), len(later))
	assert.Equal(t, len(first), first.alive())
	runtime.KeepAlive(m)
}

// A string key is copied: the map does not keep the caller's bytes, and later changes of them do it no harm.
func TestStringKeysAreCopied(t *testing.T) {
	type name string
	m := New[name, int]()
	var given mtWatched
	for id := range 50 {
		m.Store(name(mtStringKey(&given, id)), id)
	}
	assert.True(t, given.allDie(), "%d of %d are alive", given.alive(), len(given))
	require.NoError(t, m.Verify())

	content := []byte("mutable")
	m.Store(name(unsafe.String(&content[0], len(content))), 1)
	content[0] = 'x'
	_, ok := m.Load("mutable")
	assert.True(t, ok)
	require.NoError(t, m.Verify())
}
