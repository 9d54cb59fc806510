package prefetch

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

// TestWords: nothing is changed, whatever the number of words, and nothing allocated.
func TestWords(t *testing.T) {
	memory := make([]uint64, 1<<12)
	for i := range memory {
		memory[i] = uint64(i)
	}
	for _, n := range []int{0, 1, 2, 31, len(memory)} {
		p := make([]unsafe.Pointer, n)
		for i := range p {
			p[i] = unsafe.Pointer(&memory[len(memory)-1-i])
		}
		assert.Zero(t, testing.AllocsPerRun(10, func() { Words(p) }))
		for i := range p {
			assert.Equal(t, unsafe.Pointer(&memory[len(memory)-1-i]), p[i])
		}
	}
	for i, w := range memory {
		assert.Equal(t, uint64(i), w)
	}
}

// TestHints: any address will do, and nothing is allocated.
func TestHints(t *testing.T) {
	memory := [2]uint64{1, 2}
	for _, n := range []int{0, 1, 5} {
		p := []unsafe.Pointer{
			nil, unsafe.Add(unsafe.Pointer(&memory), 1), unsafe.Pointer(&memory[1]), unsafe.Pointer(unsafe.StringData("a")), nil,
		}[:n]
		assert.Zero(t, testing.AllocsPerRun(10, func() { Hints(p) }))
	}
	assert.Equal(t, [2]uint64{1, 2}, memory)
}

var sink uint64 // lest the compiler drop what is measured

// BenchmarkWords reads random words of a large array, 64 at a time, asked for or not.
func BenchmarkWords(b *testing.B) {
	const group = 64
	memory := make([]uint64, 32<<20)
	for i := 0; i < len(memory); i += 512 {
		memory[i] = 1
	}
	for _, ask := range []bool{false, true} {
		name := "loads"
		if ask {
			name = "asked"
		}
		b.Run(name, func(b *testing.B) {
			var next, now [group]unsafe.Pointer
			random, sum := uint64(1), uint64(0)
			for n := 0; n < b.N; n += group {
				for i := range next {
					random = random*0x5851f42d4c957f2d + 1
					next[i] = unsafe.Pointer(&memory[random>>(64-25)])
				}
				if ask {
					Words(next[:])
				}
				for _, p := range now {
					if p != nil {
						sum += *(*uint64)(p)
					}
				}
				now = next
			}
			sink = sum
		})
	}
}
