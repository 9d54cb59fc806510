package hushmap

import (
	"math"
	"testing"
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

// The same with a new read map for the same table: a Compute that cannot get through publishes its watch.
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
