package peer

import "github.com/puzpuzpuz/xsync/v4"

var xsyncImpl = Impl{
	Name:       "xsync",
	Module:     "github.com/puzpuzpuz/xsync/v4",
	Concurrent: true,
	Uint64:     bindXsyncUint64,
	String:     bindXsyncString,
	Any:        bindXsyncAny,
	Bytes: func(n, _ int) Bytes {
		return mapBytes[xsyncMap[string, []byte]]{newXsync[string, []byte](xsync.WithPresize(n))}
	},
}

type xsyncMap[K comparable, V any] struct{ m *xsync.Map[K, V] }

func newXsync[K comparable, V any](opts ...func(*xsync.MapConfig)) xsyncMap[K, V] {
	return xsyncMap[K, V]{xsync.NewMap[K, V](opts...)}
}

func (a xsyncMap[K, V]) Load(k K) (V, bool)             { return a.m.Load(k) }
func (a xsyncMap[K, V]) Store(k K, v V)                 { a.m.Store(k, v) }
func (a xsyncMap[K, V]) Delete(k K)                     { a.m.Delete(k) }
func (a xsyncMap[K, V]) LoadOrStore(k K, v V) (V, bool) { return a.m.LoadOrStore(k, v) }
func (a xsyncMap[K, V]) Range(fn func(K, V) bool)       { a.m.Range(fn) }
func (a xsyncMap[K, V]) Len() int                       { return a.m.Size() }
