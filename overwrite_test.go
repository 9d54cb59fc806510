package hushmap

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An interface of the type that is there, and a string or slice of the length and capacity that is there, is overwritten by one
// store: the bucket has the version that it had, and its reader need not look again (I5). Whatever else is wide gets a new version.
func TestOverwritesByOneStore(t *testing.T) {
	t.Run("any", func(t *testing.T) {
		same, other := new(int), new(int)
		values := []overwrite[any]{
			{1, 2, true}, {1, 1, true}, {1, int64(1), false}, {"a", "bcd", true}, {"a", 1, false}, {1, nil, false}, {nil, 1, false},
			{nil, nil, true}, {same, other, true}, {same, nil, false}, {struct{}{}, struct{}{}, true}, {[2]int{1, 2}, [2]int{3, 4}, true},
		}
		testOverwrites(t, values)
		for i, c := range values {
			testOverwrite(t, i, "7", c) // where slots hold refs
			testOverwrite[any](t, i, 7, c)
		}
	})
	t.Run("string", func(t *testing.T) {
		testOverwrites(t, []overwrite[string]{
			{"a", "b", true}, {"a", "bc", false}, {"ab", "c", false}, {"", "", true}, {"a", "", false}, {"", "a", false},
			{strings.Repeat("a", 300), strings.Repeat("b", 300), true},
		})
	})
	t.Run("slice", func(t *testing.T) {
		testOverwrites(t, []overwrite[[]byte]{
			{[]byte("ab")[:2:2], []byte("cd")[:2:2], true}, {[]byte("ab")[:2:2], []byte("cde")[:2:3], false},
			{[]byte("abc")[:2:3], []byte("cde")[:3:3], false}, {nil, nil, true}, {nil, []byte{}, true}, {nil, []byte{1}, false},
		})
	})
}

// Readers see such values in the order in which they were stored, each whole, and the race detector has nothing to say.
func TestOverwritesByOneStoreMeetReaders(t *testing.T) {
	testOverwritesInOrder(t, func(n int) any { return n }, func(v any) int { return v.(int) })
	testOverwritesInOrder(t, func(n int) string { return fmt.Sprintf("%09d", n) }, nineDigits)
	testOverwritesInOrder(t, func(n int) []byte { return fmt.Appendf(make([]byte, 0, 16), "%09d", n) }, func(v []byte) int {
		return nineDigits(string(v))
	})
}

// nineDigits is the number that s is in nine digits, or -1.
func nineDigits(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || len(s) != 9 {
		return -1
	}
	return n
}

func testOverwritesInOrder[V any](t *testing.T, value func(int) V, number func(V) int) {
	const n = 20_000
	m := New[int, V]()
	for k := range 8 {
		m.Store(k, value(0))
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for last := 0; last < n-1; {
				v, ok := m.Load(3)
				got := number(v)
				if !ok || got < last {
					assert.Fail(t, "not in order", "%d after %d", got, last)
					return
				}
				last = got
			}
		}()
	}
	for i := range n {
		m.Store(3, value(i))
	}
	wg.Wait()
	require.NoError(t, m.Verify())
}

// overwrite is a value, what it is overwritten with, and whether by one store.
type overwrite[V any] struct {
	from, to V
	once     bool
}

func testOverwrites[V any](t *testing.T, cases []overwrite[V]) {
	for i, c := range cases {
		testOverwrite(t, i, 7, c)
	}
}

func testOverwrite[K comparable, V any](t *testing.T, i int, key K, c overwrite[V]) {
	m := New[K, V]()
	m.Store(key, c.from)
	version := func() uint32 { // of the key's bucket: it is alone
		rm := m.core.read.Load()
		return rm.bucket(rm.home(rm.hash(key))).observe().version()
	}
	holds := func(want V) {
		got, ok := m.Load(key)
		require.True(t, ok)
		// Capacities and nil count as well.
		require.Equal(t, fmt.Sprintf("%#v", want), fmt.Sprintf("%#v", got), "case %d", i)
		if want, ok := any(want).([]byte); ok {
			require.Equal(t, cap(want), cap(any(got).([]byte)), "case %d", i)
		}
	}
	for _, write := range []func(V){
		func(v V) { m.Store(key, v) },
		func(v V) { m.Swap(key, v) },
		func(v V) { m.Compute(key, func(V, bool) (V, Op) { return v, UpdateOp }) },
	} {
		for _, v := range []V{c.to, c.from} {
			before := version()
			write(v)
			assert.Equal(t, c.once, version() == before, "case %d: %#v", i, v)
			holds(v)
		}
	}
	require.NoError(t, m.Verify())
}
