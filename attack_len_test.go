//go:build hushmap_invariants

package hushmap

import (
	"sync/atomic"
	"testing"
	"time"
)

// removeUnlock counts the removal after it has published it. A deletion that is interrupted in between is visible to
// others, who may store another key in another bucket: Len then says 2 for a map that never had more than one entry.
// (Its comment promises at most the largest number of entries there ever was; package stripe relies on counting
// an entry's death while it lives.)
func TestAttackLenAboveMaximum(t *testing.T) {
	m := New[uint64, uint64](WithHasher(func(k, _ uint64) uint64 { return k }))
	m.core.settings.tuning.rawHash, m.core.traits.rawHash = true, true
	const a, b = 0<<62 | 7, 3<<62 | 7
	m.Store(a, 1)
	var first atomic.Bool
	stalled, goOn, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	hook := func(s protocolStep) {
		if s == stepVersionPublished && first.CompareAndSwap(false, true) {
			close(stalled)
			<-goOn
		}
	}
	stepHook.Store(&hook)
	defer stepHook.Store(nil)
	go func() { defer close(done); m.Delete(a) }()
	<-stalled
	_, there := m.Load(a)
	m.Store(b, 1)
	n := m.Len()
	close(goOn)
	<-done
	if there {
		t.Error("the deletion was interrupted before others could see it")
	}
	if n != 1 {
		t.Errorf("a was gone before b was stored, but Len is %d", n)
	}
}

// core.mu's comment says that no callback runs under it, but suspect calls the user's hasher, by way of scatters,
// while it holds mu: a hasher that calls Clear, say, or waits for somebody who grows the map, never returns.
func TestAttackHasherUnderMu(t *testing.T) {
	var under atomic.Int32
	var m *Map[int, int]
	m = New[int, int](WithHasher(func(int, uint64) uint64 {
		if m != nil && !m.core.mu.TryLock() {
			under.Add(1)
		} else if m != nil {
			m.core.mu.Unlock()
		}
		return 1
	}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 2000 {
			m.Store(i, i)
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("hang")
	}
	if n := under.Load(); n > 0 {
		t.Errorf("the hasher ran %d times while its own goroutine held core.mu", n)
	}
}
