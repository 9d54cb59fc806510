package hash

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSeedIsFiveWords(t *testing.T) {
	assert.EqualValues(t, 40, unsafe.Sizeof(Seed{}))
}

// clone returns an equal string in other memory.
func clone(s string) string { return string([]byte(s)) }

func TestComparableAgreesWithEquality(t *testing.T) {
	type key struct {
		a int8
		b string
		c any
	}
	s := NewSeed()
	p := new(int)
	equal(t, &s, 0.0, math.Copysign(0, -1))
	equal(t, &s, complex(0, math.Copysign(0, -1)), 0)
	equal(t, &s, "hushmap", clone("hushmap"))
	equal(t, &s, any("hushmap"), any(clone("hushmap")))
	equal[any](t, &s, 0.0, math.Copysign(0, -1))
	equal[any](t, &s, nil, nil)
	equal(t, &s, p, p)
	equal(t, &s, [2]any{1, "a"}, [2]any{1, clone("a")})
	equal[fmt.Stringer](t, &s, stringer(5), stringer(5))
	equal(t, &s, key{1, "b", 2.0}, key{1, clone("b"), 2.0})

	different[any](t, &s, 1, 2)
	different(t, &s, "a", "b")
	different(t, &s, 1.0, 2.0)
	different(t, &s, key{a: 1}, key{a: 2})
	different(t, &s, new(int), new(int))
}

type stringer int

func (s stringer) String() string { return fmt.Sprint(int(s)) }

func equal[K comparable](t *testing.T, s *Seed, x, y K) {
	t.Helper()
	require.True(t, x == y)
	assert.Equal(t, Comparable(&x, s), Comparable(&y, s), "%T %v", x, x)
}

func different[K comparable](t *testing.T, s *Seed, x, y K) {
	t.Helper()
	assert.NotEqual(t, Comparable(&x, s), Comparable(&y, s), "%T %v %v", x, x, y)
}

func TestAnyAgreesWithEquality(t *testing.T) {
	type name string
	s := NewSeed()
	p := new(int)
	for _, k := range []any{
		nil, 1, -1, int8(1), int16(1), int32(-1), int64(-1), uint(1), uint8(1), uint32(1), uint64(1), true, 'x', 1.5,
		"hushmap", "", name("hushmap"), p, struct{ a, b any }{1, "a"}, [2]any{1, "a"}, stringer(5),
	} {
		other := k
		if str, ok := k.(string); ok {
			other = clone(str)
		}
		require.True(t, k == other)
		assert.Equal(t, Any(k, &s), Any(other, &s), "%T %v", k, k)
	}
	assert.Equal(t, Any(0.0, &s), Any(math.Copysign(0, -1), &s))
	seen := make(map[uint64]any)
	for i := range 1000 {
		for _, k := range []any{int64(-i - 1), fmt.Sprint(i), float64(i) + 0.5, [1]int{i}, name(fmt.Sprint(i)), uint16(i)} {
			other, ok := seen[Any(k, &s)]
			require.False(t, ok, "%T %v and %v", k, k, other)
			seen[Any(k, &s)] = k
		}
	}
	assert.NotEqual(t, Any(math.NaN(), &s), Any(math.NaN(), &s), "or all would pile up")
}

func TestUnhashableKeysPanicLikeSyncMap(t *testing.T) {
	s := NewSeed()
	stable, err := StableOf(typeOf[any]())
	require.NoError(t, err)
	for _, k := range []any{[]int{1}, map[int]int{}, func() {}, struct{ f []int }{}, [1]any{[]int{}}} {
		want := panicOf(func() { new(sync.Map).Store(k, 1) })
		require.NotNil(t, want)
		for name, f := range map[string]func(){
			"Comparable": func() { Comparable(&k, &s) },
			"Any":        func() { Any(k, &s) },
			"stable":     func() { stable.Sum(unsafe.Pointer(&k), &s) },
		} {
			got := panicOf(f)
			require.Implements(t, (*runtime.Error)(nil), got, name)
			assert.Contains(t, got.(error).Error(), "hash of unhashable type", name)
			assert.Equal(t, want.(error).Error(), got.(error).Error(), name)
		}
	}
}

func panicOf(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

func TestHashingAllocatesNothing(t *testing.T) {
	type key struct {
		a int
		b string
		c [3]uint64
	}
	s := NewSeed()
	n := 123456
	str, long := clone("a string key of some length"), strings.Repeat("x", 200)
	iface, strc := must[any](t), must[key](t)
	for name, f := range map[string]func(){
		// Boxing happens inside: if the key escaped, it would be on the heap.
		"any(int)":        func() { k := any(n); sink = Comparable(&k, &s) },
		"any(string)":     func() { k := any(str); sink = Comparable(&k, &s) },
		"any(struct)":     func() { k := any(key{n, str, [3]uint64{}}); sink = Comparable(&k, &s) },
		"string":          func() { k := str; sink = Comparable(&k, &s) },
		"String":          func() { sink = String(str, &s) },
		"String, long":    func() { sink = String(long, &s) },
		"Any(int)":        func() { sink = Any(n, &s) },
		"Any(string)":     func() { sink = Any(str, &s) },
		"Any(struct)":     func() { sink = Any(key{n, str, [3]uint64{}}, &s) },
		"bytes as string": func() { b := [5]byte{byte(n)}; sink = String(string(b[:]), &s) },
		"struct":          func() { k := key{n, str, [3]uint64{}}; sink = Comparable(&k, &s) },
		"pointer":         func() { var x int; k := &x; sink = Comparable(&k, &s) },
		"stable any(int)": func() { k := any(n); sink = iface.Sum(unsafe.Pointer(&k), &s) },
		"stable any(struct)": func() {
			k := any(key{n, str, [3]uint64{}})
			sink = iface.Sum(unsafe.Pointer(&k), &s)
		},
		"stable struct": func() { k := key{n, str, [3]uint64{}}; sink = strc.Sum(unsafe.Pointer(&k), &s) },
	} {
		assert.Zero(t, testing.AllocsPerRun(100, f), name)
	}
}

// A key that lives on a stack keeps its hash when the stack moves, unless it
// is an address of that stack.
func TestHashSurvivesMovingStacks(t *testing.T) {
	s := NewSeed()
	done := make(chan struct{})
	go func() {
		defer close(done)
		type key struct {
			a int
			b string
		}
		n := 4711
		k := any(key{n, "x"})
		before := Comparable(&k, &s)
		moveStack(1000)
		assert.Equal(t, before, Comparable(&k, &s))
	}()
	<-done
}

//go:noinline
func moveStack(depth int) byte {
	var frame [256]byte
	if depth > 0 {
		frame[depth%256] = moveStack(depth - 1)
	}
	return frame[0]
}

// A key on the stack is hashed where it is, also if the stack moves in the middle of a call: whatever room is left, somewhere
// among these depths it does. What was read of the old stack would be right most of the time, so it takes -msan to be sure.
func TestHashWhileTheStackMoves(t *testing.T) {
	s := NewSeed()
	n := 4711
	want := Comparable(&n, &s)
	for depth := range 400 {
		done := make(chan uint64)
		go func() { done <- hashAtDepth(depth, 4711, &s) }()
		require.Equal(t, want, <-done, "depth %d", depth)
	}
}

//go:noinline
func hashAtDepth(depth, n int, s *Seed) uint64 {
	if depth == 0 {
		k := n
		return Comparable(&k, s)
	}
	return hashAtDepth(depth-1, n, s)
}
