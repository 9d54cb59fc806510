package hushmap

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOptionPanics(t *testing.T) {
	intHash := func(int, uint64) uint64 { return 1 }
	for name, c := range map[string]struct {
		f    func()
		want string
	}{
		"negative capacity": {func() { New[int, int](WithCapacity(-1)) },
			"hushmap: WithCapacity(-1): capacity is negative"},
		"smallest capacity": {func() { New[int, int](WithCapacity(math.MinInt)) },
			fmt.Sprintf("hushmap: WithCapacity(%d): capacity is negative", math.MinInt)},
		"absurd capacity": {func() { New[int, int](WithCapacity(math.MaxInt)) },
			fmt.Sprintf("hushmap: New: WithCapacity(%d) exceeds the address space", math.MaxInt)},
		"nil hasher": {func() { New[int, int](WithHasher[int](nil)) },
			"hushmap: WithHasher: the function is nil"},
		"hasher of another type": {func() { New[string, int](WithHasher(intHash)) },
			"hushmap: New: WithHasher is for keys of type int, the map's are string"},
		"hasher of a similar type": {func() { New[int, int](WithHasher(func(uint, uint64) uint64 { return 1 })) },
			"hushmap: New: WithHasher is for keys of type uint, the map's are int"},
		"hasher of an interface": {func() { New[int, int](WithHasher(func(any, uint64) uint64 { return 1 })) },
			"hushmap: New: WithHasher is for keys of type interface {}, the map's are int"},
		"zero option": {func() { New[int, int](WithCapacity(1), Option{}) },
			"hushmap: New: option 1 is the zero Option"},
		"two hashers": {func() { New[int, int](WithHasher(intHash), WithStableHash()) },
			"hushmap: New: WithHasher and WithStableHash exclude each other"},
		"two hashers, the other way round": {func() { New[int, int](WithStableHash(), WithHasher(intHash)) },
			"hushmap: New: WithHasher and WithStableHash exclude each other"},
		"unknown huge page mode": {func() { New[int, int](WithHugePages(77)) },
			"hushmap: WithHugePages(77): unknown mode"},
		"negative Grow": {func() { New[int, int]().Grow(-5) },
			"hushmap: Grow(-5): the number of entries is negative"},
		"absurd Grow": {func() { New[int, int]().Grow(math.MaxInt) },
			fmt.Sprintf("hushmap: Grow(%d) exceeds the address space", math.MaxInt)},
		"unknown Op": {func() { New[int, int]().Compute(1, func(int, bool) (int, Op) { return 0, 9 }) },
			"hushmap: Compute: the function returned the unknown Op(9)"},
	} {
		assert.Equal(t, c.want, stPanic(c.f), name)
	}
}

// A panic of Grow or of a function leaves the map as it was.
func TestMapAfterPanics(t *testing.T) {
	var m Map[int, int]
	m.Store(1, 1)
	assert.NotNil(t, stPanic(func() { m.Grow(math.MaxInt) }))
	assert.NotNil(t, stPanic(func() { m.Grow(-1) }))
	assert.NotNil(t, stPanic(func() { m.Compute(1, func(int, bool) (int, Op) { return 0, 200 }) }))
	m.Store(2, 2)
	assert.Equal(t, 2, m.Len())
	assert.NoError(t, m.Verify())
}

func TestOpString(t *testing.T) {
	assert.Equal(t, "CancelOp UpdateOp DeleteOp Op(3)", fmt.Sprint(CancelOp, UpdateOp, DeleteOp, Op(3)))
}

// New without options and new(Map) are the same.
func TestNewWithoutOptions(t *testing.T) {
	a, b := New[string, int](), new(Map[string, int])
	for i := range 1000 {
		a.Store(strconv.Itoa(i), i)
		b.Store(strconv.Itoa(i), i)
	}
	as, bs := a.Stats(), b.Stats()
	as.Probes, bs.Probes = [16]int{}, [16]int{}
	assert.Equal(t, as, bs)
}

// The first table takes 24 entries; it doubles when the 25th arrives, then at the 49th, the 97th, ...
func TestDoublingThresholds(t *testing.T) {
	ftAlone(t)
	for name, opts := range map[string][]Option{
		"default":              nil,
		"one bucket at a time": {stTuned(tuning{chunk: 1})},
		"constant hasher":      {WithHasher(func(int, uint64) uint64 { return 3 })},
	} {
		m := New[int, int](opts...)
		growths := uint32(0)
		for i := 1; i <= 768; i++ {
			m.Store(i, i)
			b, limit := 2, 24
			for ; i > limit; limit *= 2 {
				b++
			}
			if s := m.Stats(); i == limit/2+1 || i == 1 {
				if i > 24 {
					growths++
				}
				require.Equal(t, []any{b, 1 << b, growths, i}, []any{s.B, s.Buckets, s.Growths, s.Entries}, "%s: entry %d", name, i)
			} else if name != "constant hasher" || i%32 == 0 {
				require.Equal(t, []any{b, growths}, []any{s.B, s.Growths}, "%s: entry %d", name, i)
			}
			m.Store(i, -i) // an overwrite never grows
		}
		require.Equal(t, 7, m.Stats().B, name)
		require.Equal(t, uint32(5), m.Stats().Growths, name)
		require.NoError(t, m.Verify())
	}
}

// Beyond that the length is looked at now and then; a table may be a little fuller before it doubles.
func TestDoublingOfLargeTables(t *testing.T) {
	ftAlone(t)
	var m Map[int, int]
	limit := 1536
	for i := 1; i <= 100_000; i++ {
		before := m.core.read.Load()
		m.Store(i, i)
		if after := m.core.read.Load(); i > 769+64 && after.buckets() > before.buckets() {
			require.InDelta(t, limit, i, float64(limit)/8, "the table doubled at entry %d", i)
			limit *= 2
		}
	}
	require.Equal(t, 98304*2, limit)
	require.NoError(t, m.Verify())
}

// A map of known size never grows while it is filled.
func TestWithCapacityPreventsGrowth(t *testing.T) {
	ftAlone(t)
	for _, n := range []int{0, 1, 7, 24, 25, 48, 49, 384, 385, 768, 769, 1000, 1536, 10_000, 98_304, 98_305} {
		m := New[int, int](WithCapacity(n))
		require.Equal(t, Stats{}, m.Stats(), "nothing is allocated before the first write")
		for i := range n {
			m.Store(i, i)
		}
		s := m.Stats()
		require.Zero(t, s.Growths, "capacity %d", n)
		require.Equal(t, n, s.Entries)
		if n > 48 {
			require.Greater(t, s.LoadFactor, 0.75/2-0.01, "capacity %d: the table is twice as large as need be", n)
		}
		require.NoError(t, m.Verify())
	}
}

// The capacity is the size below which deletions do not shrink; Compact and Clear go below it.
func TestCapacityIsTheShrinkFloor(t *testing.T) {
	const n = 1000 // 256 buckets
	m := New[int, int](WithCapacity(n))
	fill := func(n int) {
		for i := range n {
			m.Store(i, i)
		}
	}
	fill(20 * n)
	require.Equal(t, 4096, m.Stats().Buckets)
	for i := range 20 * n {
		m.Delete(i)
	}
	settle := func() { // a few writes end the last growth
		for i := range 3000 {
			m.Store(-1-i%3, i)
			m.Delete(-1 - i%3)
		}
	}
	settle()
	require.Equal(t, 256, m.Stats().Buckets)
	require.NotZero(t, m.Stats().Shrinks)

	m.Compact()
	require.Equal(t, 4, m.Stats().Buckets)
	require.NoError(t, m.Verify())

	fill(n)
	require.Equal(t, 256, m.Stats().Buckets)
	m.Clear()
	require.Zero(t, m.Stats().Buckets)
	m.Store(1, 1)
	require.Equal(t, 256, m.Stats().Buckets, "after Clear the next write makes a table for the capacity again")
}

func TestWithoutShrink(t *testing.T) {
	for _, opts := range [][]Option{{WithoutShrink()}, nil} {
		m := New[int, int](opts...)
		for i := range 10_000 {
			m.Store(i, i)
		}
		full := m.Stats().Buckets
		m.DeleteFunc(func(k, _ int) bool { return k >= 10 })
		for i := range 3000 {
			m.Store(-1, i)
			m.Delete(-1)
		}
		if s := m.Stats(); len(opts) > 0 {
			require.Equal(t, full, s.Buckets)
			require.Zero(t, s.Shrinks)
		} else {
			require.LessOrEqual(t, s.Buckets, 16)
			require.NotZero(t, s.Shrinks)
		}
		m.Compact()
		require.Equal(t, 4, m.Stats().Buckets)
		require.Equal(t, 10, m.Len())
		require.NoError(t, m.Verify())
	}
}

// After a shrinking it is a factor of two to the next growth and of four to the next shrinking: a length that oscillates by
// less causes none.
func TestShrinkHysteresis(t *testing.T) {
	ftAlone(t)
	var m Map[int, int]
	n := 0
	up := func(to int) {
		for ; n < to; n++ {
			m.Store(n, n)
		}
	}
	down := func(to int) {
		for ; n > to; n-- {
			m.Delete(n - 1)
		}
	}
	up(20_000)
	for start := m.core.shrinks.Load(); m.core.shrinks.Load() == start && n > 0; {
		down(n - 1)
	}
	shrunk, s := n, m.Stats()
	require.Greater(t, shrunk, 1000)
	for range 20 {
		up(shrunk * 19 / 10)
		down(shrunk * 11 / 20)
		require.NoError(t, m.Verify())
	}
	after := m.Stats()
	require.Equal(t, []uint32{s.Growths, s.Shrinks, s.Rebuilds}, []uint32{after.Growths, after.Shrinks, after.Rebuilds})
	down(0)
	for range 500 {
		up(3)
		down(0)
	}
	require.LessOrEqual(t, m.Stats().Buckets, 16)
}

// Grow makes room; storing what it was told to expect does not grow the map.
func TestGrowMakesRoom(t *testing.T) {
	ftAlone(t)
	for _, n := range []int{0, 1, 24, 25, 1000, 50_000} {
		var m Map[string, int]
		for i := range 10 {
			m.Store("before"+strconv.Itoa(i), i)
		}
		m.Grow(n)
		s := m.Stats()
		require.False(t, s.Growing)
		for i := range n {
			m.Store(strconv.Itoa(i), i)
		}
		require.Equal(t, s.Growths, m.Stats().Growths, "Grow(%d)", n)
		require.Equal(t, s.Buckets, m.Stats().Buckets, "Grow(%d)", n)
		require.Equal(t, n+10, m.Len())
		require.NoError(t, m.Verify())
	}
	var m Map[int, int]
	m.Grow(1000)
	grown := m.Stats().Buckets
	require.GreaterOrEqual(t, grown*slotLimit, 1000)
	m.Grow(10)
	require.Equal(t, grown, m.Stats().Buckets, "there was room already")
	m.Compact()
	require.Equal(t, 4, m.Stats().Buckets)
}

// The order of a stable hash depends on the keys alone.
func TestStableHashOrder(t *testing.T) {
	order := func(opts ...Option) []string {
		m := New[string, int](append(opts, WithCapacity(500))...)
		for i := range 500 {
			m.Store(strconv.Itoa(i*7%500), i)
		}
		return slices.Collect(m.Keys())
	}
	assert.Equal(t, order(WithStableHash()), order(WithStableHash()))
	assert.NotEqual(t, order(), order(), "seeds must be random")
}

// A custom hasher is called with the key and the seed of the table, and decides where keys meet.
func TestWithHasherIsUsed(t *testing.T) {
	calls, seeds := 0, make(map[uint64]bool)
	hash := func(k string, seed uint64) uint64 {
		calls++
		seeds[seed] = true
		return uint64(len(k))
	}
	for range 2 {
		m := New[string, int](WithHasher(hash))
		m.Store("ab", 1)
		m.Store("ba", 2)
		v, ok := m.Load("ab")
		assert.True(t, ok && v == 1)
		v, ok = m.Load("ba")
		assert.True(t, ok && v == 2, "keys with one hash are two keys")
	}
	assert.GreaterOrEqual(t, calls, 8)
	assert.Len(t, seeds, 2, "one seed per table")
}

func TestHugePagesOptions(t *testing.T) {
	for _, mode := range []HugePages{HugePagesAuto, HugePagesOff} {
		m := New[int, int](WithHugePages(mode))
		m.Store(1, 1)
		assert.Equal(t, mode, m.core.options().hugePages)
		assert.NoError(t, m.Verify())
	}
}

func TestStatsFields(t *testing.T) {
	m := New[uint64, uint64](stTuned(tuning{chunk: 1}))
	growing := 0
	for i := range uint64(1000) {
		m.Store(i, i)
		s := m.Stats()
		require.Equal(t, int(i+1), s.Entries)
		require.Equal(t, 1<<s.B, s.Buckets)
		require.InDelta(t, float64(s.Entries)/float64(8*s.Buckets), s.LoadFactor, 1e-9)
		require.Equal(t, s.Entries, stSum(s.Probes[:]), "the histogram does not sum up to the entries")
		bucketBytes := uint64(unsafe.Sizeof(bucket[uint64, uint64]{}))
		require.Equal(t, uint64(s.Buckets+s.OldBuckets)*bucketBytes, s.HeapBytes+s.MappedBytes)
		if s.Growing {
			growing++
			require.Equal(t, s.Buckets, 2*s.OldBuckets)
			require.Less(t, s.EvacuatedBuckets, s.OldBuckets)
		} else {
			require.Zero(t, s.OldBuckets)
			require.Zero(t, s.EvacuatedBuckets)
		}
	}
	require.NotZero(t, growing)
	require.Zero(t, m.Stats().Rebuilds)
	m.Clear()
	s := m.Stats()
	require.Equal(t, uint32(6), s.Growths, "the number of growths survives Clear")
	require.Equal(t, Stats{Growths: 6}, s)
}

func stSum(ns []int) (sum int) {
	for _, n := range ns {
		sum += n
	}
	return sum
}

// The probe histogram tells a bad hash from a good one.
func TestStatsProbes(t *testing.T) {
	bad := New[int, int](WithHasher(func(int, uint64) uint64 { return 7 }))
	var good Map[int, int]
	for i := range 200 {
		bad.Store(i, i)
		good.Store(i, i)
	}
	var want [16]int
	for i := range 15 {
		want[i] = 8
	}
	want[15] = 200 - 15*8
	assert.Equal(t, want, bad.Stats().Probes)
	assert.Greater(t, good.Stats().Probes[0], 100)
}

func TestIterators(t *testing.T) {
	var m Map[int, string]
	for range m.All() {
		t.Error("an empty map has no entries")
	}
	for i := range 100 {
		m.Store(i, strconv.Itoa(i))
	}
	keys, values := make(map[int]bool), make(map[string]bool)
	for k, v := range m.All() {
		assert.Equal(t, strconv.Itoa(k), v)
	}
	for k := range m.Keys() {
		assert.False(t, keys[k])
		keys[k] = true
	}
	for v := range m.Values() {
		assert.False(t, values[v])
		values[v] = true
	}
	assert.Len(t, keys, 100)
	assert.Len(t, values, 100)
	for stop := 1; stop <= 100; stop++ {
		n := [3]int{}
		for range m.All() {
			if n[0]++; n[0] == stop {
				break
			}
		}
		for range m.Keys() {
			if n[1]++; n[1] == stop {
				break
			}
		}
		for range m.Values() {
			if n[2]++; n[2] == stop {
				break
			}
		}
		assert.Equal(t, [3]int{stop, stop, stop}, n)
		m.Store(stop%100, strconv.Itoa(stop%100)) // nothing is locked after a break
	}
	all := m.All() // an iterator can be used again, and sees what has changed
	m.Clear()
	for range all {
		t.Error("the map was cleared")
	}
}
