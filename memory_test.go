package hushmap

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mtHeap returns the bytes of living heap objects.
func mtHeap() int64 {
	var s runtime.MemStats
	runtime.GC() // twice: cleanups of the first free more
	runtime.GC()
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// FAILURES: large empty footprint.
func TestEmptyMapAllocatesNothing(t *testing.T) {
	never := func(any, any) bool { return false }
	for name, use := range map[string]func(m *AnyMap){
		"Load":             func(m *AnyMap) { _, mtSinkBool = m.Load(mtBoxInt) },
		"LoadAndDelete":    func(m *AnyMap) { _, mtSinkBool = m.LoadAndDelete(mtBoxInt) },
		"Delete":           func(m *AnyMap) { m.Delete("x") },
		"CompareAndSwap":   func(m *AnyMap) { mtSinkBool = m.CompareAndSwap(1, 2, 3) },
		"CompareAndDelete": func(m *AnyMap) { mtSinkBool = m.CompareAndDelete(1, 2) },
		"Range":            func(m *AnyMap) { m.Range(never) },
		"DeleteFunc":       func(m *AnyMap) { mtSinkInt = m.DeleteFunc(never) },
		"Len":              func(m *AnyMap) { mtSinkInt = m.Len() },
		"Compact":          func(m *AnyMap) { m.Compact() },
		"Clear":            func(m *AnyMap) { m.Clear() },
		"Stats, Verify":    func(m *AnyMap) { mtSinkBool = m.Verify() == nil && m.Stats() == Stats{} },
	} {
		var m *AnyMap
		assert.Zero(t, mtAllocs(func() { m = new(AnyMap) }, func() { use(m) }), "%s before the first write", name)
	}

	// New allocates the map, its settings and its traits, not a table, however large the capacity.
	before := mtHeap()
	const maps = 100
	keep := make([]*Map[uint64, uint64], maps)
	for i := range keep {
		keep[i] = New[uint64, uint64](WithCapacity(1 << 20))
	}
	assert.Less(t, (mtHeap()-before)/maps, int64(1024))
	runtime.KeepAlive(keep)
}

// FAILURES: large empty footprint. What many maps cost that are empty again, or hold 8 entries.
func TestSmallMapFootprint(t *testing.T) {
	const maps = 2000
	keep := make([]Map[uint64, uint64], maps)
	before := mtHeap()
	per := func() int64 { return (mtHeap() - before) / maps }
	assert.Less(t, per(), int64(8), "not written to")
	for i := range keep {
		for k := range uint64(8) {
			keep[i].Store(k, k)
		}
		require.EqualValues(t, 4*144, keep[i].Stats().HeapBytes)
	}
	t.Log("bytes of a map with 8 entries:", per())
	assert.Less(t, per(), int64(1280), "8 entries")
	for i := range keep {
		for k := range uint64(8) {
			keep[i].Delete(k)
		}
		keep[i].Compact()
		require.EqualValues(t, 4*144, keep[i].Stats().HeapBytes, "the first table is the smallest")
	}
	assert.Less(t, per(), int64(1280), "deleted")
	for i := range keep {
		keep[i].Clear()
		require.Equal(t, Stats{}, keep[i].Stats())
	}
	t.Log("bytes of a map after Clear:", per())
	assert.Less(t, per(), int64(384), "after Clear: what is known of K and V stays")
	runtime.KeepAlive(keep)
}

// Stats.HeapBytes is what the tables really take.
func TestStatsHeapBytes(t *testing.T) {
	m := New[uint64, [3]uint64](WithCapacity(100_000), withTuning(func(tu *tuning) { tu.mapFrom = math.MaxInt }))
	before := mtHeap()
	m.Store(1, [3]uint64{})
	grown := mtHeap() - before
	assert.InEpsilon(t, float64(grown), float64(m.Stats().HeapBytes), 0.02)
	assert.EqualValues(t, uintptr(m.Stats().Buckets)*unsafe.Sizeof(bucket[uint64, [3]uint64]{}), m.Stats().HeapBytes)
	assert.Zero(t, m.Stats().MappedBytes)
	mtResize(m, 2*m.core.read.Load().buckets())
	s := m.Stats()
	require.True(t, s.Growing)
	assert.EqualValues(t, uintptr(s.Buckets+s.OldBuckets)*unsafe.Sizeof(bucket[uint64, [3]uint64]{}), s.HeapBytes, "both tables")
	assert.InEpsilon(t, float64(mtHeap()-before), float64(s.HeapBytes), 0.02)
	m.Clear()
	assert.Less(t, mtHeap()-before, int64(16384))
	runtime.KeepAlive(m)
}

// FAILURES: memory never comes back.
func TestMemoryComesBack(t *testing.T) {
	t.Run("uint64", func(t *testing.T) {
		mtTestMemoryComesBack(t, func(i int) uint64 { return uint64(i) }, func(i int) uint64 { return uint64(i) })
	})
	t.Run("any,any", func(t *testing.T) {
		mtTestMemoryComesBack(t, func(i int) any { return i }, func(int) any { return make([]byte, 64) })
	})
	t.Run("string,[]byte", func(t *testing.T) {
		mtTestMemoryComesBack(t, func(i int) string { return fmt.Sprint("key ", i) }, func(i int) []byte { return make([]byte, 8) })
	})
}

func mtTestMemoryComesBack[K comparable, V any](t *testing.T, key func(int) K, value func(int) V) {
	const left = 100
	entries := max(mtScale(30_000), 5000)
	for name, c := range map[string]struct {
		opts  []Option
		empty func(m *Map[K, V])
	}{
		"Clear":                  {nil, func(m *Map[K, V]) { m.Clear() }},
		"Delete":                 {nil, func(m *Map[K, V]) { mtDeleteAll(m, entries, key) }},
		"DeleteFunc":             {nil, func(m *Map[K, V]) { m.DeleteFunc(func(K, V) bool { return true }) }},
		"WithoutShrink, Compact": {[]Option{WithoutShrink()}, func(m *Map[K, V]) { mtDeleteAll(m, entries, key); m.Compact() }},
		"WithCapacity, Compact":  {[]Option{WithCapacity(entries)}, func(m *Map[K, V]) { mtDeleteAll(m, entries, key); m.Compact() }},
	} {
		t.Run(name, func(t *testing.T) {
			m := New[K, V](c.opts...)
			start := mtHeap()
			var full int64
			for range 2 { // the second round must not start from a higher level
				for i := range entries {
					m.Store(key(i), value(i))
				}
				full = mtHeap() - start
				c.empty(m)
				for i := range entries / 8 { // further use ends a growth or shrinking that is under way
					m.Delete(key(i % left))
					m.Store(key(i%left), value(i))
				}
				require.Equal(t, left, m.Len())
			}
			rest := mtHeap() - start
			assert.Less(t, rest, full/50+48<<10, "full it took %d bytes", full)
			assert.False(t, m.Stats().Growing)
			assert.NoError(t, m.Verify())
			runtime.KeepAlive(m)
		})
	}
}

func mtDeleteAll[K comparable, V any](m *Map[K, V], n int, key func(int) K) {
	for i := range n {
		m.Delete(key(i))
	}
}

// Churn at constant size does not creep up.
func TestChurnKeepsMemoryFlat(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	var m Map[string, []byte]
	const living = 2000
	next := 0
	turn := func(n int) {
		for range n {
			m.Store(fmt.Sprint("key ", next), make([]byte, 100))
			m.Delete(fmt.Sprint("key ", next-living))
			next++
		}
	}
	turn(2 * living)
	start := mtHeap()
	turn(mtScale(100_000))
	require.Equal(t, living, m.Len())
	assert.Less(t, mtHeap()-start, int64(200<<10))
	runtime.KeepAlive(&m)
}

// A table of pointer-free types is one object that the collector does not look into.
func TestPointerFreeTablesAreOneObject(t *testing.T) {
	entries := mtScale(100_000)
	m := New[uint64, [3]uint64](WithCapacity(entries))
	objects := mtAllocs(m.Clear, func() {
		for i := range uint64(entries) {
			m.Store(i, [3]uint64{})
		}
	})
	assert.Less(t, objects, uint64(12), "table, read map, counters")

	// Writing addresses of garbage into the table as numbers does not keep it alive.
	before := mtHeap()
	for i := range uint64(entries) {
		m.Store(i, [3]uint64{})
	}
	numbers := New[uint64, uint64](WithCapacity(1000))
	for i := range uint64(1000) {
		numbers.Store(i, uint64(uintptr(unsafe.Pointer(unsafe.SliceData(make([]byte, 4096))))))
	}
	assert.Less(t, mtHeap()-before, int64(1<<20))
	runtime.KeepAlive(m)
	runtime.KeepAlive(numbers)
}
