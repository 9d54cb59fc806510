package work

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hushmap/hushmap/bench/internal/peer"
)

// Benchmark does b.N operations of a mix on a preloaded map, shared among GOMAXPROCS goroutines, and checks the map.
func Benchmark(b *testing.B, impl peer.Impl, kind string, n int, mix string) {
	m, err := FindMix(mix)
	if err != nil {
		b.Fatal(err)
	}
	r, err := NewRunner(impl, kind, n)
	if err != nil {
		b.Skip(err)
	}
	r.(benchmarker).benchmark(b, m, runtime.GOMAXPROCS(0))
	if err := r.Check(); err != nil {
		b.Fatal(err)
	}
}

type benchmarker interface {
	benchmark(b *testing.B, m Mix, procs int)
}

func (r *runner[K, V]) benchmark(b *testing.B, m Mix, procs int) {
	if m.Range {
		r.benchmarkRange(b, m, procs)
		return
	}
	lanes := r.prepare(m, procs, procs)
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for g, l := range lanes {
		share := uint64((b.N + g) / procs)
		wg.Go(func() { l.runCount(r.m.Run, share) })
	}
	wg.Wait()
	b.StopTimer()
	if err := r.settle(m, lanes); err != nil {
		b.Fatal(err)
	}
}

// runCount does exactly count operations.
func (l *lane[K, V]) runCount(run func(peer.Block[K, V]) peer.Tally, count uint64) {
	total := uint64(len(l.block.Ops))
	for l.done < count {
		at := l.done % total
		next := min(at+blockOps, total, at+count-l.done)
		l.tally.Add(run(l.block.Slice(int(at), int(next))))
		l.done += next - at
	}
}

// benchmarkRange counts an entry visited as an operation. One goroutine ranges until it has visited b.N, the others write.
func (r *runner[K, V]) benchmarkRange(b *testing.B, m Mix, procs int) {
	lanes := r.prepare(m, max(procs-1, 1), procs-1)
	var err error
	b.ResetTimer()
	runLanes(r.m.Run, lanes, time.Hour, func(stop *atomic.Bool) {
		defer stop.Store(true)
		for done := uint64(0); err == nil && done < uint64(b.N); {
			var n uint64
			n, err = r.rangeOnce()
			done += n
		}
		b.StopTimer()
	})
	if err == nil {
		err = r.settle(m, lanes)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFill stores b.N keys in an empty map, in one goroutine. Making the keys is not timed.
func BenchmarkFill(b *testing.B, impl peer.Impl, kind string) {
	switch kind {
	case peer.KindUint64:
		benchmarkFill(b, impl, Uint64Kit())
	case peer.KindString:
		benchmarkFill(b, impl, StringKit())
	case peer.KindAny:
		benchmarkFill(b, impl, AnyKit())
	}
}

func benchmarkFill[K comparable, V any](b *testing.B, impl peer.Impl, kit Kit[K, V]) {
	m := kit.New(impl)
	s := Spec{N: min(b.N, peer.MaxID), Procs: 1}
	b.ReportAllocs()
	b.ResetTimer()
	inParallel(s, func(ids []uint64) {
		b.StopTimer()
		block := ownBlock(kit, ids, peer.Store)
		b.StartTimer()
		m.Run(block)
	})
	b.StopTimer()
	if err := checkFilled(m, kit, s.N); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkGC forces b.N collections while a map of n entries is alive.
func BenchmarkGC(b *testing.B, impl peer.Impl, kind string, n int) {
	r, err := NewRunner(impl, kind, n)
	if err != nil {
		b.Skip(err)
	}
	runtime.GC()
	before := gcCPU()
	b.ResetTimer()
	for range b.N {
		runtime.GC()
	}
	b.StopTimer()
	b.ReportMetric((gcCPU()-before)*1e9/float64(b.N), "cpu-ns/op")
	if err := r.Check(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkEmbed does b.N operations on a store of n values, nine Gets to a Set, shared among GOMAXPROCS goroutines.
func BenchmarkEmbed(b *testing.B, impl peer.Impl, n int) {
	s := Spec{N: n, Procs: 1}
	c := impl.Bytes(n, keyBytes+valueBytes)
	defer c.Close()
	setAll(c, s)
	procs := runtime.GOMAXPROCS(0)
	var bad atomic.Bool
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for g := range procs {
		ids := randomIDs(g, n)
		keys := freshStrings(ids)
		share := (b.N + g) / procs
		wg.Go(func() {
			<-begin
			for done := 0; done < share; {
				at := done % len(ids)
				next := min(at+blockOps, len(ids), at+share-done)
				if !getOrSet(c, keys[at:next], ids[at:next]) {
					bad.Store(true)
				}
				done += next - at
			}
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	close(begin)
	wg.Wait()
	b.StopTimer()
	lost, err := countLost(c, n)
	switch {
	case err != nil:
		b.Fatal(err)
	case bad.Load():
		b.Fatal("a value that belongs to another key")
	case lost > 0 && !impl.Lossy:
		b.Fatalf("%d entries of %d are lost", lost, n)
	}
	b.ReportMetric(float64(lost)/float64(n), "lost/entry")
}
