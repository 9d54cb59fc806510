package peer

import (
	"hash/maphash"

	cmap "github.com/orcaman/concurrent-map/v2"
)

var cmapImpl = Impl{
	Name:       "cmap",
	Module:     "github.com/orcaman/concurrent-map/v2",
	Concurrent: true,
	Remark:     "orcaman/concurrent-map; its own FNV for strings, maphash as the sharding function of other keys",
	Uint64:     bindCmapUint64,
	String:     bindCmapString,
	Any:        bindCmapAny,
	Bytes:      func(int, int) Bytes { return mapBytes[cmapMap[string, []byte]]{newCmap[string, []byte]()} },
}

type cmapMap[K comparable, V any] struct{ m cmap.ConcurrentMap[K, V] }

func newCmap[K comparable, V any]() cmapMap[K, V] {
	if m, ok := any(cmap.New[V]()).(cmap.ConcurrentMap[K, V]); ok { // K is string
		return cmapMap[K, V]{m}
	}
	seed := maphash.MakeSeed()
	return cmapMap[K, V]{cmap.NewWithCustomShardingFunction[K, V](func(k K) uint32 {
		return uint32(maphash.Comparable(seed, k))
	})}
}

func (a cmapMap[K, V]) Load(k K) (V, bool) { return a.m.Get(k) }
func (a cmapMap[K, V]) Store(k K, v V)     { a.m.Set(k, v) }
func (a cmapMap[K, V]) Delete(k K)         { a.m.Remove(k) }

// LoadOrStore reads first, as most calls find their key. Between a lost SetIfAbsent and the second Get the key
// may be deleted, so it goes round again.
func (a cmapMap[K, V]) LoadOrStore(k K, v V) (V, bool) {
	for {
		if actual, ok := a.m.Get(k); ok {
			return actual, true
		}
		if a.m.SetIfAbsent(k, v) {
			return v, false
		}
	}
}

// Range cannot stop early: IterCb has no way to say so.
func (a cmapMap[K, V]) Range(fn func(K, V) bool) {
	more := true
	a.m.IterCb(func(k K, v V) { more = more && fn(k, v) })
}

func (a cmapMap[K, V]) Len() int { return a.m.Count() }
