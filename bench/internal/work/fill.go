package work

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/hushmap/hushmap/bench/internal/peer"
)

// batchKeys is how many keys are made, untimed, before they are stored, timed. Each key is an allocation of its own, so a map
// that keeps strings pays for them in memory and GC, as it would in a program.
const batchKeys = 4096

// longestLatency is the highest the histogram can hold.
const longestLatency = int64(10 * time.Minute)

// runFill fills a map for throughput and memory, empties it, and fills another one with every Store timed.
func runFill[K comparable, V any](impl peer.Impl, kit Kit[K, V], s Spec) (Outcome, error) {
	out := Outcome{Values: map[string]float64{}}
	base := readMemory()
	resetPeak()
	m := kit.New(impl)
	out.Values["time"] = batches(m, kit, s, peer.Store).Seconds() * 1e9 / float64(s.N)
	out.Values["peak"] = (peakRSS() - base.rss) / float64(s.N)
	if err := checkFilled(m, kit, s.N); err != nil {
		return out, err
	}
	out.Values["delete"] = batches(m, kit, s, peer.Delete).Seconds() * 1e9 / float64(s.N)
	if n := m.Len(); n != 0 {
		return out, wrong("length %d after every key was deleted", n)
	}
	out.Values["kept"] = max(0, readMemory().minus(base).per(s.N).rss)
	if c, ok := any(m.Map).(peer.Compacter); ok {
		c.Compact()
		out.Values["compacted"] = max(0, readMemory().minus(base).per(s.N).rss)
	}
	runtime.KeepAlive(m)

	m = kit.New(impl)
	runtime.GC()
	hist := timedStores(m, kit, s)
	if err := checkFilled(m, kit, s.N); err != nil {
		return out, err
	}
	if s.N < smallest {
		drop(out.Values, "peak", "kept", "compacted")
	}
	merge(out.Values, quantiles(hist))
	out.Curve = curve(hist)
	return out, nil
}

// batches does one operation on each of the n keys, and returns the time per goroutine spent in the map.
func batches[K comparable, V any](m peer.Instance[K, V], kit Kit[K, V], s Spec, op peer.Op) time.Duration {
	var spent atomic.Int64
	inParallel(s, func(ids []uint64) {
		b := ownBlock(kit, ids, op)
		start := clock()
		m.Run(b)
		spent.Add(clock() - start)
	})
	return time.Duration(spent.Load()) / time.Duration(s.Procs)
}

// inParallel hands batches of ids below n out to the goroutines in turn.
func inParallel(s Spec, do func(ids []uint64)) {
	var wg sync.WaitGroup
	for g := range s.Procs {
		wg.Go(func() {
			ids := make([]uint64, 0, batchKeys)
			for first := g * batchKeys; first < s.N; first += s.Procs * batchKeys {
				ids = ids[:0]
				for id := first; id < min(first+batchKeys, s.N); id++ {
					ids = append(ids, uint64(id))
				}
				do(ids)
			}
		})
	}
	wg.Wait()
}

func ownBlock[K comparable, V any](kit Kit[K, V], ids []uint64, op peer.Op) peer.Block[K, V] {
	b := peer.Block[K, V]{Ops: make([]peer.Op, len(ids)), Keys: make([]K, len(ids))}
	if kit.Boxed {
		b.Vals = make([]V, len(ids))
	}
	for i, id := range ids {
		b.Ops[i], b.Keys[i] = op|peer.Op(id), kit.Own(id)
		if kit.Boxed {
			b.Vals[i] = kit.Val(id)
		}
	}
	return b
}

// timedStores fills the map and takes the time of each Store, with the cost of looking at the clock in it.
func timedStores[K comparable, V any](m peer.Instance[K, V], kit Kit[K, V], s Spec) *hdrhistogram.Histogram {
	total := newHistogram()
	var mu sync.Mutex
	inParallel(s, func(ids []uint64) {
		b := ownBlock(kit, ids, peer.Store)
		var spent [batchKeys]int64
		for i := range ids {
			start := clock()
			m.Run(b.Slice(i, i+1))
			spent[i] = clock() - start
		}
		mu.Lock()
		defer mu.Unlock()
		for i := range ids {
			_ = total.RecordValue(min(spent[i], longestLatency)) // within range, so it cannot fail
		}
	})
	return total
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longestLatency, 3) }

func quantiles(h *hdrhistogram.Histogram) map[string]float64 {
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) }
	return map[string]float64{
		"p50": at(50), "p99": at(99), "p99.9": at(99.9), "p99.99": at(99.99), "longest": float64(h.Max()),
	}
}

func curve(h *hdrhistogram.Histogram) []Point {
	var points []Point
	for _, b := range h.CumulativeDistribution() {
		if n := len(points); n > 0 && points[n-1].Nanos == float64(b.ValueAt) {
			continue
		}
		points = append(points, Point{b.Quantile / 100, float64(b.ValueAt)})
	}
	return points
}

// checkFilled looks every key up with a fresh copy, and compares the length and what Range visits.
func checkFilled[K comparable, V any](m peer.Instance[K, V], kit Kit[K, V], n int) error {
	if got := m.Len(); got != n {
		return wrong("length %d after %d different keys were stored", got, n)
	}
	for id, key := range freshKeys(kit, n) {
		v, ok := m.Load(key)
		if !ok {
			return wrong("key %d of %d is lost", id, n)
		}
		if got := kit.ID(v); got != id {
			return wrong("key %d has the value of key %d", id, got)
		}
	}
	visited := 0
	m.Range(func(K, V) bool { visited++; return true })
	if visited != n {
		return wrong("Range visited %d entries of %d", visited, n)
	}
	return nil
}
