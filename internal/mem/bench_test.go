package mem

import (
	"fmt"
	"runtime"
	"testing"
	"unsafe"
)

var sink uint64

// policies yields one Alloc per kind of memory that this system has.
func policies(b *testing.B, size uintptr, each func(b *testing.B, kind Kind, alloc func() *Block)) {
	for kind := range kinds {
		fails := []Kind{}
		for k := kind + 1; k < kinds; k++ {
			fails = append(fails, k)
		}
		alloc := func() *Block {
			threshold := uintptr(1)
			if kind == Heap {
				threshold = ^uintptr(0)
			}
			return Alloc(size, Policy{Huge: kind > Plain, Threshold: threshold})
		}
		b.Run(fmt.Sprintf("%v/%dKiB", kind, size>>10), func(b *testing.B) {
			needMapping(b)
			defer ForceFallback(fails...)()
			if got := alloc().Kind(); got != kind {
				b.Skip("got ", got)
			}
			each(b, kind, alloc)
		})
	}
}

// BenchmarkRandomReads reads words of a big block, each at an address that
// depends on the word before ("chain": latency), or not ("stream").
func BenchmarkRandomReads(b *testing.B) {
	for _, size := range []uintptr{1 << 20, 4 << 20, 16 << 20, 256 << 20} {
		policies(b, size, func(b *testing.B, kind Kind, alloc func() *Block) {
			block := alloc()
			w := words(block)
			for i := range w {
				w[i] = 1
			}
			mask := uint64(len(w) - 1)
			b.Run("chain", func(b *testing.B) {
				x := uint64(1)
				for range b.N {
					x = x*6364136223846793005 + w[(x>>20)&mask]
				}
				sink += x
			})
			b.Run("stream", func(b *testing.B) {
				x, sum := uint64(1), uint64(0)
				for range b.N {
					x = x*6364136223846793005 + 1
					sum += w[(x>>20)&mask]
				}
				sink += sum
			})
			runtime.KeepAlive(block)
		})
	}
}

// BenchmarkAllocTouchDrop allocates, touches every page, and drops: what a
// table costs that is filled and replaced.
func BenchmarkAllocTouchDrop(b *testing.B) {
	for _, size := range []uintptr{256 << 10, 1 << 20, 4 << 20, 32 << 20} {
		policies(b, size, func(b *testing.B, kind Kind, alloc func() *Block) {
			b.SetBytes(int64(size))
			for range b.N {
				block := alloc()
				for at := uintptr(0); at < size; at += 4096 {
					*(*byte)(unsafe.Add(block.Base(), at)) = 1
				}
				runtime.KeepAlive(block)
			}
		})
	}
}

// BenchmarkAlloc is the stall that a growth sees before it touches anything.
func BenchmarkAlloc(b *testing.B) {
	for _, size := range []uintptr{1 << 20, 32 << 20, 256 << 20} {
		policies(b, size, func(b *testing.B, kind Kind, alloc func() *Block) {
			for range b.N {
				got := alloc().Kind()
				b.StopTimer()
				if got != kind {
					b.Fatal("the limit on mappings was hit, got ", got)
				}
				runtime.GC() // keeps below that limit
				b.StartTimer()
			}
		})
	}
}
