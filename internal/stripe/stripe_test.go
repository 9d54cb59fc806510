package stripe

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/internal/cacheline"
)

// hashOf returns a hash whose stripe is i.
func hashOf(i int) uint64 { return uint64(i)<<8 | 0xff | 0xff<<56 }

func TestLayout(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(Counter{}), uintptr(48), "a single stripe is part of it")
	assert.Equal(t, cacheline.Size, unsafe.Sizeof(padded{}), "stripes a line apart")
	assert.Zero(t, unsafe.Sizeof(cell{})&(unsafe.Sizeof(cell{})-1), "a cell must not straddle lines")
	for _, n := range []int{1, 2, 8, 64} {
		c := New(n, nil)
		lines := make(map[uintptr]bool)
		for i := range n {
			p := uintptr(unsafe.Pointer(c.cell(hashOf(i))))
			assert.Zero(t, p%8, "64-bit atomics need 8-byte alignment, on 32-bit machines too")
			assert.Equal(t, p/cacheline.Size, (p+unsafe.Sizeof(cell{})-1)/cacheline.Size, "within one line")
			lines[p/cacheline.Size] = true
		}
		assert.Len(t, lines, n, "stripes share a line")
	}
}

func TestStripesIsTheNextPowerOfTwo(t *testing.T) {
	for ask, want := range map[int]int{-1: 1, 0: 1, 1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 63: 64, 64: 64, 65: 128} {
		assert.Equal(t, want, New(ask, nil).Stripes(), "New(%d)", ask)
	}
}

func TestEachStripeCountsOnItsOwn(t *testing.T) {
	for _, n := range []int{1, 2, 16} {
		c := New(n, New(4, nil))
		for round := range uint64(5) {
			for i := range n {
				require.Equal(t, 2*round+1, c.Inserted(hashOf(i)))
				require.Equal(t, 2*round+2, c.Inserted(hashOf(i+n)), "wraps to the same stripe")
				require.Equal(t, round+1, c.Removed(hashOf(i)))
			}
		}
		assert.Equal(t, 5*n, c.Len())
	}
}

// Any order of insertions and removals over a chain of counters, against a
// plain number.
func TestLenAgainstReference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		c, want := New(1, nil), 0
		for range 2000 {
			switch op := r.IntN(100); {
			case op == 0:
				c = New(1<<r.IntN(5), c)
			case op < 60:
				c.Inserted(r.Uint64())
				want++
			case want > 0:
				c.Removed(r.Uint64())
				want--
			}
			require.Equal(t, want, c.Len())
		}
	}
}

func TestLenIsClampedAtZero(t *testing.T) {
	c := New(2, nil)
	c.Removed(0)
	assert.Zero(t, c.Len())
}

func TestOlderCounterStillCounts(t *testing.T) {
	old := New(1, nil)
	c := New(4, old)
	old.Inserted(1) // a writer that had not seen the new counter
	c.Removed(1)
	c.Inserted(2)
	assert.Equal(t, 1, c.Len())
	assert.Equal(t, 4, c.Stripes())
}

func TestNothingIsAllocated(t *testing.T) {
	for _, c := range []*Counter{New(1, nil), New(8, New(1, nil))} {
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			c.Inserted(7 << 8)
			c.Removed(7 << 8)
			c.Len()
		}))
	}
}

// Each goroutine keeps at most two entries alive, inserting before it removes.
// Whatever Len catches must lie between zero and the most that can live at once; and
// at the end it is exact. The counter is replaced under way, as a map does that finds it contended.
func TestLenIsBoundedUnderWriters(t *testing.T) {
	const writers, rounds = 4, 20000
	var current atomic.Pointer[Counter]
	current.Store(New(1, nil))

	var writing sync.WaitGroup
	for w := range writers {
		writing.Add(1)
		go func() {
			defer writing.Done()
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for i := range rounds {
				a, b := r.Uint64(), r.Uint64()
				current.Load().Inserted(a)
				current.Load().Inserted(b)
				current.Load().Removed(a)
				if w == 0 && i%(rounds/4) == 0 {
					old := current.Load()
					current.Store(New(old.Stripes()*2, old))
				}
				if i < rounds-1 {
					current.Load().Removed(b)
				}
			}
		}()
	}
	stop := make(chan struct{})
	var reading sync.WaitGroup
	var reads int
	reading.Add(1)
	go func() {
		defer reading.Done()
		for { // once at least, even if the writers are done before
			n := current.Load().Len()
			reads++
			if n < 0 || n > 2*writers {
				t.Errorf("Len %d, but at most %d entries lived at once", n, 2*writers)
				return
			}
			select {
			case <-stop:
				return
			default:
				runtime.Gosched()
			}
		}
	}()
	writing.Wait()
	close(stop)
	reading.Wait()
	assert.NotZero(t, reads)
	assert.Equal(t, writers, current.Load().Len())
}

func BenchmarkInserted(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(map[int]string{1: "one", 16: "striped"}[n], func(b *testing.B) {
			c := New(n, nil)
			b.RunParallel(func(pb *testing.PB) {
				h := rand.Uint64()
				for pb.Next() {
					c.Inserted(h)
					h += 1 << 8
				}
			})
		})
	}
}
