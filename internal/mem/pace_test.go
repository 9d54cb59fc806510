package mem

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// quiet turns off the collector's own pacing, the worst case for mappings.
func quiet(t testing.TB) {
	old := debug.SetGCPercent(-1)
	t.Cleanup(func() { debug.SetGCPercent(old) })
}

// standIn replaces the ledger's collection, and waits for one that is under
// way before and after.
func standIn(t testing.TB, collect func()) {
	set := func(f func()) {
		for {
			ledger.mu.Lock()
			if !ledger.collecting {
				ledger.collect = f
				ledger.mu.Unlock()
				return
			}
			ledger.mu.Unlock()
			time.Sleep(time.Millisecond)
		}
	}
	set(collect)
	t.Cleanup(func() { set(runtime.GC) })
}

func hardLimit(settled uint64) uint64 {
	return settled + max(refuseBytes, refuseFactor*settled)
}

// A burst of blocks, dropped at once, with the collector off: the sum of
// mappings stays bounded, live ones or not.
func TestBurstIsBounded(t *testing.T) {
	needMapping(t)
	quiet(t)
	for _, live := range []uintptr{0, 96 * mib} {
		start := settle(t)
		MostSettled()
		held := Alloc(live, mapAll)
		const block, blocks = 4 * mib, 2000
		var peak uint64
		var kinds [kinds]int
		began := time.Now()
		for range blocks {
			b := Alloc(block, mapAll)
			kinds[b.Kind()]++
			*(*uint64)(b.Base()) = 1
			peak = max(peak, Mapped())
			time.Sleep(20 * time.Microsecond) // as if some of it were used
		}
		assert.LessOrEqual(t, peak, hardLimit(MostSettled())+block)
		t.Logf("live %d MiB: %d MiB mapped and dropped in %v, peak %d MiB, kinds %v",
			live/mib, block/mib*blocks, time.Since(began).Round(time.Millisecond), peak/mib, kinds)
		checkBlock(t, held, live)
		collectUntil(t, "unmapping", func() bool { return Mapped() <= start })
	}
}

// With a collector that does not get done at all, the hard limit holds, the
// Go heap serves, only one collection is asked for, and after it mapping resumes.
func TestHardLimitHoldsWithoutACollector(t *testing.T) {
	needMapping(t)
	quiet(t)
	start := settle(t)
	require.Less(t, start, uint64(collectBytes))
	asked, finish := make(chan struct{}, 100), make(chan struct{})
	standIn(t, func() { asked <- struct{}{}; <-finish; runtime.GC() })

	const block = 16 * mib
	const mapped = refuseBytes/block + 1
	for i := range mapped {
		if b := Alloc(block, mapAll); b.Kind() != Plain {
			require.Equal(t, Plain, b.Kind(), "block %d", i)
		}
	}
	assert.Equal(t, start+mapped*block, Mapped())
	before := Mapped()
	for range 3 {
		began := time.Now()
		assert.Equal(t, Heap, Alloc(block, mapAll).Kind())
		assert.Less(t, time.Since(began), 5*time.Second, "nobody waits for the collection")
	}
	assert.Equal(t, before, Mapped())
	close(finish)
	collectUntil(t, "unmapping", func() bool { return Mapped() == start })
	assert.Equal(t, Plain, Alloc(block, mapAll).Kind())
	assert.Len(t, asked, 1)
}

// A small amount of mappings never starts a collection.
func TestFewMappingsLeaveTheCollectorAlone(t *testing.T) {
	needMapping(t)
	quiet(t)
	require.Less(t, settle(t), uint64(mib))
	standIn(t, func() { t.Error("collected") })
	for range collectBytes/mib - 1 {
		Alloc(mib, mapAll)
	}
	Alloc(collectBytes, mapAll) // the limit is on what was there before
}

// The account by itself, with cycles of its own making.
func TestAgesOfMappings(t *testing.T) {
	a := account{cycles: []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}, collect: func() {}}
	ages := func() [3]uint64 { return [3]uint64{a.young[0], a.young[1], a.mapped - a.young[0] - a.young[1]} }
	cycle := func() {
		runtime.GC()
		a.mu.Lock()
		defer a.mu.Unlock()
		before := a.now
		a.lookAtCycles()
		if a.now == before+2 { // the runtime had one of its own
			t.Skip("disturbed by another cycle")
		}
	}
	quiet(t)
	cycle()
	first, ok := a.admit(100)
	require.True(t, ok)
	require.Equal(t, [3]uint64{100, 0, 0}, ages())
	cycle()
	second, _ := a.admit(10)
	require.Equal(t, [3]uint64{10, 100, 0}, ages())
	a.adjust(first, 5)
	require.Equal(t, [3]uint64{10, 105, 0}, ages())
	cycle()
	require.Equal(t, [3]uint64{0, 10, 105}, ages())
	a.adjust(first, -105)
	require.Equal(t, [3]uint64{0, 10, 0}, ages())
	a.adjust(second, -10)
	require.Equal(t, [3]uint64{0, 0, 0}, ages())
	third, _ := a.admit(7)
	cycle()
	cycle()
	require.Equal(t, [3]uint64{0, 0, 7}, ages())
	a.adjust(third, -7)
	require.Zero(t, a.mapped)
}

// What was let in beside much that was settled may stay longer than that. The bound is by the most that was settled,
// and nothing more is let in until what is left is settled itself.
func TestBoundWhenTheSettledGoFirst(t *testing.T) {
	const block = refuseBytes / 16
	a := account{cycles: []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}, collect: func() {}}
	quiet(t)
	first, ok := a.admit(refuseBytes)
	require.True(t, ok)
	for range 2 {
		runtime.GC()
	}
	young := uint64(0)
	for ; ; young += block {
		if _, ok := a.admit(block); !ok {
			break
		}
	}
	require.Greater(t, young, uint64(refuseFactor*refuseBytes))
	assert.LessOrEqual(t, a.mapped, hardLimit(refuseBytes)+block)
	a.adjust(first, -refuseBytes)
	assert.Greater(t, a.mapped, hardLimit(0)+block)
	_, ok = a.admit(1)
	assert.False(t, ok, "until two more cycles have looked at it")
	for range 2 {
		runtime.GC()
	}
	_, ok = a.admit(1)
	assert.True(t, ok)
}
