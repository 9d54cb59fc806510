package hushmap

import (
	"testing"
)

// swar.Match may flag a byte that is b^1 directly above a true match. For tophash byte 1 that is 0: a free slot.
// What lies in a free slot is a key that was deleted (pointer-free slots are not cleared) or the zero key, and it
// compares equal to the key that is looked for. No concurrency is needed.
func TestAttackFreeSlotMatches(t *testing.T) {
	raw := func() *Map[uint64, uint64] {
		m := New[uint64, uint64](WithHasher(func(k, _ uint64) uint64 { return 1 }))
		m.core.settings.tuning.rawHash, m.core.traits.rawHash = true, true
		return m
	}
	t.Run("deleted", func(t *testing.T) {
		m := raw()
		m.Store(10, 100)
		m.Store(11, 110)
		m.Delete(11)
		if v, ok := m.Load(11); ok {
			t.Errorf("key 11 was deleted, but Load returns %d", v)
		}
		m.Store(11, 111)
		if n := m.Len(); n != 2 {
			t.Errorf("Len %d, want 2", n)
		}
		seen := 0
		m.Range(func(uint64, uint64) bool { seen++; return true })
		if seen != 2 {
			t.Errorf("Range visits %d, want 2", seen)
		}
	})
	t.Run("never stored", func(t *testing.T) {
		m := raw()
		m.Store(10, 100)
		if v, ok := m.Load(0); ok {
			t.Errorf("key 0 was never stored, but Load returns %d", v)
		}
		m.Store(0, 5) // goes into a slot that is not visible
		if n := m.Len(); n != 2 {
			t.Errorf("Len %d, want 2", n)
		}
		if err := m.Verify(); err != nil {
			t.Error(err)
		}
	})
	t.Run("default options", func(t *testing.T) {
		var m Map[uint64, uint64]
		n := uint64(ftN(400_000))
		for k := range n {
			m.Store(k, k)
		}
		for k := uint64(1); k < n; k += 2 {
			m.Delete(k)
		}
		wrong := 0
		for k := uint64(1); k < n; k += 2 {
			if _, ok := m.Load(k); ok {
				wrong++
			}
		}
		if wrong > 0 {
			t.Errorf("%d of %d deleted keys are still there", wrong, n/2)
		}
	})
}
