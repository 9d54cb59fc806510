package peer

var builtinImpl = Impl{
	Name:   "builtin",
	Remark: "the built-in map without a lock: a reference, for one goroutine or reads only; not a concurrent peer",
	Uint64: bindBuiltinUint64,
	String: bindBuiltinString,
	Any:    bindBuiltinAny,
	Bytes:  func(n, _ int) Bytes { return mapBytes[builtinMap[string, []byte]]{sizedBuiltin[string, []byte](n)} },
}

type builtinMap[K comparable, V any] struct{ m map[K]V }

func newBuiltin[K comparable, V any]() builtinMap[K, V] { return sizedBuiltin[K, V](0) }

func sizedBuiltin[K comparable, V any](n int) builtinMap[K, V] {
	return builtinMap[K, V]{make(map[K]V, n)}
}

func (a builtinMap[K, V]) Load(k K) (V, bool) {
	v, ok := a.m[k]
	return v, ok
}

func (a builtinMap[K, V]) Store(k K, v V) { a.m[k] = v }
func (a builtinMap[K, V]) Delete(k K)     { delete(a.m, k) }

func (a builtinMap[K, V]) LoadOrStore(k K, v V) (V, bool) {
	if actual, ok := a.m[k]; ok {
		return actual, true
	}
	a.m[k] = v
	return v, false
}

func (a builtinMap[K, V]) Range(fn func(K, V) bool) {
	for k, v := range a.m {
		if !fn(k, v) {
			return
		}
	}
}

func (a builtinMap[K, V]) Len() int { return len(a.m) }
