package hushmap

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// removeUnlock finds the table nearly empty and decides to shrink it; before it gets to resize, it loses its thread,
// and others fill the table again, within its limit, so that the read map stays the same. resizeLocked does not look
// at the length again: it publishes a new table that has fewer slots than there are entries. The evacuation never
// ends, and every write hangs. (compact has the same gap between size and resize.) The test calls the parts of
// removeUnlock one after the other.
func TestAttackShrinkDecidedBeforeABurst(t *testing.T) {
	m := New[int, int]()
	for i := range 1000 {
		m.Store(i, i)
	}
	m.core.settle()
	for i := range 1000 {
		if rm := m.core.read.Load(); rm.length.Len() > rm.limit()/shrinkFraction+1 {
			m.Delete(i)
		}
	}
	c, rm := &m.core, m.core.settle()
	if n := rm.limit() / shrinkFraction; rm.length.Len() > n+1 {
		t.Fatal(rm.length.Len(), n)
	}
	// removeUnlock: rm.length.Len() < rm.limit()/shrinkFraction, and now it is interrupted.
	want := max(rm.buckets()>>shrinkShift, c.floor())
	for i := 2000; rm.length.Len() < rm.limit()-2; i++ {
		m.Store(i, i)
	}
	if c.read.Load() != rm {
		t.Fatal("grown")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.resize(rm, want) // removeUnlock goes on
		c.settle()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		now := c.read.Load()
		t.Fatalf("hang: %d entries for %d slots, %d of %d old buckets frozen", m.Len(), now.slotCount(),
			now.old.frozen.Load(), now.old.buckets())
	}
}

// Insertions only, into many small maps, by more threads than there are processors: whether a hang as in
// TestAttackNewTableFullBeforeOldIsEmpty comes about by itself.
func TestAttackGrowthHangsByItself(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(16))
	until := time.Now().Add(2 * time.Second)
	var round atomic.Int64
	for time.Now().Before(until) {
		m := New[uint64, uint64]()
		var wg sync.WaitGroup
		for g := range uint64(16) {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := range uint64(300) {
					m.Store(g<<32|i, i)
				}
			}()
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(time.Minute):
			rm := m.core.read.Load()
			if rm.old == nil {
				t.Fatalf("round %d: slow", round.Load())
			}
			t.Fatalf("round %d: hang: Len %d, slots %d, frozen %d of %d", round.Load(), m.Len(), rm.slotCount(),
				rm.old.frozen.Load(), rm.old.buckets())
		}
		round.Add(1)
	}
	t.Logf("%d maps", round.Load())
}

// Compact while others insert and delete in bursts.
func TestAttackCompactHangsByItself(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(16))
	m := New[uint64, uint64](WithoutShrink())
	until := time.Now().Add(2 * time.Second)
	var ops atomic.Int64
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for time.Now().Before(until) {
				for i := range uint64(200) {
					m.Store(g<<32|i, i)
				}
				for i := range uint64(200) {
					m.Delete(g<<32 | i)
				}
				ops.Add(400)
			}
		}()
	}
	wg.Add(1)
	go func() {
		defer wg.Done()
		for time.Now().Before(until) {
			m.Compact()
		}
	}()
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
		t.Logf("%d operations", ops.Load())
	case <-time.After(30 * time.Second):
		rm := m.core.read.Load()
		old := "no old table"
		if rm.old != nil {
			old = "an old table"
		}
		t.Fatalf("hang after %d operations: Len %d, slots %d, %s", ops.Load(), m.Len(), rm.slotCount(), old)
	}
}
