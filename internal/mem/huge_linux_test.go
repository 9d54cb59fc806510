package mem

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
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

// What has a pointer and is not the size of anything: a table of these has no huge page to itself but in the middle.
type linked struct {
	self    *linked
	counter atomic.Uint64
	fill    [3]uint64
}

// adoptLinked returns a Block over entries on the Go heap, all of them written to.
func adoptLinked(size uintptr, p Policy) ([]linked, *Block) {
	entries := make([]linked, size/unsafe.Sizeof(linked{}))
	for i := range entries {
		entries[i].self, entries[i].fill[2] = &entries[i], uint64(i)
	}
	return entries, Adopt(unsafe.Pointer(unsafe.SliceData(entries)), uintptr(len(entries))*unsafe.Sizeof(linked{}), p)
}

// joinLog notes which pages are joined, and says what comes of it; nil is to really do it.
type joinLog struct {
	mu    sync.Mutex
	pages []unsafe.Pointer
}

func logJoins(t testing.TB, result func(n int) error) *joinLog {
	log := &joinLog{}
	t.Cleanup(WatchJoins(func(page unsafe.Pointer) error {
		log.mu.Lock()
		log.pages = append(log.pages, page)
		n := len(log.pages)
		log.mu.Unlock()
		return result(n)
	}))
	return log
}

func (l *joinLog) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pages)
}

// joints returns all huge pages that a Block has to itself.
func joints(b *Block) (all []unsafe.Pointer) {
	for i := uintptr(0); b.joint(i).size != 0; i++ {
		all = append(all, b.joint(i).start)
	}
	return all
}

// needJoinable skips where pages cannot be joined.
func needJoinable(t testing.TB) {
	if !joinable() {
		t.Skip("pages are not joined here: an old kernel, an administrator who forbids it, or huge pages that are too large")
	}
}

// Pages are joined under the eyes of readers, writers and the collector, none of which see anything of it.
func TestSmallPagesAreJoined(t *testing.T) {
	needJoinable(t)
	size := 5*hugePageSize() - 4096
	entries, b := adoptLinked(size, Policy{Huge: true})
	require.Equal(t, Heap, b.Kind())
	want := joints(b)
	require.GreaterOrEqual(t, len(want), 3)
	for i, page := range want {
		assert.Zero(t, uintptr(page)%hugePageSize())
		assert.GreaterOrEqual(t, uintptr(page), uintptr(b.Base()))
		assert.LessOrEqual(t, uintptr(page)+hugePageSize(), uintptr(b.Base())+b.Size())
		if i > 0 {
			assert.Equal(t, uintptr(want[i-1])+hugePageSize(), uintptr(page))
		}
	}
	before := hugeBytes(t, b)
	log := logJoins(t, func(int) error { return nil })

	var wg sync.WaitGroup
	var stop atomic.Bool
	var rounds [2]uint64
	for w := range rounds {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for ; !stop.Load(); rounds[w]++ {
				for i := range entries {
					entries[i].counter.Add(1)
				}
			}
		}()
	}
	b.Join()
	b.Join()
	waitUntil(t, func() bool { runtime.GC(); return log.len() >= len(want) })
	waitUntil(t, func() bool { return hugeBytes(t, b) >= before+uint64(hugePageSize())*uint64(len(want)-1) })
	stop.Store(true)
	wg.Wait()
	for i := range entries {
		e := &entries[i]
		require.True(t, e.self == e && e.fill == [3]uint64{2: uint64(i)} && e.counter.Load() == rounds[0]+rounds[1])
	}
	runtime.KeepAlive(b)
	assert.Equal(t, want, log.pages[:len(want)])
}

// A page that cannot be joined does not keep others from it, unless there is no memory for them.
func TestJoiningEndsWhereMemoryDoes(t *testing.T) {
	needJoinable(t)
	for _, c := range []struct {
		err  error
		ends bool
	}{{unix.EAGAIN, false}, {unix.EINVAL, false}, {unix.ENOMEM, true}, {unix.EBUSY, true}} {
		_, b := adoptLinked(5*hugePageSize(), Policy{Huge: true})
		log := logJoins(t, func(int) error { return c.err })
		want := joints(b)
		if c.ends {
			want = want[:1]
		}
		b.Join()
		waitUntil(t, func() bool { return log.len() == len(want) })
		time.Sleep(10 * time.Millisecond)
		assert.Equal(t, want, log.pages, "%v", c.err)
		runtime.KeepAlive(b)
	}
}

// Nobody waits for the joining of what is not in use any more, and it keeps nothing alive.
func TestBlocksOutOfUseAreNotJoined(t *testing.T) {
	needJoinable(t)
	t.Run("retired", func(t *testing.T) {
		_, b := adoptLinked(5*hugePageSize(), Policy{Huge: true})
		log := logJoins(t, func(int) error { b.Retire(); return unix.EAGAIN })
		b.Join()
		waitUntil(t, func() bool { return log.len() == 1 })
		time.Sleep(10 * time.Millisecond)
		joinNext(weak.Make(b), 2)
		assert.Equal(t, 1, log.len())
		(*Block)(nil).Retire()
		runtime.KeepAlive(b)
	})
	t.Run("unreachable", func(t *testing.T) {
		b := Alloc(40*hugePageSize(), Policy{Huge: true, Threshold: ^uintptr(0)})
		require.Equal(t, Heap, b.Kind())
		require.GreaterOrEqual(t, len(joints(b)), 39)
		log := logJoins(t, func(int) error { time.Sleep(50 * time.Millisecond); return unix.EAGAIN })
		w := weak.Make(b)
		b.Join()
		collectUntil(t, "a Block whose pages are being joined", func() bool { return w.Value() == nil })
		assert.Less(t, log.len(), 39)
	})
}

// Huge pages are for those who ask for them.
func TestWhatIsJoined(t *testing.T) {
	needJoinable(t)
	assert.Nil(t, Adopt(unsafe.Pointer(new(uint64)), MapThreshold-1, Policy{Huge: true}))
	for _, p := range []Policy{{}, {Spread: true}} {
		_, b := adoptLinked(5*hugePageSize(), p)
		b.Join()
		assert.False(t, b.joining.Load())
	}
}

// What came in huge pages is left alone, also where the last one is not all in the Block.
func TestHugePagesAreNotJoined(t *testing.T) {
	needJoinable(t)
	log := logJoins(t, func(int) error { return unix.EAGAIN })
	b, _ := allocTimed(t, 31, never)
	touchAll(b)
	b.Settle()
	b.Join()
	joinNext(weak.Make(b), 0)
	runtime.KeepAlive(b)
	assert.Zero(t, log.len())
}

// Those that are small as a huge one was slow are joined.
func TestPagesAfterASlowOneAreJoined(t *testing.T) {
	needJoinable(t)
	joined := logJoins(t, func(int) error { return nil })
	b, touched := allocTimed(t, 8, func(n int) bool { return n == 3 })
	for i := range uintptr(9) {
		b.Touch(i * hugePageSize())
	}
	require.Len(t, touched.pages, 3)
	checkBlock(t, b, b.Size())
	b.Join()
	assert.Equal(t, "hg", advice(t, b), "or the kernel would refuse")
	waitUntil(t, func() bool { return joined.len() == 5 })
	time.Sleep(10 * time.Millisecond)
	assert.Equal(t, joints(b)[3:], joined.pages)
	for _, w := range words(b) {
		require.Equal(t, ^uint64(0), w)
	}
	runtime.KeepAlive(b)
}

func TestHugePagesForbidden(t *testing.T) {
	dir := t.TempDir()
	assert.False(t, hugePagesForbidden(dir, 2<<20), "an old kernel has no settings, and refuses")
	set := func(name, text string) {
		name = filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	set("enabled", "always [madvise] never\n")
	assert.False(t, hugePagesForbidden(dir, 2<<20))
	set("hugepages-2048kB/enabled", "always inherit madvise [never]\n")
	assert.True(t, hugePagesForbidden(dir, 2<<20))
	assert.False(t, hugePagesForbidden(dir, 1<<20))
	set("enabled", "always madvise [never]\n")
	assert.True(t, hugePagesForbidden(dir, 1<<20))
}

// Only one Block has its pages joined at a time, and the others have their turn.
func TestBlocksTakeTurns(t *testing.T) {
	needJoinable(t)
	var blocks []*Block
	for range 4 {
		_, b := adoptLinked(4*hugePageSize(), Policy{Huge: true})
		blocks = append(blocks, b)
	}
	var now, most atomic.Int32
	log := logJoins(t, func(int) error {
		most.Store(max(most.Load(), now.Add(1)))
		time.Sleep(time.Millisecond)
		now.Add(-1)
		return unix.EAGAIN
	})
	total := 0
	for _, b := range blocks {
		total += len(joints(b))
		b.Join()
	}
	waitUntil(t, func() bool { return log.len() == total })
	assert.EqualValues(t, 1, most.Load())
	runtime.KeepAlive(blocks)
}
