//go:build !race && !hushmap_invariants && (!hushmap_atomic || hushmap_types)

// This file runs the suite over many types. Each costs the compiler more than a second, so it is left out where types
// make no difference: the suite uses one goroutine, in which there are no races to find, and hooks and invariants are the
// same for all types. Words of as many types are stored with atomic instructions in words_test.go, and whole maps have them
// on 386, and elsewhere if the tag hushmap_types asks for it.

package hushmap

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The suite over key types and value types, each of them once. Every pair is more code to compile, and the engine treats keys
// and values by layouts of their own, so there are no more pairs than it takes. Tables without pointers are mapped under one
// of the configurations: then neither of the two may have any.
func TestSuiteTypes(t *testing.T) {
	number := func(i int) int { return i }
	stSuite(t, 2, func(i int) bool { return i == 1 }, func(i int) uint8 { return uint8(i) })
	stSuite(t, stN, func(i int) int8 { return int8(i - 64) }, number)
	stSuite(t, stN, func(i int) int16 { return int16(i * -250) }, func(i int) stSmallMixed { return stSmallMixed{uint8(i), uint16(i)} })
	stSuite(t, stN, func(i int) int64 { return int64(i) << 57 >> 1 }, func(i int) [1024]byte { return [1024]byte{byte(i), 1023: byte(i)} })
	stSuite(t, stN, func(i int) uint64 { return uint64(i) * 3 }, func(i int) uint64 { return uint64(i) << 33 })
	stSuite(t, stN, func(i int) uintptr { return uintptr(i * 4096) }, func(i int) stTwoHalves { return stTwoHalves{uint32(i), ^uint32(i)} })
	stSuite(t, stN, func(i int) float32 { return float32(i-60) / 3 }, number)
	stSuite(t, stN, func(i int) float64 { return math.Ldexp(1, i*8-500) }, number)
	stSuite(t, stN, func(i int) complex64 { return complex(float32(i%7), float32(i/7)) }, number)
	stSuite(t, stN, func(i int) complex128 { return complex(float64(i/7), float64(i%7)) }, number)
	stSuite(t, stN, func(i int) string { return strings.Repeat("x", i) }, number)
	stSuite(t, stN, func(i int) string { return strconv.Itoa(i) }, func(i int) struct{} { return struct{}{} })
	stSuite(t, stN, func(i int) stNamedInt { return stNamedInt(i) }, func(i int) stBlank { return stMakeBlank(i, 1) })
	stSuite(t, stN, func(i int) stNamedString { return stNamedString(strconv.Itoa(i * 1000003)) }, number)
	stSuite(t, 1, func(i int) struct{} { return struct{}{} }, number)
	stSuite(t, 1, func(i int) [0]int { return [0]int{} }, number)
	stSuite(t, stN, func(i int) [3]byte { return [3]byte{byte(i), 1, byte(i % 5)} }, number)
	stSuite(t, stN, func(i int) stPadded { return stPadded{uint8(i % 3), uint64(i / 3), uint16(i)} }, func(i int) [3]byte {
		return [3]byte{byte(i), byte(i >> 1), 9}
	})
	stSuite(t, stN, func(i int) stBlank { return stMakeBlank(i, byte(i)) }, number)
}

// The suite over types that hold addresses or interfaces, of keys, of values, and of both.
func TestSuiteTypesWithPointers(t *testing.T) {
	var ints [stN + 4]int
	funcs := stFuncs()
	chans := make([]chan int, stN)
	for i := range chans {
		chans[i] = make(chan int)
	}
	stSuite(t, stN, func(i int) *int { return &ints[i] }, func(i int) *int { return &ints[i] })
	stSuite(t, stN, func(i int) chan int { return chans[i] }, func(i int) string { return strconv.Itoa(i) })
	stSuite(t, stN, func(i int) any { return stMixed(i) }, func(i int) any { return stMixed(i) })
	stSuite(t, stN, func(i int) fmt.Stringer { return stStringer(i) }, func(i int) map[int]int { return map[int]int{i: i} })
	stSuite(t, stN, func(i int) [2]string { return [2]string{strconv.Itoa(i / 10), strconv.Itoa(i % 10)} }, func(i int) []int { return ints[:i] })
	stSuite(t, stN, func(i int) [1]any { return [1]any{stMixed(i)} }, func(i int) func() int { return funcs[i%2] })
	stSuite(t, stN, func(i int) stNested {
		k := stNested{name: strconv.Itoa(i / 4)}
		k.inner.any, k.inner.flag = stMixed(i%4*8+i%8), i%2 == 0
		return k
	}, func(i int) int { return i })
	stSuite(t, stN, func(i int) int32 { return int32(i << 24) }, func(i int) *int { return &ints[i] })
	stSuite(t, stN, func(i int) uint64 { return uint64(i) * 3 }, func(i int) stWide { return stWide{&ints[i], strconv.Itoa(i)} })
}

// Keys that are == are one key, whatever their bytes: the sign of zero, padding, blank fields, copies of strings.
func TestEqualKeysWithDifferentBytes(t *testing.T) {
	negativeZero := math.Copysign(0, -1)
	stEqualKeys(t, 0.0, negativeZero)
	stEqualKeys(t, float32(0), float32(negativeZero))
	stEqualKeys(t, complex(0, negativeZero), complex(negativeZero, 0))
	stEqualKeys(t, [2]float64{1, 0}, [2]float64{1, negativeZero})
	stEqualKeys[any](t, struct{ f float64 }{0}, struct{ f float64 }{negativeZero})
	stEqualKeys(t, stMakeBlank(5, 1), stMakeBlank(5, 200))
	stEqualKeys(t, "abc", strings.Clone("abc"))
	stEqualKeys[any](t, "abc", any(strings.Clone("abc")))
}

func stEqualKeys[K comparable](t *testing.T, a, b K) {
	t.Helper()
	require.True(t, a == b)
	{
		m := New[K, int]()
		m.Store(a, 1)
		_, ok := m.Load(b)
		assert.True(t, ok, "%T", a)
		m.Store(b, 2)
		assert.Equal(t, 1, m.Len(), "%T", a)
		assert.True(t, m.CompareAndDelete(a, 2), "%T", a)
		assert.NoError(t, m.Verify())
	}
	if stHasNoAddress(reflect.TypeFor[K]()) {
		m := New[K, int](WithStableHash())
		m.Store(a, 1)
		_, ok := m.Load(b)
		assert.True(t, ok, "%T under a stable hash", a)
	}
}

// Values with padding or blank fields that are == count as unchanged, whatever their other bytes.
func TestCompareEqualValuesWithDifferentBytes(t *testing.T) {
	var m Map[stNamedInt, stBlank]
	m.Store(1, stMakeBlank(5, 1))
	assert.True(t, m.CompareAndSwap(1, stMakeBlank(5, 200), stMakeBlank(6, 3)))
	assert.True(t, m.CompareAndDelete(1, stMakeBlank(6, 77)))

	var f Map[int, float64]
	f.Store(1, 0)
	assert.True(t, f.CompareAndSwap(1, math.Copysign(0, -1), math.NaN()))
	assert.False(t, f.CompareAndSwap(1, math.NaN(), 1), "NaN is not equal to itself")
	v, ok := f.Compute(1, func(old float64, loaded bool) (float64, Op) { return 2, UpdateOp })
	assert.True(t, ok && v == 2, "Compute must not compare values by ==")
}

// FAILURES: NaN keys. Growing ends, Range visits each once, DeleteFunc and Clear remove them.
func TestNaNKeys(t *testing.T) {
	nan := math.NaN()
	type inStruct struct {
		s string
		f any
	}
	stNaN(t, stTypesOf[float64, int](), func(int) any { return nan })
	stNaN(t, stTypesOf[complex128, int](), func(i int) any { return complex(float64(i), nan) })
	stNaN(t, stTypesOf[any, int](), func(int) any { return nan })
	stNaN(t, stTypesOf[[2]float64, int](), func(i int) any { return [2]float64{float64(i % 3), nan} })
	stNaN(t, stTypesOf[inStruct, int](), func(int) any { return inStruct{"s", nan} })
}

func stNaN(t *testing.T, types stTypes, key func(i int) any) {
	const n = 10_000
	for name, opts := range map[string][]Option{
		"default":              nil,
		"one bucket at a time": {stTuned(tuning{chunk: 1})},
		"constant hasher":      {stConstant(types)},
		"stable":               {WithStableHash()},
		"without shrink":       {WithoutShrink()},
	} {
		t.Run(fmt.Sprintf("%v/%s", types.key, name), func(t *testing.T) {
			m := types.new(opts...)
			stStoreNaNs(t, m, n, key)
			_, ok := m.Load(key(0))
			require.False(t, ok, "a NaN was found")
			_, ok = m.LoadAndDelete(key(0))
			require.False(t, ok, "a NaN was found")
			require.False(t, m.CompareAndSwap(key(0), 0, 1))
			require.False(t, m.CompareAndDelete(key(0), 0))
			stRangeNaNs(t, m, n, func(int) bool { return true })

			require.Equal(t, n/2, m.DeleteFunc(func(_, v any) bool { return v.(int)%2 == 1 }))
			stRangeNaNs(t, m, n/2, func(v int) bool { return v%2 == 0 })
			require.Equal(t, n/2, m.DeleteFunc(func(any, any) bool { return true }), "DeleteFunc missed some")
			stRangeNaNs(t, m, 0, nil)

			stStoreNaNs(t, m, n/10, key)
			m.Compact()
			stRangeNaNs(t, m, n/10, func(int) bool { return true })
			m.Grow(n)
			stRangeNaNs(t, m, n/10, func(int) bool { return true })
			m.Clear()
			stRangeNaNs(t, m, 0, nil)
		})
	}
}

func stStoreNaNs(t *testing.T, m stView, n int, key func(i int) any) {
	t.Helper()
	before := m.Stats().Growths
	for i := range n {
		switch i % 4 {
		case 0:
			m.Store(key(i), i)
		case 1:
			_, loaded := m.LoadOrStore(key(i), i)
			require.False(t, loaded)
		case 2:
			_, loaded := m.Swap(key(i), i)
			require.False(t, loaded)
		default:
			m.Compute(key(i), func(_ any, loaded bool) (any, Op) {
				require.False(t, loaded)
				return i, UpdateOp
			})
		}
	}
	require.Equal(t, n, m.Len())
	require.LessOrEqual(t, m.Stats().Growths-before, uint32(12), "growing does not end")
	require.NoError(t, m.Verify())
}

// stRangeNaNs requires that Range visits exactly the n values that are wanted, each once.
func stRangeNaNs(t *testing.T, m stView, n int, wanted func(v int) bool) {
	t.Helper()
	seen := make(map[int]bool)
	m.All(func(k, v any) bool {
		require.True(t, k != k)
		require.False(t, seen[v.(int)], "entry %d was visited twice", v)
		require.True(t, wanted(v.(int)), "entry %d should be gone", v)
		seen[v.(int)] = true
		return true
	})
	require.Len(t, seen, n)
	require.Equal(t, n, m.Len())
	require.NoError(t, m.Verify())
}
