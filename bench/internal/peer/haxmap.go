package peer

import "github.com/alphadose/haxmap"

var haxmapImpl = Impl{
	Name:       "haxmap",
	Module:     "github.com/alphadose/haxmap",
	Concurrent: true,
	Remark:     "holds no any keys",
	Uint64:     bindHaxmapUint64,
	String:     bindHaxmapString,
	Bytes: func(n, _ int) Bytes {
		return mapBytes[haxMap[string, []byte]]{newHaxmap[string, []byte](uintptr(n))}
	},
}

type haxMap[K uint64 | string, V any] struct{ m *haxmap.Map[K, V] }

func newHaxmap[K uint64 | string, V any](size ...uintptr) haxMap[K, V] {
	return haxMap[K, V]{haxmap.New[K, V](size...)}
}

func (a haxMap[K, V]) Load(k K) (V, bool)             { return a.m.Get(k) }
func (a haxMap[K, V]) Store(k K, v V)                 { a.m.Set(k, v) }
func (a haxMap[K, V]) Delete(k K)                     { a.m.Del(k) }
func (a haxMap[K, V]) LoadOrStore(k K, v V) (V, bool) { return a.m.GetOrSet(k, v) }
func (a haxMap[K, V]) Range(fn func(K, V) bool)       { a.m.ForEach(fn) }
func (a haxMap[K, V]) Len() int                       { return int(a.m.Len()) }
