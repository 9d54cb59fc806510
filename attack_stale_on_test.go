//go:build hushmap_invariants

package hushmap

import (
	"fmt"
	"reflect"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAttackLenByAnOldCounter: a caller of Len has loaded the read map, and a writer is late. A growth replaces the counter,
// deletions count in the new one, and the late writer in the old one, which then says more than there ever was.
func TestAttackLenByAnOldCounter(t *testing.T) {
	raw := withTuning(func(tu *tuning) { tu.rawHash = true })
	m := New[uint64, uint64](raw, WithHasher(func(k, _ uint64) uint64 { return k }), WithCapacity(64*slotLimit))
	key := func(b, i uint64) uint64 { return b<<58 | i<<8 | 7 }
	for i := range uint64(slotLimit) {
		for b := range uint64(64) {
			m.Store(key(b, i), 1)
		}
	}
	rm := m.core.read.Load()
	require.EqualValues(t, 64, rm.buckets())

	var first atomic.Bool
	stalled, goOn, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	hook := func(s protocolStep) {
		if s == stepSlotStored && first.CompareAndSwap(false, true) {
			close(stalled)
			<-goOn
		}
	}
	stepHook.Store(&hook)
	defer stepHook.Store(nil)
	go func() {
		defer close(done)
		m.Store(key(63, 100), 1)
	}()
	<-stalled
	m.Store(key(0, 100), 1) // exceeds the limit
	most := m.Len()
	require.NotSame(t, rm.length, m.core.read.Load().length)
	m.Delete(key(0, 0))
	m.Delete(key(1, 0))
	close(goOn)
	<-done

	n, current := m.core.lenOf(rm)
	require.Greater(t, n, most, "the old counter says what this is about")
	require.False(t, current)
	require.Equal(t, most-1, m.Len())
}

// TestAttackBatchAcrossAClear: between a batch's look at a bucket and the turn of its keys the map is cleared. A key that was
// absent, and is stored then, is found; so those after it must not be found in the table that was dropped.
func TestAttackBatchAcrossAClear(t *testing.T) {
	m := New[uint64, uint64](withTuning(func(tu *tuning) { tu.farFrom = 1 }))
	const n = 4 * batchGroup
	for i := uint64(1); i < n; i++ {
		m.Store(i, 1)
	}
	m.core.settle()
	var keys, vals [n]uint64
	var found [n]bool
	for i := range keys {
		keys[i] = uint64(i)
	}
	looks := 0
	var hook func(s protocolStep)
	hook = func(s protocolStep) {
		if s != stepObserved {
			return
		}
		if looks++; looks == batchGroup+1 { // the first group is through
			stepHook.Store(nil)
			m.Clear()
			m.Store(0, 2)
		}
	}
	stepHook.Store(&hook)
	defer stepHook.Store(nil)
	require.Equal(t, 1, m.LoadBatch(keys[:], vals[:], found[:]))
	require.True(t, found[0])
	require.EqualValues(t, 2, vals[0])
}

// TestAttackRecordsComeWhileATableIsMade: a move to another arena is decided on while its records would fit, and while its
// table is made large records come, with which they would not. The move does not begin, or it would not come to an end:
// deletions, which have to help, would find the new arena full.
func TestAttackRecordsComeWhileATableIsMade(t *testing.T) {
	m := NewBytes(WithoutShrink(), withTuning(func(tu *tuning) { tu.waste = 1 << 40 }))
	const n, dead = 2000, 300 // too few to make the table smaller
	for i := range n {
		m.Set(fmt.Sprint(i), make([]byte, 100))
	}
	for i := range dead {
		m.Delete(fmt.Sprint(i))
	}
	from := m.core.read.Load().traits.arena
	require.True(t, from.Movable())

	// Records of 32 GiB are more than a test can make: they are counted, and that is all.
	own := reflect.ValueOf(from).Elem().FieldByName("ownIndices").Addr().UnsafePointer()
	come := func(indices uint64) { *(*uint64)(own) += indices }
	came := false
	hook := func(s protocolStep) {
		if s == stepTableMade && !came {
			came = true
			come(1 << 30)
			require.False(t, from.Movable())
		}
	}
	stepHook.Store(&hook)
	defer stepHook.Store(nil)
	m.Compact()
	require.True(t, came)
	require.Same(t, from, m.core.read.Load().traits.arena)
	m.Set("new", nil) // the old arena takes records again
	m.Delete("new")

	come(^uint64(1<<30) + 1)
	m.Compact()
	require.NotSame(t, from, m.core.read.Load().traits.arena, "now they fit")
	require.Equal(t, n-dead, m.Len())
	require.NoError(t, m.Verify())
}
