package stackmark

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// marksIn returns the Marks seen from inside of nested Calls, outermost id first.
func marksIn(ids ...uint32) (marks []uint32) {
	if len(ids) == 0 {
		return Marks(nil)
	}
	Call(ids[0], func() { marks = marksIn(ids[1:]...) })
	return marks
}

func TestFramesAreDistinct(t *testing.T) {
	assert.Len(t, frames, 17, "two functions share an entry point")
	assert.NotContains(t, frames, uintptr(0))
}

func TestOneCall(t *testing.T) {
	ids := []uint32{0, 1, 15, 16, 0x10, 0x100, 0x1000000, 0x12345678, 0x9abcdef0, 0xfedcba98, 0xffffffff, 0x80000000}
	for i := range 32 {
		ids = append(ids, 1<<i, 1<<i-1)
	}
	for range 1000 {
		ids = append(ids, rand.Uint32()>>rand.IntN(32))
	}
	for _, id := range ids {
		require.Equal(t, []uint32{id}, marksIn(id))
	}
	assert.Empty(t, Marks(nil), "outside of all calls")
}

func TestNestedCallsAreListedInnermostFirst(t *testing.T) {
	assert.Equal(t, []uint32{3, 2, 1}, marksIn(1, 2, 3))
	assert.Equal(t, []uint32{0, 0x10, 0, 0, 0xf0}, marksIn(0xf0, 0, 0, 0x10, 0), "zeros")
	assert.Equal(t, []uint32{7, 7}, marksIn(7, 7), "the same id twice")
	for range 200 {
		ids := make([]uint32, rand.IntN(30))
		for i := range ids {
			ids[i] = rand.Uint32() >> rand.IntN(32)
		}
		got := marksIn(ids...)
		slices.Reverse(got)
		require.Equal(t, len(ids), len(got))
		require.True(t, slices.Equal(ids, got))
	}
}

func TestMarksAppends(t *testing.T) {
	Call(5, func() {
		assert.Equal(t, []uint32{9, 5}, Marks([]uint32{9}))
	})
}

//go:noinline
func deeper(n int, f func()) {
	if n == 0 {
		f()
		return
	}
	deeper(n-1, f)
	runtime.KeepAlive(n)
}

// The walk continues in larger and larger pieces: every depth around the
// borders of the first ones, so that a number is cut in two.
func TestDeepStacks(t *testing.T) {
	check := func(depth int) {
		var got []uint32
		Call(0xabcdef12, func() {
			deeper(depth, func() {
				Call(0x345, func() { deeper(depth, func() { got = Marks(nil) }) })
			})
		})
		require.Equal(t, []uint32{0x345, 0xabcdef12}, got, "depth %d", depth)
	}
	for depth := range 260 {
		check(depth)
	}
	check(20000)
}

func TestGoroutinesAreSeparate(t *testing.T) {
	Call(1, func() {
		var wg sync.WaitGroup
		for id := range uint32(8) {
			wg.Add(1)
			go func() {
				defer wg.Done()
				assert.Empty(t, Marks(nil), "a new goroutine starts outside")
				for range 100 {
					Call(id, func() {
						runtime.Gosched()
						assert.Equal(t, []uint32{id}, Marks(nil))
					})
				}
			}()
		}
		wg.Wait()
		assert.Equal(t, []uint32{1}, Marks(nil))
	})
}

func TestPanic(t *testing.T) {
	var during, outside []uint32
	func() {
		defer func() {
			require.Equal(t, "boom", recover())
			outside = Marks(nil)
		}()
		Call(6, func() {
			defer func() { during = Marks(nil) }()
			panic("boom")
		})
	}()
	assert.Equal(t, []uint32{6}, during, "deferred inside the call")
	assert.Equal(t, []uint32{6}, outside, "deferred outside, while the frames are still being left")
	assert.Empty(t, Marks(nil), "after the panic")

	Call(7, func() {
		func() {
			defer func() { _ = recover() }()
			Call(8, func() { panic("boom") })
		}()
		assert.Equal(t, []uint32{7}, Marks(nil), "recovered inside an outer call")
	})
}

func TestGoexit(t *testing.T) {
	marks := make(chan []uint32, 1)
	go func() {
		Call(6, func() {
			defer func() { marks <- Marks(nil) }()
			runtime.Goexit()
		})
	}()
	assert.Equal(t, []uint32{6}, <-marks)
}

type visitor[T any] struct{ got []uint32 }

func (v *visitor[T]) visit(T) { v.got = Marks(v.got) }

func generic[T any](id uint32, x T, f func(T)) { Call(id, func() { f(x) }) }

func TestGenericsAndMethodValues(t *testing.T) {
	var a visitor[string]
	generic(11, "x", a.visit)
	assert.Equal(t, []uint32{11}, a.got)
	var b visitor[[3]int]
	generic(12, [3]int{}, b.visit)
	assert.Equal(t, []uint32{12}, b.got)
}

func TestInsideIteratorsAndDefers(t *testing.T) {
	seq := func(yield func(uint32) bool) {
		for id := range uint32(3) {
			ok := false
			Call(id+20, func() { ok = yield(id) })
			if !ok {
				return
			}
		}
	}
	for id := range seq {
		assert.Equal(t, []uint32{id + 20}, Marks(nil), "a loop body runs inside the iterator's call")
	}
	func() {
		defer Call(30, func() { assert.Equal(t, []uint32{30}, Marks(nil)) })
	}()
}

// A copied stack has the same frames.
func TestStackGrowsInside(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		Call(0x1234, func() {
			deeper(50000, func() {})
			runtime.GC()
			assert.Equal(t, []uint32{0x1234}, Marks(nil))
		})
	}()
	<-done
}

func TestCallAllocatesNothing(t *testing.T) {
	n := 0
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		Call(0xfedcba98, func() { n++ })
	}), "Call, with a closure")
	assert.NotZero(t, n)
}

func BenchmarkCall(b *testing.B) {
	n := 0
	for name, id := range map[string]uint32{"1 digit": 5, "4 digits": 0x1234, "8 digits": 0x87654321} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				Call(id, func() { n++ })
			}
		})
	}
	b.Run("random ids", func(b *testing.B) {
		ids := make([]uint32, 1024)
		for i := range ids {
			ids[i] = rand.Uint32()
		}
		for i := range b.N {
			Call(ids[i%1024], func() { n++ })
		}
	})
}

func BenchmarkMarks(b *testing.B) {
	buf := make([]uint32, 0, 4)
	for name, depth := range map[string]int{"shallow": 1, "100 deep": 100} {
		b.Run(name, func(b *testing.B) {
			deeper(depth, func() {
				for range b.N {
					buf = Marks(buf[:0])
				}
			})
		})
	}
}
