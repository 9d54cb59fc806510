//go:build hushmap_invariants

package hushmap

import (
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/internal/swar"
)

// TestAttackEvacuationAtEachStep looks at both tables at each step of an evacuator, as readers may: every key is found with its
// value, what is visible in the new table is an entry, once, and what an evacuated bucket held is there.
func TestAttackEvacuationAtEachStep(t *testing.T) {
	number := func(i int) int { return i }
	t.Run("int,int", func(t *testing.T) { acEachStep(t, number, number) })
	t.Run("uint64,wide", func(t *testing.T) {
		acEachStep(t, func(i int) uint64 { return uint64(i) }, func(i int) [3]uint64 { return [3]uint64{uint64(i), 1, uint64(i)} })
	})
	t.Run("string,int", func(t *testing.T) { acEachStep(t, strconv.Itoa, number) })
	t.Run("any,any", func(t *testing.T) {
		acEachStep(t, func(i int) any { return i }, func(i int) any { return i })
	})
}

func acEachStep[K, V comparable](t *testing.T, key func(int) K, value func(int) V) {
	const buckets = 32
	for _, otherArena := range []bool{false, true} {
		m := New[K, V](withTuning(ftOneBucket), WithCapacity(buckets*slotLimit))
		values := map[K]V{}
		for i := range buckets*slotLimit - 2 {
			m.Store(key(i), value(i))
			values[key(i)] = value(i)
		}
		rm := m.core.settle()
		tr, size := rm.traits, 2*rm.buckets()
		if otherArena {
			tr, size = tr.withArena(), rm.buckets()
		}
		m.core.mu.Lock()
		next := m.core.resizeLocked(rm, size, rm.seed, tr)
		m.core.mu.Unlock()
		require.NotNil(t, next)

		look := func(s protocolStep) {
			for k, v := range values {
				got, r := next.lookupBoth(k)
				require.True(t, r == hit && got == v, "step %d: key %v: %v, result %d", s, k, got, r)
			}
			visible := map[K]bool{}
			for i := range next.buckets() {
				b := next.bucket(i)
				for w := swar.Full(b.observeTophash()); w != 0; w = swar.Next(w) {
					slot := swar.First(w)
					k, v := next.loadKey(b, slot), next.loadValue(b, slot)
					want, ok := values[k]
					require.True(t, ok && v == want && !visible[k], "step %d: bucket %d of the new table has %v: %v", s, i, k, v)
					require.Equal(t, tophash(next.hash(k)), swar.Byte(b.observeTophash(), slot))
					visible[k] = true
				}
			}
			for i := range next.old.buckets() {
				b := next.old.bucket(i)
				if !b.observe().moved() {
					continue
				}
				for w := swar.Full(b.observeTophash()); w != 0; w = swar.Next(w) {
					require.True(t, visible[next.old.loadKey(b, swar.First(w))], "step %d: bucket %d is evacuated", s, i)
				}
			}
		}
		looking, steps := false, [protocolSteps]int{}
		hook := func(s protocolStep) {
			if !looking { // or this is a step of our own
				looking = true
				steps[s]++
				look(s)
				looking = false
			}
		}
		stepHook.Store(&hook)
		for _, i := range rand.Perm(int(next.old.buckets())) {
			next.old.evacuate(uint64(i), true)
		}
		stepHook.Store(nil)
		assert.NotZero(t, steps[stepAdopted])
		assert.GreaterOrEqual(t, steps[stepSlotStored], len(values))
		m.core.settle()
		require.NoError(t, m.Verify())
	}
}

// TestAttackTargetsAreLockedInOrder: an evacuator has the home of an entry that is displaced in its bucket, 4, and waits for
// the bucket behind it, 5, while another evacuates the bucket that becomes 4 and 5.
func TestAttackTargetsAreLockedInOrder(t *testing.T) {
	m := New[uint64, uint64](WithHasher(func(k, _ uint64) uint64 { return k }), WithCapacity(8*slotLimit),
		withTuning(func(tu *tuning) { ftOneBucket(tu); tu.rawHash = true }))
	for j := range uint64(10) { // home 2, so two go to 3
		m.Store(2<<61|j, j)
	}
	rm := m.core.read.Load()
	m.core.mu.Lock()
	next := m.core.resizeLocked(rm, 16, rm.seed, rm.traits)
	m.core.mu.Unlock()
	require.NotNil(t, next)
	next.old.evacuate(0, true)
	next.old.evacuate(1, true)
	for j := range uint64(16) { // home 3 in the new table, so eight go to 4
		require.True(t, next.bucket(3).lock())
		p := place[uint64, uint64]{hash: 3<<60 | j, home: 3, bucket: 3, slot: -1}
		in, _ := next.insertLocked(&p, 3<<60|j, j)
		require.Equal(t, inserted, in)
		next.release(&p)
		next.length.Inserted(0)
	}
	require.Zero(t, swar.Empty(next.bucket(4).observeTophash()))
	require.False(t, next.old.bucket(2).observe().moved() || next.old.bucket(3).observe().moved())

	var locks atomic.Int32
	asleep, goOn := make(chan struct{}), make(chan struct{})
	hook := func(s protocolStep) {
		if s == stepLocked && locks.Add(1) == 4 { // after old bucket 3, and 6 and 7
			close(asleep)
			<-goOn
		}
	}
	stepHook.Store(&hook)
	defer stepHook.Store(nil)
	ftWatch(t, func() {
		first, second := make(chan struct{}), make(chan struct{})
		go func() { defer close(first); next.old.evacuate(3, true) }()
		<-asleep
		assert.True(t, next.bucket(4).observe().locked())
		go func() { defer close(second); next.old.evacuate(2, true) }()
		for !acSomebodyWaits() { // for 4, and nobody else for anything
			time.Sleep(time.Millisecond)
		}
		assert.True(t, next.old.bucket(2).observe().locked())
		close(goOn)
		<-first
		<-second
	})
	m.core.settle()
	require.NoError(t, m.Verify())
	require.Equal(t, 26, m.Len())
}

// acSomebodyWaits reports whether a goroutine is between two attempts to lock a bucket.
func acSomebodyWaits() bool {
	stacks := make([]byte, 1<<20)
	return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "/hushmap.pause(")
}
