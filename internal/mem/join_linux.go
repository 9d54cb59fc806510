// This file is responsible for joining small pages of Blocks that stay in use to huge ones.
//
// Blocks on the Go heap have small pages, and so have mapped ones for which huge pages would have been slow to come. Where it was
// advised to, the kernel joins them in its own time, 16 MiB in ten seconds. Memory of the Go heap is not ours to advise, as
// it is going to be something else one day. So the kernel is told to do it now (MADV_COLLAPSE, Linux 6.1), which leaves no mark
// on the address space: one page after another, with rests, for all Blocks of the process in turn.
//
//	huge pages   |               |               |               |               |
//	Block                |-------|------- 0 -----|------- 1 -----|-----|
//	                       small        huge            huge      small
//
// Only huge pages that are all in the Block are made. The kernel copies the small pages, and for that time page faults of the
// whole process wait. So that these do not wait for the host of a virtual machine as well, a huge page is mapped, written to
// and unmapped before, which takes as long as it takes and nobody waits for. As a rule it is the next that the kernel hands out.

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
	joinAfter = 100 * time.Millisecond // a table that a growing map soon leaves again is not worth it
	joinRest  = 3                      // times as long as the last page took is the rest before the next,
	mostRest  = time.Second            // but not longer than this

	// largestJoint bounds the page that is copied while others wait. With small pages of 64 KiB, as some arm64 systems have
	// them, a huge one is 512 MiB.
	largestJoint = 4 << 20
)

// onHeap prepares a Block on the Go heap for Join, if there is a huge page that it has to itself.
func (b *Block) onHeap() {
	if b.whole(0).size != 0 {
		b.shift = uint8(bits.TrailingZeros64(uint64(hugePageSize())))
	}
}

// whole returns the memory of the i-th huge page that is all in b, or an empty region.
func (b *Block) whole(i uintptr) region {
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
	j := joint{weak.Make(b), 0}
	time.AfterFunc(joinAfter, func() { addJoint(j) })
}

// Retire says that b is not going to be in use for much longer. It may be nil.
func (b *Block) Retire() {
	if b != nil {
		b.retired.Store(true)
	}
}

// joint is a Block and the first of its huge pages that is still to be made. It does not keep the Block.
type joint struct {
	block weak.Pointer[Block]
	page  uintptr
}

// turns are the joints of the process, in the order of their turns. A timer sees to one page after another, as long as there are
// any; with one for each Block many maps would need many threads.
var turns struct {
	mu      sync.Mutex
	waiting []joint
	running bool // the timer is set, or its function runs
}

func addJoint(j joint) {
	turns.mu.Lock()
	defer turns.mu.Unlock()
	turns.waiting = append(turns.waiting, j)
	if !turns.running {
		turns.running = true
		time.AfterFunc(0, joinNext)
	}
}

// takeJoint returns whose turn it is. If there is none, nobody runs any more.
func takeJoint() (j joint, ok bool) {
	turns.mu.Lock()
	defer turns.mu.Unlock()
	if len(turns.waiting) == 0 {
		turns.waiting, turns.running = nil, false
		return joint{}, false
	}
	j = turns.waiting[0]
	turns.waiting = turns.waiting[1:]
	return j, true
}

// joinNext makes the next huge page and sets the timer for another.
func joinNext() {
	for {
		j, ok := takeJoint()
		if !ok {
			return
		}
		begin := time.Now()
		tried, more := j.join()
		if more {
			addJoint(j)
		}
		if tried {
			time.AfterFunc(min(joinRest*time.Since(begin), mostRest), joinNext)
			return
		}
	}
}

// join makes a huge page of the next that is in small pages. It reports whether there was one, and whether there may be more.
func (j *joint) join() (tried, more bool) {
	b := j.block.Value()
	if b == nil || b.retired.Load() || !joinable() {
		return false, false
	}
	r := b.whole(j.page)
	for r.size != 0 && b.touched != nil && b.touched[j.page/32].Load()&(1<<(j.page%32)) != 0 { // it came as such, or could not
		j.page++
		r = b.whole(j.page)
	}
	if r.size == 0 {
		return false, false
	}
	j.page++
	err := watched(r)
	if err == nil {
		err = collapse(r)
	}
	runtime.KeepAlive(b)
	return true, err != unix.ENOMEM && err != unix.EBUSY // other refusals are about this page
}

// collapse makes a huge page of r. What is in it stays, and may be read and written to meanwhile.
func collapse(r region) error {
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
func joinable() bool {
	switch huge := hugePageSize(); {
	case huge > largestJoint || hugePagesForbidden():
		return false
	case collapses.Load():
		return true
	default:
		r, err := mapAdvised(huge)
		if err != nil {
			return false
		}
		defer func() { _ = osUnmap(r) }()
		_ = osAdvise(region{r.start, 1}, unix.MADV_POPULATE_WRITE) // the kernel makes no page of nothing
		err = osAdvise(r, unix.MADV_COLLAPSE)
		collapses.Store(err == nil)
		return err == nil
	}
}

// collapses is set once the kernel has joined pages.
var collapses atomic.Bool

var hugePagesForbidden = sync.OnceValue(func() bool {
	return forbidden("/sys/kernel/mm/transparent_hugepage", hugePageSize())
})

// forbidden reports whether the settings in a directory say that nobody gets huge pages of a size.
func forbidden(settings string, size uintptr) bool {
	for _, name := range []string{"hugepages-" + strconv.Itoa(int(size>>10)) + "kB/enabled", "enabled"} {
		text, err := os.ReadFile(filepath.Join(settings, name))
		if err == nil && !bytes.Contains(text, []byte("[inherit]")) {
			return bytes.Contains(text, []byte("[never]"))
		}
	}
	return false
}

var watchJoins atomic.Pointer[func(unsafe.Pointer) error]

// watched says what a test says of the page at r.
func watched(r region) error {
	if watch := watchJoins.Load(); watch != nil {
		return (*watch)(r.start)
	}
	return nil
}

// WatchJoins lets watch see the address of every huge page that is about to be made of small ones, until restore is called.
// An error is taken for the kernel's. It is for tests, one at a time.
func WatchJoins(watch func(page unsafe.Pointer) error) (restore func()) {
	watchJoins.Store(&watch)
	return func() { watchJoins.Store(nil) }
}

// CanJoin reports whether pages are joined at all. It is for tests.
func CanJoin() bool { return joinable() }
