package mem

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// statm returns the process's size and resident set in bytes.
func statm(t testing.TB) (size, resident uint64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	_, err = fmt.Sscan(string(text), &size, &resident)
	require.NoError(t, err)
	page := uint64(unix.Getpagesize())
	return size * page, resident * page
}

// hugeBytes returns the bytes in huge pages of the mapping around p.
func hugeBytes(t testing.TB, b *Block) (bytes uint64) {
	var kb uint64
	n, _ := fmt.Sscanf(smap(t, b, "AnonHugePages:"), "%d kB", &kb)
	require.Equal(t, 1, n)
	return kb << 10
}

// advice returns what huge pages the kernel was asked for in b: "hg" for some, "nh" for none, "" for nothing.
func advice(t testing.TB, b *Block) string {
	for _, flag := range strings.Fields(smap(t, b, "VmFlags:")) {
		if flag == "hg" || flag == "nh" {
			return flag
		}
	}
	return ""
}

// smap returns what the kernel says in one line about the mapping around b.
func smap(t testing.TB, b *Block, line string) string {
	f, err := os.Open("/proc/self/smaps")
	require.NoError(t, err)
	defer f.Close()
	at, inside := uint64(uintptr(b.Base())), false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to uint64
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n == 2 {
			inside = from <= at && at < to
		} else if text, ok := strings.CutPrefix(lines.Text(), line); ok && inside {
			return text
		}
	}
	require.Fail(t, "not found", "%s of a block of kind %v", line, b.Kind())
	return ""
}

func TestPagesGoBackToTheSystem(t *testing.T) {
	needMapping(t)
	for _, p := range []Policy{mapAll, {Huge: true}} {
		const size, slack = 32 * mib, 8 * mib
		start := settle(t)
		debug.FreeOSMemory()
		_, empty := statm(t)
		b := Alloc(size, p)
		_, untouched := statm(t)
		if b.Kind() != HugeTLB {
			assert.Less(t, untouched, empty+slack, "%v: lazily zeroed", b.Kind())
		}
		checkBlock(t, b, size)
		_, touched := statm(t)
		if b.Kind() != HugeTLB { // which do not count as resident
			assert.Greater(t, touched, empty+size-slack, "%v", b.Kind())
		}
		runtime.KeepAlive(b)
		collectUntil(t, "unmapping", func() bool { return Mapped() == start })
		debug.FreeOSMemory()
		_, end := statm(t)
		assert.Less(t, end, empty+slack, "%v", p)
	}
}

func TestAdvisedBlocksGetHugePages(t *testing.T) {
	needMapping(t)
	enabled, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	if err != nil || strings.Contains(string(enabled), "[never]") {
		t.Skip("the system gives no transparent huge pages")
	}
	defer ForceFallback(HugeTLB)()
	before, _ := statm(t)
	b := Alloc(9*mib, Policy{Huge: true})
	after, _ := statm(t)
	require.Equal(t, Advised, b.Kind())
	assert.Zero(t, uintptr(b.Base())%hugePageSize())
	assert.Equal(t, uintptr(9*mib), b.MappedBytes())
	assert.LessOrEqual(t, after, before+9*mib+mib, "the surplus is unmapped")
	checkBlock(t, b, 9*mib)
	if hugeBytes(t, b) == 0 {
		t.Log("no huge pages: memory is fragmented, or the sandbox has none")
	}
	runtime.KeepAlive(b)
	assert.Equal(t, Plain, Alloc(hugePageSize()-1, Policy{Huge: true, Threshold: 1}).Kind())
}

// Where programs get huge pages unasked, a Block for which nobody wants them has none.
func TestPlainBlocksKeepSmallPages(t *testing.T) {
	needMapping(t)
	b := Alloc(9*mib, Policy{})
	require.Equal(t, Plain, b.Kind())
	assert.Equal(t, "nh", advice(t, b))
	checkBlock(t, b, 9*mib)
	assert.Zero(t, hugeBytes(t, b))
	runtime.KeepAlive(b)

	defer ForceFallback(HugeTLB, Advised)()
	b = Alloc(9*mib, Policy{Huge: true})
	require.Equal(t, Plain, b.Kind())
	assert.Empty(t, advice(t, b), "the system may give huge pages where they are wanted")
	runtime.KeepAlive(b)
}

func TestHugeTLBBlocks(t *testing.T) {
	needMapping(t)
	defer ForceFallback(Advised, Plain)()
	const size = 16 * mib
	b := Alloc(size, Policy{Huge: true})
	if b.Kind() == Heap {
		t.Skip("the system has no huge pages reserved")
	}
	assert.Equal(t, HugeTLB, b.Kind())
	assert.Zero(t, uintptr(b.Base())%hugePageSize())
	checkBlock(t, b, size)
	assert.Equal(t, Heap, Alloc(9*mib/4, Policy{Huge: true}).Kind(), "too small to round up")
}

// When the address space is used up, mapping fails for real, and the Go heap,
// which still has address space of its own, serves.
func TestExhaustedAddressSpace(t *testing.T) {
	const child = "HUSHMAP_MEM_EXHAUSTED"
	if os.Getenv(child) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestExhaustedAddressSpace$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS", "%s", out)
		return
	}
	needMapping(t)
	const size = 48 * mib // leaves size/2 for threads that the runtime may want
	old := debug.SetGCPercent(-1)
	defer debug.SetGCPercent(old)
	func() { runtime.KeepAlive(Alloc(4*size, Policy{Threshold: 5 * size})) }()
	runtime.GC() // the heap keeps the address space of what is freed
	runtime.GC()
	used, _ := statm(t)
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_AS, &limit))
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: used + size/2, Max: limit.Max}))
	b := Alloc(size, Policy{Huge: true})
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_AS, &limit))
	assert.Equal(t, Heap, b.Kind())
	words(b)[0], words(b)[size/8-1] = 1, 1
	assert.Zero(t, Mapped())
	b = Alloc(size, mapAll)
	assert.Equal(t, Plain, b.Kind())
	words(b)[0], words(b)[size/8-1] = 1, 1
	runtime.KeepAlive(b)
}
