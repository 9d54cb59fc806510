// This file tests what a map does with functions that break the rules, and with no function or no map at all: a clear
// panic or a right answer, nothing lost, and the map usable afterwards.

package hushmap

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/internal/swar"
)

// flUsable uses every key of a map at rest, all of which it must be able to hold, and leaves the map empty.
func flUsable(t *testing.T, what string, m *Map[int, int]) {
	t.Helper()
	require.NoError(t, m.Verify(), what)
	require.Empty(t, m.flights.byID, what)
	require.Nil(t, m.core.watches.Load(), what)
	for k := range 40 {
		m.Store(k, -k)
		v, loaded, err := m.LoadOrCompute(k+100, func() (int, error) { return k, nil })
		require.True(t, err == nil && !loaded && v == k, "%s: key %d", what, k)
		v, ok := m.LoadAndDelete(k)
		require.True(t, ok && v == -k, "%s: key %d: %d, %v", what, k, v, ok)
	}
	require.Equal(t, m.Len(), m.DeleteFunc(func(int, int) bool { return true }), what)
	require.Zero(t, m.Len(), what)
	require.NoError(t, m.Verify(), what)
}

// Bad input: nil functions. A method panics when it comes to call its function, with the runtime's message, and not before.
func TestNilFunctions(t *testing.T) {
	const message = "nil pointer dereference"
	for name, call := range map[string]func(m *Map[int, int]){
		"Range":         func(m *Map[int, int]) { m.Range(nil) },
		"All":           func(m *Map[int, int]) { m.All()(nil) },
		"Keys":          func(m *Map[int, int]) { m.Keys()(nil) },
		"Values":        func(m *Map[int, int]) { m.Values()(nil) },
		"DeleteFunc":    func(m *Map[int, int]) { m.DeleteFunc(nil) },
		"Compute":       func(m *Map[int, int]) { m.Compute(1, nil) },
		"LoadOrCompute": func(m *Map[int, int]) { _, _, _ = m.LoadOrCompute(99, nil) },
	} {
		var m Map[int, int]
		for k := range 30 {
			m.Store(k, k)
		}
		assert.Contains(t, stMessage(func() { call(&m) }), message, name)
		require.Equal(t, 30, m.Len(), name)
		for k := range 30 {
			v, ok := m.Load(k)
			require.True(t, ok && v == k, "%s: key %d", name, k)
		}
		flUsable(t, name, &m)
	}
	var m Map[int, int]
	assert.NotPanics(t, func() {
		m.Range(nil)
		m.DeleteFunc(nil)
		m.Store(1, 2)
		v, loaded, err := m.LoadOrCompute(1, nil)
		assert.True(t, v == 2 && loaded && err == nil)
	}, "there is nothing to call a function for, as with sync.Map")

	b := NewBytes()
	b.Range(nil)
	b.Set("k", []byte("v"))
	assert.Contains(t, stMessage(func() { b.Range(nil) }), message)
	assert.True(t, b.Has("k"))
	assert.NoError(t, b.Verify())
}

// Bad input: a nil *Bytes, as a nil *Map, panics in every method.
func TestNilBytesPanics(t *testing.T) {
	var m *Bytes
	key, value := []byte("k"), []byte("v")
	methods := map[string]func(){
		"Get":             func() { m.Get(nil, "k") },
		"GetB":            func() { m.GetB(nil, key) },
		"Has":             func() { m.Has("k") },
		"HasB":            func() { m.HasB(key) },
		"Set":             func() { m.Set("k", value) },
		"SetB":            func() { m.SetB(key, value) },
		"LoadOrStore":     func() { m.LoadOrStore(nil, "k", value) },
		"LoadOrStoreB":    func() { m.LoadOrStoreB(nil, key, value) },
		"CompareAndSwap":  func() { m.CompareAndSwap("k", value, value) },
		"CompareAndSwapB": func() { m.CompareAndSwapB(key, value, value) },
		"Delete":          func() { m.Delete("k") },
		"DeleteB":         func() { m.DeleteB(key) },
		"Range":           func() { m.Range(func(string, []byte) bool { return true }) },
		"All":             func() { m.All()(func(string, []byte) bool { return true }) },
		"Len":             func() { m.Len() },
		"Clear":           func() { m.Clear() },
		"Grow":            func() { m.Grow(1) },
		"Compact":         func() { m.Compact() },
		"Stats":           func() { m.Stats() },
		"Verify":          func() { _ = m.Verify() },
	}
	assert.Empty(t, ftForgotten(reflect.TypeOf(m), slices.Collect(maps.Keys(methods))))
	for name, f := range methods {
		assert.Contains(t, stMessage(f), "nil pointer dereference", name)
	}
}

// Bad input: a function given to Bytes.Range that panics, ends its goroutine, or calls every method.
func TestBytesRangeCallbacks(t *testing.T) {
	for name, body := range map[string]func(m *Bytes){
		"panic":  func(*Bytes) { panic(errFt) },
		"Goexit": func(*Bytes) { runtime.Goexit() },
		"methods": func(m *Bytes) {
			m.Set("a", []byte("1"))
			m.Get(nil, "a")
			m.CompareAndSwap("a", []byte("1"), []byte("2"))
			m.Delete("a")
			m.LoadOrStore(nil, "a", nil)
			m.Range(func(string, []byte) bool { return true })
			m.Grow(100)
			m.Compact()
			m.Stats()
			_ = m.Verify()
			m.Clear()
		},
	} {
		ftWatch(t, func() {
			m := NewBytes(withTuning(ftOneBucket))
			for _, k := range "abcdefghijklmnopqrstuvwxyzABCDEFGH" {
				m.Set(string(k), []byte("0"))
			}
			ftTogether(1, func(int) {
				p := ftPanic(func() { m.Range(func(string, []byte) bool { body(m); return true }) })
				assert.True(t, p == nil || p == errFt, "%s: %v", name, p)
			})
			m.Set("a", []byte("3"))
			v, ok := m.Get(nil, "a")
			assert.True(t, ok && string(v) == "3", name)
			assert.NoError(t, m.Verify(), name)
		})
	}
}

// flExits are the ways in which a function does not return.
var flExits = map[string]func(){"panic": func() { panic(errFt) }, "Goexit": runtime.Goexit}

// flCalls are the calls of a hasher at which it does not return: each of the first, and some in the middle of large batches.
func flCalls() []int {
	if testing.Short() || raceEnabled {
		return []int{1, 2, 3, 30}
	}
	return []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 26, 30, 45, 60}
}

// Bad input: a hasher that panics, or ends its goroutine, at any time it is called: in any method, for the method's key or for
// one that a growth moves. No other key is touched, no lock stays.
func TestHasherThatPanics(t *testing.T) {
	states := map[string]func(m *Map[int, int]){
		"at rest":    func(m *Map[int, int]) {},
		"growing":    func(m *Map[int, int]) { m.core.resize(m.core.read.Load(), 2*m.core.read.Load().buckets()) },
		"rebuilding": ftReseed[int, int],
	}
	const keys, key = 22, 3
	fired := 0
	for exitName, exit := range flExits {
		for state, enter := range states {
			for _, method := range ftMethods {
				for _, at := range flCalls() {
					what := exitName + ", " + state + ", " + method.name
					calls := -1 // not counted
					m := New[int, int](btLarge, withTuning(ftOneBucket), WithHasher(func(k int, seed uint64) uint64 {
						if calls >= 0 {
							if calls++; calls == at {
								exit()
							}
						}
						return uint64(k) * seed
					}))
					for k := range keys {
						m.Store(k, k)
					}
					require.True(t, m.core.read.Load().far, "batches ask for memory ahead")
					enter(m)
					ended, came := false, 0
					ftWatch(t, func() {
						ftTogether(1, func(int) {
							calls = 0
							p := ftPanic(func() {
								method.call(m, key)
								ended = true
							})
							if p != nil && p != errFt {
								t.Errorf("%s: panic: %v", what, p)
							}
						})
						calls, came = -1, calls
					})
					flOthers(t, what, m, keys, key, strings.HasPrefix(method.name, "Clear"))
					flUsable(t, what, m)
					if came >= at {
						fired++
					} else {
						require.True(t, ended, "%s: it ended without having been told to", what)
						break
					}
				}
			}
		}
	}
	require.Greater(t, fired, 200)
	t.Logf("the hasher did so %d times", fired)
}

// flOthers requires that all keys but one are there, or that a method came through that clears the map, and none is.
func flOthers(t *testing.T, what string, m *Map[int, int], keys, but int, clears bool) {
	t.Helper()
	there := 0
	for k := range keys {
		v, ok := m.Load(k)
		if ok && k != but {
			there++
			require.Equal(t, k, v, what)
		}
	}
	require.True(t, there == keys-1 || there == 0 && clears, "%s: %d of %d other keys are there", what, there, keys-1)
}

// flMove is a map of string keys all of whose records are to move to another arena, and all of whose keys are hashed anew for
// that.
type flMove struct {
	*Map[string, int]
	exit  func() // what the hasher does at the call it is told
	at    int    // 0: at none
	calls int
	size  int // of a record, in bytes
}

const flMoving = 22

func flKey(i int) string { return fmt.Sprintf("key %04d", i) }

func flNewMove(t *testing.T, buckets uint64, exit func()) *flMove {
	m := &flMove{exit: exit}
	m.Map = New[string, int](btLarge, withTuning(func(tu *tuning) { ftOneBucket(tu); tu.waste = 1 << 40 }), WithoutShrink(),
		WithHasher(func(k string, seed uint64) uint64 {
			if m.calls++; m.calls == m.at {
				m.exit()
			}
			return mtHashString(k, seed)
		}))
	for i := range flMoving {
		m.Store(flKey(i), i)
	}
	rm := m.core.settle()
	u := rm.traits.arena.Usage()
	m.size = int(u.Used-u.Dead) / flMoving
	m.core.mu.Lock()
	next := m.core.resizeLocked(rm, buckets, m.core.newSeed(), m.core.traits.withArena())
	m.core.mu.Unlock()
	require.NotNil(t, next)
	return m
}

// sound requires that nothing is locked and that the arena of the current table has the records of its entries and no more.
func (m *flMove) sound(t *testing.T, what string) {
	t.Helper()
	rm, entries := m.core.read.Load(), 0
	look := func(tab *table[string, int], counts bool) {
		for i := range tab.buckets() {
			c, living := tab.bucket(i).observe(), swar.Count(swar.Full(tab.bucket(i).observeTophash()))
			require.False(t, c.locked(), "%s: bucket %d is locked", what, i)
			if counts && !c.moved() {
				entries += living
			}
		}
	}
	look(&rm.table, true)
	if rm.old != nil {
		look(&rm.old.table, rm.old.traits.arena == rm.traits.arena)
	}
	u := rm.traits.arena.Usage()
	require.EqualValues(t, entries*m.size, u.Used-u.Dead, "%s: the arena has records for %d entries", what, entries)
}

// ends requires that the move ends, that all keys are there but for one that need not be, and that all can be used.
func (m *flMove) ends(t *testing.T, what string, but int) {
	t.Helper()
	m.at = 0
	m.core.settle()
	m.sound(t, what)
	require.NoError(t, m.Verify(), what)
	for i := range flMoving {
		v, ok := m.Load(flKey(i))
		require.True(t, ok && v == i || i == but, "%s: key %d: %d, %v", what, i, v, ok)
	}
	for i := range 2 * flMoving {
		m.Store(flKey(i), -i)
		v, ok := m.LoadAndDelete(flKey(i))
		require.True(t, ok && v == -i, "%s: key %d: %d, %v", what, i, v, ok)
	}
	require.Zero(t, m.Len(), what)
	require.NoError(t, m.Verify(), what)
}

// The same for keys whose records move to another arena. All keys of a bucket are hashed before the first record is copied, or
// copies would be left behind: each attempt would take room that was kept for the records once.
func TestHasherThatPanicsWhileRecordsMove(t *testing.T) {
	for exitName, exit := range flExits {
		for _, buckets := range []uint64{minBuckets, 2 * minBuckets} {
			m := flNewMove(t, buckets, exit)
			e := m.core.read.Load().old
			require.NotSame(t, e.traits.arena, e.to.traits.arena)
			for i := range e.buckets() {
				for at := range swar.Count(swar.Full(e.bucket(i).observeTophash())) {
					what := fmt.Sprintf("%s at key %d of bucket %d, to %d buckets", exitName, at, i, buckets)
					from, to := e.traits.arena.Usage(), e.to.traits.arena.Usage()
					m.calls, m.at = 0, at+1
					ended := false
					ftWatch(t, func() {
						_ = ftPanic(func() { e.evacuate(i, true); ended = true })
					})
					require.False(t, ended, what)
					require.Equal(t, from, e.traits.arena.Usage(), what)
					require.Equal(t, to, e.to.traits.arena.Usage(), what)
					require.False(t, e.bucket(i).observe().moved(), what)
					m.sound(t, what)
				}
				m.at = 0
				e.evacuate(i, true)
			}
			m.ends(t, exitName, -1)
		}
	}
}

// The same in the methods that help to move. Those of other keys go on meanwhile.
func TestHasherThatPanicsInMethodsWhileRecordsMove(t *testing.T) {
	const key, absent = 3, flMoving + 3
	fired := 0
	for exitName, exit := range flExits {
		for name, call := range map[string]func(m *Map[string, int]){
			"Load": func(m *Map[string, int]) {
				for range 40 { // once in a while a lookup moves a bucket
					m.Load(flKey(key))
				}
			},
			"Store":         func(m *Map[string, int]) { m.Store(flKey(key), key) },
			"Store, absent": func(m *Map[string, int]) { m.Store(flKey(absent), absent) },
			"LoadOrStore":   func(m *Map[string, int]) { m.LoadOrStore(flKey(absent), absent) },
			"Delete":        func(m *Map[string, int]) { m.Delete(flKey(key)) },
			"Compute": func(m *Map[string, int]) {
				m.Compute(flKey(absent), func(int, bool) (int, Op) { return absent, UpdateOp })
			},
			"LoadOrCompute": func(m *Map[string, int]) {
				_, _, _ = m.LoadOrCompute(flKey(absent), func() (int, error) { return absent, nil })
			},
			"StoreBatch": func(m *Map[string, int]) {
				m.StoreBatch([]string{flKey(absent), flKey(absent + 1), flKey(absent)}, make([]int, 3))
			},
			"Range":      func(m *Map[string, int]) { m.Range(func(string, int) bool { return true }) },
			"DeleteFunc": func(m *Map[string, int]) { m.DeleteFunc(func(k string, _ int) bool { return k == flKey(key) }) },
			"Grow":       func(m *Map[string, int]) { m.Grow(100) },
			"Compact":    func(m *Map[string, int]) { m.Compact() },
		} {
			for _, at := range flCalls() {
				what := fmt.Sprintf("%s at call %d, %s", exitName, at, name)
				m := flNewMove(t, minBuckets, exit)
				ended := false
				ftWatch(t, func() {
					ftTogether(1, func(int) {
						m.calls, m.at = 0, at
						p := ftPanic(func() { call(m.Map); ended = true })
						if p != nil && p != errFt {
							t.Errorf("%s: panic: %v", what, p)
						}
					})
					came := m.calls
					m.at = 0
					m.sound(t, what)
					m.ends(t, what, key)
					if came >= at {
						require.False(t, ended, what)
						fired++
					} else {
						require.True(t, ended, "%s: it ended without having been told to", what)
					}
				})
			}
		}
	}
	require.Greater(t, fired, 50)
	t.Logf("the hasher did so %d times", fired)
}

// Bad input: a hasher that says something else each time. The map loses sight of keys, but it neither crashes nor hangs, and
// when the hasher comes to its senses an empty map is as good as new.
func TestHasherThatIsInconsistent(t *testing.T) {
	if invariants {
		t.Skip("this build stops at what such a hasher does: the same key twice in a bucket")
	}
	for name, options := range map[string][]Option{
		"normal":                      nil,
		"raw, one bucket at a time":   {withTuning(func(tu *tuning) { ftOneBucket(tu); tu.rawHash = true })},
		"without shrink, with a room": {WithoutShrink(), WithCapacity(500), btLarge},
	} {
		t.Run(name, func(t *testing.T) {
			ftWatch(t, func() {
				var mu sync.RWMutex // the hasher's
				mad := true
				m := New[int, int](append(options, WithHasher(func(k int, seed uint64) uint64 {
					mu.RLock()
					defer mu.RUnlock()
					if mad {
						return rand.Uint64()
					}
					return uint64(k) * seed
				}))...)
				ftTogether(3, func(int) {
					for range ftN(3000) {
						p := ftPanic(func() { ftMethods[rand.IntN(len(ftMethods))].call(m, rand.IntN(40)) })
						if p != nil {
							t.Errorf("panic: %v", p)
							return
						}
					}
				})
				_ = m.Verify() // it may complain, but it returns
				m.Stats()
				mu.Lock()
				mad = false
				mu.Unlock()
				m.Clear()
				flUsable(t, name, m)
			})
		})
	}
}

// Bad input: a function that never returns. All others use all keys, its own included, and replace or drop the tables
// meanwhile. Only a LoadOrCompute for the key that another is at waits, as it must.
func TestCallbackNeverReturns(t *testing.T) {
	ftEach(t, func(t *testing.T, c ftConfig) {
		for _, cb := range ftCallbacks {
			ftWatch(t, func() {
				m := ftNew[int](t, c)
				for k := range 11 {
					m.Store(k, k)
				}
				var once sync.Once
				entered, release, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
				go func() {
					defer close(ended)
					cb.run(m, func(int) {
						once.Do(func() {
							close(entered)
							<-release
						})
					})
				}()
				<-entered
				for _, method := range ftMethods {
					for _, key := range []int{0, 3, 7, 50, 98} {
						method.call(m, key)
					}
				}
				m.Store(99, 1)
				v, loaded, err := m.LoadOrCompute(99, func() (int, error) { return 2, nil })
				assert.True(t, v == 1 && loaded && err == nil, "%s: a Store comes first, and all see it", cb.name)
				assert.NoError(t, m.Verify(), cb.name)
				close(release)
				<-ended
				flUsable(t, cb.name, m)
			})
		}
	})
}
