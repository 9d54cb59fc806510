//go:build hushmap_invariants && !race

package hushmap

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/internal/mem"
)

// At each step of an operation in turn the map is cleared and garbage collected, so that nothing but the operation itself
// keeps the tables that it looks into. If it does not, they are unmapped under it, and its next look is a fault.
func TestAttackUnmapUnderOperation(t *testing.T) {
	if !mem.CanMap {
		t.Skip("tables are on the Go heap here")
	}
	t.Run("uint64,uint64", func(t *testing.T) {
		auMap(t, func(i int) uint64 { return uint64(i) }, func(n int) uint64 { return uint64(n) })
	})
	t.Run("string,wide", func(t *testing.T) {
		auMap(t, func(i int) string { return fmt.Sprint("key ", i) }, func(n int) atWide { return atWideOf(uint64(n)) })
	})
	t.Run("float64,nothing", func(t *testing.T) {
		auMap(t, func(i int) float64 {
			if i == 2 {
				return math.NaN()
			}
			return float64(i)
		}, func(int) struct{} { return struct{}{} })
	})
	t.Run("Bytes", auBytes)
}

// auAt runs op on what fill makes, once per step of it or for some of many.
func auAt[M any](t *testing.T, name string, fill func() (m *M, c interface{ auDrop() }), op func(m *M)) {
	t.Helper()
	defer stepHook.Store(nil)
	most := 3
	if os.Getenv("HUSHMAP_SOAK") != "" {
		most = 40
	}
	run := func(at int) (steps int) {
		m, c := fill()
		dropped := false
		hook := func(protocolStep) {
			if steps == at && !dropped {
				dropped = true
				c.auDrop()
				auCollect()
			}
			steps++
		}
		stepHook.Store(&hook)
		defer stepHook.Store(nil)
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		p := ftPanic(func() { op(m) })
		assert.Nil(t, p, "%s: the table was dropped at step %d of it", name, at)
		return steps
	}
	n := run(-1)
	for i := range min(n, most) {
		if run((2*i + 1) * n / (2 * min(n, most))); t.Failed() {
			return
		}
	}
}

// auCollect collects garbage and waits until what is found has been cleaned up.
func auCollect() {
	done := make(chan struct{})
	runtime.AddCleanup(new([64]byte), func(done chan struct{}) { close(done) }, done)
	runtime.GC()
	<-done
}

// auDrop is Clear, unless it would wait for the operation that it is called from.
func (c *core[K, V]) auDrop() {
	if c.mu.TryLock() {
		c.read.Store(nil)
		c.mu.Unlock()
	}
}

func auMap[K, V comparable](t *testing.T, key func(int) K, value func(int) V) {
	const n = 20
	for name, opts := range map[string][]Option{
		"spread":  {atTables()},
		"crowded": {atTables(), WithHasher(func(k K, _ uint64) uint64 { return 1 })},
		"near":    {withTuning(func(tu *tuning) { ftOneBucket(tu); tu.mapFrom, tu.waste, tu.farFrom = 1, 1, 1 })},
	} {
		fill := func() (*Map[K, V], interface{ auDrop() }) {
			m := New[K, V](opts...)
			for i := range n {
				m.Store(key(i), value(i))
			}
			m.core.settle()
			require.NotZero(t, m.Stats().MappedBytes)
			return m, &m.core
		}
		for when, grow := range map[string]bool{"at rest": false, "growing": true} {
			if grow && name == "near" {
				continue
			}
			fill := func() (*Map[K, V], interface{ auDrop() }) {
				m, c := fill()
				if grow {
					rm := m.core.read.Load()
					require.True(t, m.core.resizeAnd(rm, 2*rm.buckets(), true))
				}
				return m, c
			}
			for op, f := range auOperations[K, V](n, key, value) {
				if name == "near" && !strings.HasSuffix(op, "Batch") {
					continue
				}
				auAt(t, op+", "+name+", "+when, fill, f)
			}
		}
	}
}

func auOperations[K, V comparable](n int, key func(int) K, value func(int) V) map[string]func(*Map[K, V]) {
	keys, vals, found := make([]K, n), make([]V, n), make([]bool, n)
	for i := range keys {
		keys[i], vals[i] = key(2*i), value(i)
	}
	return map[string]func(*Map[K, V]){
		"Load":            func(m *Map[K, V]) { m.Load(key(n - 1)) },
		"Load, absent":    func(m *Map[K, V]) { m.Load(key(n)) },
		"Store":           func(m *Map[K, V]) { m.Store(key(n), value(1)) },
		"Store, present":  func(m *Map[K, V]) { m.Store(key(n-1), value(1)) },
		"Swap":            func(m *Map[K, V]) { m.Swap(key(0), value(1)) },
		"LoadOrStore":     func(m *Map[K, V]) { m.LoadOrStore(key(n), value(1)) },
		"Delete":          func(m *Map[K, V]) { m.Delete(key(n - 1)) },
		"Delete, absent":  func(m *Map[K, V]) { m.Delete(key(n)) },
		"CompareAndSwap":  func(m *Map[K, V]) { m.CompareAndSwap(key(1), value(1), value(2)) },
		"Compute":         func(m *Map[K, V]) { m.Compute(key(1), func(V, bool) (V, Op) { return value(2), UpdateOp }) },
		"LoadOrCompute":   func(m *Map[K, V]) { m.LoadOrCompute(key(n), func() (V, error) { return value(2), nil }) },
		"Range":           func(m *Map[K, V]) { m.Range(func(K, V) bool { return true }) },
		"DeleteFunc":      func(m *Map[K, V]) { m.DeleteFunc(func(K, V) bool { return true }) },
		"Stats":           func(m *Map[K, V]) { m.Stats() },
		"Verify":          func(m *Map[K, V]) { _ = m.Verify() },
		"Compact":         func(m *Map[K, V]) { m.Compact() },
		"Grow":            func(m *Map[K, V]) { m.Grow(100) },
		"LoadBatch":       func(m *Map[K, V]) { m.LoadBatch(keys, vals, found) },
		"StoreBatch":      func(m *Map[K, V]) { m.StoreBatch(keys, vals) },
		"DeleteBatch":     func(m *Map[K, V]) { m.DeleteBatch(keys) },
		"helping readers": func(m *Map[K, V]) { m.core.helpOldForTest() },
	}
}

func (c *core[K, V]) helpOldForTest() {
	if rm := c.read.Load(); rm != nil && rm.old != nil {
		c.helpOld(rm, 2, false)
	}
}

func auBytes(t *testing.T) {
	const n = 20
	key := func(i int) string { return fmt.Sprint("key ", i) }
	value := []byte("value")
	fill := func() (*Bytes, interface{ auDrop() }) {
		m := NewBytes(atTables())
		for i := range n {
			m.Set(key(i), value)
		}
		m.core.settle()
		return m, &m.core
	}
	growing := func() (*Bytes, interface{ auDrop() }) {
		m, c := fill()
		rm := m.core.read.Load()
		require.True(t, m.core.resizeAnd(rm, 2*rm.buckets(), true))
		return m, c
	}
	for op, f := range map[string]func(m *Bytes){
		"Get":            func(m *Bytes) { m.Get(nil, key(1)) },
		"Get, absent":    func(m *Bytes) { m.Get(nil, key(n)) },
		"Set":            func(m *Bytes) { m.Set(key(n), value) },
		"Set, present":   func(m *Bytes) { m.Set(key(1), value) },
		"CompareAndSwap": func(m *Bytes) { m.CompareAndSwap(key(1), value, nil) },
		"LoadOrStore":    func(m *Bytes) { m.LoadOrStore(nil, key(n), value) },
		"Delete":         func(m *Bytes) { m.Delete(key(1)) },
		"Range":          func(m *Bytes) { m.Range(func(string, []byte) bool { return true }) },
		"Compact":        func(m *Bytes) { m.Compact() },
		"Verify":         func(m *Bytes) { _ = m.Verify() },
	} {
		auAt(t, op, fill, f)
		auAt(t, op+", growing", growing, f)
	}
}
