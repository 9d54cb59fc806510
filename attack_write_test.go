package hushmap

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/internal/swar"
)

// This file attacks writes between two of their first steps: they have loaded the read map, and their bucket is not locked.

// awGate is a hasher that gives all keys one hash, and stops those that should stop, before it is called for the nth time.
type awGate[K comparable] struct {
	mu      sync.Mutex
	at      map[K]chan struct{}
	calls   map[K]int
	nth     int
	arrived chan struct{}
}

func (g *awGate[K]) hash(key K, _ uint64) uint64 {
	g.mu.Lock()
	gate := g.at[key]
	g.calls[key]++
	stop := gate != nil && g.calls[key] == g.nth
	g.mu.Unlock()
	if stop {
		g.arrived <- struct{}{}
		<-gate
	}
	return 7
}

func (g *awGate[K]) stop(nth int, keys ...K) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.at, g.calls, g.nth = make(map[K]chan struct{}), make(map[K]int), nth
	g.arrived = make(chan struct{}, len(keys))
	for _, k := range keys {
		g.at[k] = make(chan struct{})
	}
}

func (g *awGate[K]) open(key K) { close(g.at[key]) }

func awWait(t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(time.Minute):
		require.Fail(t, what)
	}
}

// TestAttackDeleteOverlapsClear: a Delete that has loaded its read map before a Clear, and locks its bucket after it, unlocks it.
// Others that began before the Clear want it too.
func TestAttackDeleteOverlapsClear(t *testing.T) {
	t.Run("present word", func(t *testing.T) { awDeleteOverlapsClear(t, 1, 2, 1) })
	t.Run("absent word", func(t *testing.T) { awDeleteOverlapsClear(t, 1, 2, 3) })
	t.Run("present string", func(t *testing.T) { awDeleteOverlapsClear(t, "a", "b", "a") })
	t.Run("absent string", func(t *testing.T) { awDeleteOverlapsClear(t, "a", "b", "c") })
	t.Run("present any", func(t *testing.T) { awDeleteOverlapsClear[any](t, 1, "b", 1) })
	t.Run("absent any", func(t *testing.T) { awDeleteOverlapsClear[any](t, 1, "b", 3.0) })
}

func awDeleteOverlapsClear[K comparable](t *testing.T, a, b, deleted K) {
	g := awGate[K]{calls: make(map[K]int)}
	m := New[K, int](WithHasher(g.hash))
	m.Store(a, 1)
	m.Store(b, 1)
	other := b
	g.stop(1, deleted, other)
	one, two := make(chan struct{}), make(chan struct{})
	go func() { defer close(one); m.Delete(deleted) }()
	go func() { defer close(two); m.Store(other, 2) }()
	<-g.arrived
	<-g.arrived
	m.Clear()
	g.open(deleted)
	awWait(t, one, "Delete hangs")
	g.open(other)
	awWait(t, two, "a bucket of the table that was cleared stays locked")
	require.NoError(t, m.Verify())
}

// TestAttackStaleInsertionsGoToTheNewTable: what has loaded its read map before a growth or a shrinking inserts nothing into the old
// table, which has promised the new one how many entries there are to come.
func TestAttackStaleInsertionsGoToTheNewTable(t *testing.T) {
	t.Run("int", func(t *testing.T) { awStaleInsertions(t, func(i int) int { return i }) })
	t.Run("string", func(t *testing.T) { awStaleInsertions(t, strconv.Itoa) })
}

func awStaleInsertions[K comparable](t *testing.T, key func(i int) K) {
	const most = 60
	for _, c := range []struct {
		name   string
		insert func(m *Map[K, int], k K)
		looks  int // how often it hashes the key before it has the read map that it writes by
	}{
		{"Store", func(m *Map[K, int], k K) { m.Store(k, 1) }, 0},
		{"LoadOrStore", func(m *Map[K, int], k K) { m.LoadOrStore(k, 1) }, 2},
		{"Swap", func(m *Map[K, int], k K) { m.Swap(k, 1) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := awGate[K]{calls: make(map[K]int)}
			m := New[K, int](WithHasher(g.hash), withTuning(ftOneBucket))
			m.Grow(300)
			m.Store(key(-1), 1)
			var keys []K
			for i := range most {
				keys = append(keys, key(i))
			}
			g.stop(c.looks+1, keys...)
			done := make(chan struct{}, most)
			for _, k := range keys {
				go func() { c.insert(m, k); done <- struct{}{} }()
			}
			for range keys {
				<-g.arrived
			}
			rm := m.core.read.Load()
			m.core.mu.Lock()
			next := m.core.resizeLocked(rm, rm.buckets()/4, rm.seed, rm.traits)
			m.core.mu.Unlock()
			require.NotNil(t, next)
			for _, k := range keys {
				g.open(k)
			}
			for range keys {
				awWait(t, done, "an insertion hangs")
			}
			stale := 0
			for i := range rm.buckets() {
				b := rm.bucket(i)
				for f := swar.Full(b.observeTophash()); f != 0; f = swar.Next(f) {
					if rm.loadKey(b, swar.First(f)) != key(-1) {
						stale++
					}
				}
			}
			assert.Zero(t, stale, "insertions into the old table")
			m.core.settle()
			require.NoError(t, m.Verify())
			require.Equal(t, most+1, m.Len())
		})
	}
}
