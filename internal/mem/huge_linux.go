// This file is responsible for how long huge pages take to be had.
//
// The kernel fills a huge page with zeroes when it is first written to. That takes 0.1 ms where memory is at hand. On a
// virtual machine whose host has to find the memory first it took 2 to 15 ms: three to six times as long as the same
// memory in small pages, and all of it in one go. Who fills a Block little by little, between other things, can ask to be
// spared that. With Policy.Spread the first touch of each huge page is timed, and after a slow one the rest of the Block,
// and for a while all of those that follow, begins with small pages. When it is filled (Settle) the kernel may join
// them in its own time, and join_linux.go does so sooner.
//
//	         probe was fast
//	unknown ----------------> fast ---+
//	   ^  \                            | a touch was slow
//	   |   \ probe was slow            v
//	   |    +-----------------------> slow
//	   +------------ slowFor ----------+
//
// As long as nothing is known, pages are small, and a goroutine tries one that nobody waits for.

package mem

import (
	"math/bits"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	slowTouch = time.Millisecond // of processor time
	slowFor   = 10 * time.Second
)

// hugePages is what is known of how long they take.
var hugePages struct {
	fast    atomic.Bool
	slow    atomic.Int64 // if not fast: until when they are slow, as time since loaded; after that it is unknown
	probing atomic.Bool
}

var loaded = time.Now()

// foundSlow notes that a huge page was slow.
func foundSlow() {
	hugePages.slow.Store(int64(time.Since(loaded) + slowFor))
	hugePages.fast.Store(false)
}

// hugePagesAreFast reports whether they are known to be. If nothing is known, a probe is started.
func hugePagesAreFast() bool {
	if hugePages.fast.Load() {
		return true
	}
	if int64(time.Since(loaded)) >= hugePages.slow.Load() && !hugePages.probing.Swap(true) {
		go probe()
	}
	return false
}

// probe tries a huge page of its own.
func probe() {
	defer hugePages.probing.Store(false)
	r, err := mapAdvised(hugePageSize())
	if err != nil {
		foundSlow()
		return
	}
	defer func() { _ = osUnmap(r) }()
	if took, err := touchPage(r.start); err == nil && took >= slowTouch {
		foundSlow()
	} else {
		hugePages.fast.Store(true) // also if this kernel does not say: then as if nobody had asked
	}
}

// spread is what a Block knows of its huge pages.
type spread struct {
	touched []atomic.Uint32 // a bit for each huge page; nil: nothing is timed. The slice is immutable
	shift   uint8           // log2 of the size of a huge page; 0: none are timed or joined. Immutable
	small   atomic.Bool     // what was not touched yet gets small pages
	settled atomic.Bool     // whatever it gets may become huge
	joining atomic.Bool     // Join was called
	retired atomic.Bool     // Retire was called
}

// Touch says that the caller is about to write to the page at offset. It may take long where a page fault would.
//
//   - Complexity: constant, a load or two but for the first touch of a huge page.
//   - Blocking: never waits for another goroutine.
func (b *Block) Touch(offset uintptr) {
	if b.touched != nil {
		b.touch(offset >> b.shift)
	}
}

// touch makes huge page i resident if nobody has begun to. Who comes meanwhile goes on, to a page fault.
func (b *Block) touch(i uintptr) {
	word, bit := &b.touched[i/32], uint32(1)<<(i%32)
	if word.Load()&bit != 0 || b.small.Load() || word.Or(bit)&bit != 0 {
		return
	}
	if took, err := touchPage(unsafe.Add(b.base, i<<b.shift)); err == nil && took >= slowTouch {
		foundSlow()
		b.shrinkPages()
	}
}

// Settle says that the Block was filled: what pages it has matters more from now on than how they are had.
func (b *Block) Settle() {
	b.settled.Store(true)
	b.growPages()
}

func (b *Block) growPages() {
	if b.small.Swap(false) {
		_ = osAdvise(region{b.base, b.mapped}, unix.MADV_HUGEPAGE)
	}
}

// advised prepares an Advised Block for Touch, if its touches are spread. Others may be followed by such a one, so it is time
// to know about huge pages.
func (b *Block) advised(spread bool) {
	fast := hugePagesAreFast()
	if !spread {
		return
	}
	huge := hugePageSize()
	b.shift = uint8(bits.TrailingZeros64(uint64(huge)))
	b.touched = make([]atomic.Uint32, b.mapped/huge/32+1)
	if !fast {
		b.shrinkPages()
	}
}

// keepSmall lets all of b be in small pages, also where the system gives every program huge ones
// (transparent_hugepage/enabled says always). That the kernel refuses does no harm.
func (b *Block) keepSmall() {
	_ = osAdvise(region{b.base, b.mapped}, unix.MADV_NOHUGEPAGE)
}

// shrinkPages lets the rest of b be in small pages. That the kernel refuses does no harm.
func (b *Block) shrinkPages() {
	if !b.small.Swap(true) {
		_ = osAdvise(region{b.base, b.mapped}, unix.MADV_NOHUGEPAGE)
	}
	if b.settled.Load() { // whoever timed a page was late
		b.growPages()
	}
}

// touchPage makes the page at p resident, of whatever size the kernel gives there, and returns the processor time that
// this took: a thread that was preempted says nothing about pages. A system call, unlike a page fault, does not keep
// other goroutines from running.
func touchPage(p unsafe.Pointer) (time.Duration, error) {
	if pretend := pretendTouch.Load(); pretend != nil {
		return (*pretend)(p), nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin, err := threadTime()
	if err != nil {
		return 0, err
	}
	if err := osAdvise(region{p, 1}, unix.MADV_POPULATE_WRITE); err != nil { // Linux 5.14
		return 0, err
	}
	end, err := threadTime()
	return end - begin, err
}

// threadTime returns the processor time of this thread.
func threadTime() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano()), err
}

var pretendTouch atomic.Pointer[func(unsafe.Pointer) time.Duration]

// PretendTouch makes every first touch of a huge page take as long as touch says of its address, until restore is called.
// At first they are known to be fast. It is for tests, one at a time.
func PretendTouch(touch func(page unsafe.Pointer) time.Duration) (restore func()) {
	pretendTouch.Store(&touch)
	hugePages.fast.Store(true)
	return func() {
		pretendTouch.Store(nil)
		hugePages.fast.Store(false)
		hugePages.slow.Store(0)
	}
}
