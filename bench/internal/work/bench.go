package work

import (
	"runtime"
	"sync"
	"testing"

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
		r.benchmarkRange(b)
		return
	}
	r.rounds++
	lanes := r.prepare(m, procs, 0, procs)
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

// benchmarkRange counts an entry visited as an operation.
func (r *runner[K, V]) benchmarkRange(b *testing.B) {
	b.ResetTimer()
	for done := uint64(0); done < uint64(b.N); {
		n, err := r.rangeOnce()
		if err != nil {
			b.Fatal(err)
		}
		done += n
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
