// This file tests the rows of the list of known failures that are about functions which a map calls. Each test quotes
// its row, with the places where the failure was seen.

package hushmap

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const ftKeepsChanging = "hushmap: Compute: the function keeps changing the key that it computes"

// ftMethods is every method of Map, called for a key. Nothing else is stored but ^key, by batches.
var ftMethods = []struct {
	name string
	call func(m *Map[int, int], key int)
}{
	{"Load", func(m *Map[int, int], key int) { m.Load(key) }},
	{"Store", func(m *Map[int, int], key int) { m.Store(key, rand.Int()) }},
	{"LoadOrStore", func(m *Map[int, int], key int) { m.LoadOrStore(key, 1) }},
	{"LoadAndDelete", func(m *Map[int, int], key int) { m.LoadAndDelete(key) }},
	{"Delete", func(m *Map[int, int], key int) { m.Delete(key) }},
	{"Delete, Store", func(m *Map[int, int], key int) { m.Delete(key); m.Store(key, rand.Int()) }},
	{"Swap", func(m *Map[int, int], key int) { m.Swap(key, rand.Int()) }},
	{"CompareAndSwap", func(m *Map[int, int], key int) {
		old, _ := m.Load(key)
		m.CompareAndSwap(key, old, rand.Int())
	}},
	{"CompareAndDelete", func(m *Map[int, int], key int) {
		old, _ := m.Load(key)
		m.CompareAndDelete(key, old)
	}},
	{"LoadBatch", ftBatches(func(m *Map[int, int], keys, vals []int) { m.LoadBatch(keys, vals, make([]bool, len(keys))) })},
	{"StoreBatch", ftBatches(func(m *Map[int, int], keys, vals []int) { m.StoreBatch(keys, vals) })},
	{"DeleteBatch", ftBatches(func(m *Map[int, int], keys, _ []int) { m.DeleteBatch(keys) })},
	{"Range", func(m *Map[int, int], _ int) { m.Range(func(int, int) bool { return true }) }},
	{"All", func(m *Map[int, int], _ int) {
		for range m.All() {
		}
	}},
	{"Keys", func(m *Map[int, int], _ int) {
		for range m.Keys() {
		}
	}},
	{"Values", func(m *Map[int, int], _ int) {
		for range m.Values() {
		}
	}},
	{"Len", func(m *Map[int, int], _ int) { m.Len() }},
	{"Clear", func(m *Map[int, int], _ int) { m.Clear() }},
	{"Clear, Store", func(m *Map[int, int], key int) { m.Clear(); m.Store(key, rand.Int()) }},
	{"Compute", func(m *Map[int, int], key int) {
		m.Compute(key, func(int, bool) (int, Op) { return rand.Int(), UpdateOp })
	}},
	{"LoadOrCompute", func(m *Map[int, int], key int) {
		_, _, _ = m.LoadOrCompute(key, func() (int, error) { return 1, nil })
	}},
	{"LoadOrCompute with an error", func(m *Map[int, int], key int) {
		_, _, _ = m.LoadOrCompute(key, func() (int, error) { return 1, errFt })
	}},
	{"DeleteFunc", func(m *Map[int, int], key int) { m.DeleteFunc(func(k, _ int) bool { return k == key }) }},
	{"Grow", func(m *Map[int, int], _ int) { m.Grow(60) }},
	{"Compact", func(m *Map[int, int], _ int) { m.Compact() }},
	{"Stats", func(m *Map[int, int], _ int) { m.Stats() }},
	{"Verify", func(m *Map[int, int], _ int) { _ = m.Verify() }},
	{"a new seed", func(m *Map[int, int], key int) { m.Store(key, rand.Int()); ftReseed(m) }},
}

// ftBatches calls op with a batch of one key, and with one of 40 that has the key and another, in turn. That one goes through
// the pipeline if the table is large.
func ftBatches(op func(m *Map[int, int], keys, vals []int)) func(m *Map[int, int], key int) {
	return func(m *Map[int, int], key int) {
		for _, n := range []int{1, 40} {
			keys, vals := make([]int, n), make([]int, n)
			for i := range keys {
				if keys[i], vals[i] = key, rand.Int(); i%2 == 1 {
					keys[i] = ^key
				}
			}
			op(m, keys, vals)
		}
	}
}

// ftForgotten returns those methods of a type that are not among the names.
func ftForgotten(of reflect.Type, names []string) (forgotten []string) {
	for i := range of.NumMethod() {
		if name := of.Method(i).Name; !slices.Contains(names, name) {
			forgotten = append(forgotten, name)
		}
	}
	return forgotten
}

func TestFtMethodsAreAllMethods(t *testing.T) {
	var names []string
	for _, method := range ftMethods {
		names = append(names, method.name)
	}
	require.Empty(t, ftForgotten(reflect.TypeFor[*Map[int, int]](), names))
}

// ftCallbacks is every method that calls a function. Each calls body with a key that the function is about.
var ftCallbacks = []struct {
	name string
	run  func(m *Map[int, int], body func(key int))
}{
	{"Range", func(m *Map[int, int], body func(int)) {
		m.Range(func(k, _ int) bool { body(k); return true })
	}},
	{"All", func(m *Map[int, int], body func(int)) {
		for k := range m.All() {
			body(k)
		}
	}},
	{"Keys", func(m *Map[int, int], body func(int)) {
		for k := range m.Keys() {
			body(k)
		}
	}},
	{"Values", func(m *Map[int, int], body func(int)) {
		for range m.Values() {
			body(3)
		}
	}},
	{"DeleteFunc", func(m *Map[int, int], body func(int)) {
		m.DeleteFunc(func(k, _ int) bool { body(k); return false })
	}},
	{"DeleteFunc of all", func(m *Map[int, int], body func(int)) {
		calls := 0
		m.DeleteFunc(func(k, _ int) bool {
			if calls++; calls < 100 { // it may change the entry each time it is asked
				body(k)
			}
			return true
		})
	}},
	{"Compute to update", func(m *Map[int, int], body func(int)) {
		m.Compute(3, func(int, bool) (int, Op) { body(3); return rand.Int(), UpdateOp })
	}},
	{"Compute to delete", func(m *Map[int, int], body func(int)) {
		m.Compute(3, func(int, bool) (int, Op) { body(3); return 0, DeleteOp })
	}},
	{"Compute to cancel", func(m *Map[int, int], body func(int)) {
		m.Compute(3, func(int, bool) (int, Op) { body(3); return 0, CancelOp })
	}},
	{"LoadOrCompute", func(m *Map[int, int], body func(int)) {
		_, _, _ = m.LoadOrCompute(99, func() (int, error) { body(99); return 1, nil })
	}},
	{"LoadOrCompute with an error", func(m *Map[int, int], body func(int)) {
		_, _, _ = m.LoadOrCompute(99, func() (int, error) { body(99); return 1, errFt })
	}},
}

// ftGaveUp is what a test's function panics with when it was called so often that it would be called forever.
const ftGaveUp = "the function is called over and over"

// ftLimited wraps a function that must not be called forever.
func ftLimited(f func(key int)) func(key int) {
	calls := 0
	return func(key int) {
		if calls++; calls > 1000 {
			panic(ftGaveUp)
		}
		f(key)
	}
}

// FAILURES: "callback re-enters the map and hangs" (concurrent-swiss-map#8, dashmap#74 #233 #369, libcuckoo#127): every
// method from every callback, same key and another, one and two goroutines, with a time-out. A function that keeps
// changing the key it computes gets a panic that says so.
func TestCallbackReentersTheMapAndHangs(t *testing.T) {
	for _, options := range []struct {
		name string
		list []Option
	}{
		{"large", []Option{btLarge}}, // which matters to batches and sweeps only
		{"constant hasher, one bucket at a time", []Option{WithHasher(ftConstantHash), withTuning(ftOneBucket)}},
	} {
		for _, goroutines := range []int{1, 2} {
			for _, cb := range ftCallbacks {
				t.Run(fmt.Sprintf("%s/%d/%s", options.name, goroutines, cb.name), func(t *testing.T) {
					for _, method := range ftMethods {
						for _, other := range []int{0, 1, 1000} {
							m := New[int, int](options.list...)
							for k := range 11 {
								m.Store(k, k)
							}
							ftWatch(t, func() {
								ftTogether(goroutines, func(int) {
									p := ftPanic(func() {
										cb.run(m, ftLimited(func(key int) { method.call(m, key+other) }))
									})
									if p != nil && !(p == ftKeepsChanging && ftMayKeepChanging(cb.name, other, goroutines)) {
										t.Errorf("%s of key+%d: panic: %v", method.name, other, p)
									}
								})
								assert.NoError(t, m.Verify(), method.name)
							})
						}
					}
				})
			}
		}
	}
}

// ftMayKeepChanging reports whether a function that calls a method for another key could be in a Compute that never
// succeeds.
func ftMayKeepChanging(callback string, other, goroutines int) bool {
	return callback[:min(7, len(callback))] == "Compute" && (other == 0 || goroutines > 1)
}

// The same row: Compute's function changes its own key a few times, but not for ever.
func TestCallbackReentersComputeThatSettles(t *testing.T) {
	ftEach(t, func(t *testing.T, c ftConfig) {
		for _, changes := range []int{1, 2, watchAfter - 1, watchAfter, watchAfter + 1, watchAfter + ownChanges - 1} {
			ftWatch(t, func() {
				m := ftNew[int](t, c)
				calls, v, ok := 0, 0, false
				p := ftPanic(func() {
					v, ok = m.Compute(1, func(old int, loaded bool) (int, Op) {
						if calls++; calls <= changes {
							m.Store(1, calls)
						}
						return old + 1000, UpdateOp
					})
				})
				require.Nil(t, p, "after %d changes", changes)
				require.True(t, ok)
				require.Equal(t, changes+1000, v)
				require.Equal(t, changes+1, calls)
			})
		}
	})
}

// The same row: it changes its own key for ever, in every way there is.
func TestCallbackReentersComputeThatKeepsChangingItsKey(t *testing.T) {
	ways := map[string]func(m *Map[int, int], n int){
		"Store":         func(m *Map[int, int], n int) { m.Store(1, n) },
		"Swap":          func(m *Map[int, int], n int) { m.Swap(1, n) },
		"Delete, Store": func(m *Map[int, int], n int) { m.Delete(1); m.Store(1, n) },
		"Compute":       func(m *Map[int, int], n int) { m.Compute(1, func(int, bool) (int, Op) { return n, UpdateOp }) },
		"Clear, Store":  func(m *Map[int, int], n int) { m.Clear(); m.Store(1, n) },
		"Store, Grow":   func(m *Map[int, int], n int) { m.Store(1, n); m.Grow(n % 100) },
		"Store, reseed": func(m *Map[int, int], n int) { m.Store(1, n); ftReseed(m) },
		"reseed, Store": func(m *Map[int, int], n int) { ftReseed(m); m.Store(1, n) },
		"Store of many": func(m *Map[int, int], n int) {
			for k := range 40 {
				m.Store(k, n)
			}
		},
		"another such Compute inside": func(m *Map[int, int], n int) {
			ftPanic(func() {
				inner := 0
				m.Compute(2, func(int, bool) (int, Op) {
					if inner++; inner > 1000 {
						panic(ftGaveUp)
					}
					m.Store(2, n+inner)
					return 0, UpdateOp
				})
			})
			m.Store(1, n)
		},
	}
	for name, change := range ways {
		t.Run(name, func(t *testing.T) {
			ftWatch(t, func() {
				var m Map[int, int]
				n := 0
				p := ftPanic(func() {
					m.Compute(1, func(int, bool) (int, Op) {
						if n++; n > 1000 {
							panic(ftGaveUp)
						}
						change(&m, n)
						return -1, UpdateOp
					})
				})
				require.Equal(t, ftKeepsChanging, p)
				v, ok := m.Load(1)
				require.True(t, ok && v == n, "the function's last change is lost: %d, %v", v, ok)
				m.Store(1, 7) // nobody gives way any more
				require.NoError(t, m.Verify())
			})
		})
	}
}

// The same row: a Compute inside a watched one that never succeeds must panic as well.
func TestCallbackReentersComputeInsideAComputeThatIsWatched(t *testing.T) {
	ftWatch(t, func() {
		var m Map[int, int]
		outer, inner := 0, 0
		p := ftPanic(func() {
			m.Compute(1, func(int, bool) (int, Op) {
				if outer++; outer <= watchAfter {
					m.Store(1, outer)
					return 0, UpdateOp
				}
				m.Compute(2, func(int, bool) (int, Op) {
					if inner++; inner > 1000 {
						panic(ftGaveUp)
					}
					m.Store(2, inner)
					return 0, UpdateOp
				})
				return 0, CancelOp
			})
		})
		require.Equal(t, ftKeepsChanging, p)
	})
}

// The same row: a function that others disturb may change other keys as often as it likes, whatever their hash.
func TestCallbackReentersComputeThatChangesOtherKeys(t *testing.T) {
	t.Parallel() // it mostly waits
	ftEach(t, func(t *testing.T, c ftConfig) {
		ftWatch(t, func() {
			m := ftNew[int](t, c)
			calls := 0
			p := ftPanic(func() {
				m.Compute(1, func(old int, _ bool) (int, Op) {
					if calls++; calls <= watchAfter+2*ownChanges {
						ftTogether(1, func(int) { m.Store(1, calls) }) // somebody else is always faster
					}
					m.Store(2, calls)
					return old + 1000, UpdateOp
				})
			})
			require.Nil(t, p, "the function did not change its own key")
			v, _ := m.Load(1)
			require.Equal(t, watchAfter+2*ownChanges+1000, v)
		})
	})
}

// The same row: LoadOrCompute inside LoadOrCompute for the same key runs the inner function.
func TestCallbackReentersLoadOrComputeForTheSameKey(t *testing.T) {
	ftEach(t, func(t *testing.T, c ftConfig) {
		ftWatch(t, func() {
			m := ftNew[string](t, c)
			value, loaded, err := m.LoadOrCompute(1, func() (string, error) {
				v, loaded, err := m.LoadOrCompute(1, func() (string, error) {
					_, _, err := m.LoadOrCompute(1, func() (string, error) { return "", errFt })
					assert.ErrorIs(t, err, errFt)
					return "inner", nil
				})
				assert.NoError(t, err)
				assert.False(t, loaded)
				assert.Equal(t, "inner", v)
				return "outer", nil
			})
			require.NoError(t, err)
			require.True(t, loaded, "the inner call stored the key first")
			require.Equal(t, "inner", value)
			require.Equal(t, 1, m.Len())
		})
	})
}

// The same row: goroutines whose functions call LoadOrCompute for each other's keys must all end.
func TestCallbackReentersLoadOrComputeCrossed(t *testing.T) {
	for _, goroutines := range []int{2, 3, 5} {
		t.Run(fmt.Sprint(goroutines), func(t *testing.T) {
			ftEach(t, func(t *testing.T, c ftConfig) {
				ftWatch(t, func() {
					m := ftNew[int](t, c)
					for round := range ftN(100) {
						var inside atomic.Int32
						ftTogether(goroutines, func(g int) {
							mine, next := round*goroutines+g, round*goroutines+(g+1)%goroutines
							_, _, err := m.LoadOrCompute(mine, func() (int, error) {
								for inside.Add(1); inside.Load() < int32(goroutines); {
									runtime.Gosched() // now everyone leads a flight
								}
								v, _, err := m.LoadOrCompute(next, func() (int, error) { return next, nil })
								assert.Equal(t, next, v)
								return mine, err
							})
							assert.NoError(t, err)
						})
						for k := range goroutines {
							v, ok := m.Load(round*goroutines + k)
							require.True(t, ok)
							require.Equal(t, round*goroutines+k, v)
							m.Delete(round*goroutines + k)
						}
						require.Empty(t, m.flights.byID)
					}
				})
			})
		})
	}
}

// FAILURES: "callback panics and the bucket stays locked" (xsync#208): panic and runtime.Goexit in each callback, then the
// key and its neighbours are used again.
func TestCallbackPanicsAndTheBucketStaysLocked(t *testing.T) {
	exits := map[string]func(){
		"panic":  func() { panic(errFt) },
		"Goexit": runtime.Goexit,
	}
	ftEach(t, func(t *testing.T, c ftConfig) {
		for _, cb := range ftCallbacks {
			for name, exit := range exits {
				for _, growing := range []bool{false, true} {
					ftExitInCallback(t, c, fmt.Sprintf("%s in %s, growing: %v", name, cb.name, growing), growing, func(m *Map[int, int]) {
						cb.run(m, func(int) { exit() })
					})
				}
			}
		}
	})
}

// ftExitInCallback runs what ends its goroutine, or panics, and then uses all keys of the map.
func ftExitInCallback(t *testing.T, c ftConfig, name string, growing bool, run func(m *Map[int, int])) {
	ftWatch(t, func() {
		m := ftNew[int](t, c)
		want := map[int]int{}
		for k := range 19 {
			m.Store(k, k)
			want[k] = k
		}
		if growing {
			ftReseed(m)
		}
		returned := false
		ftTogether(1, func(int) {
			p := ftPanic(func() {
				run(m)
				returned = true
			})
			if p != nil && p != errFt {
				t.Errorf("%s: panic: %v", name, p)
			}
		})
		require.False(t, returned, name)
		got := map[int]int{}
		for k, v := range m.All() {
			got[k] = v
		}
		require.Equal(t, want, got, name)
		require.NoError(t, m.Verify(), name)
		require.Empty(t, m.flights.byID, name)
		require.Nil(t, m.core.watches.Load(), name)
		for _, k := range append([]int{3, 99}, rand.Perm(40)...) {
			m.Store(k, -k)
			v, _, err := m.LoadOrCompute(k+100, func() (int, error) { return k, nil })
			require.NoError(t, err)
			require.Equal(t, k, v)
			m.Compute(k, func(old int, _ bool) (int, Op) { return old * 2, UpdateOp })
			v, ok := m.LoadAndDelete(k)
			require.True(t, ok)
			require.Equal(t, -2*k, v)
			m.Delete(k + 100)
		}
		require.Zero(t, m.DeleteFunc(func(int, int) bool { return true })-m.Len())
		require.NoError(t, m.Verify(), name)
	})
}

// The same row for a Compute that was watched when its function ended its goroutine: writers must not give way to it
// for ever.
func TestCallbackPanicsWhileItIsWatched(t *testing.T) {
	for name, exit := range map[string]func(){"panic": func() { panic(errFt) }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			ftWatch(t, func() {
				var m Map[int, int]
				calls, watched := 0, false
				ftTogether(1, func(int) {
					ftPanic(func() {
						m.Compute(1, func(int, bool) (int, Op) {
							m.Store(1, calls)
							if calls++; calls > watchAfter+1 {
								watched = m.core.watches.Load() != nil
								exit()
							}
							return 0, UpdateOp
						})
					})
				})
				require.True(t, watched)
				require.Nil(t, m.core.watches.Load())
				require.NoError(t, m.Verify())
			})
		})
	}
}

// FAILURES: "the value function runs twice" (xsync#66): count the calls across a forced resize.
func TestValueFunctionRunsTwice(t *testing.T) {
	ftEach(t, func(t *testing.T, c ftConfig) {
		ftWatch(t, func() {
			const goroutines = 6
			for range ftN(25) {
				m := ftNew[int](t, c)
				calls, computed := make([]atomic.Int32, c.keys), make([]atomic.Int32, c.keys)
				ftWhile(func() {
					ftTogether(goroutines, func(int) {
						for k := range c.keys {
							v, loaded, err := m.LoadOrCompute(k, func() (int, error) {
								calls[k].Add(1)
								runtime.Gosched()
								return 2 * k, nil
							})
							assert.NoError(t, err)
							assert.Equal(t, 2*k, v)
							if !loaded {
								computed[k].Add(1)
							}
						}
					})
				}, func() { ftResize(m, c.keys) })
				for k := range c.keys {
					require.EqualValues(t, 1, calls[k].Load(), "calls of the function for key %d", k)
					require.EqualValues(t, 1, computed[k].Load(), "callers for key %d who were told they computed it", k)
				}
				require.NotZero(t, ftTransitions(m), "the table was never replaced")
				require.Empty(t, m.flights.byID)
			}
		})
	})
}

// FAILURES: "iterator not drained blocks writers" (concurrent-map#42): stop at each index, then write.
func TestIteratorNotDrainedBlocksWriters(t *testing.T) {
	ftEach(t, func(t *testing.T, c ftConfig) {
		ftWatch(t, func() {
			m := ftNew[int](t, c)
			n := min(c.keys, 60)
			refill := func() {
				for k := range n {
					m.Store(k, k)
				}
				require.Equal(t, n, m.Len())
			}
			refill()
			for stop := range n {
				i := 0
				for range m.All() {
					if i++; i > stop {
						break
					}
				}
				refill()
				ftTogether(1, func(int) { m.Delete(stop); m.Clear() })
				refill()
				next, end := iter.Pull2(m.All()) // stands still between two entries while others write
				for range stop {
					next()
				}
				ftTogether(2, func(g int) {
					for k := g; k < n; k += 2 {
						m.Delete(k)
						m.Store(k, -k)
					}
					ftResize(m, c.keys)
				})
				k, v, ok := next()
				require.True(t, ok, "entry %d of %d", stop, n)
				require.Equal(t, -k, v, "the value of before")
				end()
				refill()
			}
			require.NoError(t, m.Verify())
		})
	})
}
