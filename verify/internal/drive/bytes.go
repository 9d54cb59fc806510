// This file is responsible for maps whose methods take bytes: hushmap.Bytes, and the functions for a Map with string
// keys. Every slice that such a method was given is overwritten when it has returned, as its caller may do.

package drive

import (
	"github.com/hushmap/hushmap"

	"github.com/hushmap/hushmap/verify/internal/history"
)

// HushBytes describes sessions and experiments on hushmap.Bytes.
func HushBytes() Engine {
	e := NewEngine(Strings, Lines, func(p Plan) Target[string, string] {
		return &bytesMap{Bytes: hushmap.NewBytes(hasher[string](p)...)}
	})
	e.Name = "Bytes"
	return e
}

// HushStrings is Hush for string keys; in every other session they are given as bytes.
func HushStrings[V any](values ValueCodec[V]) Engine {
	return NewEngine(Strings, values, func(p Plan) Target[string, V] {
		m := hushmap.New[string, V](hasher[string](p)...)
		if p.Seed%2 == 0 {
			return &byBytes[V]{m}
		}
		return m
	})
}

// lent is a slice that is overwritten when it is given back.
type lent []byte

func lend(s string) lent { return lent(s) }

func (b lent) back() {
	for i := range b {
		b[i] = '!'
	}
}

// byBytes is a Map whose keys come as bytes.
type byBytes[V any] struct{ *hushmap.Map[string, V] }

func (m *byBytes[V]) Load(key string) (V, bool) {
	k := lend(key)
	defer k.back()
	return hushmap.LoadBytes(m.Map, k)
}

func (m *byBytes[V]) Store(key string, value V) {
	k := lend(key)
	defer k.back()
	hushmap.StoreBytes(m.Map, k, value)
}

func (m *byBytes[V]) LoadOrStore(key string, value V) (V, bool) {
	k := lend(key)
	defer k.back()
	return hushmap.LoadOrStoreBytes(m.Map, k, value)
}

func (m *byBytes[V]) Swap(key string, value V) (V, bool) {
	k := lend(key)
	defer k.back()
	return hushmap.SwapBytes(m.Map, k, value)
}

func (m *byBytes[V]) Delete(key string) {
	k := lend(key)
	defer k.back()
	hushmap.DeleteBytes(m.Map, k)
}

func (m *byBytes[V]) LoadAndDelete(key string) (V, bool) {
	k := lend(key)
	defer k.back()
	return hushmap.LoadAndDeleteBytes(m.Map, k)
}

// bytesMap is a Bytes as a map from string to string. What a Bytes has no method for is put together from several, and
// not used where others write the same key.
type bytesMap struct{ *hushmap.Bytes }

// Lacks reports whether the operation is not one.
func (m *bytesMap) Lacks(k history.Kind) bool {
	switch k {
	case history.Load, history.Store, history.LoadOrStore, history.Delete, history.CompareAndSwap, history.Has,
		history.DeleteOK, history.Clear:
		return false
	}
	return true
}

// Load asks for the value behind something that must stay.
func (m *bytesMap) Load(key string) (string, bool) {
	k := lend(key)
	defer k.back()
	const before = "before:"
	v, ok := m.GetB([]byte(before), k)
	if len(v) < len(before) || string(v[:len(before)]) != before {
		panic("GetB changed what was in dst before")
	}
	return string(v[len(before):]), ok
}

func (m *bytesMap) Has(key string) bool {
	k := lend(key)
	defer k.back()
	return m.HasB(k)
}

func (m *bytesMap) Remove(key string) bool { return m.Bytes.Delete(key) }

func (m *bytesMap) Delete(key string) {
	k := lend(key)
	defer k.back()
	m.DeleteB(k)
}

func (m *bytesMap) Store(key, value string) {
	k, v := lend(key), lend(value)
	defer k.back()
	defer v.back()
	m.SetB(k, v)
}

func (m *bytesMap) LoadOrStore(key, value string) (string, bool) {
	k, v := lend(key), lend(value)
	defer k.back()
	defer v.back()
	actual, loaded := m.LoadOrStoreB(nil, k, v)
	return string(actual), loaded
}

func (m *bytesMap) CompareAndSwap(key, old, new string) bool {
	k, o, n := lend(key), lend(old), lend(new)
	defer k.back()
	defer o.back()
	defer n.back()
	return m.CompareAndSwapB(k, o, n)
}

func (m *bytesMap) Range(f func(key, value string) bool) {
	m.Bytes.Range(func(key string, value []byte) bool { return f(key, string(value)) })
}

// Swap, LoadAndDelete and DeleteFunc are for keys that only the caller writes.

func (m *bytesMap) Swap(key, value string) (string, bool) {
	old, loaded := m.Get(nil, key)
	m.Set(key, []byte(value))
	return string(old), loaded
}

func (m *bytesMap) LoadAndDelete(key string) (string, bool) {
	old, _ := m.Get(nil, key)
	return string(old), m.Bytes.Delete(key)
}

func (m *bytesMap) DeleteFunc(fn func(key, value string) bool) (deleted int) {
	for key, value := range m.All() {
		if fn(key, string(value)) && m.Bytes.Delete(key) {
			deleted++
		}
	}
	return deleted
}

func (m *bytesMap) CompareAndDelete(string, string) bool { panic("a Bytes has no CompareAndDelete") }

func (m *bytesMap) Compute(string, func(string, bool) (string, hushmap.Op)) (string, bool) {
	panic("a Bytes has no Compute")
}

func (m *bytesMap) LoadOrCompute(string, func() (string, error)) (string, bool, error) {
	panic("a Bytes has no LoadOrCompute")
}
