//go:build hushmap_invariants

package hushmap

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The evacuator of a small table is stalled while it holds the lock of an old bucket and has not copied anything yet: it
// lost its thread, say. Other goroutines go on to insert keys of other buckets. If they did so until no slot of the new
// table was free, the evacuator could not adopt when it goes on: the new table has no room, cannot grow before the old
// one is done, and every other insertion waits for room as well. Nothing but a deletion would end it.
func TestAttackNewTableFullBeforeOldIsEmpty(t *testing.T) {
	key := func(bucketOf4, i uint64) uint64 { return bucketOf4<<62 | i<<8 | 7 }
	var evacuates atomic.Bool
	stalled, goOn := make(chan struct{}), make(chan struct{})
	m := New[uint64, uint64](WithHasher(func(k, _ uint64) uint64 {
		if k == key(0, 0) && evacuates.CompareAndSwap(true, false) {
			close(stalled)
			<-goOn
		}
		return k
	}))
	m.core.settings.tuning.rawHash, m.core.traits.rawHash = true, true
	for i := range uint64(24) { // six per bucket: the table is at its limit
		m.Store(key(i%4, i), i)
	}

	evacuates.Store(true) // from here on only an evacuator hashes this key
	var wg sync.WaitGroup
	var stored atomic.Int64
	wg.Add(1)
	go func() {
		defer wg.Done()
		m.Store(key(0, 100), 0) // the 25th: starts the growth and drains, from bucket 0 on
		stored.Add(1)
	}()
	<-stalled
	const goroutines = 3
	for g := range uint64(goroutines) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range uint64(40) {
				m.Store(key(1+i%3, 1000+g*100+i), i)
				stored.Add(1)
			}
		}()
	}
	time.Sleep(300 * time.Millisecond)
	t.Logf("while the evacuator is stalled: %d more entries stored, Len %d, slots %d", stored.Load(), m.Len(), m.core.read.Load().slotCount())
	close(goOn)
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		rm := m.core.read.Load()
		buf := make([]byte, 1<<16)
		t.Fatalf("hang: Len %d, slots %d, frozen %d of %d\n%s", m.Len(), rm.slotCount(),
			rm.old.frozen.Load(), rm.old.buckets(), buf[:runtime.Stack(buf, true)])
	}

	if n := m.Len(); n != 24+1+goroutines*40 {
		t.Errorf("Len %d", n)
	}
	look := func(k, want uint64) {
		if v, ok := m.Load(k); !ok || v != want {
			t.Errorf("key %#x: %d, %v instead of %d", k, v, ok, want)
		}
	}
	for i := range uint64(24) {
		look(key(i%4, i), i)
	}
	look(key(0, 100), 0)
	for i := range uint64(40) {
		for g := range uint64(goroutines) {
			look(key(1+i%3, 1000+g*100+i), i)
		}
	}
	if err := m.Verify(); err != nil {
		t.Error(err)
	}
}
