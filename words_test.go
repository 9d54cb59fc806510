package hushmap

import (
	"fmt"
	"reflect"
	"strconv"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// Words of every kind of type go into a slot and come out as they were, and what is beside them stays, however words are
// stored in this build. The suites over whole maps, which take the compiler longer, have fewer types in some builds.
func TestWordsOfAllTypes(t *testing.T) {
	var ints [4]int
	wdTest(t, false, true)
	wdTest[uint8](t, 1, 255)
	wdTest[int16](t, -1, 300)
	wdTest[int32](t, 1<<30, -5)
	wdTest[int64](t, 1<<62, -5)
	wdTest[uint64](t, 1<<63, 5)
	wdTest[uintptr](t, 1, ^uintptr(0))
	wdTest[float32](t, 1.5, -0.25)
	wdTest(t, 1.5, -0.25)
	wdTest[complex64](t, 1+2i, -3i)
	wdTest(t, 1+2i, -3i)
	wdTest(t, "", "some text")
	wdTest(t, []byte("abc"), nil)
	wdTest(t, &ints[0], &ints[3])
	wdTest(t, map[int]int{1: 2}, nil)
	wdTest(t, make(chan int), nil)
	wdTest(t, strconv.Itoa, nil)
	wdTest[any](t, 1, "a")
	wdTest[fmt.Stringer](t, reflect.Int, nil)
	wdTest(t, struct{}{}, struct{}{})
	wdTest(t, [0]*int{}, [0]*int{})
	wdTest(t, [3]byte{1, 2, 3}, [3]byte{4, 5, 6})
	wdTest(t, [5]byte{1, 2, 3, 4, 5}, [5]byte{5, 4, 3, 2, 1})
	wdTest(t, [3]int32{1, 2, 3}, [3]int32{-1, -2, -3})
	wdTest(t, [16]uint64{1, 15: 2}, [16]uint64{3, 15: 4})
	wdTest(t, [1024]byte{1, 1023: 2}, [1024]byte{3, 1023: 4})
	wdTest(t, [2]any{1, "a"}, [2]any{nil, 2.0})
	type mixed struct {
		a uint8
		p *int
		b uint16
		s string
		f func(int) string
		_ uint8
		c uint8
	}
	wdTest(t, mixed{a: 1, p: &ints[1], b: 2, s: "s", f: strconv.Itoa, c: 3}, mixed{a: 255, s: "another", c: 255})
}

func wdTest[T any](t *testing.T, a, b T) {
	t.Helper()
	typ := reflect.TypeFor[T]()
	tr := &traits{key: layoutOf(typ), value: layoutOf(typ)}
	whole := layoutOf(typ)
	same := func(x, y T) bool { return whole.same(unsafe.Pointer(&x), unsafe.Pointer(&y)) }
	var words [3]struct { // as in a slot
		v T
		_ [0]atomic.Uint64
	}
	for _, p := range []part{keyPart, valuePart} {
		for _, values := range [][2]T{{a, b}, {b, a}} {
			for i := range words {
				storeWords(&words[i].v, values[0], tr, p)
			}
			storeWords(&words[1].v, values[1], tr, p)
			for i, want := range []T{values[0], values[1], values[0]} {
				require.True(t, same(want, words[i].v), "%v, stored in %d", typ, i)
				require.True(t, same(want, loadWords(&words[i].v, tr, p)), "%v, loaded from %d", typ, i)
			}
		}
	}
	require.True(t, typ.Size() == 0 || !same(a, b), "%v: nothing to tell the two from each other", typ)
}
