//go:build hushmap_invariants

package hushmap

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lnShared is what processors share of a map in memory: the buckets of its table, and the cells of its length counter.
type lnShared struct {
	buckets []byte
	cells   map[int][2]uint64 // by stripe: insertions, removals
}

func lnLook[K comparable, V any](m *Map[K, V]) lnShared {
	rm := m.core.read.Load()
	size := uintptr(rm.buckets()) * bucketSize[K, V]()
	return lnShared{
		buckets: slices.Clone(unsafe.Slice((*byte)(rm.base), size)),
		cells:   maps.Collect(rm.length.Cells()),
	}
}

// lnWritten is what one operation wrote: how many buckets it locked, how many have other bytes now, and how many stripes of the
// length counter. A lock that was taken and given back leaves no byte behind, but the step is counted.
type lnWritten struct{ locked, changed, stripes int }

// lnWrites does op once, alone, and says what it wrote.
func lnWrites[K comparable, V any](m *Map[K, V], op func()) (w lnWritten) {
	before, locked := lnLook(m), stepCounts[stepLocked].Load()
	op()
	after := lnLook(m)
	w.locked = int(stepCounts[stepLocked].Load() - locked)
	size := int(bucketSize[K, V]())
	for i := 0; i < len(before.buckets); i += size {
		if string(before.buckets[i:i+size]) != string(after.buckets[i:i+size]) {
			w.changed++
		}
	}
	for i, cell := range after.cells {
		if cell != before.cells[i] {
			w.stripes++
		}
	}
	return w
}

// Reads write nothing that processors share, an overwrite the lines of its bucket, an insertion or a deletion one
// stripe of the length counter besides. docs/design.md argues from this what 64 processors do.
func TestSharedLinesWritten(t *testing.T) {
	lnTest(t, "uint64", func(i int) uint64 { return uint64(i) }, func(n int) uint64 { return uint64(n) })
	lnTest(t, "string", func(i int) string { return fmt.Sprint("key ", i) }, func(n int) string { return fmt.Sprint(n) })
	lnTest(t, "any", func(i int) any { return i }, func(n int) any { return n })
	lnTest(t, "wide", func(i int) mtFour { return mtFour{a: uint64(i)} }, func(n int) mtFour { return mtFour{d: uint64(n)} })
}

func lnTest[K comparable, V comparable](t *testing.T, name string, key func(int) K, value func(int) V) {
	t.Run(name, func(t *testing.T) {
		const n = 4000
		m := New[K, V](WithCapacity(2 * n)) // half full: hardly a key is displaced
		for i := range n {
			m.Store(key(i), value(i))
		}
		rm := m.core.settle()
		require.Greater(t, rm.length.Stripes(), 1)
		home := func(i int) int { // keys at home only: those behind it lock one bucket more
			b := rm.bucket(rm.home(rm.hash(key(i))))
			slot, c := b.find(rm.traits, key(i), rm.hash(key(i)))
			if slot < 0 || c.overflow() != 0 {
				return -1
			}
			return slot
		}
		looked := 0
		for i := range n {
			if home(i) < 0 {
				continue
			}
			if looked++; looked > 50 {
				break
			}
			k, absent := key(i), key(i+n)
			keys, vals, found := []K{k, absent}, make([]V, 2), make([]bool, 2)
			for what, op := range map[string]func(){
				"Load": func() { m.Load(k) }, "Load, absent": func() { m.Load(absent) },
				"LoadOrStore, present": func() { m.LoadOrStore(k, value(0)) },
				"LoadBatch":            func() { m.LoadBatch(keys, vals, found) },
				"Len":                  func() { m.Len() },
			} {
				assert.Equal(t, lnWritten{}, lnWrites(m, op), what)
			}
			assert.Equal(t, lnWritten{locked: 1, changed: 1}, lnWrites(m, func() { m.Store(k, value(i+1)) }), "overwrite")
			assert.Equal(t, lnWritten{locked: 1, changed: 1}, lnWrites(m, func() { m.CompareAndSwap(k, value(i+1), value(i)) }), "CompareAndSwap")
			assert.Equal(t, lnWritten{locked: 1, changed: 1, stripes: 1}, lnWrites(m, func() { m.Delete(k) }), "deletion")
			assert.Equal(t, lnWritten{locked: 1, changed: 1, stripes: 1}, lnWrites(m, func() { m.Store(k, value(i)) }), "insertion")
		}
		require.Greater(t, looked, 50)
		swept := lnWrites(m, func() {
			for range m.All() {
			}
		})
		swept.locked = 0 // a home bucket with displaced entries is locked while they are copied
		assert.Equal(t, lnWritten{}, swept, "Range")
	})
}
