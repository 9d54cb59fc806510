//go:build hushmap_invariants

package hushmap

import (
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every operation is stopped at every step of the protocol that it takes, with an address in the table in hand. Then
// the map drops the table, and the collector takes what nobody can reach. The operation goes on in memory that is there
// still: that is what its runtime.KeepAlive is for, and without it the next access faults.
func TestOperationsKeepTheirTable(t *testing.T) {
	tnNeedMapping(t)
	tnStopEverywhere(t, "word", func() *Map[uint64, uint64] {
		m := New[uint64, uint64](mapEverything)
		tnFill(m, 0, 20)
		return m
	}, func(i int) uint64 { return uint64(i) }, 0)
	tnStopEverywhere(t, "wide", func() *Map[[2]uint64, [3]uint64] {
		m := New[[2]uint64, [3]uint64](mapEverything)
		for i := range uint64(20) {
			m.Store([2]uint64{i, i}, [3]uint64{})
		}
		return m
	}, func(i int) [2]uint64 { return [2]uint64{uint64(i), uint64(i)} }, [3]uint64{})
	tnStopEverywhere(t, "string", func() *Map[string, int] {
		m := New[string, int](mapEverything)
		for i := range 20 {
			m.Store(fmt.Sprint(i), i)
		}
		return m
	}, func(i int) string { return fmt.Sprint(i) }, 0)
	tnStopEverywhere(t, "one home", func() *Map[int, int] { // displaced entries, with overflow counts to lower
		m := New[int, int](mapEverything, WithHasher(ftConstantHash))
		for i := range 20 {
			m.Store(i, i)
		}
		return m
	}, func(i int) int { return i }, 0)
	tnStopEverywhere(t, "batch", func() *Map[uint64, uint64] {
		m := New[uint64, uint64](withTuning(func(tu *tuning) { tu.mapFrom, tu.farFrom = 1, 1 }))
		tnFill(m, 0, 20)
		return m
	}, func(i int) uint64 { return uint64(i) }, 0)
}

// tnOperations are operations on a map that has the keys of 0 to 19.
func tnOperations[K comparable, V any](key func(int) K, value V) map[string]func(m *Map[K, V]) {
	batch := make([]K, 24)
	for i := range batch {
		batch[i] = key(i)
	}
	return map[string]func(m *Map[K, V]){
		"Load hit":           func(m *Map[K, V]) { m.Load(key(19)) },
		"Load miss":          func(m *Map[K, V]) { m.Load(key(77)) },
		"Store over":         func(m *Map[K, V]) { m.Store(key(19), value) },
		"Store new":          func(m *Map[K, V]) { m.Store(key(77), value) },
		"Swap":               func(m *Map[K, V]) { m.Swap(key(19), value) },
		"LoadOrStore loaded": func(m *Map[K, V]) { m.LoadOrStore(key(19), value) },
		"LoadAndDelete":      func(m *Map[K, V]) { m.LoadAndDelete(key(3)) },
		"Delete of none":     func(m *Map[K, V]) { m.Delete(key(77)) },
		"Compute":            func(m *Map[K, V]) { m.Compute(key(3), func(v V, _ bool) (V, Op) { return v, UpdateOp }) },
		"CompareAndSwap":     func(m *Map[K, V]) { m.CompareAndSwap(key(3), value, value) },
		"Range":              func(m *Map[K, V]) { m.Range(func(K, V) bool { return true }) },
		"DeleteFunc":         func(m *Map[K, V]) { m.DeleteFunc(func(K, V) bool { return true }) },
		"Stats":              func(m *Map[K, V]) { m.Stats() },
		"Verify":             func(m *Map[K, V]) { _ = m.Verify() },
		"Grow":               func(m *Map[K, V]) { m.Grow(8 * m.Stats().Buckets) },
		"Load, growing":      func(m *Map[K, V]) { tnStartGrowth(m); m.Load(key(19)) },
		"Store, growing":     func(m *Map[K, V]) { tnStartGrowth(m); m.Store(key(77), value) },
		"Range, growing":     func(m *Map[K, V]) { tnStartGrowth(m); m.Range(func(K, V) bool { return true }) },
		"Stats, growing":     func(m *Map[K, V]) { tnStartGrowth(m); m.Stats() },
		"LoadBatch":          func(m *Map[K, V]) { m.LoadBatch(batch, make([]V, len(batch)), make([]bool, len(batch))) },
		"StoreBatch":         func(m *Map[K, V]) { m.StoreBatch(batch, make([]V, len(batch))) },
		"DeleteBatch":        func(m *Map[K, V]) { m.DeleteBatch(batch) },
	}
}

// tnStartGrowth publishes a larger table and moves nothing.
func tnStartGrowth[K comparable, V any](m *Map[K, V]) {
	c := &m.core
	rm := c.read.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resizeLocked(rm, 2*rm.buckets(), rm.seed, rm.traits)
}

// tnStopEverywhere runs each operation once for each step that it takes: the first and the last time it takes it.
func tnStopEverywhere[K comparable, V any](t *testing.T, name string, make func() *Map[K, V], key func(int) K, value V) {
	operations := tnOperations(key, value)
	for _, operation := range slices.Sorted(maps.Keys(operations)) {
		operate := operations[operation]
		t.Run(name+"/"+operation, func(t *testing.T) {
			counts := tnCountSteps(func() func() { m := make(); return func() { operate(m) } }())
			for s, n := range counts {
				if s == int(stepPublished) || s == int(stepTableMade) || n == 0 {
					continue // the lock of transitions is held
				}
				tnStopAt(t, make(), operate, protocolStep(s), 1)
				if n > 1 {
					tnStopAt(t, make(), operate, protocolStep(s), n)
				}
			}
		})
	}
}

func tnCountSteps(f func()) []uint64 {
	before := mtStepCounts()
	f()
	counts := mtStepCounts()
	for i := range counts {
		counts[i] -= before[i]
	}
	return counts
}

// tnStopAt stops an operation when it takes a step for the nth time, has the map drop its tables, collects, and lets the
// operation go on. Seeds are random, so it may take the step less often this time.
func tnStopAt[K comparable, V any](t *testing.T, m *Map[K, V], operate func(*Map[K, V]), at protocolStep, nth uint64) {
	t.Helper()
	var taken atomic.Uint64
	stopped, goOn, done := make(chan struct{}), make(chan struct{}), make(chan any, 1)
	hook := func(s protocolStep) {
		if s == at && taken.Add(1) == nth {
			stopped <- struct{}{}
			<-goOn
		}
	}
	stepHook.Store(&hook)
	defer stepHook.Store(nil)
	go func() {
		debug.SetPanicOnFault(true)
		done <- ftPanic(func() { operate(m) })
	}()
	select {
	case <-stopped:
		stepHook.Store(nil)
		m.Clear()
		tnCleanups(t)
		goOn <- struct{}{}
		require.Nil(t, <-done, "step %d, time %d", at, nth)
	case p := <-done:
		require.Nil(t, p)
	}
	runtime.KeepAlive(m)
}

// After all that no mapping is left behind: what kept the tables alive did so only for the time of the operation.
func TestOperationsLetTheirTableGo(t *testing.T) {
	tnNeedMapping(t)
	start := tnMapped(t)
	for _, operate := range tnOperations(func(i int) uint64 { return uint64(i) }, uint64(0)) {
		m := New[uint64, uint64](mapEverything)
		tnFill(m, 0, 20)
		tnStopAt(t, m, operate, stepLocked, 1)
		m.Clear()
		tnReturnsTo(t, start)
		runtime.KeepAlive(m)
	}
}
