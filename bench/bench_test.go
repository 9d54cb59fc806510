package bench

import (
	"flag"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/work"
)

var sizes = flag.String("bench.n", "1000,1000000", "comma-separated numbers of entries")

var kinds = []string{peer.KindUint64, peer.KindString, peer.KindAny}

// cells runs a benchmark for each implementation, kind of key and size.
func cells(b *testing.B, mix string) {
	for _, impl := range peer.All() {
		for _, kind := range kinds {
			if impl.Cache || !impl.Holds(kind) {
				continue
			}
			for _, field := range strings.Split(*sizes, ",") {
				n, err := strconv.Atoi(field)
				if err != nil || n < 32 {
					b.Fatalf("-bench.n: %q is not a number of entries from 32", field)
				}
				b.Run(fmt.Sprintf("impl=%s/keys=%s/n=%d", impl.Name, kind, n), func(b *testing.B) {
					if m, _ := work.FindMix(mix); !impl.Concurrent && m.Writes() && runtime.GOMAXPROCS(0) > 1 {
						b.Skip("not safe with several goroutines")
					}
					work.Benchmark(b, impl, kind, n, mix)
				})
			}
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

func BenchmarkFill(b *testing.B) {
	for _, impl := range peer.All() {
		for _, kind := range kinds {
			if impl.Cache || !impl.Holds(kind) {
				continue
			}
			b.Run(fmt.Sprintf("impl=%s/keys=%s", impl.Name, kind), func(b *testing.B) {
				work.BenchmarkFill(b, impl, kind)
			})
		}
	}
}
