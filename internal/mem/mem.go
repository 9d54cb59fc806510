// Package mem supplies zeroed memory for bucket arrays of pointer-free types,
// outside the Go heap where that pays, and sees to the pages of all large ones.
//
// A Block owns its memory. While the Block is reachable the memory is there;
// when the garbage collector finds the Block unreachable, a cleanup gives the
// memory back. Where it comes from is decided once, in Alloc, which goes down
// this ladder until a step holds:
//
//	         Policy.Huge                                    always
//	+----------+    +----------+    +----------+    +----------+
//	| HugeTLB  |--->| Advised  |--->| Plain    |--->| Heap     |---> panic
//	+----------+    +----------+    +----------+    +----------+
//	reserved        pages that      pages of        a slice; the collector
//	huge pages      may be huge     usual size      sees one object
//
// Sizes below the threshold start at Heap. So does everything where there is
// nothing to map with (CanMap), and what comes while too many mappings wait for
// the collector (pace.go).
//
// # What a mapping gains
//
// Mapped memory is zeroed page by page, on first touch, by the kernel; a
// mapping of gigabytes is made in microseconds. It does not count as heap, so
// it does not move the collector's goal. And it can have huge pages: random
// reads over 256 MiB then take 0.53 (independent reads) to 0.70 (each waits for the one
// before) of their time on the heap, where small pages gain nothing
// (BenchmarkRandomReads).
//
// # What it costs: KeepAlive
//
// The collector does not know that an address in a mapping belongs to a Block.
// Whoever uses Base must keep the Block reachable until after the last access,
// with runtime.KeepAlive(block) or with something that holds the Block; and
// must keep no copy of the address beyond that, not even unused, as the
// address may become another mapping or a part of the Go heap, where a
// stray pointer is fatal. Treat a Heap block in the same way.
//
// The Go memory limit (GOMEMLIMIT) does not count mapped memory; Mapped does.
package mem

import (
	"errors"
	"math"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"unsafe"
)

const (
	// MapThreshold is the size from which on blocks are mapped, unless the
	// Policy says otherwise: one huge page. A Heap block of 1 MiB is had, zeroes
	// included, in 15 us, and touching a fresh mapping of that size in small pages
	// costs 230 us more than touching the block. At 2 MiB a huge page makes
	// touching as cheap as on the heap (290 us against 320), and from 4 MiB on the
	// zeroes of a Heap block stall its caller for 240 us and more, a mapping for
	// 20 to 50 at any size (BenchmarkAlloc, BenchmarkAllocTouchDrop). Reads gain
	// nothing up to 4 MiB, a fifth at 16 MiB, a third to a half at 256 MiB.
	MapThreshold = 2 << 20

	// Alignment is the least alignment of a Block's memory: a cache line.
	Alignment = 64

	// CanMap says whether this build maps memory at all. It does not where
	// there is nothing to map with, and not in race builds: the race detector
	// ignores atomic operations outside the Go heap, so it would report races
	// between users of a map which the map's own words order.
	CanMap = osMaps && !raceEnabled

	// maxMapping keeps the arithmetic of rounding and aligning free of
	// overflow. On 32-bit machines it is 1 GiB.
	maxMapping = math.MaxInt / 2
)

// Kind says where a Block's memory comes from.
type Kind uint8

const (
	Heap    Kind = iota // the Go heap
	Plain               // anonymous mapping, pages as the system gives them, or small ones if Policy.Huge is not set
	Advised             // mapping aligned to huge pages, MADV_HUGEPAGE
	HugeTLB             // mapping of reserved huge pages, MAP_HUGETLB
	kinds
)

// String returns the name of the kind's constant in lower case.
func (k Kind) String() string {
	switch k {
	case Heap:
		return "heap"
	case Plain:
		return "plain"
	case Advised:
		return "advised"
	case HugeTLB:
		return "hugetlb"
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}

// Policy is what the caller wants. The zero Policy maps pages of the usual
// size from MapThreshold on, on Linux also where programs get huge ones unasked.
type Policy struct {
	Huge      bool    // ask for huge pages
	Spread    bool    // but not where that takes whoever writes to them long; the user calls Touch and Settle
	Threshold uintptr // bytes; smaller blocks come from the Go heap. 0 means MapThreshold
}

func (p Policy) threshold() uintptr {
	if p.Threshold == 0 {
		return MapThreshold
	}
	return p.Threshold
}

// Block owns a piece of zeroed memory. It is immutable (its memory is not).
// The cleanup that unmaps it is attached to the Block's own address: hold the
// pointer that Alloc returned, not a copy of the struct.
type Block struct {
	base   unsafe.Pointer // into an object on the Go heap (Heap), which it keeps alive, or into a mapping
	size   uintptr
	mapped uintptr
	kind   Kind
	spread
}

// Base returns the address of the first byte: aligned to Alignment, for
// Advised and HugeTLB to the size of a huge page. It is not nil, even for a Block of size 0, and
// valid as long as the Block is reachable.
func (b *Block) Base() unsafe.Pointer { return b.base }

// Size returns the bytes asked for.
func (b *Block) Size() uintptr { return b.size }

// Kind returns where the memory comes from.
func (b *Block) Kind() Kind { return b.kind }

// MappedBytes returns the bytes of address space that the Block occupies
// outside the Go heap: Size rounded up to whole pages, or 0 for Heap.
func (b *Block) MappedBytes() uintptr { return b.mapped }

// region is memory as the system knows it. Where it is a mapping its start is not inside the Go
// heap, so it keeps nothing alive.
type region struct {
	start unsafe.Pointer
	size  uintptr
}

var (
	errForced = errors.New("mem: made to fail by ForceFallback")
	errNoFit  = errors.New("mem: size does not suit this kind of page")
	errTooBig = errors.New("mem: size is beyond the address space")
)

// Alloc returns size bytes of zeroed memory. Size 0 is allowed.
//
// Each way that fails (no such pages, a limit hit, out of address space) falls
// back to the next; if the Go heap fails too, Alloc panics or, as Go programs
// do when the machine is out of memory, the process ends.
//
//   - Complexity: constant for Advised and Plain, which the kernel zeroes on
//     first touch. HugeTLB and Heap pay for their zeroes here.
//   - Blocking: never waits for a garbage collection. May start one in a
//     goroutine of its own, see Mapped.
func Alloc(size uintptr, p Policy) *Block {
	b := &Block{size: size}
	if size >= max(p.threshold(), 1) && size <= maxMapping && mappingAllowed() && b.allocMapping(p) {
		return b
	}
	if err := injected(Heap); err != nil {
		panic(err)
	}
	if size > math.MaxInt {
		panic(errTooBig)
	}
	b.base = heapWords(size)
	if p.Huge {
		b.onHeap()
	}
	return b
}

// Adopt returns a Block for memory that its caller has from the Go heap, size bytes from base on, so that its pages can be seen
// to (Join), or nil if it is smaller than a mapping would be. The Block keeps the memory alive.
func Adopt(base unsafe.Pointer, size uintptr, p Policy) *Block {
	if size < p.threshold() {
		return nil
	}
	b := &Block{base: base, size: size}
	if p.Huge {
		b.onHeap()
	}
	return b
}

// allocMapping makes b own a mapping of the best kind there is, if any.
func (b *Block) allocMapping(p Policy) bool {
	// The Block exists before it is accounted: a cycle that begins after the
	// accounting sees it.
	age, ok := ledger.admit(b.size)
	if !ok {
		return false
	}
	best := Plain
	if p.Huge {
		best = HugeTLB
	}
	for kind := best; kind > Heap; kind-- {
		r, err := mapRegion(kind, b.size)
		if err != nil {
			continue
		}
		ledger.adjust(age, int64(r.size)-int64(b.size))
		b.base, b.mapped, b.kind = r.start, r.size, kind
		runtime.AddCleanup(b, unmapOwned, owned{r, age})
		switch {
		case kind == Advised:
			b.advised(p.Spread)
		case !p.Huge:
			b.keepSmall()
		}
		return true
	}
	ledger.adjust(age, -int64(b.size))
	return false
}

// owned is what the cleanup of a Block needs to know; it does not lead to the
// Block.
type owned struct {
	region
	age uint64
}

// unmapOwned is the cleanup: nobody can reach the Block any more. A region
// that the system refuses to take back (splitting a mapping can exceed its
// limit of mappings) stays in Mapped, because it is.
func unmapOwned(o owned) {
	if unmapRegion(o.region) == nil {
		ledger.adjust(o.age, -int64(o.size))
	}
}

func mapRegion(kind Kind, size uintptr) (region, error) {
	if err := injected(kind); err != nil {
		return region{}, err
	}
	if kind == HugeTLB && pretendHugeTLB.Load() > 0 {
		return osMap(Plain, roundUp(size, 2<<20))
	}
	return osMap(kind, size)
}

func unmapRegion(r region) error {
	if h := failures.Load(); h != nil && h.unmap != nil {
		if err := h.unmap(r); err != nil {
			return err
		}
	}
	return osUnmap(r)
}

// heapWords returns zeroed, aligned memory from the Go heap. Nearly all its size
// classes are aligned already, so room for aligning is only asked for when
// it turned out to be necessary: it would push a power of two into the next class.
func heapWords(size uintptr) unsafe.Pointer {
	const word = unsafe.Sizeof(uint64(0))
	words := max(size/word+min(size%word, 1), Alignment/word)
	base := unsafe.Pointer(unsafe.SliceData(make([]uint64, words)))
	if uintptr(base)%Alignment == 0 {
		return base
	}
	base = unsafe.Pointer(unsafe.SliceData(make([]uint64, words+Alignment/word-1)))
	return unsafe.Add(base, -uintptr(base)%Alignment)
}

// roundUp returns n rounded up to a multiple of to, a power of two.
func roundUp(n, to uintptr) uintptr { return (n + to - 1) &^ (to - 1) }

// What follows lets tests provoke what systems do rarely.

var (
	forced       [kinds]atomic.Int32 // ForceFallback calls in force, by kind
	forceMapping atomic.Int32        // ForceMapping calls in force

	pretendHugeTLB atomic.Int32             // PretendHugeTLB calls in force
	failures       atomic.Pointer[failHook] // tests of this package only
)

// failHook decides for each call to the system whether it fails.
type failHook struct {
	mapping func(Kind) error
	unmap   func(region) error
}

func injected(kind Kind) error {
	if forced[kind].Load() > 0 {
		return errForced
	}
	if h := failures.Load(); h != nil && h.mapping != nil {
		return h.mapping(kind)
	}
	return nil
}

func mappingAllowed() bool { return CanMap || osMaps && forceMapping.Load() > 0 }

// ForceFallback makes Alloc fail for the given kinds until restore is called,
// in the whole process. With Heap among them Alloc panics when it gets
// there. Calls nest; calling restore twice does no harm. It is for tests.
func ForceFallback(kinds ...Kind) (restore func()) {
	for _, k := range kinds {
		forced[k].Add(1)
	}
	return sync.OnceFunc(func() {
		for _, k := range kinds {
			forced[k].Add(-1)
		}
	})
}

// ForceMapping makes a race build map memory as others do, until restore is
// called. The race detector then sees no order in what goes through that
// memory. It is for tests, and does nothing where nothing can be mapped.
func ForceMapping() (restore func()) {
	forceMapping.Add(1)
	return sync.OnceFunc(func() { forceMapping.Add(-1) })
}

// PretendHugeTLB makes Alloc take pages of the usual size where it would take reserved huge pages, which few machines
// have, until restore is called. The Block says HugeTLB. It is for tests.
func PretendHugeTLB() (restore func()) {
	pretendHugeTLB.Add(1)
	return sync.OnceFunc(func() { pretendHugeTLB.Add(-1) })
}
