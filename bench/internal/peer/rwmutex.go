package peer

import "sync"

var rwMutexImpl = Impl{
	Name:       "rwmutex",
	Concurrent: true,
	Remark:     "the built-in map behind one sync.RWMutex",
	Uint64:     bindRWMutexUint64,
	String:     bindRWMutexString,
	Any:        bindRWMutexAny,
	Bytes:      func(n, _ int) Bytes { return mapBytes[rwMutexMap[string, []byte]]{sizedRWMutex[string, []byte](n)} },
}

type rwMutexMap[K comparable, V any] struct{ *lockedMap[K, V] }

// lockedMap is a built-in map and its lock.
type lockedMap[K comparable, V any] struct {
	mu sync.RWMutex
	m  map[K]V
}

func newRWMutex[K comparable, V any]() rwMutexMap[K, V] { return sizedRWMutex[K, V](0) }

func sizedRWMutex[K comparable, V any](n int) rwMutexMap[K, V] {
	return rwMutexMap[K, V]{&lockedMap[K, V]{m: make(map[K]V, n)}}
}

func (a *lockedMap[K, V]) Load(k K) (V, bool) {
	a.mu.RLock()
	v, ok := a.m[k]
	a.mu.RUnlock()
	return v, ok
}

func (a *lockedMap[K, V]) Store(k K, v V) {
	a.mu.Lock()
	a.m[k] = v
	a.mu.Unlock()
}

func (a *lockedMap[K, V]) Delete(k K) {
	a.mu.Lock()
	delete(a.m, k)
	a.mu.Unlock()
}

func (a *lockedMap[K, V]) LoadOrStore(k K, v V) (V, bool) {
	a.mu.RLock()
	actual, ok := a.m[k]
	a.mu.RUnlock()
	if ok {
		return actual, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if actual, ok := a.m[k]; ok {
		return actual, true
	}
	a.m[k] = v
	return v, false
}

func (a *lockedMap[K, V]) Range(fn func(K, V) bool) { a.rangeUntil(fn) }

// rangeUntil says whether fn saw every entry.
func (a *lockedMap[K, V]) rangeUntil(fn func(K, V) bool) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for k, v := range a.m {
		if !fn(k, v) {
			return false
		}
	}
	return true
}

func (a *lockedMap[K, V]) Len() int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return len(a.m)
}
