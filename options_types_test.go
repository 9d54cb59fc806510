//go:build hushmap_types || !(race || hushmap_invariants || hushmap_atomic || 386)

// This file gives options to maps of types that they do not fit. It is left out where suite_types_test.go is, and where
// words are stored with atomic instructions or have 32 bits, unless the tag hushmap_types asks for it.

package hushmap

import (
	"fmt"
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

func TestOptionPanicsOfTypes(t *testing.T) {
	assert.Equal(t, fmt.Sprintf("hushmap: New: WithCapacity(%d) exceeds the address space", math.MaxInt),
		stPanic(func() { New[struct{}, struct{}](WithCapacity(math.MaxInt)) }))
	type named struct{ p *int }
	for _, f := range []func(){
		func() { New[*int, int](WithStableHash()) },
		func() { New[chan int, int](WithStableHash()) },
		func() { New[named, int](WithStableHash()) },
		func() { New[[2]unsafe.Pointer, int](WithStableHash()) },
	} {
		assert.Regexp(t, "^hushmap: New: WithStableHash: no stable hash for .*: it is or holds an address", stPanic(f))
	}
}
