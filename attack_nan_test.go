package hushmap

import (
	"math"
	"runtime"
	"testing"

	"github.com/hushmap/hushmap/internal/swar"
)

// sweep.current asks a NaN key's slot only if the read map is still the one the batch was collected from. But collect
// itself replaces it: the sweep that freezes the last old bucket publishes a read map without the old table. The NaN
// keys of that batch are then looked up, which never finds them. No other goroutine is needed.
func TestAttackRangeLosesNaNWhenItEndsAGrowth(t *testing.T) {
	m := New[float64, int]()
	n := 0
	for m.core.read.Load() == nil || m.core.read.Load().old == nil {
		m.Store(math.NaN(), n)
		n++
	}
	seen := 0
	m.Range(func(float64, int) bool { seen++; return true })
	if seen != n {
		t.Errorf("Range visited %d of %d NaN keys", seen, n)
	}
	seen = 0
	m.Range(func(float64, int) bool { seen++; return true })
	if seen != n {
		t.Errorf("second time: Range visited %d of %d NaN keys", seen, n)
	}
}

// The same with a growth that f starts: the doc comment of Range excludes shrinking and rebuilding only.
func TestAttackRangeLosesNaNWhenFGrows(t *testing.T) {
	for range 20 {
		m := New[float64, int]()
		for range 20 {
			m.Store(math.NaN(), -1)
		}
		seen := 0
		m.Range(func(_ float64, v int) bool {
			if v == -1 {
				if seen++; seen == 1 {
					for i := range 1000 {
						m.Store(float64(i), i)
					}
				}
			}
			return true
		})
		if seen != 20 {
			t.Fatalf("Range visited %d of 20 NaN keys", seen)
		}
	}
}

// The same while a Compute that cannot get through has its watch published.
func TestAttackRangeLosesNaNWhenAWatchIsPublished(t *testing.T) {
	var m Map[float64, int]
	for range 20 {
		m.Store(math.NaN(), -1)
	}
	seen := 0
	m.Range(func(_ float64, v int) bool {
		if seen++; seen == 1 {
			w := &watch[float64]{id: ids.Add(1)}
			m.core.watch(w)
			m.core.unwatch(w)
		}
		return true
	})
	if seen != 20 {
		t.Errorf("Range visited %d of 20 NaN keys", seen)
	}
}

// A key with a NaN in front of an unhashable part: hashBy returns before it tries to hash the key.
func TestAttackUnhashableBehindNaN(t *testing.T) {
	type key struct {
		f float64
		x any
	}
	m := New[key, int](WithHasher(func(k key, _ uint64) uint64 { return 1 }))
	defer func() {
		if recover() == nil {
			t.Errorf("an unhashable key was stored, Len %d", m.Len())
		}
	}()
	m.Store(key{math.NaN(), []int{1}}, 1)
}

// A slot is all there is to ask about a NaN key, and Clear leaves the slots of the table that it drops as they are.
func TestAttackRangeVisitsNaNThatClearHasDeleted(t *testing.T) {
	m := New[float64, int](withTuning(ftOneBucket))
	for i := range 20 {
		m.Store(math.NaN(), i)
	}
	nans := 0
	m.Range(func(key float64, _ int) bool {
		if key != key {
			if nans++; nans == 1 {
				m.Clear()
				m.Store(1, 1)
			}
		}
		return true
	})
	if nans != 1 {
		t.Errorf("Range visited %d NaN keys, all but the first after Clear", nans)
	}
}

// Somebody has found that the table is far too large, and that no sweep is under way, and then lost its thread for a
// while. A sweep that begins meanwhile must not have the table shrink under it: the new place of a NaN key may be in the
// part that was visited, or not in it any more.
func TestAttackRangeBeginsWhileTheTableShrinks(t *testing.T) {
	for range 20 {
		m := New[float64, int](WithCapacity(1000))
		for i := range 100 {
			m.Store(math.NaN(), i)
		}
		rm := m.core.read.Load()
		m.core.mu.Lock() // by who shrinks it
		if !m.core.betweenPasses() {
			t.Fatal("nobody sweeps")
		}
		published, over := make(chan struct{}), make(chan struct{})
		var visits [100]int
		go func() {
			defer close(over)
			first := true
			m.Range(func(_ float64, v int) bool {
				if visits[v]++; first {
					first = false
					<-published
				}
				return true
			})
		}()
		for m.core.passes.Load() != 1 {
			runtime.Gosched()
		}
		for range 1000 { // if it does not wait for the decision it visits a key now
			runtime.Gosched()
		}
		if m.core.resizeLocked(rm, rm.buckets()/4, rm.seed, rm.traits) == nil {
			t.Error("the table did not shrink")
		}
		m.core.decided()
		m.core.mu.Unlock()
		close(published)
		<-over
		for v, n := range visits {
			if n != 1 {
				t.Fatalf("a NaN key, of value %d, was visited %d times", v, n)
			}
		}
	}
	m := New[float64, int](WithCapacity(1000))
	m.Store(1, 1)
	rm := m.core.read.Load()
	m.Range(func(float64, int) bool {
		if m.core.replace(rm, rm.buckets()/4, false, false) {
			t.Error("a table shrank during a sweep")
		}
		return true
	})
	if !m.core.replace(rm, rm.buckets()/4, false, false) {
		t.Error("it does not shrink after the sweep either")
	}
}

// The evacuator of a NaN key that was displaced around the end of the table finds the lock of bucket 0 taken, which it may
// only try. That is no reason to give the key another home, which a sweep may have passed already.
func TestAttackNaNLosesItsHomeToALock(t *testing.T) {
	lost := 0
	for range 30 {
		m := New[float64, int](WithCapacity(64*slotLimit), WithHasher(func(k float64, _ uint64) uint64 {
			if k < 8 {
				return ^uint64(0)
			}
			return 5
		}), withTuning(func(tu *tuning) { ftOneBucket(tu); tu.rawHash = true }))
		rm := m.core.writable()
		for i := range 16 { // the last bucket and the first are full
			m.Store(float64(i), i)
		}
		p := place[float64, int]{hash: ^uint64(0), home: rm.mask, bucket: rm.mask, slot: -1}
		rm.bucket(rm.mask).lock()
		if !m.core.insertUnlock(rm, &p, math.NaN(), 100) || !m.core.resize(rm, rm.buckets()*2) {
			t.Fatal("not inserted, or no growth")
		}
		next := m.core.read.Load()
		next.old.evacuate(rm.mask, true)
		next.old.evacuate(0, true)
		next.bucket(0).lock() // by a writer of key 8
		moved := make(chan struct{})
		go func() {
			defer close(moved)
			next.old.evacuate(1, true)
		}()
		for range 1000 {
			runtime.Gosched()
		}
		next.bucket(0).release()
		<-moved
		now := m.core.settle()
		for i := range now.buckets() {
			b := now.bucket(i)
			for f := swar.Full(b.observeTophash()); f != 0; f = swar.Next(f) {
				s := swar.First(f)
				key := now.loadKey(b, s)
				if home, _ := now.homeOf(i, swar.Byte(b.observeTophash(), s), key); key != key && home < now.mask-1 {
					lost++
				}
			}
		}
		runtime.KeepAlive(now)
	}
	if lost != 0 {
		t.Errorf("%d of 30 NaN keys have a home elsewhere", lost)
	}
}
