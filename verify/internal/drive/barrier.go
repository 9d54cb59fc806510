// This file is responsible for starting goroutines together: histories are so short that goroutines started one after
// the other would run one after the other.

package drive

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// barrier lets n goroutines meet again and again.
type barrier struct {
	n       int32
	arrived atomic.Int32
	phase   atomic.Int32
	stopped atomic.Bool // nobody waits any more
	mu      sync.Mutex  // held while phase or stopped change
	changed sync.Cond   // phase or stopped has changed
}

func (b *barrier) init(n int) {
	b.n = int32(n)
	b.changed.L = &b.mu
}

// A goroutine that waits looks spins times, about a microsecond, so that one that is about to arrive on another
// processor is met there; then lets others run yields times; then sleeps.
const spins, yields = 1000, 20

// meet waits until all have arrived. The last to arrive runs alone first, while all others wait. It reports false if the
// session is over.
func (b *barrier) meet(alone func()) bool {
	phase := b.phase.Load()
	if b.arrived.Add(1) == b.n {
		if alone != nil {
			alone()
		}
		b.arrived.Store(0)
		b.mu.Lock()
		b.phase.Add(1)
		b.mu.Unlock()
		b.changed.Broadcast()
		return !b.stopped.Load()
	}
	for i := 0; i < spins+yields && b.phase.Load() == phase; i++ {
		if i >= spins {
			runtime.Gosched()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.phase.Load() == phase && !b.stopped.Load() {
		b.changed.Wait()
	}
	return !b.stopped.Load()
}

// stop ends all waiting, now and later.
func (b *barrier) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped.Store(true)
	b.changed.Broadcast()
}
