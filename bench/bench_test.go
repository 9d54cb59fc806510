package bench

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/work"
)

var sizes = flag.String("bench.n", "1000,1000000", "comma-separated numbers of entries")

// made are the kinds of key that are made to measure. Real keys decide themselves how many there are.
var made = []string{peer.KindUint64, peer.KindString, peer.KindAny}

// each runs a benchmark for each of the implementations that holds the kind of key, and each size.
func each(b *testing.B, impls []peer.Impl, kinds []string, do func(b *testing.B, impl peer.Impl, kind string, n int)) {
	for _, impl := range impls {
		for _, kind := range kinds {
			if !impl.Holds(kind) {
				continue
			}
			for _, n := range entries(b) {
				b.Run(fmt.Sprintf("impl=%s/keys=%s/n=%d", impl.Name, kind, n), func(b *testing.B) { do(b, impl, kind, n) })
			}
		}
	}
}

func entries(b *testing.B) []int {
	var out []int
	for _, field := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 32 || n > peer.MaxID/3 {
			b.Fatalf("-bench.n: %q is not a number of entries from 32", field)
		}
		out = append(out, n)
	}
	return out
}

// single lists the implementations without the one that works in batches.
func single() []peer.Impl {
	return slices.DeleteFunc(peer.All(), func(impl peer.Impl) bool { return impl.Batches })
}

// cells runs a mix.
func cells(b *testing.B, mix string) {
	m, err := work.FindMix(mix)
	if err != nil {
		b.Fatal(err)
	}
	do := func(b *testing.B, impl peer.Impl, kind string, n int) {
		if !impl.Concurrent && m.Writes() && runtime.GOMAXPROCS(0) > 1 {
			b.Skip("not safe with several goroutines")
		}
		work.Benchmark(b, impl, kind, n, mix)
	}
	if m.Batch {
		each(b, peer.All(), made, do)
		return
	}
	each(b, single(), made, do)
	if mix == "zipf" {
		return // words have a distribution of their own
	}
	for _, impl := range single() {
		if impl.Holds(peer.KindReal) {
			b.Run(fmt.Sprintf("impl=%s/keys=%s", impl.Name, peer.KindReal), func(b *testing.B) { do(b, impl, peer.KindReal, 0) })
		}
	}
}

func BenchmarkLoad(b *testing.B)        { cells(b, "reads=100") }
func BenchmarkLoadMiss(b *testing.B)    { cells(b, "miss") }
func BenchmarkMix99(b *testing.B)       { cells(b, "reads=99") }
func BenchmarkMix90(b *testing.B)       { cells(b, "reads=90") }
func BenchmarkMix75(b *testing.B)       { cells(b, "reads=75") }
func BenchmarkStoreDelete(b *testing.B) { cells(b, "reads=0") }
func BenchmarkHotKey(b *testing.B)      { cells(b, "hot") }
func BenchmarkZipf(b *testing.B)        { cells(b, "zipf") }
func BenchmarkLoadOrStore(b *testing.B) { cells(b, "loadorstore") }
func BenchmarkRange(b *testing.B)       { cells(b, "range") }
func BenchmarkBatchRead(b *testing.B)   { cells(b, "loads") }
func BenchmarkBatchWrite(b *testing.B)  { cells(b, "writes") }

func BenchmarkFill(b *testing.B) {
	for _, impl := range single() {
		for _, kind := range made {
			if impl.Holds(kind) {
				b.Run(fmt.Sprintf("impl=%s/keys=%s", impl.Name, kind), func(b *testing.B) { work.BenchmarkFill(b, impl, kind) })
			}
		}
	}
}

func BenchmarkGC(b *testing.B) { each(b, single(), made, work.BenchmarkGC) }

func BenchmarkEmbed(b *testing.B) {
	for _, impl := range peer.All() {
		for _, n := range entries(b) {
			b.Run(fmt.Sprintf("impl=%s/keys=%s/n=%d", impl.Name, peer.KindString, n), func(b *testing.B) {
				if impl.Bytes == nil || !impl.Concurrent && runtime.GOMAXPROCS(0) > 1 {
					b.Skip("stores no bytes, or is not safe with several goroutines")
				}
				work.BenchmarkEmbed(b, impl, n)
			})
		}
	}
}
