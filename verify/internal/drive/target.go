// Package drive runs sessions: a few goroutines do random operations on few hot keys of one map, while the same
// goroutines, and a storm beside them, keep the map's table tiny and restless. What came back is checked against the
// sequential model of package history, and a number of simpler checks run beside it.
//
// This file is responsible for what a session needs of a map.
package drive

import (
	"github.com/hushmap/hushmap"

	"github.com/hushmap/hushmap/verify/internal/history"
)

// Target is a map under test. *hushmap.Map is one; so are the fakes with planted bugs.
type Target[K comparable, V any] interface {
	Load(K) (V, bool)
	Store(K, V)
	LoadOrStore(K, V) (V, bool)
	LoadAndDelete(K) (V, bool)
	Delete(K)
	Swap(K, V) (V, bool)
	CompareAndSwap(K, V, V) bool
	CompareAndDelete(K, V) bool
	Compute(K, func(V, bool) (V, hushmap.Op)) (V, bool)
	LoadOrCompute(K, func() (V, error)) (V, bool, error)
	Clear()

	Len() int
	Range(func(K, V) bool)
	DeleteFunc(func(K, V) bool) int
	Grow(int)
	Compact()
	Stats() hushmap.Stats
	Verify() error
}

// Partial is a target that lacks some of the operations.
type Partial interface{ Lacks(history.Kind) bool }

// Teller is a target with operations of its own for what others can only be asked indirectly.
type Teller[K comparable] interface {
	Has(K) bool
	Remove(K) bool
}

// has reports whether m has a value for key.
func has[K comparable, V any](m Target[K, V], key K) bool {
	switch m := m.(type) {
	case Teller[K]:
		return m.Has(key)
	case Batcher[K, V]:
		return m.LoadBatch([]K{key}, make([]V, 1), make([]bool, 1)) == 1
	}
	_, ok := m.Load(key)
	return ok
}

// remove deletes key from m and reports whether there was something.
func remove[K comparable, V any](m Target[K, V], key K) bool {
	switch m := m.(type) {
	case Teller[K]:
		return m.Remove(key)
	case Batcher[K, V]:
		return m.DeleteBatch([]K{key}) == 1
	}
	_, loaded := m.LoadAndDelete(key)
	return loaded
}

// lacks reports whether m lacks an operation.
func lacks(m any, k history.Kind) bool {
	p, ok := m.(Partial)
	return ok && p.Lacks(k)
}

// Maker makes the map of a session or an experiment.
type Maker[K comparable, V any] func(Plan) Target[K, V]

// Engine is a map type under test.
type Engine struct {
	Name         string
	Session      func(Plan) (Counts, *Finding)
	StoreBuffers func(rounds int) *Finding
	Lengths      func(rounds int) *Finding
	Announced    func(rounds int) *Finding
	Presence     func(h Hasher, rounds int) *Finding
	Once         func(rounds int) *Finding
	Bounded      func() *Finding
}

// NewEngine describes sessions and experiments on maps that newMap makes.
func NewEngine[K comparable, V any](keys KeyCodec[K], values ValueCodec[V], newMap Maker[K, V]) Engine {
	tryWith := func(p Plan, f func(s *session[K, V], done func())) *Finding {
		return experiment(p, keys, values, newMap, f)
	}
	try := func(f func(s *session[K, V], done func())) *Finding { return tryWith(Plan{}, f) }
	return Engine{
		Name:    keys.Name + " to " + values.Name,
		Session: func(p Plan) (Counts, *Finding) { return run(p, keys, values, newMap) },
		StoreBuffers: func(rounds int) *Finding {
			return try(func(s *session[K, V], done func()) { s.storeBuffers(rounds, done) })
		},
		Lengths: func(rounds int) *Finding {
			return try(func(s *session[K, V], done func()) { s.lengths(rounds, done) })
		},
		Announced: func(rounds int) *Finding {
			return try(func(s *session[K, V], done func()) { s.announced(rounds, done) })
		},
		Presence: func(h Hasher, rounds int) *Finding {
			p := Plan{Hasher: h, Seed: uint64(rounds)}
			return tryWith(p, func(s *session[K, V], done func()) { s.presence(rounds, done) })
		},
		Once: func(rounds int) *Finding {
			return try(func(s *session[K, V], done func()) { s.once(rounds, done) })
		},
		Bounded: func() *Finding {
			return try(func(s *session[K, V], done func()) { s.bounded(done) })
		},
	}
}

// Hush describes sessions and experiments on hushmap itself. Every instance takes seconds to compile.
func Hush[K comparable, V any](keys KeyCodec[K], values ValueCodec[V]) Engine {
	return NewEngine(keys, values, func(p Plan) Target[K, V] {
		return hushmap.New[K, V](hasher[K](p)...)
	})
}
