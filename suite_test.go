package hushmap

import (
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/internal/mem"
)

const (
	// stNearWrap starts the version counters so that they wrap around within the suite.
	stNearWrap = uint64(1<<32-3) << 32
	// stSaturated starts the overflow counts at their end, where they stay: searches go through the whole table.
	stSaturated = uint64(overflowMask)
)

// stConfig is a way to make a map hostile to its engine, and the proof that it is.
type stConfig struct {
	name string
	most int // entries that tests should put in at once, as the configuration makes operations slow
	// opts returns the options, and false if they are not for these types.
	opts func(types stTypes) (opts []Option, ok bool)
	// took fails the test unless the configuration took effect on a map with these keys. grew says whether a growth
	// was seen under way while they were stored.
	took func(t *testing.T, types stTypes, m stView, keys []any, grew bool)
}

var (
	stOneByOne = stTuned(tuning{chunk: 1})
	// stRaw keeps the result of WithHasher as it is.
	stRaw = Option{func(s *settings) { s.tuning.rawHash = true }}
)

func stConstant(types stTypes) Option { return types.hasher(func(any) uint64 { return 0x1234 }) }

// stZeroTop hashes every key to home bucket 0, with different tophash bytes.
func stZeroTop(types stTypes) Option {
	return types.hasher(func(k any) uint64 { return maphash.Comparable(stFixedSeed, k) >> 32 })
}

// stConfigs are all configurations. The first is the default one.
var stConfigs = []stConfig{
	{"default", 3000, func(stTypes) ([]Option, bool) { return nil, true },
		func(t *testing.T, _ stTypes, m stView, _ []any, _ bool) { require.Equal(t, defaultTuning, m.tuning()) }},
	{"constant hasher", 150, func(types stTypes) ([]Option, bool) { return []Option{stConstant(types)}, true }, stOneHome},
	{"zero top bits", 150, func(types stTypes) ([]Option, bool) { return []Option{stZeroTop(types), stRaw}, true },
		func(t *testing.T, types stTypes, m stView, keys []any, grew bool) {
			stOneHome(t, types, m, keys, grew)
			for _, k := range keys {
				require.Zero(t, m.home(k))
			}
		}},
	{"stable", 3000, func(types stTypes) ([]Option, bool) { return []Option{WithStableHash()}, stHasNoAddress(types.key) },
		func(t *testing.T, types stTypes, m stView, keys []any, _ bool) {
			other := types.new(WithStableHash())
			other.Store(keys[0], types.zero)
			for _, k := range keys {
				require.Equal(t, m.hash(k), other.hash(k), "the hash of %v differs between maps", k)
			}
		}},
	{"one bucket at a time", 3000, func(stTypes) ([]Option, bool) { return []Option{stOneByOne}, true },
		func(t *testing.T, _ stTypes, m stView, keys []any, grew bool) {
			require.Equal(t, len(keys) > 24, grew, "a growth of %d keys was seen under way", len(keys))
		}},
	{"one bucket at a time, constant hasher", 150,
		func(types stTypes) ([]Option, bool) { return []Option{stOneByOne, stConstant(types)}, true },
		func(t *testing.T, types stTypes, m stView, keys []any, grew bool) {
			stOneHome(t, types, m, keys, grew)
			require.Equal(t, len(keys) > 24, grew, "a growth of %d keys was seen under way", len(keys))
		}},
	{"versions wrap", 3000, func(stTypes) ([]Option, bool) { return []Option{stTuned(tuning{chunk: 1, control: stNearWrap})}, true },
		func(t *testing.T, _ stTypes, m stView, keys []any, _ bool) {
			require.Equal(t, stNearWrap, m.tuning().control)
			for range 8 {
				v, _ := m.LoadAndDelete(keys[0])
				m.Store(keys[0], v)
			}
			require.True(t, slices.ContainsFunc(m.controls(), func(c control) bool { return c.version() < 1<<31 }),
				"no version counter has wrapped around")
		}},
	{"mapped", 3000, func(stTypes) ([]Option, bool) { return []Option{stTuned(tuning{chunk: 1, mapFrom: 1})}, mem.CanMap },
		func(t *testing.T, _ stTypes, m stView, _ []any, _ bool) {
			s := m.Stats()
			require.Equal(t, !m.hasPointers(), s.Memory == "plain", "the table is in %q memory", s.Memory)
			require.Equal(t, !m.hasPointers(), s.MappedBytes > 0)
		}},
	{"overflow counts saturated", 60,
		func(stTypes) ([]Option, bool) { return []Option{stTuned(tuning{chunk: 1, control: stSaturated})}, true },
		func(t *testing.T, _ stTypes, m stView, _ []any, _ bool) {
			for _, c := range m.controls() {
				require.Equal(t, overflowMask, c&overflowMask)
			}
		}},
}

// stOneHome requires that all keys have the same home bucket.
func stOneHome(t *testing.T, _ stTypes, m stView, keys []any, _ bool) {
	probes := m.Stats().Probes
	for i, n := range probes[:len(probes)-1] {
		require.Equal(t, min(8, max(0, len(keys)-8*i)), n, "the keys do not share one home bucket: %v", probes)
	}
}

// stHasNoAddress reports whether WithStableHash accepts keys of type t.
func stHasNoAddress(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Chan, reflect.UnsafePointer:
		return false
	case reflect.Array:
		return stHasNoAddress(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !stHasNoAddress(t.Field(i).Type) {
				return false
			}
		}
	}
	return true
}

// stSuite runs the whole API over keys and values made from small integers, under every configuration. key must
// return n different keys; value(i) and value(i+1) must differ, unless all values of V are alike.
func stSuite[K comparable, V any](t *testing.T, n int, key func(i int) K, value func(i int) V) {
	types := stTypesOf[K, V]()
	var keys []any
	for i := range n {
		keys = append(keys, key(i))
	}
	stSuiteOf(t, types, keys, func(i int) any { return value(i) })
}

func stSuiteOf(t *testing.T, types stTypes, keys []any, value func(i int) any) {
	for _, c := range stConfigs {
		opts, ok := c.opts(types)
		if !ok {
			continue
		}
		t.Run(fmt.Sprintf("%v,%v/%s", types.key, types.value, c.name), func(t *testing.T) {
			s := &stRun{t: t, types: types, m: types.new(opts...), keys: keys, value: value, want: make(map[any]int)}
			s.run(c)
		})
	}
}

// stRun is one run of the suite: a map, and what should be in it.
type stRun struct {
	t     *testing.T
	types stTypes
	m     stView
	keys  []any
	value func(i int) any
	want  map[any]int // key: number of its value
	grew  bool
}

func (s *stRun) run(c stConfig) {
	s.phase("empty", s.checkAbsent)
	s.phase("store", s.store)
	c.took(s.t, s.types, s.m, s.keys, s.grew)
	s.phase("overwrite", s.overwrite)
	s.phase("compare", s.compare)
	s.phase("compute", s.compute)
	s.phase("delete", s.delete)
	s.phase("loadOrCompute", s.loadOrCompute)
	s.phase("grow", func() { s.m.Grow(3 * len(s.keys)) })
	s.phase("deleteFunc", s.deleteFunc)
	s.phase("compact", s.m.Compact)
	s.phase("store again", s.store)
	s.phase("clear", func() { s.m.Clear(); clear(s.want) })
	s.phase("store after clear", s.store)
	s.phase("delete all", s.deleteAll)
}

// phase runs one part and then checks everything.
func (s *stRun) phase(name string, f func()) {
	s.t.Helper()
	f()
	if s.t.Failed() {
		s.t.Fatalf("in phase %q", name)
	}
	if err := s.m.Verify(); err != nil {
		s.t.Fatalf("after phase %q: %v", name, err)
	}
	s.checkContents(name)
}

func (s *stRun) checkContents(name string) {
	s.t.Helper()
	require.Equal(s.t, len(s.want), s.m.Len(), "Len after phase %q", name)
	for _, k := range s.keys {
		i, present := s.want[k]
		v, ok := s.m.Load(k)
		require.Equal(s.t, present, ok, "Load(%v) after phase %q", k, name)
		if ok && !stAlike(v, s.value(i)) || !ok && !stAlike(v, s.types.zero) {
			s.t.Fatalf("Load(%v) after phase %q: got %v, want number %d", k, name, v, i)
		}
	}
	seen := make(map[any]bool)
	s.m.All(func(k, v any) bool {
		i, present := s.want[k]
		if !present || seen[k] || !stAlike(v, s.value(i)) {
			s.t.Fatalf("All after phase %q: %v, %v: present %v, seen before %v", name, k, v, present, seen[k])
		}
		seen[k] = true
		return true
	})
	require.Len(s.t, seen, len(s.want), "All after phase %q", name)
	nk, nv := 0, 0
	s.m.Keys(func(any) bool { nk++; return true })
	s.m.Values(func(any) bool { nv++; return true })
	require.Equal(s.t, [2]int{len(s.want), len(s.want)}, [2]int{nk, nv}, "Keys and Values after phase %q", name)
}

func (s *stRun) checkAbsent() {
	for _, k := range s.keys {
		_, ok := s.m.LoadAndDelete(k)
		assert.False(s.t, ok)
		s.m.Delete(k)
	}
}

func (s *stRun) store() {
	for i, k := range s.keys {
		_, present := s.want[k]
		actual, loaded := s.m.LoadOrStore(k, s.value(i))
		assert.Equal(s.t, present, loaded)
		if !present {
			s.want[k] = i
		}
		assert.True(s.t, stAlike(actual, s.value(s.want[k])))
		s.grew = s.grew || s.m.Stats().Growing
	}
}

func (s *stRun) overwrite() {
	for i, k := range s.keys {
		s.m.Store(k, s.value(i+1))
		previous, loaded := s.m.Swap(k, s.value(i+2))
		assert.True(s.t, loaded && stAlike(previous, s.value(i+1)), "Swap(%v)", k)
		actual, loaded := s.m.LoadOrStore(k, s.value(i))
		assert.True(s.t, loaded && stAlike(actual, s.value(i+2)), "LoadOrStore(%v)", k)
		s.want[k] = i + 2
	}
}

func (s *stRun) compare() {
	if !s.types.value.Comparable() {
		assert.NotNil(s.t, stPanic(func() { s.m.CompareAndSwap(s.keys[0], s.value(0), s.value(0)) }))
		assert.NotNil(s.t, stPanic(func() { s.m.CompareAndDelete(s.keys[0], s.value(0)) }))
		return
	}
	for i, k := range s.keys {
		now, other := s.value(s.want[k]), s.value(s.want[k]+1)
		if !stAlike(now, other) {
			assert.False(s.t, s.m.CompareAndSwap(k, other, now), "CompareAndSwap(%v) of another value", k)
			assert.False(s.t, s.m.CompareAndDelete(k, other), "CompareAndDelete(%v) of another value", k)
		}
		assert.True(s.t, s.m.CompareAndSwap(k, now, other), "CompareAndSwap(%v)", k)
		s.want[k]++
		if i%4 == 0 {
			assert.True(s.t, s.m.CompareAndDelete(k, other), "CompareAndDelete(%v)", k)
			assert.False(s.t, s.m.CompareAndDelete(k, other), "CompareAndDelete(%v) again", k)
			assert.False(s.t, s.m.CompareAndSwap(k, other, now), "CompareAndSwap(%v) of an absent key", k)
			delete(s.want, k)
		}
	}
}

func (s *stRun) compute() {
	for i, k := range s.keys {
		number, present := s.want[k]
		op := Op(i % 3)
		actual, ok := s.m.Compute(k, func(old any, loaded bool) (any, Op) {
			assert.Equal(s.t, present, loaded)
			if present {
				assert.True(s.t, stAlike(old, s.value(number)))
			} else {
				assert.True(s.t, stAlike(old, s.types.zero))
			}
			return s.value(i), op
		})
		switch op {
		case UpdateOp:
			s.want[k] = i
		case DeleteOp:
			delete(s.want, k)
		}
		number, present = s.want[k]
		assert.Equal(s.t, present, ok, "Compute(%v), %v", k, op)
		if present {
			assert.True(s.t, stAlike(actual, s.value(number)), "Compute(%v), %v", k, op)
		} else {
			assert.True(s.t, stAlike(actual, s.types.zero), "Compute(%v), %v", k, op)
		}
	}
}

func (s *stRun) delete() {
	for i, k := range s.keys {
		number, present := s.want[k]
		switch i % 3 {
		case 0:
			v, loaded := s.m.LoadAndDelete(k)
			assert.Equal(s.t, present, loaded)
			assert.True(s.t, !loaded || stAlike(v, s.value(number)))
			delete(s.want, k)
		case 1:
			s.m.Delete(k)
			delete(s.want, k)
		}
	}
}

func (s *stRun) loadOrCompute() {
	fault := errors.New("fault")
	for i, k := range s.keys {
		number, present := s.want[k]
		calls := 0
		_, loaded, err := s.m.LoadOrCompute(k, func() (any, error) { calls++; return s.value(i), fault })
		assert.True(s.t, loaded == present && (err == fault) == !present, "LoadOrCompute(%v): %v, %v", k, loaded, err)
		v, loaded, err := s.m.LoadOrCompute(k, func() (any, error) { calls++; return s.value(i), nil })
		assert.True(s.t, loaded == present && err == nil, "LoadOrCompute(%v): %v, %v", k, loaded, err)
		if present {
			assert.True(s.t, calls == 0 && stAlike(v, s.value(number)))
		} else {
			assert.True(s.t, calls == 2 && stAlike(v, s.value(i)))
			s.want[k] = i
		}
	}
}

func (s *stRun) deleteFunc() {
	odd := make(map[any]bool)
	for i, k := range s.keys {
		odd[k] = i%2 == 1
	}
	before := len(s.want)
	maps.DeleteFunc(s.want, func(k any, _ int) bool { return odd[k] })
	assert.Equal(s.t, before-len(s.want), s.m.DeleteFunc(func(k, v any) bool {
		assert.True(s.t, stAlike(v, s.value(s.wantOf(k, v))))
		return odd[k]
	}))
	assert.Zero(s.t, s.m.DeleteFunc(func(any, any) bool { return false }))
}

// wantOf returns the number of k's value; loadOrCompute has given every key its own index, or left it.
func (s *stRun) wantOf(k, v any) int {
	if i, ok := s.want[k]; ok {
		return i
	}
	for i, other := range s.keys {
		if other == k && stAlike(v, s.value(i)) {
			return i
		}
	}
	for i := range len(s.keys) + 4 {
		if stAlike(v, s.value(i)) {
			return i
		}
	}
	return -1
}

func (s *stRun) deleteAll() {
	for _, k := range s.keys {
		_, loaded := s.m.LoadAndDelete(k)
		assert.True(s.t, loaded)
		delete(s.want, k)
	}
}

// stAlike compares values of any type: by ==, or by content, or functions by identity.
func stAlike(a, b any) bool {
	av, bv := reflect.ValueOf(a), reflect.ValueOf(b)
	switch {
	case a == nil || b == nil:
		return a == nil && b == nil
	case av.Kind() == reflect.Func && bv.Kind() == reflect.Func:
		return av.Pointer() == bv.Pointer()
	case av.Comparable() && bv.Comparable():
		return a == b
	}
	return reflect.DeepEqual(a, b)
}

type (
	stNamedInt    int
	stNamedString string
	stPadded      struct {
		a uint8
		b uint64
		c uint16
	}
	stBlank struct {
		a int32
		_ int32
		b int64
		_ [3]uint8
	}
	stNested struct {
		name  string
		inner struct {
			any   any
			flag  bool
			point stPoint
		}
	}
	stWide struct {
		p *int
		s string
	}
	stSmallMixed struct {
		a uint8
		b uint16
	}
	stTwoHalves struct{ a, b uint32 }
)

const stN = 120

// stMakeBlank returns an stBlank whose blank fields hold garbage that depends on salt.
func stMakeBlank(i int, salt byte) stBlank {
	type twin struct {
		a     int32
		junk  int32
		b     int64
		junks [3]uint8
	}
	w := twin{int32(i), int32(salt) * 7, int64(-i), [3]uint8{salt, salt + 1, salt + 2}}
	return *(*stBlank)(reflect.NewAt(reflect.TypeFor[stBlank](), reflect.ValueOf(&w).UnsafePointer()).UnsafePointer())
}

type stStringer int

func (s stStringer) String() string { return strconv.Itoa(int(s)) }

// stMixed returns keys of mixed dynamic types, all different.
func stMixed(i int) any {
	switch i % 8 {
	case 0:
		return i
	case 1:
		return int8(i)
	case 2:
		return strconv.Itoa(i)
	case 3:
		return float64(i) / 2
	case 4:
		return stPoint{i, -i}
	case 5:
		return [2]string{strconv.Itoa(i), ""}
	case 6:
		return stNamedInt(i)
	default:
		if i == 7 {
			return nil
		}
		return struct{ a any }{i}
	}
}

// stFuncs returns two functions of different identity.
func stFuncs() [2]func() int {
	return [2]func() int{func() int { return 0 }, func() int { return 1 }}
}
