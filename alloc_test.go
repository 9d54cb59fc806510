package hushmap

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mtAllocs returns the number of heap objects that f allocates. Unlike testing.AllocsPerRun it does not round down, so
// that one allocation in a thousand operations shows. What the runtime allocates by itself now and then is excluded
// by taking the best of several runs; setup runs before each and is not counted.
func mtAllocs(setup, f func()) (allocs uint64) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	allocs = ^uint64(0)
	for range 6 {
		setup()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if allocs = min(allocs, after.Mallocs-before.Mallocs); allocs == 0 {
			break
		}
	}
	return allocs
}

type (
	mtPair   struct{ a, b uint64 }
	mtTriple struct {
		id   uint64
		name string
	}
	mtPadded struct {
		a uint8
		b uint64
		c uint8
	}
)

// Sinks keep the compiler from dropping what is measured.
var (
	mtSinkBool bool
	mtSinkInt  int
)

const mtAllocKeys = 500

// mtObjectsPerChunk is what a chunk may come with: its bytes, and longer lists of the chunks and of their sizes.
const mtObjectsPerChunk = 3

// mtChunks returns how many chunks the arena of a map has, or 0 if it has none.
func mtChunks[K comparable, V any](c *core[K, V]) int {
	rm := c.read.Load()
	if rm == nil || rm.traits.arena == nil {
		return 0
	}
	return rm.traits.arena.Usage().Chunks
}

// mtAllocated returns the objects and bytes that f allocates.
func mtAllocated(f func()) (objects, bytes uint64) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc
}

// A new string key allocates nothing of its own: there is an object per chunk, and no more bytes than the records need,
// half as many again for the chunk that is not full, and the lists of chunks.
func TestNewStringKeysAllocateOnlyChunks(t *testing.T) {
	ftAlone(t)
	const n, record = 40_000, 24 // 1 byte for the length and 16 of the key, in words of 8
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("key %012d", i)
	}
	m := New[string, int](WithCapacity(n))
	m.Store(keys[0], 0)
	objects, bytes := mtAllocated(func() {
		for i, k := range keys {
			m.Store(k, i)
		}
	})
	chunks := mtChunks(&m.core)
	require.Zero(t, m.Stats().Growths)
	assert.Less(t, chunks, 100, "chunks of up to an eighth for %d KiB", n*record>>10)
	assert.LessOrEqual(t, objects, uint64(mtObjectsPerChunk*chunks+10), "the runtime itself allocates a few")
	assert.Less(t, bytes, uint64(n*record*3/2+32<<10))

	objects, _ = mtAllocated(func() {
		for i, k := range keys {
			m.Store(k, -i)
			m.Swap(k, i)
		}
	})
	assert.LessOrEqual(t, objects, uint64(10), "the keys are there")
	require.Equal(t, chunks, mtChunks(&m.core))
}

func mtHashString(k string, seed uint64) uint64 {
	for i := range len(k) {
		seed = (seed ^ uint64(k[i])) * 1099511628211
	}
	return seed
}

// Variables, so that the compiler cannot box them ahead of time.
var (
	mtBoxInt    = 1 << 20 // beyond the small integers whose boxes the runtime keeps
	mtBoxString = string([]byte("a key of some length"))
	mtBoxPair   = mtPair{1, 2}
	mtBoxFloat  = 2.5
)

// Lookups with a key that is boxed for the call do not allocate the box.
func TestBoxedKeysAllocateNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		opts []Option
	}{{name: "default"}, {"stable", []Option{WithStableHash()}}} {
		t.Run(c.name, func(t *testing.T) {
			m := New[any, any](c.opts...)
			for i := range 100 {
				m.Store(i, i)
			}
			m.Store(mtBoxInt, "int")
			m.Store(mtBoxString, "string")
			m.Store(mtBoxPair, "pair")
			for name, f := range map[string]func() bool{
				"int":         func() bool { _, ok := m.Load(mtBoxInt); return ok },
				"string":      func() bool { _, ok := m.Load(mtBoxString); return ok },
				"struct":      func() bool { _, ok := m.Load(mtBoxPair); return ok },
				"miss int":    func() bool { _, ok := m.Load(mtBoxInt + 1); return !ok },
				"miss string": func() bool { _, ok := m.Load(mtBoxString[1:]); return !ok },
				"miss float":  func() bool { _, ok := m.Load(mtBoxFloat); return !ok },
			} {
				require.True(t, f(), name)
				assert.Zero(t, testing.AllocsPerRun(1000, func() { mtSinkBool = f() }), "Load with a boxed %s", name)
			}
		})
	}
}

// A lookup while the table grows, which looks at two tables and now and then moves a bucket, allocates nothing.
func TestLoadAllocatesNothingWhileGrowing(t *testing.T) {
	m := mtGrowing(0)
	allocs := mtAllocs(func() { m = mtGrowing(1) }, func() {
		for i := range uint64(20) {
			_, mtSinkBool = m.Load(i)
		}
	})
	assert.Zero(t, allocs)
}

// Range lists entries only where a bucket was too full for them. Twenty entries in a hundred buckets never are.
func TestRangeOfRoomyTablesAllocatesNothing(t *testing.T) {
	testRange := func(name string, rangeAll func(count *int)) {
		const times = 10
		count := 0
		assert.Zero(t, mtAllocs(func() { count = 0 }, func() {
			for range times {
				rangeAll(&count)
			}
		}), name)
		require.Equal(t, 20*times, count, name)
	}
	room := WithCapacity(700)
	integers, strs, anys, raw := New[int, int](room), New[string, int](room), New[any, any](room), NewBytes(room)
	for i := range 20 {
		s := fmt.Sprint(i)
		integers.Store(i, i)
		strs.Store(s, i)
		anys.Store(i, i)
		raw.Set(s, nil)
	}
	testRange("integers", func(n *int) { integers.Range(func(int, int) bool { *n++; return true }) })
	testRange("strings", func(n *int) { strs.Range(func(string, int) bool { *n++; return true }) })
	testRange("any", func(n *int) { anys.Range(func(any, any) bool { *n++; return true }) })
	testRange("bytes", func(n *int) { raw.Range(func(string, []byte) bool { *n++; return true }) })
}
