package mem

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// touchLog notes which pages were timed, and makes those slow that slow says.
type touchLog struct {
	mu    sync.Mutex
	pages []uintptr // addresses
	slow  func(n int) bool
}

// allocTimed allocates a Block of pages huge pages and half a one, whose touches are timed, and logs them.
func allocTimed(t testing.TB, pages uintptr, slow func(n int) bool) (*Block, *touchLog) {
	needMapping(t)
	t.Cleanup(ForceFallback(HugeTLB))
	log := &touchLog{slow: slow}
	t.Cleanup(PretendTouch(func(page unsafe.Pointer) time.Duration {
		log.mu.Lock()
		defer log.mu.Unlock()
		log.pages = append(log.pages, uintptr(page))
		if log.slow(len(log.pages)) {
			return slowTouch
		}
		return slowTouch - 1
	}))
	b := Alloc(pages*hugePageSize()+hugePageSize()/2, Policy{Huge: true, Spread: true})
	require.Equal(t, Advised, b.Kind())
	return b, log
}

// touchAll touches every word of every page of b of the usual size, from several goroutines.
func touchAll(b *Block) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for at := uintptr(0); at < b.Size(); at += 4096 {
				b.Touch(at)
			}
		}()
	}
	wg.Wait()
}

func never(int) bool { return false }

func TestEveryHugePageIsTimedOnce(t *testing.T) {
	const pages = 40 // more than there are bits in a word
	b, log := allocTimed(t, pages, never)
	touchAll(b)
	slices.Sort(log.pages)
	require.Len(t, log.pages, pages+1)
	for i, p := range log.pages {
		require.Equal(t, uintptr(b.Base())+uintptr(i)*hugePageSize(), p)
	}
	assert.Equal(t, "hg", advice(t, b))
	b.Settle()
	assert.Equal(t, "hg", advice(t, b))
	runtime.KeepAlive(b)
}

// Pages that are not touched are not timed, and neither are those of a Block that nobody is going to fill little by little.
func TestOtherBlocksAreNotTimed(t *testing.T) {
	_, log := allocTimed(t, 1, never)
	for _, p := range []Policy{{}, {Huge: true}, {Spread: true}, {Spread: true, Threshold: ^uintptr(0)}} {
		b := Alloc(3*hugePageSize(), p)
		touchAll(b)
		b.Settle()
		runtime.KeepAlive(b)
	}
	assert.Empty(t, log.pages)
}

func TestASlowHugePageIsTheLast(t *testing.T) {
	b, log := allocTimed(t, 8, func(n int) bool { return n == 3 })
	for i := range uintptr(9) {
		b.Touch(i * hugePageSize())
	}
	require.Len(t, log.pages, 3)
	assert.Equal(t, "nh", advice(t, b))

	// For a while no other Block tries.
	next := Alloc(3*hugePageSize(), Policy{Huge: true, Spread: true})
	require.Equal(t, Advised, next.Kind())
	assert.Equal(t, "nh", advice(t, next))
	touchAll(next)
	require.Len(t, log.pages, 3)
	assert.Equal(t, "hg", advice(t, Alloc(3*hugePageSize(), Policy{Huge: true})), "one that is filled at once")

	checkBlock(t, next, 3*hugePageSize())
	assert.Zero(t, hugeBytes(t, next))
	for _, b := range []*Block{b, next} {
		b.Settle()
		assert.Equal(t, "hg", advice(t, b))
	}

	// Then, or if nothing was ever known, somebody tries who has no part in it, and while that goes on pages are small.
	tried := make(chan struct{})
	restore := PretendTouch(func(unsafe.Pointer) time.Duration {
		tried <- struct{}{}
		tried <- struct{}{}
		return 0
	})
	defer restore()
	hugePages.fast.Store(false)
	hugePages.slow.Store(int64(time.Since(loaded)))
	again := Alloc(3*hugePageSize(), Policy{Huge: true, Spread: true})
	<-tried
	assert.Equal(t, "nh", advice(t, again))
	assert.Equal(t, "nh", advice(t, Alloc(3*hugePageSize(), Policy{Huge: true, Spread: true})), "tried twice")
	<-tried
	waitUntil(t, func() bool { return !hugePages.probing.Load() })
	assert.Equal(t, "hg", advice(t, Alloc(3*hugePageSize(), Policy{Huge: true, Spread: true})))
	runtime.KeepAlive(b)
	runtime.KeepAlive(next)
	runtime.KeepAlive(again)
}

// If the page that is tried is slow, others are small for a while without another try.
func TestASlowHugePageThatIsTried(t *testing.T) {
	b, log := allocTimed(t, 1, func(int) bool { return true })
	hugePages.fast.Store(false)
	hugePages.slow.Store(0)
	runtime.KeepAlive(Alloc(b.Size(), Policy{Huge: true})) // is followed by one that grows, perhaps
	waitUntil(t, func() bool { return !hugePages.probing.Load() })
	for range 3 {
		next := Alloc(b.Size(), Policy{Huge: true, Spread: true})
		touchAll(next)
		assert.Equal(t, "nh", advice(t, next))
	}
	assert.Len(t, log.pages, 1)
}

// A page turns out to be slow when the Block is filled already, by others.
func TestASlowHugePageThatComesLate(t *testing.T) {
	needMapping(t)
	defer ForceFallback(HugeTLB)()
	begun, goOn := make(chan struct{}), make(chan struct{})
	defer PretendTouch(func(unsafe.Pointer) time.Duration {
		close(begun)
		<-goOn
		return slowTouch
	})()
	b := Alloc(3*hugePageSize(), Policy{Huge: true, Spread: true})
	require.Equal(t, Advised, b.Kind())
	done := make(chan struct{})
	go func() { defer close(done); b.Touch(0) }()
	<-begun
	b.Settle()
	close(goOn)
	<-done
	assert.Equal(t, "hg", advice(t, b))
	runtime.KeepAlive(b)
}

// waitUntil waits for another goroutine.
func waitUntil(t testing.TB, done func() bool) {
	t.Helper()
	require.Eventually(t, done, 20*time.Second, 100*time.Microsecond)
}

// What touching really does: the page is there, and its zeroes as well.
func TestTouchedPagesAreZero(t *testing.T) {
	needMapping(t)
	defer ForceFallback(HugeTLB)()
	hugePages.fast.Store(true)
	b := Alloc(4*mib+mib, Policy{Huge: true, Spread: true})
	if b.Kind() != Advised {
		t.Skip("no pages to advise: ", b.Kind())
	}
	before := residentBytes(t, b)
	b.Touch(0)
	if _, err := touchPage(b.Base()); err != nil {
		t.Skip("this kernel does not populate on request: ", err)
	}
	assert.Greater(t, residentBytes(t, b), before)
	touchAll(b)
	checkBlock(t, b, 5*mib)
}

// residentBytes returns the bytes of b that are in memory.
func residentBytes(t testing.TB, b *Block) (kb uint64) {
	_, err := fmt.Sscanf(smap(t, b, "Rss:"), "%d kB", &kb)
	require.NoError(t, err)
	return kb << 10
}
