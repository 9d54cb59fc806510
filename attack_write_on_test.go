//go:build hushmap_invariants

package hushmap

import (
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAttackInsertionsWhileASmallerTableIsDecidedOn: insertions try again and again, and overwrites and deletions do not wait.
func TestAttackInsertionsWhileASmallerTableIsDecidedOn(t *testing.T) {
	t.Run("int", func(t *testing.T) { awWhileSealed(t, func(i int) int { return i }) })
	t.Run("string", func(t *testing.T) { awWhileSealed(t, strconv.Itoa) })
}

func awWhileSealed[K comparable](t *testing.T, key func(i int) K) {
	stored, added := key(3), key(77)
	for _, c := range []struct {
		name  string
		write func(m *Map[K, int])
		waits bool
	}{
		{"Store", func(m *Map[K, int]) { m.Store(added, 1) }, true},
		{"LoadOrStore", func(m *Map[K, int]) { m.LoadOrStore(added, 1) }, true},
		{"Swap", func(m *Map[K, int]) { m.Swap(added, 1) }, true},
		{"overwrite", func(m *Map[K, int]) { m.Store(stored, 1) }, false},
		{"Delete", func(m *Map[K, int]) { m.Delete(stored) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := New[K, int](WithCapacity(100), withTuning(ftOneBucket))
			for i := range 5 {
				m.Store(key(i), i)
			}
			sealed, goOn, tried := make(chan struct{}), make(chan struct{}), make(chan struct{})
			var compacting, writing atomic.Bool
			var locks, slots atomic.Int32
			hook := func(s protocolStep) {
				switch {
				case s == stepPublished && !compacting.Swap(true):
					close(sealed)
					<-goOn
				case s == stepLocked && writing.Load() && locks.Add(1) == 3:
					close(tried)
				case s == stepSlotStored && writing.Load():
					slots.Add(1)
				}
			}
			stepHook.Store(&hook)
			defer stepHook.Store(nil)
			compacted, written := make(chan struct{}), make(chan struct{})
			go func() { defer close(compacted); m.Compact() }()
			awWait(t, sealed, "Compact has not begun")
			require.True(t, m.core.read.Load().sealed)
			writing.Store(true)
			go func() { defer close(written); c.write(m) }()
			if c.waits {
				awWait(t, tried, "an insertion does not try again")
				require.Zero(t, slots.Load(), "it has put its entry where nobody counts it")
			} else {
				awWait(t, written, "what inserts nothing waits")
			}
			writing.Store(false)
			close(goOn)
			awWait(t, compacted, "Compact hangs")
			awWait(t, written, "the write hangs")
			require.NoError(t, m.Verify())
		})
	}
}

// TestUnlockingTwicePanics, in builds with invariants, or another's lock could be gone.
func TestUnlockingTwicePanics(t *testing.T) {
	var b bucket[int, int]
	for _, unlock := range []func(){b.unlock, b.release} {
		require.True(t, b.tryLock())
		unlock()
		require.PanicsWithValue(t, "hushmap: a bucket is unlocked whose lock nobody holds", unlock)
	}
}
