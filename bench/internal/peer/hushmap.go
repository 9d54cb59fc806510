package peer

import "github.com/hushmap/hushmap"

var hushmapImpl = Impl{
	Name:       Subject,
	Module:     "github.com/hushmap/hushmap",
	Concurrent: true,
	Remark:     "embed uses Map[string, []byte], one heap object per value",
	Uint64:     bindHushmapUint64,
	String:     bindHushmapString,
	Any:        bindHushmapAny,
	Bytes: func(n, _ int) Bytes {
		m := hushmap.New[string, []byte](hushmap.WithCapacity(n))
		return hushMapBytes{mapBytes[hushMap[string, []byte]]{hushMap[string, []byte]{m}}}
	},
}

type hushMap[K comparable, V any] struct{ m *hushmap.Map[K, V] }

func newHushmap[K comparable, V any]() hushMap[K, V] { return hushMap[K, V]{hushmap.New[K, V]()} }

func (a hushMap[K, V]) Load(k K) (V, bool)             { return a.m.Load(k) }
func (a hushMap[K, V]) Store(k K, v V)                 { a.m.Store(k, v) }
func (a hushMap[K, V]) Delete(k K)                     { a.m.Delete(k) }
func (a hushMap[K, V]) LoadOrStore(k K, v V) (V, bool) { return a.m.LoadOrStore(k, v) }
func (a hushMap[K, V]) Range(fn func(K, V) bool)       { a.m.Range(fn) }
func (a hushMap[K, V]) Len() int                       { return a.m.Len() }
func (a hushMap[K, V]) Compact()                       { a.m.Compact() }
func (a hushMap[K, V]) MappedBytes() uint64            { return a.m.Stats().MappedBytes }
