package cacheline

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"golang.org/x/sys/cpu"
)

func TestSize(t *testing.T) {
	assert.GreaterOrEqual(t, Size, uintptr(64))
	assert.GreaterOrEqual(t, Size, unsafe.Sizeof(cpu.CacheLinePad{}))
	assert.Zero(t, Size&(Size-1), "a power of two")
	assert.Equal(t, Size, unsafe.Sizeof(Pad{}))
}

func TestPadSeparatesItsNeighbours(t *testing.T) {
	var x struct {
		a uint64
		_ Pad
		b uint64
	}
	a, b := uintptr(unsafe.Pointer(&x.a)), uintptr(unsafe.Pointer(&x.b))
	assert.NotEqual(t, a/Size, b/Size)
}
