package hushmap

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/hushmap/hushmap/internal/mem"
)

// tnNeedOwnMemory skips the test in race builds: the race detector has memory of its own beside that of the process, does
// not give it back, and ends the process when it gets no more.
func tnNeedOwnMemory(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector needs address space of its own")
	}
}

// tnSpareThreads makes the runtime start threads and keep them idle. It starts one whenever it is short of them, the stack of
// a thread needs address space, and without that a program that has cgo ends.
func tnSpareThreads(t *testing.T) {
	t.Helper()
	const threads = 16
	var started, done sync.WaitGroup
	started.Add(threads)
	done.Add(threads)
	for range threads {
		go func() {
			defer done.Done()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread() // or the thread would end with the goroutine
			started.Done()
			started.Wait()
		}()
	}
	done.Wait()
	// Another may be on its way still: a goroutine that is locked to its thread leaves it to the runtime to start the next. The
	// profile has all that were asked for, and with cgo one that is for calls from C and is never started.
	wanted := pprof.Lookup("threadcreate").Count() - 1
	for running := 0; running < wanted; runtime.Gosched() {
		tasks, err := os.ReadDir("/proc/self/task")
		require.NoError(t, err)
		running = len(tasks)
	}
}

// tnLimitAddressSpace leaves the process room bytes of address space beyond what it has, and returns what undoes it.
func tnLimitAddressSpace(t *testing.T, room uint64) (restore func()) {
	t.Helper()
	tnSpareThreads(t)
	text, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	var pages uint64
	_, err = fmt.Sscan(string(text), &pages)
	require.NoError(t, err)
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_AS, &limit))
	less := unix.Rlimit{Cur: pages*uint64(unix.Getpagesize()) + room, Max: limit.Max}
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_AS, &less))
	return func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_AS, &limit)) }
}

// Where the system refuses to map, for real, tables are on the Go heap while that has room, and mapped again when the
// limit is gone. The limit holds for a whole process, so this takes one of its own.
func TestAddressSpaceIsLimited(t *testing.T) {
	tnNeedOwnMemory(t)
	const child = "HUSHMAP_TEST_LIMITED_CHILD"
	if os.Getenv(child) == "" {
		out, err := tnChild(t, child)
		require.NoError(t, err, out)
		require.Contains(t, out, "--- PASS", out)
		return
	}
	tnNeedMapping(t)
	debug.SetGCPercent(-1)
	const spare = 256 * mib // of the heap, which keeps the address space of what is freed
	func() { runtime.KeepAlive(make([]byte, spare)) }()
	runtime.GC()
	runtime.GC()
	m := New[uint64, uint64]()
	tnFill(m, 0, 90_000)
	require.NotEqual(t, "heap", m.Stats().Memory)

	restore := tnLimitAddressSpace(t, mib)
	tnFill(m, 90_000, 300_000) // several growths, the first of which has an old table that is mapped
	m.core.settle()
	assert.Equal(t, "heap", m.Stats().Memory)
	assert.Zero(t, m.Stats().MappedBytes)
	for k := range uint64(1000) {
		m.Delete(k)
	}
	tnHolds(t, m, 1000, 300_000)
	restore()
	tnFill(m, 300_000, 450_000)
	m.core.settle()
	assert.NotEqual(t, "heap", m.Stats().Memory)
	tnHolds(t, m, 1000, 450_000)
}

// When the heap has no room either the process ends, with the runtime's message and nothing else: neither a fault nor a
// map that has lost something.
func TestRealOutOfMemory(t *testing.T) {
	tnNeedOwnMemory(t)
	if math.MaxInt == math.MaxInt32 {
		t.Skip("a map reaches the limit of what 32 bits can address before the process is out of memory")
	}
	const child = "HUSHMAP_TEST_OUT_OF_MEMORY_CHILD"
	if os.Getenv(child) == "" {
		out, err := tnChild(t, child)
		require.Error(t, err, out)
		assert.Contains(t, out, "holds all before the last", out)
		assert.Regexp(t, "(?m)^fatal error: .*(out of memory|cannot allocate memory)|^runtime: out of memory", out)
		assert.NotContains(t, out, "SIGSEGV")
		assert.NotContains(t, out, "SIGBUS")
		assert.NotContains(t, out, "hushmap: ")
		return
	}
	tnNeedMapping(t)
	debug.SetGCPercent(-1)
	m := New[uint64, uint64]()
	tnFill(m, 0, 90_000)
	_ = tnLimitAddressSpace(t, 192*mib) // the heap may be at the end of its first 64, and look for as many that are aligned
	for n := uint64(90_000); ; n *= 2 {
		m.Grow(int(n)) // until there is none to be had
		tnFill(m, uint64(m.Len()), n)
		tnHolds(t, m, 0, n)
		fmt.Println("holds all before the last", n, m.Stats().Memory, mem.Mapped())
		require.Less(t, n, uint64(1<<24), "never out of memory")
	}
}

// tnFaults returns how many page faults this thread has taken for memory that was at hand.
func tnFaults(t *testing.T) int64 {
	t.Helper()
	var u unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_THREAD, &u))
	return int64(u.Minflt)
}

// Each page of a table that a map grows into is stored to before anything is loaded from it. Otherwise it takes two page
// faults, of which the second interrupts the other processors: with two goroutines, filling a map took three times as long.
func TestGrowthTakesOnePageFaultForEachPage(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("not promised on ", runtime.GOARCH, ": 386 loads to see that a pointer is not nil, others for every compare-and-swap")
	}
	tnNeedOwnMemory(t)
	tnNeedMapping(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	m := New[uint64, uint64](WithHugePages(HugePagesOff))
	n := uint64(0)
	for ; m.core.read.Load() == nil || m.core.read.Load().memory == nil || m.core.read.Load().memory.MappedBytes() < 8*mib; n++ {
		m.Store(n, n)
	}
	growing := m.core.read.Load()
	require.NotNil(t, growing.old)
	pages := int64(growing.memory.MappedBytes()) / int64(unix.Getpagesize())
	before := tnFaults(t)
	m.core.settle()
	took := tnFaults(t) - before
	require.NoError(t, m.Verify())
	require.Equal(t, int(n), m.Len())
	assert.Less(t, took, pages*5/4)
	assert.Greater(t, took, pages/2, "nothing was counted")
}

// The collector scans a table with pointers as soon as it is allocated, and loads from pages that nothing was stored to. So
// each step of a growth stores to some of them ahead of evacuation, and evacuation finds them all there in the end.
func TestGrowthStoresToPagesBeforeTheCollectorLoads(t *testing.T) {
	tnNeedOwnMemory(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	debug.FreeOSMemory() // pages that are free take a fault from now on
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	m := New[any, any]()
	n := 0
	for ; m.core.read.Load() == nil || m.core.read.Load().buckets()*uint64(bucketSize[any, any]()) < 8*mib; n++ {
		m.Store(n, n)
	}
	growing := m.core.read.Load()
	require.NotNil(t, growing.old)
	pages := int64(growing.buckets()) * int64(bucketSize[any, any]()) / int64(unix.Getpagesize())
	for growing.old.faulted.Load() < growing.buckets() {
		m.core.helpOld(growing, 1, true)
		require.Less(t, 2*growing.old.frozen.Load(), growing.old.faulted.Load(), "it is to be ahead of evacuation")
	}
	require.LessOrEqual(t, growing.old.frozen.Load(), growing.old.buckets()*5/8)
	runtime.GC()
	before := tnFaults(t)
	m.core.settle()
	took := tnFaults(t) - before
	require.NoError(t, m.Verify())
	require.Equal(t, n, m.Len())
	assert.Less(t, took, pages/4)
}

// tnResident returns how many bytes of the process are resident.
func tnResident(t *testing.T) (bytes uint64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	var size, pages uint64
	_, err = fmt.Fscan(strings.NewReader(string(text)), &size, &pages)
	require.NoError(t, err)
	return pages * uint64(unix.Getpagesize())
}

// What is given back is given back to the system: the process is as small as before.
func TestResidentMemoryFalls(t *testing.T) {
	tnNeedOwnMemory(t)
	tnNeedMapping(t)
	start := tnMapped(t)
	debug.FreeOSMemory()
	empty := tnResident(t)
	m := New[uint64, [3]uint64](WithHugePages(HugePagesOff))
	for k := range uint64(150_000) {
		m.Store(k, [3]uint64{k})
	}
	s := m.Stats()
	require.Greater(t, s.MappedBytes, uint64(8*mib))
	assert.Greater(t, tnResident(t), empty+s.MappedBytes/2)
	m.Clear()
	tnReturnsTo(t, start)
	debug.FreeOSMemory()
	assert.Less(t, tnResident(t), empty+s.MappedBytes/4)
	runtime.KeepAlive(m)
}

// Reads write no shared line: they need no right to write to the table. What writes finds out.
func TestReadsNeedNoRightToWrite(t *testing.T) {
	if !mem.CanMap {
		t.Skip("this build maps no tables")
	}
	m := New[uint64, uint64](withTuning(func(tu *tuning) { tu.mapFrom = 1 }))
	const n = 5000
	for i := range uint64(n) {
		m.Store(i, i)
	}
	block := m.core.settle().memory
	require.NotZero(t, block.MappedBytes())
	table := unsafe.Slice((*byte)(block.Base()), block.MappedBytes())
	require.NoError(t, unix.Mprotect(table, unix.PROT_READ))
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			keys, vals, found := make([]uint64, n), make([]uint64, n), make([]bool, n)
			for i := range keys {
				keys[i] = uint64(i) * 2
				v, ok := m.Load(keys[i])
				assert.True(t, ok == (keys[i] < n) && (!ok || v == keys[i]))
			}
			assert.Equal(t, n/2, m.LoadBatch(keys, vals, found))
			assert.Equal(t, n, m.Len())
			_, loaded := m.LoadOrStore(7, 1)
			assert.True(t, loaded)
		}()
	}
	wg.Wait()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	for name, write := range map[string]func(){
		"overwrite": func() { m.Store(7, 8) }, "insertion": func() { m.Store(n, 1) }, "deletion": func() { m.Delete(7) },
	} {
		assert.Panics(t, write, name)
	}
	require.NoError(t, unix.Mprotect(table, unix.PROT_READ|unix.PROT_WRITE))
	m.Store(7, 8)
	require.NoError(t, m.Verify())
	runtime.KeepAlive(m)
}

// Where huge pages turn out to be slow, the table that a map grows into has the rest of its memory in small pages while it
// is filled; huge pages are timed before anything is in them. When the growth has ended the kernel may make huge pages of
// them.
func TestGrowthDoesWithoutSlowHugePages(t *testing.T) {
	tnNeedMapping(t)
	defer mem.ForceFallback(mem.HugeTLB)()
	for _, slow := range []bool{false, true} {
		var touched []uintptr
		var mu sync.Mutex
		restore := mem.PretendTouch(func(page unsafe.Pointer) time.Duration {
			mu.Lock()
			defer mu.Unlock()
			touched = append(touched, uintptr(page))
			present := make([]byte, 1)
			assert.NoError(t, tnMincore(page, present))
			assert.Zero(t, present[0]&1, "a page was written to before it was timed")
			if slow {
				return time.Second
			}
			return 0
		})
		m := New[uint64, uint64](WithStableHash()) // no entry is displaced to the next page by chance
		n := uint64(0)
		for ; m.core.read.Load() == nil || m.core.read.Load().memory == nil || m.core.read.Load().memory.MappedBytes() < 8*mib; n++ {
			m.Store(n, n)
		}
		growing := m.core.read.Load()
		if growing.memory.Kind() != mem.Advised {
			restore()
			t.Skip("no pages to advise: ", growing.memory.Kind())
		}
		require.NotNil(t, growing.old)
		before := tnHugeAdvice(t, growing.memory)
		m.core.settle()
		after := tnHugeAdvice(t, growing.memory)
		restore()
		require.NoError(t, m.Verify())
		if slow {
			assert.Equal(t, "nh", before)
			assert.Len(t, touched, 1, "one table has shown it to all")
		} else {
			assert.Equal(t, "hg", before)
			assert.Greater(t, len(touched), 4+2+1, "huge pages of 2 MiB: more than there are in 9, 4.5 and 2.3 MiB")
		}
		assert.Equal(t, "hg", after)
		for i := range n {
			v, ok := m.Load(i)
			require.True(t, ok && v == i)
		}
	}
}

// Tables that are filled, and stay in use, have small pages joined to huge ones, wherever they lie: after a growth, and where
// there was room for all from the beginning, once there are entries everywhere. Others do not.
func TestFilledTablesHaveTheirPagesJoined(t *testing.T) {
	tnNeedOwnMemory(t)
	if !mem.CanJoin() {
		t.Skip("pages are not joined here: an old kernel, an administrator who forbids it, or huge pages that are too large")
	}
	if text, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"); err != nil || string(text) != "2097152\n" {
		t.Skipf("huge pages have %q bytes", text)
	}
	const buckets = 1 << 15 * (16 / unsafe.Sizeof(any(nil))) // 8.5 MiB of any keys and values, or 9 on 32-bit machines
	const capacity = int(buckets) * slotLimit
	var mu sync.Mutex
	pages := make(map[uintptr]bool)
	defer mem.WatchJoins(func(page unsafe.Pointer) error {
		mu.Lock()
		defer mu.Unlock()
		pages[uintptr(page)] = true
		return unix.EAGAIN
	})()
	const huge = 2 << 20
	joined := func(b *mem.Block) (n, of int) {
		mu.Lock()
		defer mu.Unlock()
		for p := (uintptr(b.Base()) + huge - 1) &^ (huge - 1); p+huge <= uintptr(b.Base())+b.Size(); p += huge {
			of++
			if pages[p] {
				n++
			}
		}
		return n, of
	}
	joinedAll := func(b *mem.Block) func() bool {
		return func() bool { n, of := joined(b); return n == of && of >= 3 }
	}
	joinedNone := func(b *mem.Block) {
		time.Sleep(300 * time.Millisecond) // if they are to be joined, that begins after a third of this
		n, of := joined(b)
		assert.Zero(t, n)
		assert.GreaterOrEqual(t, of, 3)
	}
	begin := func() { // earlier tables may have lain where the next will
		mu.Lock()
		defer mu.Unlock()
		clear(pages)
	}
	storeUpTo := func(m *AnyMap, n int) *readMap[any, any] {
		for i := range n {
			m.Store(i, i)
		}
		rm := m.core.settle()
		require.Equal(t, uint64(buckets), rm.buckets())
		require.Equal(t, mem.Heap, rm.kind())
		return rm
	}

	t.Run("after a growth", func(t *testing.T) {
		begin()
		rm := storeUpTo(New[any, any](), capacity/2+1000)
		require.Eventually(t, joinedAll(rm.memory), 20*time.Second, time.Millisecond)
		runtime.KeepAlive(rm)
	})
	t.Run("with capacity", func(t *testing.T) {
		begin()
		m := New[any, any](WithCapacity(capacity))
		joinedNone(storeUpTo(m, capacity/3-1).memory)
		rm := storeUpTo(m, capacity)
		require.Eventually(t, joinedAll(rm.memory), 20*time.Second, time.Millisecond)
		runtime.KeepAlive(rm)
	})
	t.Run("room for what never came", func(t *testing.T) {
		begin()
		m := New[any, any]()
		m.Store(1, 1)
		m.Grow(capacity - 1)
		joinedNone(storeUpTo(m, 1000).memory)
		runtime.KeepAlive(m)
	})
	t.Run("replaced", func(t *testing.T) {
		begin()
		m := New[any, any](WithCapacity(capacity))
		replaced := storeUpTo(m, 1000).memory
		m.Grow(capacity + 1)
		replaced.Join()
		joinedNone(replaced)
	})
	t.Run("cleared", func(t *testing.T) {
		begin()
		m := New[any, any](WithCapacity(capacity))
		cleared := storeUpTo(m, 1000).memory
		m.Clear()
		cleared.Join()
		joinedNone(cleared)
	})
	t.Run("buckets of several pages", func(t *testing.T) {
		if unix.Getpagesize() > 1<<14 {
			t.Skipf("pages have %d bytes", unix.Getpagesize())
		}
		begin()
		type large struct {
			next *large
			_    [4096/8 - 1]uint64
		}
		m := New[int, large](WithCapacity(800))
		for i := range 800 {
			m.Store(i, large{})
		}
		joinedNone(m.core.settle().memory)
		runtime.KeepAlive(m)
	})
	t.Run("no huge pages", func(t *testing.T) {
		begin()
		rm := storeUpTo(New[any, any](WithHugePages(HugePagesOff)), capacity/2+1000)
		joinedNone(rm.memory)
		runtime.KeepAlive(rm)
	})
	t.Run("outside the Go heap", func(t *testing.T) {
		tnNeedMapping(t)
		begin()
		defer mem.ForceFallback(mem.HugeTLB)()
		defer mem.PretendTouch(func(unsafe.Pointer) time.Duration { return time.Second })()
		m := New[uint64, uint64]()
		for i := range uint64(1 << 16 * slotLimit) {
			m.Store(i, i)
		}
		rm := m.core.settle()
		if rm.memory.Kind() != mem.Advised {
			t.Skip("no pages to advise: ", rm.memory.Kind())
		}
		require.Eventually(t, joinedAll(rm.memory), 20*time.Second, time.Millisecond)
		runtime.KeepAlive(rm)
	})
}

// tnMincore asks whether the page at p is in memory.
func tnMincore(p unsafe.Pointer, present []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(p), 1, uintptr(unsafe.Pointer(unsafe.SliceData(present))))
	if errno != 0 {
		return errno
	}
	return nil
}

// tnHugeAdvice returns what huge pages the kernel was asked for in a block: "hg" for some, "nh" for none.
func tnHugeAdvice(t *testing.T, b *mem.Block) string {
	text, err := os.ReadFile("/proc/self/smaps")
	require.NoError(t, err)
	inside := false
	for line := range strings.Lines(string(text)) {
		var from, to uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			inside = from <= uintptr(b.Base()) && uintptr(b.Base()) < to
		} else if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok && inside {
			for _, f := range strings.Fields(flags) {
				if f == "hg" || f == "nh" {
					return f
				}
			}
		}
	}
	return ""
}
