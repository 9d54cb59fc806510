// This file tests tables outside the Go heap: each kind of memory, what happens where a mapping cannot be had, when the
// memory goes back, and that it does not go while anybody looks into it.

package hushmap

import (
	"iter"
	"math"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/internal/mem"
)

const mib = 1 << 20

// mapEverything has all tables without pointers mapped, the smallest included.
var mapEverything = withTuning(func(tu *tuning) { tu.mapFrom = 1 })

// tnNeedMapping has the test map memory, race build or not, and skips it where nothing can be mapped. Race builds see no
// order in what goes through that memory: values must not be numbers of something that they watch.
func tnNeedMapping(t testing.TB) {
	t.Helper()
	t.Cleanup(mem.ForceMapping())
	if mem.Alloc(1, mem.Policy{Threshold: 1}).Kind() == mem.Heap {
		t.Skip("nothing to map with")
	}
}

// tnCollectUntil collects until done. The deadline only decides how a failure is reported.
func tnCollectUntil(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			require.FailNow(t, "not reached by collecting", what)
		}
		runtime.GC()
	}
}

// tnCleanups collects until a cleanup of something that became garbage last has run. What was garbage before then has
// had its turn.
func tnCleanups(t testing.TB) {
	t.Helper()
	over := make(chan struct{})
	runtime.AddCleanup(mem.Alloc(1, mem.Policy{}), func(over chan struct{}) { close(over) }, over)
	tnCollectUntil(t, "the cleanup of a block", func() bool {
		select {
		case <-over:
			return true
		default:
			return false
		}
	})
}

// tnMapped returns what is mapped when all that tests before this one dropped is gone.
func tnMapped(t testing.TB) uint64 {
	t.Helper()
	last, same := mem.Mapped(), 0
	tnCollectUntil(t, "a constant sum of mappings", func() bool {
		tnCleanups(t)
		now := mem.Mapped()
		if same++; now != last {
			last, same = now, 0
		}
		return same >= 4
	})
	return last
}

// tnReturnsTo asserts that collecting brings the mappings of the process down to want bytes.
func tnReturnsTo(t testing.TB, want uint64) {
	t.Helper()
	tnCollectUntil(t, "return of mapped memory", func() bool { return mem.Mapped() == want })
}

// tnFill stores keys from to to-1.
func tnFill(m *Map[uint64, uint64], from, to uint64) {
	for k := from; k < to; k++ {
		m.Store(k, ^k)
	}
}

// tnHolds asserts that the map holds just the keys from to to-1.
func tnHolds(t testing.TB, m *Map[uint64, uint64], from, to uint64) {
	t.Helper()
	require.Equal(t, int(to-from), m.Len())
	for k := from; k < to; k++ {
		if v, ok := m.Load(k); !ok || v != ^k {
			require.Equal(t, ^k, v, "key %d: %v", k, ok)
		}
	}
	n := uint64(0)
	for k, v := range m.All() {
		if k < from || k >= to || v != ^k {
			require.Fail(t, "Range", "%d: %d", k, v)
		}
		n++
	}
	require.Equal(t, to-from, n)
	require.NoError(t, m.Verify())
}

// Each kind of memory is forced in turn, shows in Stats, and holds a map through all that a table can go through. The
// tuning is the default one: tables that are smaller than the threshold are on the heap.
func TestEachMemoryKind(t *testing.T) {
	for _, c := range []struct {
		name    string
		mode    HugePages
		without []mem.Kind
		want    mem.Kind
	}{
		{"hugetlb", HugePagesAuto, nil, mem.HugeTLB},
		{"advised", HugePagesAuto, []mem.Kind{mem.HugeTLB}, mem.Advised},
		{"plain", HugePagesAuto, []mem.Kind{mem.HugeTLB, mem.Advised}, mem.Plain},
		{"huge pages off", HugePagesOff, []mem.Kind{mem.HugeTLB, mem.Advised}, mem.Plain},
		{"huge pages off, of themselves", HugePagesOff, nil, mem.Plain},
		{"heap", HugePagesAuto, []mem.Kind{mem.HugeTLB, mem.Advised, mem.Plain}, mem.Heap},
	} {
		if raceEnabled && c.name != "plain" {
			continue // one goroutine: no races to find
		}
		t.Run(c.name, func(t *testing.T) {
			tnNeedMapping(t)
			defer mem.ForceFallback(c.without...)()
			if c.want == mem.HugeTLB {
				defer mem.PretendHugeTLB()()
			}
			if c.want == mem.Advised && runtime.GOOS != "linux" {
				c.want = mem.Plain
			}
			tnTestKind(t, c.want, New[uint64, uint64](WithHugePages(c.mode)))
		})
	}
}

func tnTestKind(t *testing.T, want mem.Kind, m *Map[uint64, uint64]) {
	const entries = 52_000 // 16384 buckets: 2.25 MiB, the first table above the threshold, and just so many entries
	small, large := uint64(bucketsFor(entries))/2, uint64(bucketsFor(entries))
	start := tnMapped(t)
	shows := func(buckets uint64) {
		t.Helper()
		s := m.Stats()
		require.EqualValues(t, buckets, s.Buckets)
		require.False(t, s.Growing)
		bytes := buckets * uint64(bucketSize[uint64, uint64]())
		if bytes < mem.MapThreshold || want == mem.Heap {
			require.Equal(t, "heap", s.Memory)
			require.Equal(t, bytes, s.HeapBytes)
			require.Zero(t, s.MappedBytes)
			return
		}
		require.Equal(t, want.String(), s.Memory)
		require.Zero(t, s.HeapBytes)
		require.GreaterOrEqual(t, s.MappedBytes, bytes)
		require.GreaterOrEqual(t, mem.Mapped(), start+s.MappedBytes)
	}
	tnFill(m, 0, 40_000)
	shows(small)
	tnFill(m, 40_000, entries)
	m.core.settle()
	shows(large)
	for k := range uint64(entries) {
		m.Store(k, k)
	}
	tnFill(m, 0, entries)
	tnHolds(t, m, 0, entries)
	m.Grow(entries * 2)
	shows(2 * large)
	tnHolds(t, m, 0, entries)
	for k := range uint64(entries - 10_000) {
		m.Delete(k)
	}
	tnHolds(t, m, entries-10_000, entries)
	m.Compact()
	require.Less(t, uint64(m.Stats().Buckets), small)
	shows(uint64(m.Stats().Buckets))
	tnHolds(t, m, entries-10_000, entries)
	m.Grow(entries)
	shows(large)
	m.Clear()
	require.Zero(t, m.Stats().MappedBytes)
	tnReturnsTo(t, start)
	tnFill(m, 0, 100)
	tnHolds(t, m, 0, 100)
	runtime.KeepAlive(m)
}

// tnGrowing is a map whose old table, of so many buckets, is mapped and waits to be evacuated into the new one.
func tnGrowing(t testing.TB, entries uint64) *Map[uint64, uint64] {
	t.Helper()
	m := New[uint64, uint64](withTuning(func(tu *tuning) { tu.mapFrom, tu.atOnce, tu.chunk = 1, 0, 1 }))
	tnFill(m, 0, entries)
	m.core.settle()
	require.Equal(t, "plain", m.Stats().Memory)
	return m
}

// A mapping that cannot be had in the middle of a growth: the new table is on the heap while the old one is mapped, and
// the other way round when mappings can be had again.
func TestMappingFailsInTheMiddleOfAGrowth(t *testing.T) {
	tnNeedMapping(t)
	const entries = 1000
	m := tnGrowing(t, entries)
	restore := mem.ForceFallback(mem.HugeTLB, mem.Advised, mem.Plain)
	next := uint64(entries)
	growing := func(memory string) Stats {
		for ; !m.Stats().Growing; next++ {
			tnFill(m, next, next+1)
		}
		s := m.Stats()
		require.Equal(t, memory, s.Memory)
		require.Positive(t, s.HeapBytes, "one of two tables")
		require.Positive(t, s.MappedBytes, "the other one")
		tnHoldsAt(t, m, next)
		require.True(t, m.Stats().Growing, "lookups alone do not end a growth that soon")
		return s
	}
	growing("heap")
	m.core.settle()
	require.Zero(t, m.Stats().MappedBytes)
	tnHolds(t, m, 0, next)
	restore()
	growing("plain")
	m.core.settle()
	require.Zero(t, m.Stats().HeapBytes)
	tnHolds(t, m, 0, next)
}

// tnHoldsAt looks up a few keys below n.
func tnHoldsAt(t testing.TB, m *Map[uint64, uint64], n uint64) {
	t.Helper()
	for k := uint64(0); k < n; k += n/8 + 1 {
		v, ok := m.Load(k)
		require.True(t, ok && v == ^k, "key %d: %d, %v", k, v, ok)
	}
}

// Where the heap fails as well there is no memory at all, and whoever needs a table panics. The map loses nothing and
// is as before; what needs no table works on, and when there is memory again so does the rest.
func TestOutOfMemoryPanicsAndSparesTheMap(t *testing.T) {
	tnNeedMapping(t)
	allKinds := []mem.Kind{mem.HugeTLB, mem.Advised, mem.Plain, mem.Heap}

	t.Run("first table", func(t *testing.T) {
		m := New[uint64, uint64](mapEverything)
		restore := mem.ForceFallback(allKinds...)
		require.NotNil(t, ftPanic(func() { m.Store(1, 1) }))
		require.Equal(t, Stats{}, m.Stats())
		restore()
		tnFill(m, 0, 100)
		tnHolds(t, m, 0, 100)
	})

	for name, need := range map[string]func(m *Map[uint64, uint64], next *uint64){
		"growth": func(m *Map[uint64, uint64], next *uint64) {
			for {
				*next++ // the entry is in before the growth is due
				m.Store(*next-1, ^(*next - 1))
			}
		},
		"Grow":    func(m *Map[uint64, uint64], _ *uint64) { m.Grow(1 << 20) },
		"Compact": func(m *Map[uint64, uint64], next *uint64) { tnDeleteFrom(m, 100, next); m.Compact() },
		"shrink": func(m *Map[uint64, uint64], next *uint64) {
			for {
				*next--
				m.Delete(*next)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := tnGrowing(t, 1000)
			next := uint64(1000)
			before := m.Stats()
			restore := mem.ForceFallback(allKinds...)
			defer restore()
			for range 3 {
				require.NotNil(t, ftPanic(func() { need(m, &next) }), "no memory")
				require.Equal(t, before.Buckets, m.Stats().Buckets)
				tnHolds(t, m, 0, next)
				tnFill(m, 0, next)             // overwriting needs no table
				tnDeleteFrom(m, next-1, &next) // which stripe counts it decides if a deletion looks whether to shrink
			}
			restore()
			tnFill(m, next, 5000)
			m.Compact()
			tnHolds(t, m, 0, 5000)
			require.Equal(t, "plain", m.Stats().Memory)
		})
	}
}

// tnDeleteFrom deletes the keys from to *next-1, without shrinking the table.
func tnDeleteFrom(m *Map[uint64, uint64], from uint64, next *uint64) {
	for m.core.passes.Add(1); *next > from; {
		*next--
		m.Delete(*next)
	}
	m.core.passes.Add(-1)
}

// Memory goes back to the system when the map has no use for it and a collection has run: after each of the ways in
// which a table goes, the process has just the map's own mappings.
func TestMappedMemoryIsReturned(t *testing.T) {
	tnNeedMapping(t)
	const entries = 2000
	for name, replace := range map[string]func(m *Map[uint64, uint64]){
		"growth":  func(m *Map[uint64, uint64]) { tnFill(m, entries, 8*entries); m.core.settle() },
		"Grow":    func(m *Map[uint64, uint64]) { m.Grow(20 * entries) },
		"shrink":  func(m *Map[uint64, uint64]) { tnDelete(m, 10, entries); m.core.settle() },
		"Compact": func(m *Map[uint64, uint64]) { n := uint64(entries); tnDeleteFrom(m, 10, &n); m.Compact() },
		"DeleteFunc": func(m *Map[uint64, uint64]) {
			m.DeleteFunc(func(uint64, uint64) bool { return true })
			m.core.settle()
		},
		"reseed": func(m *Map[uint64, uint64]) { ftReseed(m); m.core.settle() },
		"Clear":  func(m *Map[uint64, uint64]) { m.Clear() },
		"Clear while growing": func(m *Map[uint64, uint64]) {
			m.core.resize(m.core.read.Load(), 2*m.core.read.Load().buckets())
			m.Clear()
		},
	} {
		t.Run(name, func(t *testing.T) {
			start := tnMapped(t)
			m := tnGrowing(t, entries)
			first := m.core.read.Load().base
			replace(m)
			require.False(t, m.Stats().Growing)
			if rm := m.core.read.Load(); rm != nil {
				require.NotEqual(t, first, rm.base, "the table was not replaced")
			}
			tnReturnsTo(t, start+m.Stats().MappedBytes)
			require.NoError(t, m.Verify())
			runtime.KeepAlive(m)
			tnReturnsTo(t, start) // and when the map itself is dropped
		})
	}
}

func tnDelete(m *Map[uint64, uint64], from, to uint64) {
	for k := from; k < to; k++ {
		m.Delete(k)
	}
}

// tnBound is what the mappings of the process cannot exceed while settled bytes are in use; see mem.Mapped.
func tnBound(settled uint64) uint64 {
	return settled + max(min(1<<30, math.MaxInt/8), 4*settled)
}

// A burst of growths with the collector turned off. Every round retires what it has mapped, more in all than the bound
// allows; the sum stays below it, because mapping asks for collections when no allocation does.
func TestRetiredMappingsAreBounded(t *testing.T) {
	tnNeedMapping(t)
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	start := tnMapped(t)
	mem.MostSettled()
	var collections runtime.MemStats
	runtime.ReadMemStats(&collections)
	before := collections.NumGC

	const large = 1 << 18 // buckets: 36 MiB
	m := New[uint64, uint64](WithHugePages(HugePagesOff))
	tnFill(m, 0, 100)
	var sum, peak, block uint64
	for round := 0; sum < 3*tnBound(start)/2; round++ {
		m.Grow(large * slotLimit)
		s := m.Stats()
		sum, block = sum+s.MappedBytes, max(block, s.MappedBytes)
		peak = max(peak, mem.Mapped())
		if round%8 == 0 { // at times by moving the entries, most times by dropping them: untouched pages cost nothing
			m.Compact()
			tnHolds(t, m, 0, 100)
		}
		m.Clear()
		tnFill(m, 0, 100)
		time.Sleep(time.Millisecond) // what the program does otherwise; the collector may have a part of it
		peak = max(peak, mem.Mapped())
	}
	runtime.ReadMemStats(&collections)
	t.Logf("%d MiB retired, peak %d MiB, %d collections", sum/mib, peak/mib, collections.NumGC-before)
	assert.Greater(t, block, uint64(32*mib), "tables are mapped")
	assert.LessOrEqual(t, peak, tnBound(mem.MostSettled())+block)
	assert.Greater(t, collections.NumGC, before, "nobody but the mappings asks for collections")
	tnHolds(t, m, 0, 100)
	tnReturnsTo(t, start)
	runtime.KeepAlive(m)
}

// A reader that sleeps in the middle of a pass, in a callback or with an iterator in hand, keeps the table it is in,
// however often the map replaces its own and the collector runs. The NaN keys have it go back into that table.
func TestSleepingReadersKeepTheirTable(t *testing.T) {
	tnNeedMapping(t)
	nan := math.NaN()
	const entries = 500
	for name, replace := range map[string]func(m *Map[float64, int]){
		"growth": func(m *Map[float64, int]) {
			for range 2 {
				m.Grow(2 * m.core.read.Load().slotCount())
			}
		},
		"Clear": func(m *Map[float64, int]) { m.Clear(); m.Store(1, 1) },
	} {
		for kind, pass := range map[string]func(m *Map[float64, int], asleep func()) int{
			"Range": func(m *Map[float64, int], asleep func()) (n int) {
				m.Range(func(float64, int) bool {
					if n++; n == 10 {
						asleep()
					}
					return true
				})
				return n
			},
			"iter.Pull": func(m *Map[float64, int], asleep func()) (n int) {
				next, stop := iter.Pull2(m.All())
				defer stop()
				for _, _, ok := next(); ok; _, _, ok = next() {
					if n++; n == 10 {
						asleep()
					}
				}
				return n
			},
		} {
			t.Run(kind+", "+name, func(t *testing.T) {
				start := tnMapped(t)
				m := New[float64, int](mapEverything)
				for i := range entries {
					m.Store(nan, i)
				}
				m.core.settle()
				table := m.Stats().MappedBytes
				sleeps, wake, done := make(chan struct{}), make(chan struct{}), make(chan int)
				go func() {
					debug.SetPanicOnFault(true)
					defer close(done)
					done <- pass(m, func() { sleeps <- struct{}{}; <-wake })
				}()
				<-sleeps
				replace(m)
				tnCleanups(t)
				now := m.Stats().MappedBytes
				assert.GreaterOrEqual(t, mem.Mapped(), start+now+table, "the sleeper has its table")
				tnReturnsTo(t, start+now+table) // and nobody another old one
				wake <- struct{}{}
				switch n := <-done; name {
				case "Clear":
					assert.GreaterOrEqual(t, n, 10)
				default:
					assert.Equal(t, entries, n, "each entry once")
				}
				<-done
				require.NoError(t, m.Verify())
				tnReturnsTo(t, start+m.Stats().MappedBytes)
				runtime.KeepAlive(m)
			})
		}
	}
}

// tnChild runs the test of this name again in a process of its own, which finds the variable child set, and returns
// what that printed.
func tnChild(t *testing.T, child string, env ...string) (out string, err error) {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Skip("cannot run this test program again: ", err)
	}
	name, _, _ := strings.Cut(t.Name(), "/")
	command := exec.Command(executable, "-test.run=^"+name+"$", "-test.v", "-test.count=1")
	command.Env = append(append(os.Environ(), child+"=1"), env...)
	text, err := command.CombinedOutput()
	return string(text), err
}
