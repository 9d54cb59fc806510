package mem

import (
	"os"
	"path/filepath"
	"runtime"
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
	t.Cleanup(WatchJoins(func(page unsafe.Pointer) error { return result(log.add(page)) }))
	return log
}

// add notes a page and returns how many there are.
func (l *joinLog) add(page unsafe.Pointer) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pages = append(l.pages, page)
	return len(l.pages)
}

func (l *joinLog) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pages)
}

// wholePages returns all huge pages that a Block has to itself.
func wholePages(b *Block) (all []unsafe.Pointer) {
	for i := uintptr(0); b.whole(i).size != 0; i++ {
		all = append(all, b.whole(i).start)
	}
	return all
}

// needJoinable skips where pages cannot be joined.
func needJoinable(t testing.TB) {
	if !joinable() {
		t.Skip("pages are not joined here: an old kernel, an administrator who forbids it, or huge pages that are too large")
	}
}

func TestWholePages(t *testing.T) {
	_, b := adoptLinked(5*hugePageSize()-4096, Policy{Huge: true})
	require.Equal(t, Heap, b.Kind())
	pages := wholePages(b)
	require.GreaterOrEqual(t, len(pages), 3)
	for i, page := range pages {
		assert.Zero(t, uintptr(page)%hugePageSize())
		assert.GreaterOrEqual(t, uintptr(page), uintptr(b.Base()))
		assert.LessOrEqual(t, uintptr(page)+hugePageSize(), uintptr(b.Base())+b.Size())
		if i > 0 {
			assert.Equal(t, uintptr(pages[i-1])+hugePageSize(), uintptr(page))
		}
	}
	runtime.KeepAlive(b)
}

// Pages are joined under the eyes of readers, writers and the collector, none of which see anything of it.
func TestSmallPagesAreJoined(t *testing.T) {
	needJoinable(t)
	entries, b := adoptLinked(5*hugePageSize(), Policy{Huge: true})
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
	joined := 0
	for i := range wholePages(b) {
		runtime.GC()
		if err := collapse(b.whole(uintptr(i))); err != nil {
			t.Logf("page %d: %v", i, err)
		} else {
			joined++
		}
	}
	stop.Store(true)
	wg.Wait()
	for i := range entries {
		e := &entries[i]
		require.True(t, e.self == e && e.fill == [3]uint64{2: uint64(i)} && e.counter.Load() == rounds[0]+rounds[1])
	}
	runtime.KeepAlive(b)
	if joined == 0 {
		t.Skip("no page was joined")
	}
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
		want := wholePages(b)
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
		tried, more := (&joint{weak.Make(b), 2}).join()
		assert.True(t, !tried && !more)
		(*Block)(nil).Retire()
		runtime.KeepAlive(b)
	})
	t.Run("unreachable", func(t *testing.T) {
		b := Alloc(40*hugePageSize(), Policy{Huge: true, Threshold: ^uintptr(0)})
		require.Equal(t, Heap, b.Kind())
		require.GreaterOrEqual(t, len(wholePages(b)), 39)
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
	tried, more := (&joint{weak.Make(b), 0}).join()
	assert.True(t, !tried && !more)
	runtime.KeepAlive(b)
	assert.Zero(t, log.len())
}

// Those that are small, as a huge one was slow, are joined.
func TestPagesAfterASlowOneAreJoined(t *testing.T) {
	needJoinable(t)
	var seen joinLog
	defer WatchJoins(func(page unsafe.Pointer) error { seen.add(page); return nil })()
	b, touched := allocTimed(t, 8, func(n int) bool { return n == 3 })
	for i := range uintptr(9) {
		b.Touch(i * hugePageSize())
	}
	require.Len(t, touched.pages, 3)
	checkBlock(t, b, b.Size())
	assert.Zero(t, hugeBytes(t, b), "to touch was a pretence")
	b.Join()
	assert.Equal(t, "hg", advice(t, b), "or the kernel would refuse")
	waitUntil(t, func() bool { return seen.len() == 5 || idle() && seen.len() > 0 })
	waitUntil(t, idle)
	for _, w := range words(b) {
		require.Equal(t, ^uint64(0), w)
	}
	got := hugeBytes(t, b)
	runtime.KeepAlive(b)
	if n := seen.len(); n < 5 || got == 0 {
		t.Skipf("%d pages were tried, and %d bytes are in huge pages: memory is short or fragmented", n, got)
	}
	// There may be more than five: the kernel joins what was advised in its own time.
	assert.Equal(t, wholePages(b)[3:], seen.pages)
}

// idle reports whether no pages are being joined.
func idle() bool {
	turns.mu.Lock()
	defer turns.mu.Unlock()
	return !turns.running
}

func TestHugePagesForbidden(t *testing.T) {
	dir := t.TempDir()
	assert.False(t, forbidden(dir, 2<<20), "an old kernel has no settings, and refuses")
	set := func(name, text string) {
		name = filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	set("enabled", "always [madvise] never\n")
	assert.False(t, forbidden(dir, 2<<20))
	set("hugepages-2048kB/enabled", "always inherit madvise [never]\n")
	assert.True(t, forbidden(dir, 2<<20))
	assert.False(t, forbidden(dir, 1<<20))
	set("enabled", "always madvise [never]\n")
	assert.True(t, forbidden(dir, 1<<20))
	set("hugepages-2048kB/enabled", "always [inherit] madvise never\n")
	assert.True(t, forbidden(dir, 2<<20))
	set("hugepages-2048kB/enabled", "always inherit [madvise] never\n")
	assert.False(t, forbidden(dir, 2<<20), "that size is allowed")
}

// One page is joined at a time, and Blocks take turns.
func TestBlocksTakeTurns(t *testing.T) {
	needJoinable(t)
	waitUntil(t, idle)
	var blocks []*Block
	of := make(map[unsafe.Pointer]int)
	for i := range 3 {
		_, b := adoptLinked(5*hugePageSize(), Policy{Huge: true})
		blocks = append(blocks, b)
		for _, page := range wholePages(b) {
			of[page] = i
		}
	}
	var now, most atomic.Int32
	waiting := make(chan struct{})
	log := logJoins(t, func(n int) error {
		if n == 1 {
			<-waiting // until all have come
		}
		most.Store(max(most.Load(), now.Add(1)))
		runtime.Gosched()
		now.Add(-1)
		return unix.EAGAIN
	})
	for _, b := range blocks {
		b.Join()
	}
	waitUntil(t, func() bool {
		turns.mu.Lock()
		defer turns.mu.Unlock()
		return len(turns.waiting) == 2
	})
	close(waiting)
	waitUntil(t, func() bool { return log.len() == len(of) })
	assert.EqualValues(t, 1, most.Load())
	for round := range 3 {
		turn := make(map[int]bool)
		for _, page := range log.pages[3*round : 3*round+3] {
			turn[of[page]] = true
		}
		assert.Len(t, turn, 3, "in round %d", round)
	}
	runtime.KeepAlive(blocks)
}
