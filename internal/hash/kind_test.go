package hash

import (
	"fmt"
	"reflect"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

type (
	namedInt    int32
	namedString string
	namedPtr    *int
	namedAny    any
)

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		t           reflect.Type
		kind        Kind
		irreflexive bool
		panics      bool
	}{
		{typeOf[bool](), WordKind, false, false},
		{typeOf[int8](), WordKind, false, false},
		{typeOf[uint16](), WordKind, false, false},
		{typeOf[rune](), WordKind, false, false},
		{typeOf[int](), WordKind, false, false},
		{typeOf[uint64](), WordKind, false, false},
		{typeOf[uintptr](), WordKind, false, false},
		{typeOf[namedInt](), WordKind, false, false},
		{typeOf[*string](), WordKind, false, false},
		{typeOf[namedPtr](), WordKind, false, false},
		{typeOf[chan any](), WordKind, false, false},
		{typeOf[unsafe.Pointer](), WordKind, false, false},
		{typeOf[string](), StringKind, false, false},
		{typeOf[namedString](), StringKind, false, false},
		{typeOf[float32](), OtherKind, true, false},
		{typeOf[float64](), OtherKind, true, false},
		{typeOf[complex64](), OtherKind, true, false},
		{typeOf[complex128](), OtherKind, true, false},
		{typeOf[any](), AnyKind, true, true},
		{typeOf[namedAny](), AnyKind, true, true},
		{typeOf[fmt.Stringer](), OtherKind, true, true},
		{typeOf[struct{}](), OtherKind, false, false},
		{typeOf[struct{ a int }](), OtherKind, false, false},
		{typeOf[struct{ a, b string }](), OtherKind, false, false},
		{typeOf[struct{ a *float64 }](), OtherKind, false, false},
		{typeOf[struct {
			a int
			f float32
		}](), OtherKind, true, false},
		{typeOf[struct{ a [2]struct{ b any } }](), OtherKind, true, true},
		{typeOf[struct {
			_ float64
			_ any
		}](), OtherKind, false, false},
		{typeOf[[2]int](), OtherKind, false, false},
		{typeOf[[2]float64](), OtherKind, true, false},
		{typeOf[[0]float64](), OtherKind, false, false},
		{typeOf[[0]any](), OtherKind, false, false},
		{typeOf[[3][0]any](), OtherKind, false, false},
		{typeOf[[1]any](), OtherKind, true, true},
	} {
		assert.Equal(t, c.kind, KindOf(c.t), "kind of %v", c.t)
		assert.Equal(t, c.irreflexive, MayBeIrreflexive(c.t), "irreflexive %v", c.t)
		assert.Equal(t, c.panics, MayPanic(c.t), "panics %v", c.t)
	}
}
