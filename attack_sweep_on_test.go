//go:build hushmap_invariants

package hushmap

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRangeLooksAgainAtTheKeysItCopied changes a bucket in the middle of a Range, at each of its steps in turn. A Range that has
// the tophash bytes of two entries and not their keys finds one key in both slots, once both are deleted and one of them is stored
// again; and keys that are or have pointers, which a deletion clears, it finds to be zero. Every such key would be looked up and
// be there (I6).
func TestRangeLooksAgainAtTheKeysItCopied(t *testing.T) {
	t.Run("uint64", func(t *testing.T) { asStopped(t, asOneHome(uint64(1), 2, 0)) })
	t.Run("float64", func(t *testing.T) { asStopped(t, asOneHome(1.0, 2.0, 0.0)) })
	t.Run("string", func(t *testing.T) { asStopped(t, asOneHome("a", "b", "")) })
	t.Run("any", func(t *testing.T) { asStopped(t, asOneHome[any]("a", 2, nil)) })
	t.Run("wide", func(t *testing.T) { asStopped(t, asOneHome([3]uint64{1, 1, 1}, [3]uint64{2, 2, 2}, [3]uint64{})) })
	t.Run("wide with a pointer", func(t *testing.T) {
		type wide struct {
			p *int
			n [2]int
		}
		asStopped(t, asOneHome(wide{new(int), [2]int{1, 1}}, wide{new(int), [2]int{2, 2}}, wide{}))
	})
	t.Run("Bytes", func(t *testing.T) { asStopped(t, asOneHomeOfBytes) })
}

// asStore is a map of three keys, by number, whose home is the first bucket. Key 2 of a Map is zero.
type asStore struct {
	store   func(key, value int)
	delete  func(key int)
	collect func(visit func(key, value int))
	verify  func() error
}

func asOneHome[K comparable](keys ...K) func() asStore {
	return func() asStore {
		m := New[K, int](WithHasher(func(K, uint64) uint64 { return 0 }), withTuning(func(tu *tuning) { tu.rawHash = true }))
		number := make(map[K]int)
		for i, k := range keys {
			number[k] = i
		}
		return asStore{
			store:  func(key, value int) { m.Store(keys[key], value) },
			delete: func(key int) { m.Delete(keys[key]) },
			collect: func(visit func(key, value int)) {
				m.Range(func(k K, v int) bool { visit(number[k], v); return true })
			},
			verify: m.Verify,
		}
	}
}

func asOneHomeOfBytes() asStore {
	m := NewBytes()
	rm := m.core.writable()
	number, keys := make(map[string]int), make([]string, 0, 3)
	for i := 0; len(keys) < 3; i++ {
		if k := fmt.Sprint(i); rm.home(rm.hash(k)) == 0 {
			number[k] = len(keys)
			keys = append(keys, k)
		}
	}
	return asStore{
		store:  func(key, value int) { m.Set(keys[key], []byte{byte(value)}) },
		delete: func(key int) { m.Delete(keys[key]) },
		collect: func(visit func(key, value int)) {
			m.Range(func(k string, v []byte) bool { visit(number[k], int(v[0])); return true })
		},
		verify: m.Verify,
	}
}

// asStopped runs a Range for each of its steps, at which it has to wait until others have written.
func asStopped(t *testing.T, make func() asStore) {
	steps := 0
	for stop := 0; stop <= steps; stop++ {
		m := make()
		for key, value := range []int{10, 11, 12} {
			m.store(key, value)
		}
		steps = 0
		var hook func(protocolStep)
		hook = func(protocolStep) {
			if steps++; steps-1 == stop {
				stepHook.Store(nil)
				m.delete(0)
				m.delete(1)
				m.store(1, 21)
				stepHook.Store(&hook)
			}
		}
		visits, values := [3]int{}, [3]int{}
		stepHook.Store(&hook)
		m.collect(func(key, value int) { visits[key]++; values[key] = value })
		stepHook.Store(nil)
		require.NoError(t, m.verify())

		at := fmt.Sprintf("stopped at step %d of %d", stop, steps)
		assert.LessOrEqual(t, visits[0], 1, "visits of the key that is deleted, %s", at)
		assert.LessOrEqual(t, visits[1], 1, "visits of the key that is deleted and stored again, %s", at)
		assert.Equal(t, 1, visits[2], "visits of the key that stays, %s", at)
		assert.Contains(t, []int{0, 10}, values[0], at)
		assert.Contains(t, []int{0, 11, 21}, values[1], at)
		assert.Equal(t, 12, values[2], at)
	}
	require.Greater(t, steps, 3, "it was never stopped")
}

// While a Range copies the path of a home bucket with displaced entries nobody moves one of them from there to behind, or it would
// be found in both (I1). It is stopped at each of its steps in turn; where it holds the home bucket's lock the others have to wait.
func TestRangeHoldsTheHomeWhileItCopiesThePath(t *testing.T) {
	const moves, filler = 0, bucketSlots + 1
	waited := false
	for stop, reached := 0, true; reached; stop++ {
		m := New[int, int](WithHasher(func(int, uint64) uint64 { return 0 }), withTuning(func(tu *tuning) { tu.rawHash = true }))
		for k := range bucketSlots + 1 {
			m.Store(k, k)
		}
		home := m.core.settle().bucket(0)
		require.EqualValues(t, 1, home.observe().overflow())
		done := make(chan struct{})
		others := func() {
			defer close(done)
			m.Delete(moves)
			m.Store(filler, filler)
			m.Store(moves, moves)
		}
		steps := 0
		reached = false
		hook := func(protocolStep) {
			if steps++; steps-1 != stop {
				return
			}
			stepHook.Store(nil)
			if reached = true; home.observe().locked() {
				waited = true
				go others()
			} else {
				others()
			}
		}
		visits := [bucketSlots + 2]int{}
		stepHook.Store(&hook)
		m.Range(func(k, _ int) bool { visits[k]++; return true })
		stepHook.Store(nil)
		if reached {
			<-done
		}
		require.NoError(t, m.Verify())
		assert.LessOrEqual(t, visits[moves], 1, "visits of the key that moved, stopped at step %d", stop)
		assert.LessOrEqual(t, visits[filler], 1, "visits of the key that came, stopped at step %d", stop)
		for k := 1; k <= bucketSlots; k++ {
			assert.Equal(t, 1, visits[k], "visits of key %d, which stayed, stopped at step %d", k, stop)
		}
	}
	require.True(t, waited, "it was never stopped with the lock held")
}
