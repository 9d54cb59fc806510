// This file is responsible for showing that the checks can see: a correct map passes them, and copies of it with one
// planted bug each are caught, by the check that is meant for the bug.

package verify

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap"

	"github.com/hushmap/hushmap/verify/internal/drive"
)

// locked is a correct map: a built-in one under a mutex. Functions run under the mutex too, so they must not call it.
type locked struct {
	mu sync.Mutex
	m  map[int]int
}

func newLocked() *locked { return &locked{m: make(map[int]int)} }

// with runs f under the mutex and returns what key was before it.
func (l *locked) with(key int, f func(old int, loaded bool)) (old int, loaded bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old, loaded = l.m[key]
	if f != nil {
		f(old, loaded)
	}
	return old, loaded
}

func (l *locked) Load(key int) (int, bool) { return l.with(key, nil) }
func (l *locked) Store(key, value int)     { l.Swap(key, value) }
func (l *locked) Delete(key int)           { l.LoadAndDelete(key) }

func (l *locked) Swap(key, value int) (int, bool) {
	return l.with(key, func(int, bool) { l.m[key] = value })
}

func (l *locked) LoadAndDelete(key int) (int, bool) {
	return l.with(key, func(int, bool) { delete(l.m, key) })
}

func (l *locked) LoadOrStore(key, value int) (actual int, loaded bool) {
	actual, loaded = l.with(key, func(_ int, loaded bool) {
		if !loaded {
			l.m[key] = value
		}
	})
	if !loaded {
		return value, false
	}
	return actual, true
}

func (l *locked) CompareAndSwap(key, old, new int) (swapped bool) {
	l.with(key, func(now int, loaded bool) {
		if swapped = loaded && now == old; swapped {
			l.m[key] = new
		}
	})
	return swapped
}

func (l *locked) CompareAndDelete(key, old int) (deleted bool) {
	l.with(key, func(now int, loaded bool) {
		if deleted = loaded && now == old; deleted {
			delete(l.m, key)
		}
	})
	return deleted
}

func (l *locked) Compute(key int, fn func(int, bool) (int, hushmap.Op)) (actual int, ok bool) {
	l.with(key, func(old int, loaded bool) {
		value, op := fn(old, loaded)
		switch op {
		case hushmap.UpdateOp:
			l.m[key] = value
		case hushmap.DeleteOp:
			delete(l.m, key)
		}
		actual, ok = l.m[key]
	})
	return actual, ok
}

func (l *locked) LoadOrCompute(key int, fn func() (int, error)) (value int, loaded bool, err error) {
	l.with(key, func(old int, present bool) {
		if value, loaded = old, present; loaded {
			return
		}
		if value, err = fn(); err != nil {
			value = 0
			return
		}
		l.m[key] = value
	})
	return value, loaded, err
}

func (l *locked) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.m)
}

func (l *locked) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.m)
}

func (l *locked) Range(f func(key, value int) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, value := range l.m {
		if !f(key, value) {
			return
		}
	}
}

func (l *locked) DeleteFunc(fn func(key, value int) bool) (deleted int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, value := range l.m {
		if fn(key, value) {
			delete(l.m, key)
			deleted++
		}
	}
	return deleted
}

func (l *locked) LoadBatch(keys, values []int, found []bool) (n int) {
	for i, key := range keys {
		if values[i], found[i] = l.Load(key); found[i] {
			n++
		}
	}
	return n
}

func (l *locked) StoreBatch(keys, values []int) {
	for i, key := range keys {
		l.Store(key, values[i])
	}
}

func (l *locked) DeleteBatch(keys []int) (n int) {
	for _, key := range keys {
		if _, loaded := l.LoadAndDelete(key); loaded {
			n++
		}
	}
	return n
}

func (l *locked) Grow(int)             {}
func (l *locked) Compact()             {}
func (l *locked) Verify() error        { return nil }
func (l *locked) Stats() hushmap.Stats { return hushmap.Stats{} }

// The maps below have one bug each. Where it is a gap between two steps, it lets others run there, as a processor would
// by chance.

// losesUpdates forgets a Store when another is under way.
type losesUpdates struct{ *locked }

func (l losesUpdates) Store(key, value int) {
	before, _ := l.Load(key)
	runtime.Gosched()
	if now, loaded := l.Load(key); !loaded || now == before {
		l.locked.Store(key, value)
	}
}

// readsStale keeps the last value that a Load returned, and returns it once more.
type readsStale struct {
	*locked
	again sync.Map
}

func (l *readsStale) Load(key int) (int, bool) {
	if v, ok := l.again.LoadAndDelete(key); ok {
		return v.(int), true
	}
	v, ok := l.locked.Load(key)
	if ok {
		l.again.Store(key, v)
	}
	return v, ok
}

// swapsAnyway does not compare.
type swapsAnyway struct{ *locked }

func (l swapsAnyway) CompareAndSwap(key, _, new int) bool {
	_, loaded := l.with(key, func(_ int, loaded bool) {
		if loaded {
			l.m[key] = new
		}
	})
	return loaded
}

// storesTwice looks and stores in two steps, so that two callers may both store.
type storesTwice struct{ *locked }

func (l storesTwice) LoadOrStore(key, value int) (int, bool) {
	if v, ok := l.Load(key); ok {
		return v, true
	}
	runtime.Gosched()
	l.locked.Store(key, value)
	return value, false
}

// keepsOne leaves a key behind in Clear, the first that it comes across.
type keepsOne struct{ *locked }

func (l keepsOne) Clear() {
	kept := false
	l.DeleteFunc(func(int, int) bool {
		if !kept {
			kept = true
			return false
		}
		return true
	})
}

// deletesTwice looks and deletes in two steps, so that two callers may both have the value.
type deletesTwice struct{ *locked }

func (l deletesTwice) LoadAndDelete(key int) (int, bool) {
	v, ok := l.Load(key)
	runtime.Gosched()
	l.locked.Delete(key)
	return v, ok
}

// computesBlindly applies what Compute's function decided whatever has happened meanwhile.
type computesBlindly struct{ *locked }

func (l computesBlindly) Compute(key int, fn func(int, bool) (int, hushmap.Op)) (int, bool) {
	old, loaded := l.Load(key)
	value, op := fn(old, loaded)
	runtime.Gosched()
	switch op {
	case hushmap.UpdateOp:
		l.locked.Store(key, value)
		return value, true
	case hushmap.DeleteOp:
		l.locked.Delete(key)
		return 0, false
	}
	return old, loaded
}

// computesTwice runs LoadOrCompute's function without a look at who else runs one.
type computesTwice struct{ *locked }

func (l computesTwice) LoadOrCompute(key int, fn func() (int, error)) (int, bool, error) {
	if v, ok := l.Load(key); ok {
		return v, true, nil
	}
	value, err := fn()
	if err != nil {
		return 0, false, err
	}
	actual, loaded := l.LoadOrStore(key, value)
	return actual, loaded, nil
}

// tears writes a value in two halves.
type tears struct{ *locked }

func (l tears) Store(key, value int) {
	l.locked.Store(key, value&0xffff)
	runtime.Gosched()
	l.locked.Store(key, value)
}

// miscounts forgets to count.
type miscounts struct{ *locked }

func (l miscounts) Len() int { return l.locked.Len() - 1 }

// countsEarly counts an entry before it can be seen.
type countsEarly struct {
	*locked
	early atomic.Int32
}

func (l *countsEarly) Store(key, value int) {
	l.early.Add(1)
	runtime.Gosched()
	l.locked.Store(key, value)
	l.early.Add(-1)
}

func (l *countsEarly) Len() int { return l.locked.Len() + int(l.early.Load()) }

// mixesUp stores the values of a batch in the wrong order.
type mixesUp struct{ *locked }

func (l mixesUp) StoreBatch(keys, values []int) {
	for i, key := range keys {
		l.Store(key, values[len(values)-1-i])
	}
}

// countsBatches counts all keys of a batch as found.
type countsBatches struct{ *locked }

func (l countsBatches) LoadBatch(keys, values []int, found []bool) int {
	l.locked.LoadBatch(keys, values, found)
	return len(keys)
}

// comesBack takes back a deletion and deletes again, and leaves time to see each.
type comesBack struct{ *locked }

func (l comesBack) Delete(key int) {
	time.Sleep(10 * time.Microsecond)
	v, ok := l.LoadAndDelete(key)
	if !ok {
		return
	}
	time.Sleep(10 * time.Microsecond)
	l.locked.Store(key, v)
	time.Sleep(10 * time.Microsecond)
	l.locked.Delete(key)
}

// rangesTwice visits a key again.
type rangesTwice struct{ *locked }

func (l rangesTwice) Range(f func(key, value int) bool) {
	again := 0
	l.locked.Range(func(key, value int) bool {
		again = key
		return f(key, value)
	})
	if v, ok := l.Load(again); ok {
		f(again, v)
	}
}

// hidesWrites lets Stores lie about for a while before others see them, as a store buffer does. The checks that stamp
// every operation have no part in this: it is the experiment with store buffers that must see it.
type hidesWrites struct{ *locked }

func (l hidesWrites) Store(key, value int) {
	go func() {
		runtime.Gosched()
		l.locked.Store(key, value)
	}()
}

// grows is a correct map that tells of a table which doubles at six entries per bucket, and of the old table's buckets
// that have moved: begin of them when a growth begins, each with each later Store.
type grows struct {
	*locked
	begin, each int
	stats       hushmap.Stats
}

func (g *grows) Store(key, value int) {
	g.locked.Store(key, value)
	s := &g.stats
	switch {
	case s.Growing:
		s.EvacuatedBuckets += g.each
	case g.Len() > 6*s.Buckets:
		s.Growing, s.OldBuckets, s.EvacuatedBuckets, s.Buckets = true, s.Buckets, g.begin, 2*s.Buckets
	}
	if s.Growing && s.EvacuatedBuckets >= s.OldBuckets {
		s.Growing, s.OldBuckets, s.EvacuatedBuckets = false, 0, 0
	}
}

func (g *grows) Stats() hushmap.Stats { return g.stats }

// panics now and then.
type panics struct{ *locked }

func (l panics) Swap(key, value int) (int, bool) {
	if value&0xff == 77 {
		panic("planted")
	}
	return l.locked.Swap(key, value)
}

// fakes are the maps with planted bugs and the checks that may notice them.
var fakes = []struct {
	name string
	new  func() drive.Target[int, int]
	by   []drive.Check
}{
	{"correct", func() drive.Target[int, int] { return newLocked() }, nil},
	{"Store loses updates", func() drive.Target[int, int] { return losesUpdates{newLocked()} },
		[]drive.Check{drive.CheckHistory}},
	{"Load is stale", func() drive.Target[int, int] { return &readsStale{locked: newLocked()} },
		[]drive.Check{drive.CheckHistory, drive.CheckFillers}},
	{"CompareAndSwap ignores old", func() drive.Target[int, int] { return swapsAnyway{newLocked()} },
		[]drive.Check{drive.CheckHistory}},
	{"LoadOrStore stores twice", func() drive.Target[int, int] { return storesTwice{newLocked()} },
		[]drive.Check{drive.CheckHistory}},
	{"Clear forgets a key", func() drive.Target[int, int] { return keepsOne{newLocked()} },
		[]drive.Check{drive.CheckHistory}},
	{"LoadAndDelete returns twice", func() drive.Target[int, int] { return deletesTwice{newLocked()} },
		[]drive.Check{drive.CheckHistory}},
	{"Compute does not check again", func() drive.Target[int, int] { return computesBlindly{newLocked()} },
		[]drive.Check{drive.CheckHistory}},
	{"LoadOrCompute runs functions side by side", func() drive.Target[int, int] { return computesTwice{newLocked()} },
		[]drive.Check{drive.CheckOnce}},
	{"torn values", func() drive.Target[int, int] { return tears{newLocked()} },
		[]drive.Check{drive.CheckTorn}},
	{"Len is wrong", func() drive.Target[int, int] { return miscounts{newLocked()} },
		[]drive.Check{drive.CheckLen}},
	{"batches mix up values", func() drive.Target[int, int] { return mixesUp{newLocked()} },
		[]drive.Check{drive.CheckHistory, drive.CheckFillers, drive.CheckRange}},
	{"batches miscount", func() drive.Target[int, int] { return countsBatches{newLocked()} },
		[]drive.Check{drive.CheckBatch, drive.CheckHistory}},
	{"Range repeats", func() drive.Target[int, int] { return rangesTwice{newLocked()} },
		[]drive.Check{drive.CheckRange, drive.CheckLen}},
	{"Swap panics", func() drive.Target[int, int] { return panics{newLocked()} },
		[]drive.Check{drive.CheckPanic}},
}

// fakeSessions is how many sessions a planted bug may survive. Each is caught within a few.
const fakeSessions = 400

func TestFakes(t *testing.T) {
	for _, f := range fakes {
		t.Run(f.name, func(t *testing.T) {
			engine := drive.NewEngine(drive.Ints, drive.Words, func(drive.Plan) drive.Target[int, int] { return f.new() })
			var total drive.Counts
			for seed := firstSeed(); total.Sessions < fakeSessions; seed++ {
				counts, finding := engine.Session(drive.PlanFor(seed))
				if finding != nil {
					require.Contains(t, f.by, finding.Check, finding)
					t.Logf("caught in session %d, by: %s", total.Sessions+1, finding.Check)
					return
				}
				total.Add(counts)
			}
			assert.Empty(t, f.by, "not caught: %v", total)
			t.Log("nothing found:", total)
		})
	}
}

// TestFakeExperiments: each experiment but for those of the tests below catches the map it is meant for, and passes a
// correct one.
func TestFakeExperiments(t *testing.T) {
	presence := func(e drive.Engine) *drive.Finding { return e.Presence(drive.DefaultHash, 5_000) }
	announced := func(e drive.Engine) *drive.Finding { return e.Announced(5_000) }
	once := func(e drive.Engine) *drive.Finding { return e.Once(1_000) }
	lengths := func(e drive.Engine) *drive.Finding { return e.Lengths(1_000) }
	for _, c := range []struct {
		name string
		m    func() drive.Target[int, int]
		try  func(drive.Engine) *drive.Finding
		by   []drive.Check
	}{
		{"Load is stale", func() drive.Target[int, int] { return &readsStale{locked: newLocked()} }, presence,
			[]drive.Check{drive.CheckStays, drive.CheckReturns}},
		{"torn values", func() drive.Target[int, int] { return tears{newLocked()} }, presence,
			[]drive.Check{drive.CheckTorn}},
		{"Delete restores", func() drive.Target[int, int] { return comesBack{newLocked()} }, presence,
			[]drive.Check{drive.CheckReturns}},
		{"Len is early", func() drive.Target[int, int] { return &countsEarly{locked: newLocked()} }, announced,
			[]drive.Check{drive.CheckLen}},
		{"Len is wrong", func() drive.Target[int, int] { return miscounts{newLocked()} }, lengths,
			[]drive.Check{drive.CheckLen}},
		{"LoadOrCompute runs functions side by side", func() drive.Target[int, int] { return computesTwice{newLocked()} }, once,
			[]drive.Check{drive.CheckOnce}},
	} {
		t.Run(c.name, func(t *testing.T) {
			engine := func(m func() drive.Target[int, int]) drive.Engine {
				return drive.NewEngine(drive.Ints, drive.Words, func(drive.Plan) drive.Target[int, int] { return m() })
			}
			require.Nil(t, c.try(engine(func() drive.Target[int, int] { return newLocked() })))
			for range 50 {
				if finding := c.try(engine(c.m)); finding != nil {
					require.Contains(t, c.by, finding.Check, finding)
					return
				}
			}
			require.Fail(t, "not caught")
		})
	}
}

// TestFakeStoreBuffers: that experiment catches a map whose writes are late, and passes one whose writes are not.
func TestFakeStoreBuffers(t *testing.T) {
	late := drive.NewEngine(drive.Ints, drive.Words, func(drive.Plan) drive.Target[int, int] { return hidesWrites{newLocked()} })
	finding := late.StoreBuffers(10_000)
	require.NotNil(t, finding)
	assert.Equal(t, drive.CheckLitmus, finding.Check)
	right := drive.NewEngine(drive.Ints, drive.Words, func(drive.Plan) drive.Target[int, int] { return newLocked() })
	require.Nil(t, right.StoreBuffers(10_000))
}

// TestFakeBounded: that experiment catches maps of which one write moves much of a table, and those that never end a
// growth or never begin one. It passes one that moves a few buckets with each write.
func TestFakeBounded(t *testing.T) {
	growing := func(begin, each int) drive.Target[int, int] {
		return &grows{locked: newLocked(), begin: begin, each: each, stats: hushmap.Stats{Buckets: 4}}
	}
	for _, c := range []struct {
		name   string
		m      drive.Target[int, int]
		caught bool
	}{
		{"a few buckets with each write", growing(0, 16), false},
		{"many with each write", growing(0, 400), true},
		{"many when a growth begins", growing(400, 16), true},
		{"all when a growth begins", growing(1<<20, 16), true},
		{"none", growing(0, 0), true},
		{"no growth", newLocked(), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			finding := drive.NewEngine(drive.Ints, drive.Words, func(drive.Plan) drive.Target[int, int] { return c.m }).Bounded()
			if !c.caught {
				require.Nil(t, finding)
				return
			}
			require.NotNil(t, finding)
			assert.Equal(t, drive.CheckBounded, finding.Check, finding)
		})
	}
}
