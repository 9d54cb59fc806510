package hushmap

import (
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hushmap/hushmap/internal/hash"
)

// attackWithin fails the test if fn neither returns nor panics within d, and returns what fn panicked with.
func attackWithin(t *testing.T, d time.Duration, fn func()) (panicked any) {
	t.Helper()
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		fn()
	}()
	select {
	case panicked = <-done:
		return panicked
	case <-time.After(d):
		t.Fatalf("still not back after %v", d)
		return nil
	}
}

// A watched Compute runs computeOnce, and with it its own apply, inside stackmark.Call. apply calls lockKey, which
// calls giveWay, which finds the watch's own mark on the stack and counts a change "by the function". So every
// watched attempt counts as one, and a slow function on a key that others write is blamed after eight conflicts,
// although it never touches its key. Here the writer stops after four seconds, so Compute could succeed.
func TestAttackComputeBlamedForOthersWrites(t *testing.T) {
	t.Parallel() // it mostly waits
	var m Map[int, int]
	m.Store(1, 0)
	var runs, stop atomic.Int32
	writer := make(chan struct{})
	go func() {
		defer close(writer)
		for i := 1; stop.Load() == 0; i++ {
			m.Store(1, i)
			time.Sleep(100 * time.Microsecond)
		}
	}()
	time.AfterFunc(4*time.Second, func() { stop.Store(1) })
	if p := attackWithin(t, time.Minute, func() {
		m.Compute(1, func(old int, _ bool) (int, Op) {
			runs.Add(1)
			time.Sleep(100 * time.Millisecond) // longer than writers give way
			return old + 1, UpdateOp
		})
	}); p != nil {
		t.Errorf("the function never writes its key, but after %d runs: panic: %v", runs.Load(), p)
	}
	stop.Store(1)
	<-writer
}

// The watch holds the key's hash under the seed of the read map it was published in. A rebuild under a new seed
// (flood.go) carries the watch over with the old hash: from then on nobody gives way and no change by the function
// itself is noticed, so that a function that changes its own key hangs instead of being told off.
func TestAttackWatchLostByReseed(t *testing.T) {
	var m Map[int, int]
	m.Store(1, 0)
	runs := 0
	p := attackWithin(t, time.Minute, func() {
		m.Compute(1, func(old int, _ bool) (int, Op) {
			if runs++; runs == watchAfter+2 {
				m.core.mu.Lock()
				rm := m.core.read.Load()
				next := m.core.resizeLocked(rm, rm.buckets(), hash.NewSeed(), rm.traits)
				m.core.mu.Unlock()
				if next == nil {
					t.Error("no rebuild")
				}
			}
			if runs == 400 {
				return 0, CancelOp // let go
			}
			m.Store(1, old+1)
			return old, UpdateOp
		})
	})
	if p == nil {
		t.Errorf("the function changed its own key %d times without a panic", runs)
	}
}

// Only one Compute of a map is watched. If a watched function calls Compute itself, and the inner function changes
// its own key, the inner Compute waits for the place that the outer one, below it on the same stack, holds: the
// inner function is never told off, but runs for ever.
func TestAttackNestedComputeNeverWatched(t *testing.T) {
	var m Map[int, int]
	outer, inner := 0, 0
	p := attackWithin(t, time.Minute, func() {
		m.Compute(1, func(old int, _ bool) (int, Op) {
			if outer++; outer <= watchAfter {
				m.Store(1, outer) // a few conflicts, then no more
				return old, UpdateOp
			}
			m.Compute(2, func(old int, _ bool) (int, Op) {
				if inner++; inner == 400 {
					return 0, CancelOp
				}
				m.Store(2, old+1)
				return old, UpdateOp
			})
			return old, UpdateOp
		})
	})
	if p == nil {
		t.Errorf("the inner function changed its own key %d times without a panic", inner)
	}
}

// A watch knows its key by the hash only. A function that writes another key with the same hash is taken for one
// that changes its own. (After the fix of ComputeBlamedForOthersWrites this remains: eight writes of key 2 per run.)
func TestAttackWatchMistakesCollidingKey(t *testing.T) {
	m := New[int, int](WithHasher(func(int, uint64) uint64 { return 42 }))
	m.Store(1, 0)
	runs := 0
	p := attackWithin(t, time.Minute, func() {
		m.Compute(1, func(old int, _ bool) (int, Op) {
			if runs++; runs < watchAfter+5 {
				done := make(chan struct{})
				go func() { m.Store(1, runs); close(done) }() // somebody else's change
				<-done
				for i := range 8 {
					m.Store(2, i)
				}
			}
			return old, UpdateOp
		})
	})
	if p != nil {
		t.Errorf("the function never writes key 1, but after %d runs: panic: %v", runs, p)
	}
}

// lead sets f.err to nil before loadOrStore has stored the value. If loadOrStore panics (a user's hasher that
// panics, a growth beyond the address space) the deferred land closes the flight as it is: those who wait get the
// zero value, loaded and without an error, though nothing was stored.
func TestAttackFlightPanicWhileLanding(t *testing.T) {
	var armed, boarding atomic.Bool
	var m *Map[int, int]
	m = New[int, int](WithHasher(func(k int, seed uint64) uint64 {
		if m.flights.mu.TryLock() {
			m.flights.mu.Unlock()
		} else {
			boarding.Store(true) // hashed by who looks for a flight to join, while a leader's function runs
		}
		if armed.Load() && armed.CompareAndSwap(true, false) {
			panic("hasher")
		}
		return uint64(k) * 0x9e3779b97f4a7c15
	}))
	m.Store(0, 0)
	running, finish := make(chan struct{}), make(chan struct{})
	leader := make(chan any, 1)
	go func() {
		defer func() { leader <- recover() }()
		m.LoadOrCompute(1, func() (int, error) {
			boarding.Store(false) // that was the leader
			close(running)
			<-finish
			armed.Store(true)
			return 7, nil
		})
	}()
	<-running
	type result struct {
		v      int
		loaded bool
		err    error
		p      any
	}
	waiter := make(chan result, 1)
	go func() {
		var r result
		r.p = ftPanic(func() { r.v, r.loaded, r.err = m.LoadOrCompute(1, func() (int, error) { return 8, nil }) })
		waiter <- r
	}()
	for !boarding.Load() {
		runtime.Gosched()
	}
	for !m.flights.mu.TryLock() { // when it has the flight it hashes nothing more before that is over
		runtime.Gosched()
	}
	m.flights.mu.Unlock()
	close(finish)
	if p := <-leader; p != "hasher" {
		t.Fatalf("leader: %v", p)
	}
	if r := <-waiter; r.v != 8 {
		_, stored := m.Load(1)
		t.Errorf("the waiter got %+v; is the key stored? %v", r, stored)
	}
}

// NaN keys stay in flights.byKey until no flight at all is left: one function that takes long makes each of them a
// leak.
func TestAttackFlightsKeepNaN(t *testing.T) {
	var m Map[float64, int]
	m.LoadOrCompute(1, func() (int, error) {
		for range 100 {
			m.LoadOrCompute(math.NaN(), func() (int, error) { return 0, nil })
		}
		if n := len(m.flights.byKey); n > 1 {
			t.Errorf("%d flights registered, 1 in the air", n)
		}
		return 0, nil
	})
}
