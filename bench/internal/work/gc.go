package work

import (
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hushmap/hushmap/bench/internal/peer"
)

// gcCycles is how many forced cycles the medians come from.
const gcCycles = 3

// runGC holds a filled map and watches the garbage collector at work.
func runGC[K comparable, V any](impl peer.Impl, kit Kit[K, V], s Spec) (Outcome, error) {
	idle := neighbour(s.Time)
	base := readMemory()
	m := kit.New(impl)
	batches(m, kit, s, peer.Store)
	per := readMemory().minus(base).per(s.N)
	out := Outcome{Values: map[string]float64{
		"heap": per.heap, "objects": per.objects, "bytes": max(per.rss, per.heap),
	}}
	if mapper, ok := any(m.Map).(peer.Mapper); ok {
		out.Values["mapped"] = float64(mapper.MappedBytes()) / float64(s.N)
	}
	if s.N < smallest {
		drop(out.Values, "heap", "objects", "bytes", "mapped")
	}
	merge(out.Values, forcedCycles())
	busy := neighbour(s.Time)
	out.Values["neighbour"], out.Values["slowdown"] = busy, busy/idle
	return out, checkFilled(m, kit, s.N)
}

// forcedCycles returns what one garbage collection costs now.
func forcedCycles() map[string]float64 {
	var cpu, wall []float64
	runtime.GC()
	for range gcCycles {
		before, start := gcCPU(), clock()
		runtime.GC()
		wall = append(wall, float64(clock()-start)/1e6)
		cpu = append(cpu, (gcCPU()-before)*1e3)
	}
	return map[string]float64{"cpu": middle(cpu), "wall": middle(wall)}
}

func middle(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// The neighbour asks for a collection whenever it has allocated gcEvery bytes, and waits for one that is
// maxPending requests late. The pace must not depend on the size of the heap: with GOGC a large map would
// make collections rare.
const (
	gcEvery    = 32 << 20
	maxPending = 4
	nodeBytes  = 64
)

type node struct {
	next *node
	_    [nodeBytes - 8]byte
}

var nodeSink *node

// neighbour allocates short lists for a while and returns the nanoseconds per node.
func neighbour(d time.Duration) float64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	requests := make(chan struct{}, maxPending)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range requests {
			runtime.GC()
		}
	})
	var stop atomic.Bool
	time.AfterFunc(d, func() { stop.Store(true) })
	nodes, start := 0, clock()
	for nodes == 0 || !stop.Load() { // on a busy machine the time can be up before the first look at the flag
		var head *node
		for range gcEvery / nodeBytes {
			head = &node{next: head}
			if nodes++; nodes%1024 == 0 {
				nodeSink, head = head, nil
			}
		}
		requests <- struct{}{}
	}
	spent := clock() - start
	close(requests)
	wg.Wait()
	return float64(spent) / float64(nodes)
}
