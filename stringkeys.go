// This file is responsible for lookups and changes of string keys that the caller has as bytes. No string is made of
// them: a key that is found was copied when it came, and one that comes is copied now.

package hushmap

import (
	"unsafe"

	"github.com/hushmap/hushmap/internal/hash"
)

// LoadBytes is m.Load(K(key)) without the conversion, which would allocate a string. key must not change while the call
// runs.
//
// Complexity, blocking, ordering: as Load, and it allocates no more than that does.
func LoadBytes[K ~string, V any](m *Map[K, V], key []byte) (value V, ok bool) {
	return m.Load(borrowed[K](key))
}

// StoreBytes is m.Store(K(key), value) without the conversion. The map copies a new key; key may change afterwards, but
// must not while the call runs.
//
// Complexity: as Store; no allocation besides what the map needs. Blocking, ordering: as Store.
func StoreBytes[K ~string, V any](m *Map[K, V], key []byte, value V) {
	m.Store(borrowed[K](key), value)
}

// LoadOrStoreBytes is m.LoadOrStore(K(key), value) without the conversion; see [StoreBytes].
func LoadOrStoreBytes[K ~string, V any](m *Map[K, V], key []byte, value V) (actual V, loaded bool) {
	return m.LoadOrStore(borrowed[K](key), value)
}

// SwapBytes is m.Swap(K(key), value) without the conversion; see [StoreBytes].
func SwapBytes[K ~string, V any](m *Map[K, V], key []byte, value V) (previous V, loaded bool) {
	return m.Swap(borrowed[K](key), value)
}

// DeleteBytes is m.Delete(K(key)) without the conversion; see [LoadBytes].
func DeleteBytes[K ~string, V any](m *Map[K, V], key []byte) {
	m.Delete(borrowed[K](key))
}

// LoadAndDeleteBytes is m.LoadAndDelete(K(key)) without the conversion; see [LoadBytes].
func LoadAndDeleteBytes[K ~string, V any](m *Map[K, V], key []byte) (value V, loaded bool) {
	return m.LoadAndDelete(borrowed[K](key))
}

// borrowed returns b as a string for as long as the caller's call runs. Whoever gets it keeps nothing of it. The compiler must not
// know whose bytes the string has: it takes it that some of borrowed's callers keep them, and would have every caller's buffer
// on the heap.
func borrowed[K ~string](b []byte) K {
	return K(unsafe.String((*byte)(hash.NoEscape(unsafe.Pointer(unsafe.SliceData(b)))), len(b)))
}
