// This file is responsible for how long huge pages take to be had.
//
// The kernel fills a huge page with zeroes when it is first written to. That takes 0.1 ms where memory is at hand. On a
// virtual machine whose host has to find the memory first it took 2 to 15 ms: three to six times as long as the same
// memory in small pages, and all of it in one go. Who fills a Block little by little, between other things, can ask to be
// spared that. With Policy.Spread the first touch of each huge page is timed, and after a slow one the rest of the Block,
// and for a while all of those that follow, begins with small pages. When it is filled (Settle) the kernel may join
// them in its own time.
//
//	         probe was fast
//	unknown ----------------> fast ---+
//	   ^  \                            | a touch was slow
//	   |   \ probe was slow            v
//	   |    +-----------------------> slow
//	   +------------ slowFor ----------+
//
// As long as nothing is known, pages are small, and a goroutine tries one that nobody waits for.
//
// Small pages of a Block that stays in use are joined little by little (Join), on the Go heap as well. The kernel does that
// for memory that it was advised to, but 16 MiB in ten seconds; and memory of the Go heap is not ours to advise, as it
// is going to be something else one day. So the kernel is told to do it now (MADV_COLLAPSE, Linux 6.1), which leaves no mark on
// the address space. It copies the small pages to a huge one, and for that time page faults of the whole process wait. So
// that these do not wait for the host as well, a huge page is mapped, written to and unmapped before, which takes as long
// as it takes and nobody waits for. As a rule it is the next that the kernel hands out.

package mem

import (
	"bytes"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
	"weak"

	"golang.org/x/sys/unix"
)

const (
	slowTouch = time.Millisecond // of processor time
	slowFor   = 10 * time.Second

	joinAfter = 100 * time.Millisecond // a table that a growing map soon leaves again is not worth it
	joinRetry = 500 * time.Millisecond // when it is another's turn
	joinRest  = 3                      // times as long as the last page took is the rest before the next

	// largestJoint bounds the page that is copied while others wait. With small pages of 64 KiB, as some arm64 systems have
	// them, a huge one is 512 MiB.
	largestJoint = 4 << 20
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

// spread is what a Block knows whose huge pages are timed.
type spread struct {
	touched []atomic.Uint32 // a bit for each huge page; nil: nothing is timed. The slice is immutable
	shift   uint8           // log2 of the size of a huge page; immutable
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

// onHeap prepares a Block on the Go heap for Join, if there is a huge page that it has to itself.
func (b *Block) onHeap() {
	if b.joint(0).size != 0 {
		b.shift = uint8(bits.TrailingZeros64(uint64(hugePageSize())))
	}
}

// joint returns the memory of the i-th huge page that is all in b, or an empty region.
func (b *Block) joint(i uintptr) region {
	huge := hugePageSize()
	offset := -uintptr(b.base)&(huge-1) + i*huge
	if offset+huge > b.size {
		return region{}
	}
	return region{unsafe.Add(b.base, offset), huge}
}

// Join says that the Block has been written to all over and is in use. If it still is in a while, what it has in small
// pages is joined to huge ones, unless the Policy was not to ask for them, or the administrator's is that nobody gets any.
//
//   - Complexity: constant; a load after the first time.
//   - Blocking: never waits. Page faults of the process may wait later, once for each huge page, for as long as the kernel
//     takes to copy it: 0.3 to 0.8 ms.
func (b *Block) Join() {
	if b.shift == 0 || b.joining.Load() || b.joining.Swap(true) {
		return
	}
	if b.kind != Heap {
		b.Settle() // or the kernel would refuse
	}
	w := weak.Make(b)
	time.AfterFunc(joinAfter, func() { joinNext(w, 0) })
}

// Retire says that b is not going to be in use for much longer. It may be nil.
func (b *Block) Retire() {
	if b != nil {
		b.retired.Store(true)
	}
}

// joinTurn is set while the pages of some Block are being joined: the whole process does that to one at a time, rests included,
// or many maps would need a thread each.
var joinTurn atomic.Bool

// joinNext makes a huge page of the next one of b that is in small pages, from the i-th on, and goes on after a rest. Between two
// pages nothing keeps the Block.
func joinNext(w weak.Pointer[Block], i uintptr) {
	b := w.Value()
	if b == nil || b.retired.Load() || !joinable() {
		return
	}
	r := b.joint(i)
	for r.size != 0 && b.touched != nil && b.touched[i/32].Load()&(1<<(i%32)) != 0 { // it came as a whole, or could not
		i++
		r = b.joint(i)
	}
	if r.size == 0 {
		return
	}
	if joinTurn.Swap(true) {
		time.AfterFunc(joinRetry, func() { joinNext(w, i) })
		return
	}
	begin := time.Now()
	err := join(r)
	took := time.Since(begin)
	runtime.KeepAlive(b)
	time.AfterFunc(joinRest*took, func() {
		joinTurn.Store(false)
		if err != unix.ENOMEM && err != unix.EBUSY { // other refusals are about this page
			joinNext(w, i+1)
		}
	})
}

// join makes a huge page of r. What is in it stays, and may be read and written to meanwhile.
func join(r region) error {
	if watch := watchJoins.Load(); watch != nil {
		if err := (*watch)(r.start); err != nil {
			return err
		}
	}
	runtime.LockOSThread() // a processor keeps what it was given back last, and a thread seldom moves
	defer runtime.UnlockOSThread()
	if spare, err := mapAdvised(r.size); err == nil {
		_ = osAdvise(region{spare.start, 1}, unix.MADV_POPULATE_WRITE)
		_ = osUnmap(spare)
	}
	return osAdvise(r, unix.MADV_COLLAPSE)
}

// joinable reports whether pages can be joined: the kernel knows how, the administrator lets programs have huge pages, which
// MADV_COLLAPSE does not ask, and to copy one does not take long.
var joinable = sync.OnceValue(func() bool {
	huge := hugePageSize()
	if huge > largestJoint || hugePagesForbidden("/sys/kernel/mm/transparent_hugepage", huge) {
		return false
	}
	r, err := mapAdvised(huge)
	if err != nil {
		return false
	}
	defer func() { _ = osUnmap(r) }()
	_ = osAdvise(region{r.start, 1}, unix.MADV_POPULATE_WRITE)
	return osAdvise(r, unix.MADV_COLLAPSE) == nil
})

// hugePagesForbidden reports whether the settings in a directory say that nobody gets huge pages of a size.
func hugePagesForbidden(settings string, size uintptr) bool {
	for _, name := range []string{"enabled", "hugepages-" + strconv.Itoa(int(size>>10)) + "kB/enabled"} {
		if text, err := os.ReadFile(filepath.Join(settings, name)); err == nil && bytes.Contains(text, []byte("[never]")) {
			return true
		}
	}
	return false
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

var watchJoins atomic.Pointer[func(unsafe.Pointer) error]

// WatchJoins lets watch see the address of every huge page that is about to be made of small ones, until restore is called.
// An error is taken for the kernel's. It is for tests, one at a time.
func WatchJoins(watch func(page unsafe.Pointer) error) (restore func()) {
	watchJoins.Store(&watch)
	return func() { watchJoins.Store(nil) }
}
