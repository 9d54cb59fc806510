// This file is responsible for how much memory may be mapped before the
// garbage collector has looked at it.
//
// The collector does not see mappings: a program that maps and drops
// gigabytes, but allocates little, would never run it, and dropped mappings
// would pile up. So every mapping is accounted with its age, the number of GC cycles
// that had been completed when it was made:
//
//	cycles:      ... n-2         n-1          n (last completed)
//	        ----------+-----------+-----------+--------> now
//	          settled | settled   |   young   | young
//
// Cycle n began after n-1 was completed. What was mapped before that, and is
// mapped still, was in use when cycle n began, or its cleanup is under way:
// settled. What was mapped later, cycle n may have missed: young. Any of it may be
// garbage by now, hence two limits on it, both checked before a block is added:
//
//   - above collectAbove a collection is started, in a goroutine of its own;
//   - above refuseAbove Alloc turns to the Go heap, which the collector paces,
//     until a cycle has been completed. Nobody waits.
//
// The second limit makes the bound hard, however slow the collector is:
//
//	Mapped() <= settled + max(1 GiB, 4 * settled) + one block
//
// where settled is the most that was settled since the cycle before the last: the second limit is on what it was when
// the young came, and by now it may be unmapped.
//
// While the collector keeps up it is settled + max(64 MiB, settled) + what is
// mapped during one collection.

package mem

import (
	"math"
	"runtime"
	"runtime/metrics"
	"sync"
)

const (
	// collectBytes of young mappings are always allowed. It is what a table grows
	// through on its way to 64 MiB, and small beside what such a program
	// has; collections below it would be noise.
	collectBytes = 64 << 20

	// refuseBytes: one table that doubles from nothing to 512 MiB makes 1 GiB of
	// young mappings, and should stay off the heap even if no cycle gets
	// completed meanwhile. 32-bit machines have no room for that.
	refuseBytes = min(1<<30, math.MaxInt/8)

	// refuseFactor: a table that doubles maps twice its settled size, its user may
	// do this to several at once, and then the collector needs time.
	refuseFactor = 4
)

// Mapped returns the bytes that all Blocks of the process occupy outside the
// Go heap at present, dropped ones that are not yet unmapped included.
//
// At every instant it is at most S + max(1 GiB, 4*S) + one block, where S is
// the most, during the last two GC cycles, that a completed cycle had found in
// use or whose unmapping was under way. (On 32-bit machines it is 256 MiB in
// place of 1 GiB.) From S + max(64 MiB, S) on, with the S of that moment,
// mapping another block starts a collection.
func Mapped() uint64 {
	ledger.mu.Lock()
	defer ledger.mu.Unlock()
	return ledger.mapped
}

// MostSettled returns the most that was settled, the S of Mapped, since the last
// call. It is for tests, which cannot know how far the unmapping has come.
func MostSettled() uint64 {
	ledger.mu.Lock()
	defer ledger.mu.Unlock()
	defer func() { ledger.most = 0 }()
	return ledger.most
}

var ledger = account{
	cycles:  []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}},
	collect: runtime.GC,
}

// account keeps the sums. All fields are guarded by mu.
type account struct {
	mu         sync.Mutex
	mapped     uint64    // all mappings
	now        uint64    // completed GC cycles, when last looked at
	young      [2]uint64 // mappings of age now, and of age now-1
	most       uint64    // the most that was settled since MostSettled was called
	collecting bool      // a collection that admit asked for is not finished
	cycles     []metrics.Sample
	collect    func() // completes a GC cycle that begins after the call
}

// admit accounts a mapping of size bytes and returns its age, or refuses it.
func (a *account) admit(size uintptr) (age uint64, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lookAtCycles()
	young := a.young[0] + a.young[1]
	settled := a.mapped - young
	a.most = max(a.most, settled)
	if young > max(collectBytes, settled) && !a.collecting {
		a.collecting = true
		go a.runCollection()
	}
	if young > max(refuseBytes, refuseFactor*settled) {
		return 0, false
	}
	a.mapped += uint64(size)
	a.young[0] += uint64(size)
	return a.now, true
}

// adjust changes the accounted size of mappings of the given age.
func (a *account) adjust(age uint64, delta int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mapped += uint64(delta)
	if back := a.now - age; back < uint64(len(a.young)) {
		a.young[back] += uint64(delta)
	}
}

// lookAtCycles lets young mappings grow older. The caller holds mu.
func (a *account) lookAtCycles() {
	metrics.Read(a.cycles) // 0.2 us
	if a.cycles[0].Value.Kind() != metrics.KindUint64 {
		return
	}
	switch now := a.cycles[0].Value.Uint64(); now - a.now {
	case 0:
	case 1:
		a.young = [2]uint64{0, a.young[0]}
		a.now = now
	default:
		a.young = [2]uint64{}
		a.now = now
	}
}

func (a *account) runCollection() {
	a.collect()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.collecting = false
}
