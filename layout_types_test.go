//go:build hushmap_types || 386 || !(race || hushmap_invariants || hushmap_atomic)

// This file looks at where words of many types lie, on 64 and on 32 bits. It is left out where suite_types_test.go is, and
// where words are stored with atomic instructions.

package hushmap

import (
	"fmt"
	"reflect"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

// FAILURES: 32-bit alignment. Words that are accessed with 64-bit atomics, and slots, lie on 8-byte boundaries; on
// 32-bit machines nothing but their types sees to that.
func TestAlignment(t *testing.T) {
	mtTestAlignment[bool, uint8](t, true)
	mtTestAlignment[int32, *int](t, 1)
	mtTestAlignment[stPadded, [3]byte](t, stPadded{1, 2, 3})
	mtTestAlignment[any, any](t, 1)
	mtTestAlignment[[3]int32, [5]uint8](t, [3]int32{1})
	mtTestAlignment[struct{}, int](t, struct{}{})
}

func mtTestAlignment[K comparable, V any](t *testing.T, key K) {
	t.Run(fmt.Sprintf("%v,%v", reflect.TypeFor[K](), reflect.TypeFor[V]()), func(t *testing.T) {
		assert.Zero(t, unsafe.Sizeof(bucket[K, V]{})%8)
		for _, capacity := range []int{0, 100, 5000} { // small objects, large objects
			m := New[K, V](WithCapacity(capacity))
			var value V
			m.Store(key, value)
			rm := m.core.read.Load()
			for i := range rm.buckets() {
				b := rm.bucket(i)
				mtAligned(t, unsafe.Pointer(&b.tophash), "tophash")
				mtAligned(t, unsafe.Pointer(&b.control), "control")
				for s := range b.slots {
					mtAligned(t, unsafe.Pointer(&b.slots[s].k), "key")
					mtAligned(t, unsafe.Pointer(&b.slots[s].v), "value")
					if b.slot(s) != &b.slots[s] {
						t.Fatalf("slot(%d) is elsewhere", s)
					}
				}
			}
			mtResize(m, 2*rm.buckets())
			e := m.core.read.Load().old
			mtAligned(t, unsafe.Pointer(&e.cursor), "cursor")
			mtAligned(t, unsafe.Pointer(&e.frozen), "frozen")
			e.cursor.Add(1 << 32) // 64-bit atomics fault on odd boundaries of some 32-bit machines
			m.core.settle()
			_, ok := m.Load(key)
			assert.True(t, ok)
		}
	})
}

func mtAligned(t *testing.T, p unsafe.Pointer, what string) {
	if uintptr(p)%8 != 0 {
		t.Fatalf("%s at %p", what, p)
	}
}
