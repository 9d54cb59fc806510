// This file tests the rows of the list of known failures that are about many goroutines at once. Each test quotes its
// row, with the places where the failure was seen.

package hushmap

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FAILURES: "all goroutines asleep in a resize" (xsync#10 #23): watchdog over storms of growing and shrinking. Everything
// that replaces tables, locks all buckets or drops them runs at once, on few keys.
func TestAllGoroutinesAsleepInAResize(t *testing.T) {
	ftEach(t, func(t *testing.T, c ftConfig) {
		ftWatch(t, func() {
			m := ftNew[ftWide](t, c)
			storms := []func(){
				func() { ftResize(m, c.keys) },
				func() { m.Grow(rand.IntN(4 * c.keys)); m.Compact() },
				func() {
					m.Range(func(_ int, w ftWide) bool {
						assert.True(t, ftWideIs(w))
						return rand.IntN(c.keys) != 0
					})
				},
				func() { m.DeleteFunc(func(k int, _ ftWide) bool { return rand.IntN(4) == 0 }) },
				func() {
					if rand.IntN(16) == 0 {
						m.Clear()
					}
				},
				func() { m.Stats() },
				func() {
					k := rand.IntN(c.keys)
					if w, ok := m.Load(k); ok && !ftWideIs(w) {
						t.Errorf("key %d: torn: %v", k, w)
					}
				},
			}
			ftWhile(func() {
				ftTogether(4, func(int) {
					o := ftNewOwner(m, ftWideOf)
					o.shared = true
					for range ftN(1500) {
						_ = o.act(rand.IntN(c.keys)) // only hangs and broken structure count
						clear(o.has)
						for k := range c.keys {
							if rand.IntN(8) == 0 {
								m.Delete(k)
							}
						}
					}
				})
			}, storms...)
			require.NotZero(t, ftTransitions(m), "the table was never replaced")
			require.NoError(t, m.Verify())
		})
	})
}

// The same row with Verify, which locks everything.
func TestAllGoroutinesAsleepInVerify(t *testing.T) {
	ftEach(t, func(t *testing.T, c ftConfig) {
		ftWatch(t, func() {
			m := ftNew[int](t, c)
			ftWhile(func() {
				ftTogether(3, func(g int) {
					for i := range ftN(2000) {
						m.Store(i%(c.keys/3)*3+g, i)
						if i%3 == 0 {
							m.Delete(rand.IntN(c.keys))
						}
					}
				})
			}, func() { _ = m.Verify() }, func() { _ = m.Verify() }, func() { ftResize(m, c.keys) })
			require.NoError(t, m.Verify())
		})
	})
}

// FAILURES: "first use by many goroutines at once" (golang/go#81189): zero value, many first writers and readers.
func TestFirstUseByManyGoroutinesAtOnce(t *testing.T) {
	first := []func(m *AnyMap, g int){
		func(m *AnyMap, g int) { m.Store(g, g) },
		func(m *AnyMap, g int) { m.Swap(g, g) },
		func(m *AnyMap, g int) { m.LoadOrStore(g, g) },
		func(m *AnyMap, g int) { m.Compute(g, func(any, bool) (any, Op) { return g, UpdateOp }) },
		func(m *AnyMap, g int) { _, _, _ = m.LoadOrCompute(g, func() (any, error) { return g, nil }) },
		func(m *AnyMap, g int) { m.Grow(100); m.Store(g, g) },
	}
	readers := []func(m *AnyMap, g int){
		func(m *AnyMap, g int) { m.Load(g - 100) },
		func(m *AnyMap, g int) { m.Delete(g) },
		func(m *AnyMap, g int) { m.CompareAndSwap(g, g, 0) },
		func(m *AnyMap, g int) { m.Range(func(k, v any) bool { return k == v }) },
		func(m *AnyMap, _ int) { m.Len(); m.Stats(); m.Compact() },
	}
	ftWatch(t, func() {
		for range ftN(1500) {
			var m AnyMap
			ftTogether(len(first)+len(readers), func(g int) {
				if g < len(first) {
					first[g](&m, g)
				} else {
					readers[g-len(first)](&m, g)
				}
			})
			require.Equal(t, len(first), m.Len())
			for k := range len(first) {
				v, ok := m.Load(k)
				require.True(t, ok, "key %d is lost", k)
				require.Equal(t, k, v)
			}
			require.NoError(t, m.Verify())
		}
	})
}

// FAILURES: "Clear against writers" (reported of several): Clear against Store, LoadAndDelete and Range; nothing comes back.
func TestClearAgainstWriters(t *testing.T) {
	ftEach(t, func(t *testing.T, c ftConfig) {
		ftWatch(t, func() {
			const writers = 3
			m := ftNew[int](t, c)
			var clears atomic.Int64
			ftWhile(func() {
				ftTogether(writers, func(g int) {
					for i := range ftN(4000) {
						if err := ftStoreThenLookUntilGone(m, i%(c.keys/writers)*writers+g, i+1); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}, func() {
				m.Clear()
				clears.Add(1)
			}, func() {
				visited := map[int]bool{}
				m.Range(func(k, _ int) bool {
					assert.False(t, visited[k], "Range visited key %d twice", k)
					visited[k] = true
					return true
				})
			}, func() { ftResize(m, c.keys) })
			require.NotZero(t, clears.Load())
			m.Clear()
			require.Zero(t, m.Len())
			m.Range(func(k, _ int) bool {
				t.Errorf("key %d is still there", k)
				return true
			})
			for k := range c.keys {
				_, ok := m.LoadAndDelete(k)
				require.False(t, ok, "key %d came back", k)
			}
			m.Store(1, 1)
			require.Equal(t, 1, m.Len())
			require.NoError(t, m.Verify())
		})
	})
}

// ftStoreThenLookUntilGone stores a key that only the caller stores, and looks at it: once it is gone it stays so.
func ftStoreThenLookUntilGone(m *Map[int, int], key, value int) error {
	m.Store(key, value)
	gone := false
	for look := range 4 {
		v, ok := m.Load(key)
		switch {
		case ok && v != value:
			return fmt.Errorf("key %d: %d came back after Store(%d)", key, v, value)
		case ok && gone:
			return fmt.Errorf("key %d: the entry came back after a Clear", key)
		}
		gone = gone || !ok
		if look == 2 && rand.IntN(2) == 0 {
			if v, ok := m.LoadAndDelete(key); ok && (v != value || gone) {
				return fmt.Errorf("key %d: LoadAndDelete returned %d after Store(%d), gone: %v", key, v, value, gone)
			}
			gone = true
		}
	}
	if !gone && rand.IntN(8) == 0 {
		m.Clear()
		if v, ok := m.Load(key); ok {
			return fmt.Errorf("key %d: %d came through a Clear that had ended", key, v)
		}
	}
	return nil
}

// Increments by Compute from many goroutines are exact, for values that are overwritten in place and for wider ones:
// FAILURES: "update lost while the table is resized" (xsync#109) in its commonest form.
func TestUpdateLostByComputeIncrements(t *testing.T) {
	ftEach(t, func(t *testing.T, c ftConfig) {
		t.Run("int", func(t *testing.T) {
			ftIncrements(t, c, func(n int) int { return n }, func(n int) int { return n })
		})
		t.Run("string", func(t *testing.T) {
			ftIncrements(t, c, strconv.Itoa, func(s string) int {
				n, err := strconv.Atoi(s)
				assert.NoError(t, err)
				return n
			})
		})
		t.Run("three words", func(t *testing.T) {
			ftIncrements(t, c, ftWideOf, func(w ftWide) int {
				assert.True(t, ftWideIs(w), "torn: %v", w)
				return w.n
			})
		})
	})
}

func ftIncrements[V any](t *testing.T, c ftConfig, of func(int) V, number func(V) int) {
	const goroutines, keys = 4, 3
	m := ftNew[V](t, c)
	each := ftN(1000)
	ftWatch(t, func() {
		ftWhile(func() {
			ftTogether(goroutines, func(int) {
				for i := range each * keys {
					m.Compute(i%keys, func(old V, loaded bool) (V, Op) {
						if !loaded {
							return of(1), UpdateOp
						}
						return of(number(old) + 1), UpdateOp
					})
				}
			})
		}, func() { ftResize(m, c.keys) }, func() {
			k := keys + rand.IntN(c.keys-keys) // others come and go, so that slots move within buckets
			m.Store(k, of(k))
			m.Delete(k)
		})
		for k := range keys {
			v, ok := m.Load(k)
			require.True(t, ok)
			require.Equal(t, goroutines*each, number(v), "key %d", k)
		}
		require.NotZero(t, ftTransitions(m), "the table was never replaced")
		require.NoError(t, m.Verify())
	})
}
