package hushmap

import (
	"bytes"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/internal/arena"
	"github.com/hushmap/hushmap/internal/swar"
)

// rbFill makes a map of string keys whose table is as full as a table gets before it grows.
func rbFill(t *testing.T, buckets int, opts ...Option) *Map[string, int] {
	t.Helper()
	m := New[string, int](opts...)
	n := buckets * slotLimit
	for i := range n {
		m.Store(fmt.Sprint("key ", i), i)
	}
	m.core.settle()
	s := m.Stats()
	require.Equal(t, []int{buckets, n}, []int{s.Buckets, s.Entries})
	return m
}

// A table at its limit can be rebuilt at its size, so that dead bytes do not double it.
func TestFullTableIsRebuiltAtItsSize(t *testing.T) {
	for _, buckets := range []int{minBuckets, 16, 256} {
		for name, tune := range map[string]func(*tuning){"default": func(*tuning) {}, "one bucket at a time": ftOneBucket} {
			t.Run(fmt.Sprint(buckets, " ", name), func(t *testing.T) {
				m := rbFill(t, buckets, withTuning(tune))
				before := m.core.settle().traits.arena
				require.True(t, m.core.resizeAnd(m.core.settle(), uint64(buckets), true))
				for i := range buckets { // replaced while it goes on
					m.Delete(fmt.Sprint("key ", i))
					m.Store(fmt.Sprint("new ", i), i)
				}
				after := m.core.settle().traits.arena
				assert.NotSame(t, before, after)
				s := m.Stats()
				assert.Equal(t, buckets, s.Buckets)
				assert.EqualValues(t, 1, s.Rebuilds)
				for i := range buckets * slotLimit {
					v, ok := m.Load(fmt.Sprint("key ", i))
					require.Equal(t, i >= buckets, ok)
					require.True(t, !ok || v == i)
				}
				require.Equal(t, buckets*slotLimit, m.Len())
				require.NoError(t, m.Verify())
			})
		}
	}
}

// Compact leaves the dead bytes of a full table behind, and the table as it is.
func TestCompactDropsTheDeadOfAFullTable(t *testing.T) {
	ftAlone(t)
	for _, buckets := range []int{minBuckets, 64} {
		m := NewBytes(withTuning(func(tu *tuning) { tu.waste = 1 << 30 }))
		value := make([]byte, 1000)
		n := buckets * slotLimit
		for turn := range 200 {
			for i := range n {
				value[0] = byte(turn)
				m.Set(fmt.Sprint("key ", i), value)
			}
		}
		before := m.Stats()
		require.Equal(t, buckets, before.Buckets)
		require.Greater(t, before.DeadBytes, uint64(190*1000*n))
		m.Compact()
		after := m.Stats()
		assert.Zero(t, after.DeadBytes)
		assert.Less(t, after.ArenaBytes, before.ArenaBytes/100)
		assert.Equal(t, buckets, after.Buckets)
		for i := range n {
			v, ok := m.Get(nil, fmt.Sprint("key ", i))
			require.True(t, ok && len(v) == len(value) && v[0] == 199)
		}
		require.NoError(t, m.Verify())
	}
}

// "insert loops or stalls when few slots are free" (haxmap#14, haxmap#2): an evacuator that has an old bucket locked
// loses its thread, and others insert into the new table, which is no larger. They stop before they use up the slots
// that the evacuator needs, go on when there are deletions, and end when it does.
func TestInsertionsLeaveRoomForAnEvacuatorInATableOfTheSameSize(t *testing.T) {
	const buckets, goroutines = 128, 3
	ftWatch(t, func() {
		m := rbFill(t, buckets, withTuning(ftOneBucket))
		require.True(t, m.core.resizeAnd(m.core.settle(), buckets, true))
		e := m.core.read.Load().old
		require.False(t, e.grows())
		room := e.room.Load()
		require.EqualValues(t, buckets, room, "8 slots a bucket, less 6 entries and one that was under way")
		held := e.bucket(buckets / 2)
		require.True(t, held.lock())

		// Keys whose path does not come by there.
		var keys []string
		for i := 0; len(keys) < 2*buckets; i++ {
			k := fmt.Sprint("new ", i)
			if home := e.home(e.hash(k)); home > buckets/2 || home < buckets/4 {
				keys = append(keys, k)
			}
		}
		var next atomic.Int64
		var wg sync.WaitGroup
		for range goroutines {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for {
					i := int(next.Add(1)) - 1
					if i >= len(keys) {
						return
					}
					m.Store(keys[i], i)
				}
			}()
		}
		stops := func() { // one that has inserted may wait for the evacuator still
			t.Helper()
			full := buckets*slotLimit + int(room)
			for m.Len() != full {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(20 * time.Millisecond)
			assert.Equal(t, full, m.Len())
			assert.False(t, e.done())
		}
		stops()
		deleted := 0
		for i := 0; deleted < 10; i++ {
			k := fmt.Sprint("key ", i)
			home := e.home(e.hash(k))
			if home > buckets/2 || home < buckets/4 {
				m.Delete(k)
				deleted++
			}
		}
		stops()
		assert.Equal(t, buckets-1, int(e.frozen.Load()))

		held.release()
		wg.Wait()
		assert.Equal(t, buckets*slotLimit+len(keys)-deleted, m.Len())
		assert.Equal(t, 2*buckets, int(m.core.settle().buckets()), "it grows when the old table is empty")
		require.NoError(t, m.Verify())
	})
}

// rbLimit sets the address space of an arena, in chunks.
func rbLimit(a *arena.Arena, chunks int) {
	limit := reflect.ValueOf(a).Elem().FieldByName("limit")
	*(*int)(limit.Addr().UnsafePointer()) = chunks
}

// An arena that is full while the records move to it: lookups never mind, and insertions leave enough for the records
// that are to come, so that everything else goes on.
func TestArenaFullWhileRecordsMove(t *testing.T) {
	ftWatch(t, func() {
		m := NewBytes(withTuning(func(tu *tuning) { ftOneBucket(tu); tu.waste = 1 << 40 }), WithoutShrink())
		const n = 3000
		key := func(i int) string { return fmt.Sprint("key ", i) }
		value := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 1000+i%1000) }
		for i := range n {
			m.Set(key(i), value(i))
			m.Set(key(i), value(i))
		}
		rm := m.core.settle()
		require.True(t, m.core.resizeAnd(rm, rm.buckets(), true))
		next := m.core.read.Load()
		rbLimit(next.traits.arena, 60) // a third is for the records that move, and some are kept besides

		var full any
		added := 0
		for i := n; full == nil; i++ {
			room := next.old.room.Load()
			full = ftPanic(func() { m.Set(key(i), make([]byte, 100_000)) })
			if full == nil {
				added++
				room--
			}
			require.Equal(t, room, next.old.room.Load(), "a refused insertion gives its slot back")
		}
		for refused := false; !refused; { // what has moved meanwhile may have made room for some
			room := next.old.room.Load()
			refused = ftPanic(func() { m.Set(key(1), make([]byte, 100_000)) }) != nil
			require.Equal(t, room, next.old.room.Load(), "an overwrite is promised none")
		}
		require.Equal(t, any(arena.Full), full)
		require.NotZero(t, added)
		require.False(t, next.old.done(), "the arena was full when it was too late")
		seen := 0
		for range m.All() {
			seen++
			if seen > n/2 { // the rest move in other ways
				break
			}
		}
		for i := range n / 3 {
			require.True(t, m.Delete(key(i)))
			require.False(t, m.Has(key(i)))
		}
		for i := n / 3; i < n; i++ {
			v, ok := m.Get(nil, key(i))
			require.True(t, ok && bytes.Equal(v, value(i)))
		}
		m.core.settle()
		require.Equal(t, n-n/3+added, m.Len())
		require.NoError(t, m.Verify())
		m.Set("again", value(1))
	})
}

// The same for Stores that are tried again after they were refused, in a table with few entries to a bucket, which takes
// many writes to move: no Delete is ever refused, the move ends, and Stores are possible again.
func TestRefusedStoresLeaveRoomForRecordsThatMove(t *testing.T) {
	for _, size := range []int{1500, 5000, 50_000} {
		if raceEnabled && size < 50_000 {
			continue // one goroutine: no races to find
		}
		t.Run(fmt.Sprint(size, " bytes"), func(t *testing.T) {
			ftWatch(t, func() { rbStoresRefused(t, size, 40<<20/size) })
		})
	}
}

// rbThirdDead makes a map of n entries in an arena of which a third is dead, with few entries to a bucket.
func rbThirdDead(t *testing.T, n int, key func(i int) string, value func(i int) []byte) *Bytes {
	m := NewBytes(WithCapacity(200_000), WithoutShrink(), withTuning(func(tu *tuning) { ftOneBucket(tu); tu.waste = 1 << 40 }))
	for i := range n + n/2 {
		m.Set(key(i), value(i))
	}
	for i := n; i < n+n/2; i++ {
		require.True(t, m.Delete(key(i)))
	}
	return m
}

// rbMove has n entries begin to move to an arena that has no more room than theirs.
func rbMove(t *testing.T, n int, key func(i int) string, value func(i int) []byte) (*Bytes, *evacuation[string, record]) {
	m := rbThirdDead(t, n, key, value)
	rm := m.core.settle()
	require.True(t, m.core.resizeAnd(rm, rm.buckets(), true))
	e := m.core.read.Load().old
	rbLimit(e.to.traits.arena, rm.traits.arena.Usage().Chunks+1) // and index 0
	return m, e
}

func rbStoresRefused(t *testing.T, size, n int) {
	key := func(i int) string { return fmt.Sprint("key ", i) }
	value := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, size+i%(size/10)) }
	m, e := rbMove(t, n, key, value)
	living := map[int]bool{}
	for i := range n {
		living[i] = true
	}

	refused := 0
	store := func(i int) {
		switch p := ftPanic(func() { m.Set(key(i), value(i)) }); p {
		case nil:
			living[i] = true
		case arena.Full:
			refused++
		default:
			panic(p)
		}
	}
	for i := 2 * n; m.core.read.Load().old != nil; i++ {
		store(i)
		store(i % n) // an overwrite takes room as well
		if i%4 == 0 {
			require.Nil(t, ftPanic(func() { require.Equal(t, living[i/4%n], m.Delete(key(i/4%n))) }), "after %d of %d buckets", e.frozen.Load(), e.buckets())
			delete(living, i/4%n)
		}
	}
	require.NotZero(t, refused)
	t.Logf("%d refused, %d living", refused, len(living))
	require.Equal(t, len(living), m.Len())
	for i := range living {
		v, ok := m.Get(nil, key(i))
		require.True(t, ok && bytes.Equal(v, value(i)))
	}
	require.NoError(t, m.Verify())

	m.core.settings.tuning.waste = defaultTuning.waste
	for i := range n / 2 {
		m.Delete(key(i))
	}
	m.core.settle()
	refused = 0
	for i := range n / 4 {
		store(i)
	}
	require.LessOrEqual(t, refused, 1, "one that is refused starts to leave what is dead")
}

// The same by several goroutines.
func TestRefusedStoresOfManyLeaveRoomForRecordsThatMove(t *testing.T) {
	const n, size = 8000, 5000
	ftWatch(t, func() {
		key := func(i int) string { return fmt.Sprint("key ", i) }
		value := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, size) }
		m, e := rbMove(t, n, key, value)
		var refused, stored atomic.Int64
		ftTogether(4, func(g int) {
			for i := g; m.core.read.Load().old != nil && !t.Failed(); i += 4 {
				k := i % (2 * n) // overwrites and insertions; who deletes stays among his own
				if g == 3 {
					if p := ftPanic(func() { m.Delete(key(k)) }); !assert.Nil(t, p, "after %d of %d buckets", e.frozen.Load(), e.buckets()) {
						return
					}
					continue
				}
				if p := ftPanic(func() { m.Set(key(k), value(k)) }); p == nil {
					stored.Add(1)
				} else if refused.Add(1); p != arena.Full {
					panic(p)
				}
			}
		})
		require.NotZero(t, refused.Load())
		t.Logf("%d stored, %d refused", stored.Load(), refused.Load())
		for i := range n {
			v, ok := m.Get(nil, key(i))
			require.True(t, !ok && i%4 == 3 || bytes.Equal(v, value(i)))
		}
		require.NoError(t, m.Verify())
	})
}

// A map whose arena is full of dead bytes starts to leave it when an insertion finds it so: no deletion need come any more.
func TestRefusedStoreStartsToLeaveTheDead(t *testing.T) {
	m := NewBytes(withTuning(func(tu *tuning) { ftOneBucket(tu); tu.waste = 1 << 40 }), WithoutShrink())
	const n = 1000
	key := func(i int) string { return fmt.Sprint("key ", i) }
	for i := range n {
		m.Set(key(i), make([]byte, 1000))
	}
	for i := range n / 2 {
		m.Delete(key(i))
	}
	rm := m.core.settle()
	rbLimit(rm.traits.arena, 1)
	m.core.settings.tuning.waste = defaultTuning.waste
	require.Equal(t, any(arena.Full), ftPanic(func() {
		for i := range n / 2 { // there may be some room yet
			m.Set(key(i), make([]byte, 1000))
		}
	}))
	for i := range n / 2 {
		m.Set(key(i), make([]byte, 1000))
	}
	require.Equal(t, n, m.Len())
	require.NotSame(t, rm.traits.arena, m.core.settle().traits.arena)
	require.NoError(t, m.Verify())
}

// The same when even the records that live do not fit, which takes more of them than an arena can have: lookups find
// all there is, and what panics leaves no lock and loses nothing.
func TestArenaTooSmallForTheRecordsThatMove(t *testing.T) {
	ftWatch(t, func() {
		m := New[string, int](withTuning(func(tu *tuning) { ftOneBucket(tu); tu.waste = 1 << 40 }), WithoutShrink())
		const n = 3000
		key := func(i int) string { return fmt.Sprintf("key %0100d", i) }
		for i := range n {
			m.Store(key(i), i)
		}
		rm := m.core.settle()
		require.True(t, m.core.resizeAnd(rm, rm.buckets(), true))
		next := m.core.read.Load()
		rbLimit(next.traits.arena, 3) // one of 512 bytes and one of 256 KiB, for 336 KB
		look := func() {
			t.Helper()
			for i := range n {
				v, ok := m.Load(key(i))
				require.True(t, ok && v == i)
			}
			_, ok := m.Load("none")
			require.False(t, ok)
		}
		for range 40 { // once in a while a lookup moves a bucket
			look()
		}
		require.False(t, next.old.done())
		require.Equal(t, any(arena.Full), ftPanic(func() {
			for range m.All() {
			}
		}))
		require.Equal(t, any(arena.Full), ftPanic(func() {
			for i := range n {
				m.Delete(key(i))
				m.Store(key(i), i)
			}
		}))
		moved, u := 0, next.traits.arena.Usage()
		for i := range next.buckets() {
			moved += swar.Count(swar.Full(next.bucket(i).observeTophash()))
		}
		require.EqualValues(t, moved*112, u.Used-u.Dead, "what was copied of a bucket that does not fit is dead")
		rbLimit(next.traits.arena, 1000)
		for i := range n {
			m.LoadOrStore(key(i), i) // the panic may have come between the two
		}
		look()
		m.core.settle()
		look()
		require.Equal(t, n, m.Len())
		require.NoError(t, m.Verify())
	})
}

// An insertion that is promised a slot of the new table, and then finds a bucket locked that it must not wait for,
// starts again. Each time it gives the promise back.
func TestDisturbedInsertionsGiveTheirSlotBack(t *testing.T) {
	ftWatch(t, func() {
		const key = 64*bucketSlots + 63
		var hashed atomic.Int32
		m := New[int, int](WithCapacity(64*slotLimit), WithHasher(func(k int, _ uint64) uint64 {
			if k == key {
				hashed.Add(1)
			}
			return uint64(k) << 58
		}), withTuning(func(tu *tuning) { tu.rawHash, tu.atOnce, tu.chunk = true, 0, 1 }))
		for i := range bucketSlots {
			m.Store(64*i+63, i) // the home of all is the last bucket
		}
		m.Store(5, 5)
		rm := m.core.read.Load()
		require.EqualValues(t, 64, rm.buckets())
		require.True(t, m.core.resizeAnd(rm, rm.buckets(), false))
		rm = m.core.read.Load()
		e := rm.old
		require.True(t, e.bucket(5).lock()) // so that the old table is not empty before the test is over
		for i := range e.buckets() {
			if i != 5 {
				e.evacuate(i, true)
			}
		}
		e.cursor.Store(2 * e.buckets()) // helpers do not wait for bucket 5
		room := e.room.Load()
		require.True(t, rm.bucket(0).lock())
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.Store(key, bucketSlots)
		}()
		for hashed.Load() < 20 { // a few times in each attempt, of which one has to be over
			runtime.Gosched()
		}
		rm.bucket(0).release()
		<-done
		require.Equal(t, room-1, e.room.Load())
		e.bucket(5).release()
		m.core.settle()
		require.NoError(t, m.Verify())
		require.Equal(t, bucketSlots+2, m.Len())
	})
}
