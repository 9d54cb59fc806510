// This file holds what the failure tests share: the hostile configurations, the watchdog, the storm that forces
// tables to be replaced all the time, and an owner, who knows what every method must return for his keys.

package hushmap

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/internal/hash"
	"github.com/hushmap/hushmap/internal/mem"
)

// withTuning changes the internal knobs of a map.
func withTuning(change func(*tuning)) Option {
	return Option{func(s *settings) { change(&s.tuning) }}
}

// ftConstantHash is the worst hasher there is.
func ftConstantHash(int, uint64) uint64 { return 0x5ca1ab1e }

// ftZeroTopHash gives every key the same home bucket and, with rawHash, different tophash bytes.
func ftZeroTopHash(key int, _ uint64) uint64 { return uint64(key) & 0xffff }

// ftConfig is one hostile configuration. Tests over all of them use at most keys keys at once.
type ftConfig struct {
	name    string
	keys    int
	options func() []Option
	effect  func(t *testing.T, s *settings, tr *traits, hash func(int) uint64, home func(int) uint64)
}

func ftOneBucket(tu *tuning) { tu.chunk, tu.atOnce = 1, 0 }

var ftConfigs = []ftConfig{
	{"normal", 160, func() []Option { return nil },
		func(t *testing.T, s *settings, tr *traits, hash, _ func(int) uint64) {
			assert.Equal(t, defaultTuning, s.tuning)
			assert.Equal(t, hashWord, tr.hashing)
			assert.NotEqual(t, hash(1), hash(2))
		}},
	{"constant hasher", 48, func() []Option { return []Option{WithHasher(ftConstantHash)} },
		func(t *testing.T, _ *settings, _ *traits, hash, _ func(int) uint64) {
			assert.Equal(t, hash(1), hash(2))
		}},
	{"constant hasher, one bucket at a time", 48,
		func() []Option { return []Option{WithHasher(ftConstantHash), withTuning(ftOneBucket)} },
		func(t *testing.T, s *settings, _ *traits, hash, _ func(int) uint64) {
			assert.Equal(t, hash(1), hash(2))
			assert.Zero(t, s.tuning.atOnce)
		}},
	{"zero top bits", 100, func() []Option {
		return []Option{WithHasher(ftZeroTopHash), withTuning(func(tu *tuning) { ftOneBucket(tu); tu.rawHash = true })}
	}, func(t *testing.T, _ *settings, _ *traits, hash, home func(int) uint64) {
		assert.NotEqual(t, hash(1), hash(2))
		assert.Zero(t, home(1))
		assert.Zero(t, home(2))
	}},
	{"tiny tables", 20, func() []Option { return []Option{withTuning(ftOneBucket)} },
		func(t *testing.T, s *settings, _ *traits, _, _ func(int) uint64) {
			assert.EqualValues(t, minBuckets, bucketsFor(20))
			assert.Zero(t, s.tuning.atOnce)
		}},
	{"one bucket at a time", 300, func() []Option { return []Option{withTuning(ftOneBucket)} },
		func(t *testing.T, s *settings, _ *traits, _, _ func(int) uint64) {
			m := New[int, int](withTuning(ftOneBucket))
			for k := range 1000 {
				m.Store(k, k)
				if m.Stats().Growing {
					return
				}
			}
			assert.Fail(t, "no growth was ever seen half done")
		}},
	{"mapped tables", 300, func() []Option {
		return []Option{withTuning(func(tu *tuning) { ftOneBucket(tu); tu.mapFrom = 1 })}
	}, func(t *testing.T, _ *settings, tr *traits, _, _ func(int) uint64) {
		m := New[int, int](withTuning(func(tu *tuning) { tu.mapFrom = 1 }))
		m.Store(1, 1)
		assert.Equal(t, mem.CanMap, m.Stats().MappedBytes > 0) // a map with pointers is not, but is run all the same
	}},
	{"without shrink", 160, func() []Option { return []Option{WithoutShrink()} },
		func(t *testing.T, s *settings, _ *traits, _, _ func(int) uint64) {
			m := New[int, int](WithoutShrink())
			for k := range 1000 {
				m.Store(k, k)
			}
			for k := range 1000 {
				m.Delete(k)
			}
			assert.True(t, s.noShrink)
			assert.Zero(t, m.Stats().Shrinks)
			assert.EqualValues(t, bucketsFor(1000), m.Stats().Buckets)
		}},
	{"stable hash", 160, func() []Option { return []Option{WithStableHash()} },
		func(t *testing.T, _ *settings, tr *traits, hash, _ func(int) uint64) {
			assert.Equal(t, hashStable, tr.hashing)
			m := New[int, int](WithStableHash())
			m.Store(1, 1)
			assert.Equal(t, m.core.read.Load().hash(77), hash(77))
		}},
}

// ftEach runs a scenario over all configurations.
func ftEach(t *testing.T, scenario func(t *testing.T, c ftConfig)) {
	for _, c := range ftConfigs {
		t.Run(c.name, func(t *testing.T) { scenario(t, c) })
	}
}

// ftNew makes a map of configuration c and asserts that the configuration took effect.
func ftNew[V any](t *testing.T, c ftConfig, more ...Option) *Map[int, V] {
	t.Helper()
	m := New[int, V](append(c.options(), more...)...)
	rm := m.core.writable()
	c.effect(t, m.core.options(), rm.traits, rm.hash, func(k int) uint64 { return rm.home(rm.hash(k)) })
	return m
}

// ftN scales a number of iterations to the build.
func ftN(n int) int {
	if raceEnabled {
		n /= 12
	} else if invariants {
		n /= 5
	}
	if testing.Short() {
		n /= 3
	}
	return max(n, 2)
}

// ftAlone skips a long test of one goroutine in race builds, one about numbers: others may have addresses for checkptr to look at.
func ftAlone(t testing.TB) {
	t.Helper()
	if raceEnabled {
		t.Skip("one goroutine has no races, and this takes ten times as long with the detector")
	}
}

// ftSoak skips a slow test unless it is asked for.
func ftSoak(t *testing.T) {
	if testing.Short() || os.Getenv("HUSHMAP_SOAK") == "" {
		t.Skip("slow: runs only with HUSHMAP_SOAK=1 and without -short")
	}
}

// ftPatience is how long a watchdog waits. It never decides whether a test passes, only how a hang is reported.
const ftPatience = 90 * time.Second

// ftWatch runs scenario and fails with a dump of all goroutines if it does not end.
func ftWatch(t *testing.T, scenario func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		scenario()
	}()
	timer := time.NewTimer(ftPatience)
	defer timer.Stop()
	select {
	case <-done:
		if t.Failed() {
			t.FailNow()
		}
	case <-timer.C:
		dump := make([]byte, 1<<20)
		t.Fatalf("still running after %v:\n%s", ftPatience, dump[:runtime.Stack(dump, true)])
	}
}

// ftTogether runs f(0) to f(n-1) at once and waits for all.
func ftTogether(n int, f func(g int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for g := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			<-start
			f(g)
		}()
	}
	close(start)
	wg.Wait()
}

// ftWhile runs each of background over and over for as long as f runs, and at least 20 times.
func ftWhile(f func(), background ...func()) {
	var wg sync.WaitGroup
	var over atomic.Bool
	for _, b := range background {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 0; n < 20 || !over.Load(); n++ {
				b()
				runtime.Gosched()
			}
		}()
	}
	func() {
		defer wg.Wait()
		defer over.Store(true)
		f()
	}()
}

// ftReseed starts to move all entries into a table of the same size under a new seed.
func ftReseed[K comparable, V any](m *Map[K, V]) {
	c := &m.core
	c.mu.Lock()
	defer c.mu.Unlock()
	if rm := c.read.Load(); rm != nil {
		c.resizeLocked(rm, rm.buckets(), hash.NewSeed(), rm.traits)
	}
}

// ftResize replaces the table of a map that never has more than most entries by one of another size or seed.
func ftResize[K comparable, V any](m *Map[K, V], most int) {
	switch rand.IntN(8) {
	case 0:
		m.Grow(rand.IntN(4*most + 1))
	case 1:
		m.Compact()
	case 2:
		ftReseed(m)
	default:
		if rm := m.core.read.Load(); rm != nil {
			m.core.resize(rm, bucketsFor(most)<<rand.IntN(3))
		}
	}
}

// ftTransitions is how many times a map has replaced its table.
func ftTransitions[K comparable, V any](m *Map[K, V]) int {
	s := m.Stats()
	return int(s.Growths + s.Shrinks + s.Rebuilds)
}

// ftWide is a value of three words, which must never be seen torn.
type ftWide struct {
	n   int
	not *int
	s   string
}

func ftWideOf(n int) ftWide {
	twice := 2 * n
	return ftWide{n, &twice, fmt.Sprint(n)}
}

// ftWideIs reports whether w was made from one n.
func ftWideIs(w ftWide) bool {
	return w.not != nil && *w.not == 2*w.n && w.s == fmt.Sprint(w.n)
}

// ftOwner is the only one who writes certain keys. So he knows what every method must return for them, whatever
// others do to other keys and to the tables.
type ftOwner[V comparable] struct {
	m    *Map[int, V]
	has  map[int]V
	make func(int) V
	next int

	shared bool // the keys are not his alone: he expects nothing
}

func ftNewOwner[V comparable](m *Map[int, V], of func(int) V) *ftOwner[V] {
	return &ftOwner[V]{m: m, has: make(map[int]V), make: of}
}

// act calls a random method for key and returns an error if the result is not what it must be.
func (o *ftOwner[V]) act(key int) error {
	o.next++
	was, had := o.has[key]
	value := o.make(o.next)
	var zero, got V
	var ok bool
	name, want, wantOK := "", was, had
	store, drop := func() { o.has[key] = value }, func() { delete(o.has, key) }
	switch rand.IntN(12) {
	case 0:
		name, got, ok = "Store", was, had
		o.m.Store(key, value)
		store()
	case 1:
		name = "Swap"
		got, ok = o.m.Swap(key, value)
		store()
	case 2:
		name = "LoadOrStore"
		got, ok = o.m.LoadOrStore(key, value)
		if !had {
			want = value
			store()
		}
	case 3:
		name = "LoadAndDelete"
		got, ok = o.m.LoadAndDelete(key)
		drop()
	case 4:
		name, got, ok = "Delete", was, had
		o.m.Delete(key)
		drop()
	case 5:
		name, got = "CompareAndSwap", was
		if ok = o.m.CompareAndSwap(key, was, value); had {
			store()
		}
	case 6:
		name, got, want, wantOK = "CompareAndSwap with another value", was, was, false
		ok = o.m.CompareAndSwap(key, value, value)
	case 7:
		name, got = "CompareAndDelete", was
		ok = o.m.CompareAndDelete(key, was)
		drop()
	case 8:
		name, want, wantOK = "Compute to update", value, true
		got, ok = o.m.Compute(key, o.expecting(key, value, UpdateOp))
		store()
	case 9:
		name, want, wantOK = "Compute to delete", zero, false
		got, ok = o.m.Compute(key, o.expecting(key, value, DeleteOp))
		drop()
	case 10:
		name = "LoadOrCompute"
		var err error
		if got, ok, err = o.m.LoadOrCompute(key, func() (V, error) { return value, nil }); err != nil {
			return err
		}
		if !had {
			want = value
			store()
		}
	case 11:
		name = "Compute to cancel"
		got, ok = o.m.Compute(key, o.expecting(key, value, CancelOp))
	}
	if got != want || ok != wantOK {
		return fmt.Errorf("key %d: %s returned %v, %v instead of %v, %v", key, name, got, ok, want, wantOK)
	}
	return o.look(key)
}

// expecting is a function for Compute that panics if it is given what the key cannot have.
func (o *ftOwner[V]) expecting(key int, value V, op Op) func(V, bool) (V, Op) {
	was, had := o.has[key]
	return func(old V, loaded bool) (V, Op) {
		if !o.shared && (old != was || loaded != had) {
			panic(fmt.Sprintf("key %d: Compute's function got %v, %v instead of %v, %v", key, old, loaded, was, had))
		}
		return value, op
	}
}

// look compares what Load returns for key with what it must return.
func (o *ftOwner[V]) look(key int) error {
	was, had := o.has[key]
	if got, ok := o.m.Load(key); ok != had || got != was {
		return fmt.Errorf("key %d: Load returned %v, %v instead of %v, %v", key, got, ok, was, had)
	}
	return nil
}

// ftContents asserts that a map at rest holds exactly what its owners have, each key once.
func ftContents[V comparable](t *testing.T, m *Map[int, V], owners ...*ftOwner[V]) {
	t.Helper()
	want := map[int]V{}
	for _, o := range owners {
		for k, v := range o.has {
			want[k] = v
			assert.NoError(t, o.look(k))
		}
	}
	got := map[int]V{}
	m.Range(func(k int, v V) bool {
		_, twice := got[k]
		assert.False(t, twice, "Range visited key %d twice", k)
		got[k] = v
		return true
	})
	require.Equal(t, want, got)
	require.Equal(t, len(want), m.Len())
	require.NoError(t, m.Verify())
}

// ftPanic returns what f panics with, or nil.
func ftPanic(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}

var errFt = errors.New("an error of the test's function")
