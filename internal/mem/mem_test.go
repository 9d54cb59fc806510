package mem

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const mib = 1 << 20

// mapAll maps whatever is not empty.
var mapAll = Policy{Threshold: 1}

// needMapping lets the test map memory, race build or not, and skips it where
// that cannot be.
func needMapping(t testing.TB) {
	t.Helper()
	if !osMaps {
		t.Skip("nothing to map with")
	}
	t.Cleanup(ForceMapping())
}

// words returns the memory of b as a slice.
func words(b *Block) []uint64 { return unsafe.Slice((*uint64)(b.Base()), b.Size()/8) }

// collectUntil collects until done, and fails the test if that takes too long.
func collectUntil(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			require.FailNow(t, "not reached by collecting", what)
		}
		runtime.GC()
	}
}

// settle waits until the mappings that earlier tests dropped are gone, and
// returns what remains.
func settle(t testing.TB) uint64 {
	t.Helper()
	last, same := Mapped(), 0
	collectUntil(t, "a constant sum of mappings", func() bool {
		now := Mapped()
		if same++; now != last {
			last, same = now, 0
		}
		return same >= 4
	})
	return last
}

// inject installs h until the test ends.
func inject(t testing.TB, h *failHook) {
	require.True(t, failures.CompareAndSwap(nil, h), "one hook at a time")
	t.Cleanup(func() { failures.Store(nil) })
}

func checkBlock(t testing.TB, b *Block, size uintptr) {
	t.Helper()
	require.NotNil(t, b)
	require.NotNil(t, b.Base())
	require.Equal(t, size, b.Size())
	require.Zero(t, uintptr(b.Base())%Alignment)
	if b.Kind() == Heap {
		require.Zero(t, b.MappedBytes())
	} else {
		require.GreaterOrEqual(t, b.MappedBytes(), size)
	}
	for i, w := range words(b) {
		if w != 0 {
			require.Zero(t, w, "word %d", i)
		}
	}
	for i := range words(b) {
		words(b)[i] = math.MaxUint64 // whoever gets this memory next must find it zeroed
	}
	runtime.KeepAlive(b)
}

func TestBlocksAreZeroedAndAligned(t *testing.T) {
	needMapping(t)
	sizes := []uintptr{0, 1, 7, 8, 9, 63, 64, 65, 100, 576, 4095, 4096, 4097, 9216, 1<<15 + 8, mib - 1, mib, mib + 1,
		2*mib - 8, 2 * mib, 9*mib/4 + 8}
	for _, p := range []Policy{{}, {Huge: true}, {Huge: true, Threshold: 1}, {Threshold: math.MaxUint}} {
		for _, size := range sizes {
			for range 2 {
				b := Alloc(size, p)
				checkBlock(t, b, size)
				assert.Equal(t, size == 0 || size < p.threshold(), b.Kind() == Heap, "%+v %d", p, size)
				if !p.Huge {
					assert.LessOrEqual(t, b.Kind(), Plain)
				}
			}
			runtime.GC()
		}
	}
}

func TestManySmallHeapBlocksAreAligned(t *testing.T) {
	for size := range uintptr(3000) {
		b := Alloc(size, Policy{})
		require.Zero(t, uintptr(b.Base())%Alignment, "size %d", size)
		require.Equal(t, Heap, b.Kind())
	}
}

func TestZeroPolicyMapsFromTheThresholdOn(t *testing.T) {
	needMapping(t)
	assert.Equal(t, Heap, Alloc(MapThreshold-1, Policy{}).Kind())
	assert.Equal(t, Plain, Alloc(MapThreshold, Policy{}).Kind())
}

func TestRaceBuildsMapNothingUnlessForced(t *testing.T) {
	assert.Equal(t, CanMap, Alloc(MapThreshold, Policy{}).Kind() == Plain)
}

func TestEachFallback(t *testing.T) {
	needMapping(t)
	const size = 3 * mib
	best := Alloc(size, Policy{Huge: true}).Kind()
	next := func(fail ...Kind) Kind {
		defer ForceFallback(fail...)()
		b := Alloc(size, Policy{Huge: true})
		checkBlock(t, b, size)
		return b.Kind()
	}
	advised := min(best, Advised) // Advised where the system has it
	assert.Equal(t, advised, next(HugeTLB))
	assert.Equal(t, Plain, next(HugeTLB, Advised))
	assert.Equal(t, Heap, next(HugeTLB, Advised, Plain))
	assert.Equal(t, best, next(Plain, Heap), "failures below the first that holds do not matter")

	before := Mapped()
	assert.PanicsWithError(t, errForced.Error(), func() { next(HugeTLB, Advised, Plain, Heap) })
	assert.LessOrEqual(t, Mapped(), before, "a block that failed is not accounted")
}

func TestForceFallbackNestsAndRestoresOnce(t *testing.T) {
	needMapping(t)
	kind := func() Kind { return Alloc(mib, mapAll).Kind() }
	outer, inner := ForceFallback(Plain), ForceFallback(Plain)
	outer()
	outer()
	assert.Equal(t, Heap, kind())
	inner()
	assert.Equal(t, Plain, kind())
}

func TestFailureInTheMiddleOfAGrowth(t *testing.T) {
	needMapping(t)
	var calls atomic.Int32
	inject(t, &failHook{mapping: func(k Kind) error {
		if k != Heap && calls.Add(1)%3 == 0 {
			return errors.New("exhausted")
		}
		return nil
	}})
	var got []Kind
	for range 6 {
		b := Alloc(mib, mapAll)
		checkBlock(t, b, mib)
		got = append(got, b.Kind())
	}
	assert.Equal(t, []Kind{Plain, Plain, Heap, Plain, Plain, Heap}, got)
}

func TestImpossibleSizePanics(t *testing.T) {
	before := Mapped()
	for _, size := range []uintptr{math.MaxUint, math.MaxUint - 7, math.MaxInt + 1} {
		assert.Panics(t, func() { Alloc(size, Policy{Huge: true}) }, "%#x", size)
	}
	assert.LessOrEqual(t, Mapped(), before, "a block that failed is not accounted")
}

func TestUnreachableBlocksAreUnmapped(t *testing.T) {
	needMapping(t)
	for _, p := range []Policy{mapAll, {Huge: true, Threshold: 1}} {
		start := settle(t)
		held := Alloc(5*mib, p)
		var sum uint64
		func() {
			var dropped []*Block
			for i := range 8 {
				dropped = append(dropped, Alloc(uintptr(i+1)*mib, p))
				sum += uint64(dropped[i].MappedBytes())
			}
			require.Equal(t, start+uint64(held.MappedBytes())+sum, Mapped())
			runtime.KeepAlive(dropped)
		}()
		collectUntil(t, "unmapping of what was dropped", func() bool {
			return Mapped() == start+uint64(held.MappedBytes())
		})
		checkBlock(t, held, 5*mib)
		runtime.KeepAlive(held)
		collectUntil(t, "unmapping of the rest", func() bool { return Mapped() == start })
	}
}

func TestRefusedUnmappingStaysAccounted(t *testing.T) {
	needMapping(t)
	start := settle(t)
	refused := make(chan region, 1)
	inject(t, &failHook{unmap: func(r region) error { refused <- r; return errors.New("too many mappings") }})
	require.Equal(t, Plain, Alloc(3*mib, mapAll).Kind())
	collectUntil(t, "the cleanup", func() bool { return len(refused) == 1 })
	assert.Equal(t, start+3*mib, Mapped())
	require.NoError(t, osUnmap(<-refused))
	ledger.adjust(0, -3*mib)
}

// Readers of a block that is replaced all the time see their own block's
// words, never another's and no fault.
func TestMemoryStaysWhileItsBlockIsAlive(t *testing.T) {
	needMapping(t)
	const size = 64 << 10
	var current atomic.Pointer[Block]
	publish := func(n uint64) {
		b := Alloc(size, Policy{Threshold: 1})
		for i := range words(b) {
			words(b)[i] = n
		}
		current.Store(b)
	}
	publish(1)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				b := current.Load()
				w := words(b)
				first := w[0]
				for range 500 {
					if got := w[rand.N(len(w))]; got != first {
						t.Errorf("read %d from the block of %d", got, first)
						return
					}
				}
				runtime.KeepAlive(b)
			}
		}()
	}
	for n := range uint64(30) {
		publish(n + 2)
		if n%4 == 0 {
			runtime.GC()
		}
	}
	close(stop)
	readers.Wait()
}

func TestConcurrentAlloc(t *testing.T) {
	needMapping(t)
	start := settle(t)
	var workers sync.WaitGroup
	for w := range uint64(8) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			rnd := rand.New(rand.NewPCG(1, w))
			for i := range 60 {
				size := rnd.Uint64N(3 * mib)
				if i%8 == 0 {
					defer ForceFallback(Kind(1 + rnd.Uint64N(3)))()
				}
				b := Alloc(uintptr(size), Policy{Huge: i%2 == 0, Threshold: 1 + uintptr(rnd.Uint64N(2*mib))})
				if len(words(b)) > 0 {
					end := len(words(b)) - 1
					if words(b)[0]|words(b)[end] != 0 {
						t.Error("not zeroed")
					}
					words(b)[0], words(b)[end] = w, w
					runtime.Gosched()
					if words(b)[0] != w || words(b)[end] != w {
						t.Error("shared with another block")
					}
				}
				runtime.KeepAlive(b)
			}
		}()
	}
	workers.Wait()
	collectUntil(t, "unmapping", func() bool { return Mapped() == start })
}

func TestKindString(t *testing.T) {
	assert.Equal(t, "heap plain advised hugetlb Kind(9)", fmt.Sprint(Heap, " ", Plain, " ", Advised, " ", HugeTLB, " ", Kind(9)))
}
