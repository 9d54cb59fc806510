// This file tests what a map does with functions that break the rules, and with no function or no map at all: a clear
// panic or a right answer, nothing lost, and the map usable afterwards.

package hushmap

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
	for name, f := range map[string]func(){
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
		"Len":             func() { m.Len() },
		"Clear":           func() { m.Clear() },
		"Grow":            func() { m.Grow(1) },
		"Compact":         func() { m.Compact() },
		"Stats":           func() { m.Stats() },
		"Verify":          func() { _ = m.Verify() },
	} {
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

// Bad input: a hasher that panics, or ends its goroutine, at any time it is called: in any method, for the method's key or for
// one that a growth moves. No other key is touched, no lock stays.
func TestHasherThatPanics(t *testing.T) {
	exits := map[string]func(){"panic": func() { panic(errFt) }, "Goexit": runtime.Goexit}
	states := map[string]func(m *Map[int, int]){
		"at rest":    func(m *Map[int, int]) {},
		"growing":    func(m *Map[int, int]) { m.core.resize(m.core.read.Load(), 2*m.core.read.Load().buckets()) },
		"rebuilding": ftReseed[int, int],
	}
	const keys, key = 22, 3
	fired := 0
	for exitName, exit := range exits {
		for state, enter := range states {
			for _, method := range ftMethods {
				most := 12
				if testing.Short() || raceEnabled {
					most = 3
				}
				for at := 1; at <= most; at++ {
					what := exitName + ", " + state + ", " + method.name
					calls := -1 // not counted
					m := New[int, int](withTuning(ftOneBucket), WithHasher(func(k int, seed uint64) uint64 {
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
					flOthers(t, what, m, keys, key)
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

// flOthers requires that all keys but one are there, or that a Clear came through and none is.
func flOthers(t *testing.T, what string, m *Map[int, int], keys, but int) {
	t.Helper()
	there := 0
	for k := range keys {
		v, ok := m.Load(k)
		if ok && k != but {
			there++
			require.Equal(t, k, v, what)
		}
	}
	require.True(t, there == keys-1 || there == 0 && (what[len(what)-5:] == "Clear" || what[len(what)-5:] == "Store"),
		"%s: %d of %d other keys are there", what, there, keys-1)
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
		"without shrink, with a room": {WithoutShrink(), WithCapacity(500)},
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
