// This file lets tests run over many types without being compiled for each of them: a view of a Map[K, V] whose
// methods take and return keys and values as any.

package hushmap

import (
	"hash/maphash"
	"reflect"
)

// stView has the methods of a Map[K, V], with any in the place of K and V, and looks inside.
type stView interface {
	stSyncMap
	All(func(key, value any) bool)
	Keys(func(key any) bool)
	Values(func(value any) bool)
	Len() int
	Compute(key any, f func(old any, loaded bool) (any, Op)) (any, bool)
	LoadOrCompute(key any, f func() (any, error)) (any, bool, error)
	DeleteFunc(f func(key, value any) bool) int
	LoadBatch(keys, values []any, found []bool) int
	StoreBatch(keys, values []any)
	DeleteBatch(keys []any) int
	Grow(n int)
	Compact()
	Stats() Stats
	Verify() error

	tuning() tuning
	hash(key any) uint64 // under the seed of the current table
	home(key any) uint64
	controls() []control
	hasPointers() bool // slots have
}

// stTypes makes maps of one pair of types.
type stTypes struct {
	key, value reflect.Type
	new        func(opts ...Option) stView
	hasher     func(f func(key any) uint64) Option // WithHasher
	zero       any                                 // of V
}

// stTypesOf returns the stTypes of K and V.
func stTypesOf[K comparable, V any]() stTypes {
	return stTypes{
		key: reflect.TypeFor[K](), value: reflect.TypeFor[V](), zero: *new(V),
		new: func(opts ...Option) stView { return &stTyped[K, V]{New[K, V](opts...)} },
		hasher: func(f func(key any) uint64) Option {
			return WithHasher(func(key K, _ uint64) uint64 { return f(key) })
		},
	}
}

// stAs is x.(T), and nil for an interface type T if x is nil.
func stAs[T any](x any) T {
	t, _ := x.(T)
	return t
}

// stAll is stAs for every element.
func stAll[T any](xs []any) []T {
	all := make([]T, len(xs))
	for i, x := range xs {
		all[i] = stAs[T](x)
	}
	return all
}

type stTyped[K comparable, V any] struct{ m *Map[K, V] }

func (s *stTyped[K, V]) Load(key any) (any, bool) { return stPair(s.m.Load(stAs[K](key))) }
func (s *stTyped[K, V]) Store(key, value any)     { s.m.Store(stAs[K](key), stAs[V](value)) }
func (s *stTyped[K, V]) LoadOrStore(key, value any) (any, bool) {
	return stPair(s.m.LoadOrStore(stAs[K](key), stAs[V](value)))
}
func (s *stTyped[K, V]) LoadAndDelete(key any) (any, bool) {
	return stPair(s.m.LoadAndDelete(stAs[K](key)))
}
func (s *stTyped[K, V]) Delete(key any) { s.m.Delete(stAs[K](key)) }
func (s *stTyped[K, V]) Swap(key, value any) (any, bool) {
	return stPair(s.m.Swap(stAs[K](key), stAs[V](value)))
}
func (s *stTyped[K, V]) CompareAndSwap(key, old, new any) bool {
	return s.m.CompareAndSwap(stAs[K](key), stAs[V](old), stAs[V](new))
}
func (s *stTyped[K, V]) CompareAndDelete(key, old any) bool {
	return s.m.CompareAndDelete(stAs[K](key), stAs[V](old))
}
func (s *stTyped[K, V]) Range(f func(key, value any) bool) {
	s.m.Range(func(k K, v V) bool { return f(k, v) })
}
func (s *stTyped[K, V]) All(f func(key, value any) bool) {
	for k, v := range s.m.All() {
		if !f(k, v) {
			break
		}
	}
}
func (s *stTyped[K, V]) Keys(f func(key any) bool) {
	for k := range s.m.Keys() {
		if !f(k) {
			break
		}
	}
}
func (s *stTyped[K, V]) Values(f func(value any) bool) {
	for v := range s.m.Values() {
		if !f(v) {
			break
		}
	}
}
func (s *stTyped[K, V]) Clear()        { s.m.Clear() }
func (s *stTyped[K, V]) Len() int      { return s.m.Len() }
func (s *stTyped[K, V]) Grow(n int)    { s.m.Grow(n) }
func (s *stTyped[K, V]) Compact()      { s.m.Compact() }
func (s *stTyped[K, V]) Stats() Stats  { return s.m.Stats() }
func (s *stTyped[K, V]) Verify() error { return s.m.Verify() }
func (s *stTyped[K, V]) Compute(key any, f func(old any, loaded bool) (any, Op)) (any, bool) {
	return stPair(s.m.Compute(stAs[K](key), func(old V, loaded bool) (V, Op) {
		value, op := f(old, loaded)
		return stAs[V](value), op
	}))
}
func (s *stTyped[K, V]) LoadOrCompute(key any, f func() (any, error)) (any, bool, error) {
	value, loaded, err := s.m.LoadOrCompute(stAs[K](key), func() (V, error) {
		value, err := f()
		return stAs[V](value), err
	})
	return value, loaded, err
}
func (s *stTyped[K, V]) DeleteFunc(f func(key, value any) bool) int {
	return s.m.DeleteFunc(func(k K, v V) bool { return f(k, v) })
}
func (s *stTyped[K, V]) LoadBatch(keys, values []any, found []bool) int {
	vs := make([]V, len(values))
	n := s.m.LoadBatch(stAll[K](keys), vs, found)
	for i, v := range vs {
		values[i] = v
	}
	return n
}
func (s *stTyped[K, V]) StoreBatch(keys, values []any) {
	s.m.StoreBatch(stAll[K](keys), stAll[V](values))
}
func (s *stTyped[K, V]) DeleteBatch(keys []any) int { return s.m.DeleteBatch(stAll[K](keys)) }

func (s *stTyped[K, V]) tuning() tuning { return s.m.core.options().tuning }
func (s *stTyped[K, V]) hash(key any) uint64 {
	return s.m.core.read.Load().hash(stAs[K](key))
}
func (s *stTyped[K, V]) home(key any) uint64 {
	return s.m.core.read.Load().home(s.hash(key))
}
func (s *stTyped[K, V]) controls() (all []control) {
	rm := s.m.core.read.Load()
	for i := range rm.buckets() {
		all = append(all, rm.bucket(i).observe())
	}
	return all
}

func (s *stTyped[K, V]) hasPointers() bool { return s.m.core.read.Load().traits.hasPointers }

func stPair[V any](value V, ok bool) (any, bool) { return value, ok }

// stTuned makes a map with other tuning than the default, so that rare paths become common.
func stTuned(tn tuning) Option {
	return Option{func(s *settings) { s.tuning = tn }}
}

// stFixedSeed is for hashers that tests make up.
var stFixedSeed = maphash.MakeSeed()
