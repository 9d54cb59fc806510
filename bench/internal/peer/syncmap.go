package peer

import "sync"

var syncMapImpl = Impl{
	Name:       "sync.Map",
	Concurrent: true,
	Uint64:     bindSyncMapUint64,
	String:     bindSyncMapString,
	Any:        bindSyncMapAny,
	Bytes:      func(int, int) Bytes { return mapBytes[syncMap[string, []byte]]{newSyncMap[string, []byte]()} },
}

// syncMap converts to and from any where K and V are not any already: that is how sync.Map is used with such keys,
// and the boxes it needs are part of its price.
type syncMap[K comparable, V any] struct{ m *sync.Map }

func newSyncMap[K comparable, V any]() syncMap[K, V] { return syncMap[K, V]{new(sync.Map)} }

func (a syncMap[K, V]) Load(k K) (V, bool) {
	v, ok := a.m.Load(k)
	if !ok {
		var zero V
		return zero, false
	}
	return v.(V), true
}

func (a syncMap[K, V]) Store(k K, v V) { a.m.Store(k, v) }
func (a syncMap[K, V]) Delete(k K)     { a.m.Delete(k) }

func (a syncMap[K, V]) LoadOrStore(k K, v V) (V, bool) {
	actual, loaded := a.m.LoadOrStore(k, v)
	return actual.(V), loaded
}

func (a syncMap[K, V]) Range(fn func(K, V) bool) {
	a.m.Range(func(k, v any) bool { return fn(k.(K), v.(V)) })
}

// Len counts: sync.Map has no length.
func (a syncMap[K, V]) Len() int {
	n := 0
	a.m.Range(func(any, any) bool { n++; return true })
	return n
}
