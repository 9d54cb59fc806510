package hushmap

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stSyncMap is the method set that AnyMap shares with sync.Map, which is the oracle of this file.
type stSyncMap interface {
	Load(key any) (value any, ok bool)
	Store(key, value any)
	LoadOrStore(key, value any) (actual any, loaded bool)
	LoadAndDelete(key any) (value any, loaded bool)
	Delete(key any)
	Swap(key, value any) (previous any, loaded bool)
	CompareAndSwap(key, old, new any) (swapped bool)
	CompareAndDelete(key, old any) (deleted bool)
	Range(f func(key, value any) bool)
	Clear()
}

var (
	_ stSyncMap = (*sync.Map)(nil)
	_ stSyncMap = (*AnyMap)(nil)
)

// stCall is one call of one method of a map.
type stCall struct {
	name string
	call func(m stSyncMap) (value any, ok bool)
}

// stCalls returns a call of every method that takes a key.
func stCalls(key, old, value any) []stCall {
	return []stCall{
		{"Load", func(m stSyncMap) (any, bool) { return m.Load(key) }},
		{"Store", func(m stSyncMap) (any, bool) { m.Store(key, value); return nil, false }},
		{"LoadOrStore", func(m stSyncMap) (any, bool) { return m.LoadOrStore(key, value) }},
		{"LoadAndDelete", func(m stSyncMap) (any, bool) { return m.LoadAndDelete(key) }},
		{"Delete", func(m stSyncMap) (any, bool) { m.Delete(key); return nil, false }},
		{"Swap", func(m stSyncMap) (any, bool) { return m.Swap(key, value) }},
		{"CompareAndSwap", func(m stSyncMap) (any, bool) { return nil, m.CompareAndSwap(key, old, value) }},
		{"CompareAndDelete", func(m stSyncMap) (any, bool) { return nil, m.CompareAndDelete(key, old) }},
	}
}

// stPanic returns what f panics with, or nil.
func stPanic(f func()) (reason any) {
	defer func() { reason = recover() }()
	f()
	return nil
}

// stMessage returns the text of what f panics with; runtime errors are marked as such.
func stMessage(f func()) string {
	switch reason := stPanic(f).(type) {
	case nil:
		return "no panic"
	case runtime.Error:
		return "runtime.Error: " + reason.Error()
	default:
		return fmt.Sprintf("%T: %v", reason, reason)
	}
}

// stContents returns the entries of m.
func stContents(m stSyncMap) map[any]any {
	c := make(map[any]any)
	m.Range(func(k, v any) bool { c[k] = v; return true })
	return c
}

// stUsable fails the test unless every key can be written, from another goroutine, and the structure is sound. A lock
// that was left held makes it time out.
func stUsable(t *testing.T, m *AnyMap, keys ...any) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		for _, k := range append(keys, "usable", nil, 0) {
			before, loaded := m.Load(k)
			m.Store(k, "used")
			if loaded {
				m.Store(k, before)
			} else {
				m.Delete(k)
			}
		}
		done <- m.Verify()
	}()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("the map is blocked")
	}
}

type stPoint struct{ X, Y int }

// stHashableKeys are keys of many kinds, no two of which are ==.
var stHashableKeys = []any{
	nil, 0, 1, int32(1), uint8(1), "", "1", 1.5, math.Inf(-1), true, 'x', complex(1, 2), stPoint{1, 2}, stPoint{2, 1},
	[2]string{"a", "b"}, [0]int{}, struct{}{}, new(int), make(chan int), [1]any{nil}, [1]any{1}, error(nil),
	fmt.Stringer(time.Duration(5)), uintptr(1), struct{ a, b any }{1, "b"},
}

// Every method, on every kind of key, absent and present, with every kind of value before: the result and the
// contents afterwards are those of sync.Map.
func TestMethodsMatchSyncMap(t *testing.T) {
	values := []any{nil, 0, "v", 1.5, math.NaN(), stPoint{3, 4}, &stPoint{}, struct{}{}, int64(0)}
	for _, key := range stHashableKeys {
		for _, present := range append([]any{"absent"}, values...) {
			for _, old := range values {
				for i := range stCalls(key, old, "new") {
					stCompareCall(t, stCalls(key, old, "new")[i], key, present, old)
				}
			}
		}
	}
}

func stCompareCall(t *testing.T, c stCall, key, present, old any) {
	t.Helper()
	var oracle sync.Map
	var m AnyMap
	for _, m := range []stSyncMap{&oracle, &m} {
		m.Store("another", 7)
		if present != "absent" {
			m.Store(key, present)
		}
	}
	what := fmt.Sprintf("%s(%#v), %#v before, old %#v", c.name, key, present, old)
	wantValue, wantOK := c.call(&oracle)
	gotValue, gotOK := c.call(&m)
	if wantOK != gotOK || !stSameAny(wantValue, gotValue) {
		t.Fatalf("%s: got %v, %v, sync.Map has %v, %v", what, gotValue, gotOK, wantValue, wantOK)
	}
	want, got := stContents(&oracle), stContents(&m)
	if len(want) != len(got) || len(got) != m.Len() {
		t.Fatalf("%s: contents %v, Len %d, sync.Map has %v", what, got, m.Len(), want)
	}
	for k, v := range want {
		if g, ok := got[k]; !ok || !stSameAny(v, g) {
			t.Fatalf("%s: contents %v, sync.Map has %v", what, got, want)
		}
	}
}

// stSameAny is ==, except that NaN is the same as NaN.
func stSameAny(a, b any) bool { return a == b || a != a && b != b }

func TestZeroMapMatchesSyncMap(t *testing.T) {
	for i, c := range stCalls("k", "old", "new") {
		var oracle sync.Map
		var m AnyMap
		for range 2 {
			wantValue, wantOK := c.call(&oracle)
			gotValue, gotOK := stCalls("k", "old", "new")[i].call(&m)
			assert.Equal(t, wantValue, gotValue, c.name)
			assert.Equal(t, wantOK, gotOK, c.name)
			assert.Equal(t, stContents(&oracle), stContents(&m), c.name)
		}
		m.Clear()
		assert.Zero(t, m.Len())
	}
	var m AnyMap
	m.Clear()
	m.Compact()
	m.Range(func(k, v any) bool { t.Error("an empty map has no entries"); return true })
	assert.Zero(t, m.DeleteFunc(func(k, v any) bool { t.Error("an empty map has no entries"); return true }))
	assert.Zero(t, m.Len())
	assert.Equal(t, Stats{}, m.Stats())
	assert.NoError(t, m.Verify())
}

// stUnhashable are keys that no map can hold, bare and inside structs and arrays.
var stUnhashable = []any{
	[]int{1}, []int(nil), map[string]int{}, func() {}, (func())(nil),
	struct{ f []int }{}, [1][]int{}, [2]any{1, []int{}}, struct{ a, b any }{1, map[int]int{}},
	struct{ inner [1]struct{ v any } }{[1]struct{ v any }{{func() {}}}}, any([]any{1}), &stPoint{},
}

// FAILURES: unhashable key leaves the map broken. Each method panics with the message that sync.Map panics with, on
// the zero map, on a map with entries, on a cleared map and during a growth; afterwards the map works.
func TestUnhashableKeyPanicsLikeSyncMap(t *testing.T) {
	states := map[string]func(m stSyncMap){
		"zero":    func(m stSyncMap) {},
		"entries": func(m stSyncMap) { stFillAny(m, 20) },
		"cleared": func(m stSyncMap) { stFillAny(m, 20); m.Clear() },
		"growing": func(m stSyncMap) { stFillAny(m, 97) },
	}
	for state, prepare := range states {
		for _, key := range stUnhashable[:len(stUnhashable)-1] { // the last is a pointer, which is hashable
			m := New[any, any](stTuned(tuning{chunk: 1}))
			var oracle sync.Map
			prepare(m)
			prepare(&oracle)
			require.Equal(t, state == "growing", m.Stats().Growing, state)
			for _, c := range stCalls(key, nil, "new") {
				want := stMessage(func() { c.call(&oracle) })
				require.Contains(t, want, "runtime.Error: runtime error: hash of unhashable type", c.name)
				require.Equal(t, want, stMessage(func() { c.call(m) }), "%s(%T) on a map: %s", c.name, key, state)
			}
			for name, f := range map[string]func(){
				"Compute": func() {
					m.Compute(key, func(any, bool) (any, Op) { t.Error("the function was called"); return nil, UpdateOp })
				},
				"LoadOrCompute": func() {
					m.LoadOrCompute(key, func() (any, error) { t.Error("the function was called"); return nil, nil })
				},
			} {
				require.Contains(t, stMessage(f), "hash of unhashable type", "%s(%T) on a map: %s", name, key, state)
			}
			require.Equal(t, stContents(&oracle), stContents(m))
			stUsable(t, m, 1, 2, 3, 97, 98)
		}
	}
}

// The same with the hashers that options choose, which need not look at the key at all.
func TestUnhashableKeyPanicsUnderEveryHasher(t *testing.T) {
	var oracle sync.Map
	for name, opt := range map[string]Option{
		"constant": WithHasher(func(any, uint64) uint64 { return 1 }),
		"stable":   WithStableHash(),
	} {
		for _, key := range stUnhashable[:len(stUnhashable)-1] {
			m := New[any, any](opt)
			for range 2 { // the empty map, then one with entries
				for _, c := range stCalls(key, nil, "new") {
					want := stMessage(func() { c.call(&oracle) })
					require.Equal(t, want, stMessage(func() { c.call(m) }), "%s: %s(%T)", name, c.name, key)
				}
				stFillAny(m, 30)
				stUsable(t, m)
			}
			require.Equal(t, 30, m.Len())
		}
	}
}

// An unhashable key comes up in the middle of many writers' work; nobody else notices.
func TestUnhashableKeyInTheMiddleOfUse(t *testing.T) {
	m := New[any, any](stTuned(tuning{chunk: 1}))
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 2000 {
				k := [2]any{g, i}
				m.Store(k, i)
				if i%3 == 0 {
					bad := [2]any{g, []int{i}}
					assert.NotNil(t, stPanic(func() { m.Store(bad, i) }))
					assert.NotNil(t, stPanic(func() { m.CompareAndSwap(bad, 1, 2) }))
					assert.NotNil(t, stPanic(func() { m.LoadOrCompute(bad, func() (any, error) { return nil, nil }) }))
				}
				if i%2 == 0 {
					m.Delete(k)
				}
			}
		}()
	}
	wg.Wait()
	require.Equal(t, 4000, m.Len())
	require.NoError(t, m.Verify())
}

func stFillAny(m stSyncMap, n int) {
	for i := range n {
		m.Store(i, -i)
	}
}

// FAILURES: incomparable value in CompareAndDelete / CompareAndSwap. For every pair of present value and old value:
// the same answer or the same panic as sync.Map, and no lock is left held.
func TestIncomparableValuesMatchSyncMap(t *testing.T) {
	type hasSlice struct{ s []int }
	values := []any{
		nil, 1, "s", []int{1}, []int(nil), []string{}, map[int]int{}, func() {}, hasSlice{}, [1]any{[]int{1}},
		[1]any{1}, struct{ a any }{[]int{}}, struct{ a any }{1}, [2]any{1, []int{}}, [2]any{2, []int{}}, &hasSlice{},
	}
	panics := 0
	for _, present := range values {
		for _, old := range values {
			for _, c := range stCalls("k", old, "new")[6:] {
				var oracle sync.Map
				var m AnyMap
				var want, got bool
				oracle.Store("k", present)
				m.Store("k", present)
				wantMessage := stMessage(func() { _, want = c.call(&oracle) })
				gotMessage := stMessage(func() { _, got = c.call(&m) })
				what := fmt.Sprintf("%s: present %T, old %T", c.name, present, old)
				require.Equal(t, wantMessage, gotMessage, what)
				require.Equal(t, want, got, what)
				if wantMessage != "no panic" {
					panics++
					_, ok := m.Load("k")
					require.True(t, ok, "%s: the entry is lost", what)
				}
				stUsable(t, &m, "k")
			}
		}
	}
	require.Greater(t, panics, 20, "the values provoke too few panics")
}

func TestIncomparableOldOfAbsentKey(t *testing.T) {
	for _, c := range stCalls("k", []int{1}, "new")[6:] {
		var oracle sync.Map
		var m AnyMap
		for range 2 {
			_, want := c.call(&oracle)
			_, got := c.call(&m)
			assert.False(t, got, c.name)
			assert.Equal(t, want, got, c.name)
			m.Store("other", 1)
		}
		stUsable(t, &m, "k")
	}
}

// A value type that cannot be compared at all panics even if the key is absent, and with the words of sync.Map's
// engine.
func TestIncomparableValueType(t *testing.T) {
	stIncomparableType(t, []int{1})
	stIncomparableType(t, struct {
		a int
		f []int
	}{})
}

func stIncomparableType[V any](t *testing.T, value V) {
	t.Helper()
	for _, m := range []*Map[int, V]{{}, New[int, V](WithCapacity(10))} {
		for range 2 {
			assert.Equal(t, "string: called CompareAndSwap when value is not of comparable type",
				stMessage(func() { m.CompareAndSwap(1, value, value) }))
			assert.Equal(t, "string: called CompareAndDelete when value is not of comparable type",
				stMessage(func() { m.CompareAndDelete(1, value) }))
			m.Store(1, value)
			_, ok := m.Load(1)
			assert.True(t, ok)
			assert.NoError(t, m.Verify())
		}
		_, loaded := m.LoadAndDelete(1)
		assert.True(t, loaded)
	}
}

// Methods of a nil pointer panic, as those of sync.Map do.
func TestNilMapPanicsLikeSyncMap(t *testing.T) {
	var oracle *sync.Map
	var m *AnyMap
	calls := append(stCalls("k", "old", "new"),
		stCall{"Range", func(m stSyncMap) (any, bool) { m.Range(func(k, v any) bool { return true }); return nil, false }},
		stCall{"Clear", func(m stSyncMap) (any, bool) { m.Clear(); return nil, false }})
	var names []string
	for _, c := range calls {
		want := stMessage(func() { c.call(oracle) })
		require.Contains(t, want, "nil pointer dereference", c.name)
		assert.Equal(t, want, stMessage(func() { c.call(m) }), c.name)
		names = append(names, c.name)
	}
	others := map[string]func(){
		"Len":           func() { m.Len() },
		"All":           func() { m.All()(func(k, v any) bool { return true }) },
		"Keys":          func() { m.Keys()(func(k any) bool { return true }) },
		"Values":        func() { m.Values()(func(v any) bool { return true }) },
		"Compute":       func() { m.Compute(1, func(any, bool) (any, Op) { return nil, CancelOp }) },
		"LoadOrCompute": func() { m.LoadOrCompute(1, func() (any, error) { return nil, nil }) },
		"DeleteFunc":    func() { m.DeleteFunc(func(k, v any) bool { return true }) },
		"LoadBatch":     func() { m.LoadBatch([]any{1}, make([]any, 1), make([]bool, 1)) },
		"StoreBatch":    func() { m.StoreBatch([]any{1}, make([]any, 1)) },
		"DeleteBatch":   func() { m.DeleteBatch([]any{1}) },
		"Grow":          func() { m.Grow(1) },
		"Compact":       func() { m.Compact() },
		"Stats":         func() { m.Stats() },
		"Verify":        func() { _ = m.Verify() },
	}
	assert.Empty(t, ftForgotten(reflect.TypeOf(m), slices.AppendSeq(names, maps.Keys(others))))
	var byBytes *Map[string, int]
	key := []byte("k")
	maps.Copy(others, map[string]func(){
		"LoadBytes":          func() { LoadBytes(byBytes, key) },
		"StoreBytes":         func() { StoreBytes(byBytes, key, 1) },
		"LoadOrStoreBytes":   func() { LoadOrStoreBytes(byBytes, key, 1) },
		"SwapBytes":          func() { SwapBytes(byBytes, key, 1) },
		"DeleteBytes":        func() { DeleteBytes(byBytes, key) },
		"LoadAndDeleteBytes": func() { LoadAndDeleteBytes(byBytes, key) },
	})
	for name, f := range others {
		assert.Contains(t, stMessage(f), "nil pointer dereference", name)
	}
}

func TestRangeStopsLikeSyncMap(t *testing.T) {
	var oracle sync.Map
	var m AnyMap
	stFillAny(&oracle, 100)
	stFillAny(&m, 100)
	for stop := 1; stop <= 101; stop++ {
		count := func(m stSyncMap) (n int) {
			m.Range(func(k, v any) bool { n++; return n < stop })
			return n
		}
		assert.Equal(t, count(&oracle), count(&m))
		assert.Equal(t, min(stop, 100), count(&m))
	}
}

// A sweep keeps no address in a table that it does not keep, or the address could be another's while it is on the stack.
func TestSweepForgetsTablesThatGo(t *testing.T) {
	var m Map[int, int]
	m.Store(1, 1)
	s := sweep[int, int]{core: &m.core}
	require.True(t, s.collect(m.core.settle()))
	require.NotNil(t, s.bucket)
	m.Grow(1000)
	s.enter(m.core.settle())
	assert.Nil(t, s.bucket)
}

// Entries that the callback deletes before their turn are not visited, in neither map.
func TestRangeSkipsWhatItDeletes(t *testing.T) {
	for _, m := range []stSyncMap{new(sync.Map), new(AnyMap)} {
		stFillAny(m, 200)
		visited := make(map[any]bool)
		m.Range(func(k, v any) bool {
			visited[k] = true
			pair := k.(int) ^ 1
			assert.False(t, visited[pair], "%T: %d was deleted when %d was visited", m, k, pair)
			m.Delete(pair)
			return true
		})
		assert.Len(t, visited, 100, "%T", m)
	}
}

func TestClearThenUse(t *testing.T) {
	for _, m := range []stSyncMap{new(sync.Map), new(AnyMap)} {
		for round := range 5 {
			stFillAny(m, 10<<round)
			m.Clear()
			assert.Empty(t, stContents(m))
			_, ok := m.Load(3)
			assert.False(t, ok)
		}
	}
}

// Keys of different dynamic types never meet, and +0 and -0 are one key.
func TestKeysAreComparedLikeSyncMap(t *testing.T) {
	negativeZero := math.Copysign(0, -1)
	for _, m := range []stSyncMap{new(sync.Map), new(AnyMap)} {
		for i, k := range []any{1, int8(1), int16(1), int32(1), int64(1), uint(1), uint8(1), uintptr(1), 1.0, float32(1),
			complex(1, 0), "1", true, [1]int{1}, struct{ a int }{1}, stPoint{1, 0}} {
			m.Store(k, i)
		}
		assert.Len(t, stContents(m), 16, "%T", m)
		m.Store(0.0, "zero")
		v, ok := m.Load(negativeZero)
		assert.True(t, ok, "%T", m)
		assert.Equal(t, "zero", v)
		previous, loaded := m.Swap(complex(negativeZero, 0), "c")
		assert.Nil(t, previous)
		assert.False(t, loaded)
		assert.True(t, m.CompareAndDelete(complex(0, negativeZero), "c"), "%T", m)
	}
}
