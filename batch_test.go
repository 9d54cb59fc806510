package hushmap

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/internal/swar"
)

// btLarge makes the first table one for whose keys memory is asked ahead.
var btLarge = withTuning(func(tu *tuning) { tu.farFrom = 1 })

// btNear is how many of the keys the look at their groups settles, or -1 if there is no such look in the map's state.
func btNear[K comparable, V any](m *Map[K, V], keys []K) (settled int) {
	var g group[K, V]
	for from := 0; from < len(keys); from += batchGroup {
		g.header(&m.core, keys, from)
		if g.rm == nil {
			return -1
		}
		g.slot()
		g.record()
		for i := range g.keys {
			if _, ok := g.load(i); ok {
				settled++
			}
		}
	}
	return settled
}

// btState is a state of a map in which batches meet it.
type btState struct {
	name  string
	opts  []Option
	then  string // what happens after it was filled
	quick bool   // batches are brought near
}

var btStates = []btState{
	{name: "small"},
	{name: "large", opts: []Option{btLarge}, quick: true},
	{name: "large, mapped", opts: []Option{btLarge, withTuning(func(tu *tuning) { tu.mapFrom = 1 })}, quick: true},
	{name: "tiny, growing", opts: []Option{withTuning(func(tu *tuning) { ftOneBucket(tu); tu.chunk = 0 })}, then: "grow"},
	{name: "tiny, half frozen", opts: []Option{withTuning(func(tu *tuning) { ftOneBucket(tu); tu.chunk = 0 })}, then: "freeze"},
	{name: "large, growing", opts: []Option{btLarge, withTuning(ftOneBucket)}, then: "freeze"},
	{name: "large, versions wrap", opts: []Option{btLarge, withTuning(func(tu *tuning) { tu.control = stNearWrap })}, quick: true},
}

// bring puts a map that is filled into the state.
func btBring[K comparable, V any](t *testing.T, s btState, m *Map[K, V]) {
	rm := m.core.settle()
	if s.then == "" {
		return
	}
	mtResize(m, 2*rm.buckets())
	if s.then == "freeze" {
		for i := range rm.buckets() / 2 {
			m.core.read.Load().old.evacuate(i, true)
		}
	}
	require.True(t, m.Stats().Growing, "took effect")
}

// A group keeps no address in a table that it does not keep, or the address could be another's while it is on the stack.
func TestGroupsForgetTablesThatGo(t *testing.T) {
	m := New[any, int](btLarge)
	keys := make([]any, batchGroup)
	for i := range keys {
		keys[i] = i
	}
	m.StoreBatch(keys, make([]int, len(keys)))
	m.core.settle()
	var g group[any, int]
	knows := func() bool {
		return slices.ContainsFunc(g.near[:], func(k nearKey[any, int]) bool { return k.bucket != nil }) ||
			slices.ContainsFunc(g.words[:], func(p unsafe.Pointer) bool { return p != nil })
	}
	g.header(&m.core, keys, 0)
	require.True(t, g.rm != nil && knows())

	m.Grow(10_000)
	m.core.settle()
	g.header(&m.core, keys[:1], 0)
	require.NotNil(t, g.rm)
	for _, k := range g.near[1:] {
		assert.Nil(t, k.bucket, "another table")
	}

	g.header(&m.core, append([]any{1}, []int{}), 0)
	assert.False(t, g.rm != nil || knows(), "a key panicked")

	g.header(&m.core, keys, 0)
	m.Clear()
	g.header(&m.core, keys, 0)
	assert.False(t, g.rm != nil || knows(), "no table")
}

// The third stage asks for what keys have behind them: in the arena, or in interfaces.
func TestBatchesAskForWhatIsBehindKeys(t *testing.T) {
	m := New[any, int](btLarge)
	keys := make([]any, batchGroup)
	for i := range keys {
		keys[i] = 1000 + i
	}
	m.StoreBatch(keys, make([]int, len(keys)))
	var g group[any, int]
	g.header(&m.core, keys, 0)
	require.NotNil(t, g.rm)
	require.True(t, m.core.runsAhead(batchGroup))
	require.False(t, m.core.runsAhead(batchGroup-1))
	require.False(t, m.core.runsAhead(math.MaxInt), "the index of a group past the last would overflow")
	g.slot()
	g.record()
	asked := 0
	for i := range keys {
		if g.words[i] == (*[2]unsafe.Pointer)(unsafe.Pointer(&keys[i]))[1] { // Store has kept this interface
			asked++
		}
	}
	assert.Greater(t, asked, batchGroup/2, "keys that are in their home's first candidate")

	s := New[string, int](btLarge)
	names := make([]string, batchGroup)
	for i := range names {
		names[i] = fmt.Sprint("a key of some length ", i)
	}
	s.StoreBatch(names, make([]int, len(names)))
	var gs group[string, int]
	gs.header(&s.core, names, 0)
	require.NotNil(t, gs.rm)
	gs.slot()
	gs.record()
	asked = 0
	for i := range names {
		if k := gs.near[i]; k.match != 0 && gs.words[i] == gs.rm.traits.arena.WordOf(k.bucket.loadRef(gs.rm.traits, swar.First(k.match)).at()) {
			asked++
		}
	}
	assert.Greater(t, asked, batchGroup/2)
}

// btSame requires that two maps hold the same, NaN keys included.
func btSame[K comparable](t *testing.T, what string, want, got *Map[K, ftWide]) {
	t.Helper()
	entries := make(map[string]int)
	for k, v := range want.All() {
		entries[fmt.Sprint(k, v.n)]++
	}
	for k, v := range got.All() {
		require.True(t, ftWideIs(v))
		entries[fmt.Sprint(k, v.n)]--
	}
	for e, n := range entries {
		require.Zero(t, n, "%s: entries %s too few", what, e)
	}
	require.Equal(t, want.Len(), got.Len(), what)
	require.NoError(t, got.Verify(), what)
}

// The zero value is an empty map for batches as well.
func TestBatchesOfTheZeroValue(t *testing.T) {
	var m Map[string, int]
	vals, found := []int{7, 7}, []bool{true, true}
	assert.Zero(t, m.LoadBatch([]string{"a", "b"}, vals, found))
	assert.Equal(t, []int{0, 0}, vals)
	assert.Equal(t, []bool{false, false}, found)
	assert.Zero(t, m.DeleteBatch([]string{"a", "b"}))
	m.StoreBatch(nil, nil)
	assert.Equal(t, Stats{}, m.Stats())
	m.StoreBatch([]string{"a", "b", "a"}, []int{1, 2, 3})
	assert.Equal(t, 2, m.LoadBatch([]string{"a", "b"}, vals, found))
	assert.Equal(t, []int{3, 2}, vals, "in ascending order: the last of equal keys stays")
	assert.Equal(t, 1, m.DeleteBatch([]string{"a", "a", "c"}))
	assert.Zero(t, m.LoadBatch(nil, nil, nil))
}

// Slices of different lengths are an error of the caller's, and nothing has happened.
func TestBatchLengthsMustAgree(t *testing.T) {
	for name, opts := range map[string][]Option{"small": nil, "large": {btLarge}} {
		t.Run(name, func(t *testing.T) {
			m := New[string, int](opts...)
			m.Store("a", 1)
			keys := []string{"a", "b"}
			vals, found := []int{7, 7, 7}, []bool{false, false, false}
			assert.Equal(t, "hushmap: LoadBatch: 2 keys, but 3 values and 2 results", ftPanic(func() { m.LoadBatch(keys, vals, found[:2]) }))
			assert.Equal(t, "hushmap: LoadBatch: 2 keys, but 2 values and 3 results", ftPanic(func() { m.LoadBatch(keys, vals[:2], found) }))
			assert.Equal(t, "hushmap: LoadBatch: 2 keys, but 1 values and 1 results", ftPanic(func() { m.LoadBatch(keys, vals[:1], found[:1]) }))
			assert.Equal(t, "hushmap: LoadBatch: 0 keys, but 1 values and 0 results", ftPanic(func() { m.LoadBatch(nil, vals[:1], nil) }))
			assert.Equal(t, "hushmap: StoreBatch: 2 keys, but 3 values", ftPanic(func() { m.StoreBatch(keys, vals) }))
			assert.Equal(t, "hushmap: StoreBatch: 2 keys, but 0 values", ftPanic(func() { m.StoreBatch(keys, nil) }))
			assert.Equal(t, []int{7, 7, 7}, vals)
			assert.Equal(t, []bool{false, false, false}, found)
			assert.Equal(t, map[string]int{"a": 1}, skContents(t, m))
		})
	}
}

// A key that panics does so when it is its turn: those before it are done, those behind it are not, and the map can be
// used, as after single calls.
func TestBatchWithAKeyThatPanics(t *testing.T) {
	thrown := fmt.Errorf("the hasher of the test")
	hasher := func(k any, seed uint64) uint64 {
		if k == "bad" {
			panic(thrown)
		}
		return seed + uint64(len(fmt.Sprint(k)))
	}
	for name, c := range map[string]struct {
		opts []Option
		bad  any
	}{
		"unhashable, small":            {nil, []int{1}},
		"unhashable, large":            {[]Option{btLarge}, []int{1}},
		"unhashable, stable, large":    {[]Option{btLarge, WithStableHash()}, struct{ a any }{func() {}}},
		"hasher, small":                {[]Option{WithHasher(hasher)}, "bad"},
		"hasher, large":                {[]Option{WithHasher(hasher), btLarge}, "bad"},
		"unhashable for hasher, large": {[]Option{WithHasher(hasher), btLarge}, map[int]int{}},
	} {
		for _, at := range []int{0, 5, 31, 32, 40} {
			t.Run(fmt.Sprint(name, " at ", at), func(t *testing.T) {
				m := New[any, int](c.opts...)
				keys, vals, found := make([]any, 50), make([]int, 50), make([]bool, 50)
				for i := range keys {
					keys[i], vals[i] = i, i
				}
				keys[at] = c.bad
				single := ftPanic(func() { m.Load(c.bad); m.Store(c.bad, 0) })
				require.NotNil(t, single)
				same := func(p any, what string) {
					t.Helper()
					assert.Equal(t, fmt.Sprint(single), fmt.Sprint(p), "%s panics as a single call does", what)
				}
				same(ftPanic(func() { m.StoreBatch(keys, vals) }), "StoreBatch")
				require.Equal(t, at, m.Len(), "those before it are stored")
				for i := range 50 {
					_, ok := m.Load(i)
					require.Equal(t, i < at, ok)
				}
				for i := range keys {
					if i != at {
						m.Store(keys[i], -i)
					}
					vals[i] = 1000
				}
				same(ftPanic(func() { m.LoadBatch(keys, vals, found) }), "LoadBatch")
				for i := range keys {
					require.Equal(t, i < at, found[i])
					require.Equal(t, i < at, vals[i] == -i, "vals[%d] is %d", i, vals[i])
				}
				same(ftPanic(func() { m.DeleteBatch(keys) }), "DeleteBatch")
				require.Equal(t, 49-at, m.Len(), "those before it are deleted")
				require.NoError(t, m.Verify())
				keys[at] = at // no lock was left behind
				assert.Equal(t, 49-at, m.DeleteBatch(keys))
				require.Zero(t, m.Len())
			})
		}
	}
}

// FAILURES: key invisible in mid-migration. While others write other keys and the tables are replaced, batches find
// every key that stays, with a whole value of its own; and owners' batches do what they say.
func TestBatchesAgainstWriters(t *testing.T) {
	t.Run("uint64", func(t *testing.T) { btTestStorm(t, func(i int) uint64 { return uint64(i) }) })
	t.Run("string", func(t *testing.T) { btTestStorm(t, func(i int) string { return fmt.Sprint("key ", i) }) })
	t.Run("any", func(t *testing.T) { btTestStorm(t, btMixed) })
}

// btMixed is stMixed for more keys than an int8 can tell apart.
func btMixed(i int) any {
	if i%8 == 1 {
		return int64(i)
	}
	return stMixed(i)
}

func btTestStorm[K comparable](t *testing.T, key func(i int) K) {
	for name, opts := range map[string][]Option{
		"tiny":  {withTuning(func(tu *tuning) { ftOneBucket(tu); tu.waste = 0 })},
		"large": {btLarge, withTuning(func(tu *tuning) { tu.waste = 0 })},
	} {
		t.Run(name, func(t *testing.T) {
			const stay, others = 100, 200
			m := New[K, atWide](opts...)
			keys := make([]K, stay+others)
			for i := range keys {
				keys[i] = key(i)
			}
			for i, k := range keys[:stay] {
				m.Store(k, atWideOf(uint64(i)))
			}
			var near atomic.Int64
			ftWatch(t, func() {
				ftWhile(func() {
					ftTogether(2, func(g int) { // owners of the other keys, who write in batches
						mine := keys[stay+g*others/2:][:others/2]
						vals, found := make([]atWide, len(mine)), make([]bool, len(mine))
						for n := range max(ftN(250), 5) {
							size := rand.IntN(len(mine)) + 1
							for i := range vals {
								vals[i] = atWideOf(uint64(n + i))
							}
							m.StoreBatch(mine[:size], vals[:size])
							clear(vals)
							if got := m.LoadBatch(mine[:size], vals[:size], found[:size]); got != size {
								t.Errorf("LoadBatch finds %d of its %d keys", got, size)
							}
							for i := range size {
								if !found[i] || vals[i] != atWideOf(uint64(n+i)) {
									t.Errorf("key %v: %v, %v instead of %d", mine[i], vals[i], found[i], n+i)
									return
								}
							}
							if got := m.DeleteBatch(mine[:size]); got != size {
								t.Errorf("DeleteBatch deletes %d of its %d keys", got, size)
							}
							if got := m.LoadBatch(mine, vals, found); got != 0 {
								t.Errorf("LoadBatch finds %d keys that are gone", got)
							}
						}
					})
				}, func() { // those that stay are overwritten, so that slots move
					i := rand.IntN(stay)
					m.Store(keys[i], atWideOf(uint64(i+stay*rand.IntN(1000))))
				}, func() {
					vals, found := make([]atWide, stay), make([]bool, stay)
					if n := m.LoadBatch(keys[:stay], vals, found); n != stay {
						t.Errorf("LoadBatch finds %d of %d keys that are never deleted", n, stay)
					}
					for i, v := range vals {
						if !found[i] || v != atWideOf(v.n) || v.n%stay != uint64(i) {
							t.Errorf("key %v: %v, %v", keys[i], v, found[i])
							return
						}
					}
					near.Add(int64(max(btNear(m, keys[:stay]), 0)))
				}, func() {
					if name == "tiny" {
						ftResize(m, stay+others)
					} else if rm := m.core.read.Load(); rand.IntN(4) == 0 {
						m.core.resizeAnd(rm, 512<<rand.IntN(2), true)
					}
				})
			})
			m.core.settle() // a short run may have had no moment between two growths
			near.Add(int64(max(btNear(m, keys[:stay]), 0)))
			assert.Equal(t, name == "large", near.Load() > 0, "keys were brought near")
			assert.NotZero(t, ftTransitions(m))
			require.Equal(t, stay, m.Len())
			require.NoError(t, m.Verify())
		})
	}
}

// Batches allocate nothing, whether or not they bring keys near.
func TestBatchesAllocateNothing(t *testing.T) {
	btTestAllocs(t, func(i int) uint64 { return uint64(i) })
	btTestAllocs(t, func(i int) string { return fmt.Sprint("key ", i) })
	btTestAllocs(t, func(i int) any { return i })
	btTestAllocs(t, func(i int) string { return fmt.Sprint("key ", i) }, WithHasher(mtHashString))
	btTestAllocs(t, func(i int) any { return i }, WithStableHash())
}

func btTestAllocs[K comparable](t *testing.T, key func(i int) K, more ...Option) {
	const n = 500
	keys, vals, found := make([]K, 2*n), make([]int, 2*n), make([]bool, 2*n)
	for i := range keys {
		keys[i] = key(i)
	}
	for _, large := range []bool{false, true} {
		var m *Map[K, int]
		opts := append(slices.Clone(more), WithCapacity(2*n))
		if large {
			opts = append(opts, btLarge)
		}
		fill := func() {
			m = New[K, int](opts...)
			m.StoreBatch(keys[:n], vals[:n])
		}
		for name, op := range map[string]func(){
			"LoadBatch":   func() { mtSinkInt = m.LoadBatch(keys, vals, found) },
			"StoreBatch":  func() { m.StoreBatch(keys[:n], vals[:n]) },
			"DeleteBatch": func() { mtSinkInt = m.DeleteBatch(keys) },
		} {
			assert.Zero(t, mtAllocs(fill, op), "%T, %d options, %s, large %v", keys[0], len(more), name, large)
			assert.Equal(t, large, btNear(m, keys) >= 0)
		}
	}
}
