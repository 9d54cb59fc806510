package hash

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

var sink uint64

func BenchmarkWord(b *testing.B) {
	s := NewSeed()
	b.Run("throughput", func(b *testing.B) {
		var h uint64
		for i := range b.N {
			h ^= Word(uint64(i), &s)
		}
		sink = h
	})
	b.Run("latency", func(b *testing.B) {
		var h uint64
		for range b.N {
			h = Word(h, &s)
		}
		sink = h
	})
}

func BenchmarkComparable(b *testing.B) {
	s := NewSeed()
	b.Run("any(int)", func(b *testing.B) {
		var k any = 123456
		for range b.N {
			sink = Comparable(&k, &s)
		}
	})
	b.Run("any(string20)", func(b *testing.B) {
		var k any = strings.Repeat("x", 20)
		for range b.N {
			sink = Comparable(&k, &s)
		}
	})
	b.Run("struct", func(b *testing.B) {
		type key struct {
			a uint64
			b string
		}
		k := key{1, strings.Repeat("x", 20)}
		for range b.N {
			sink = Comparable(&k, &s)
		}
	})
}

func BenchmarkString(b *testing.B) {
	s := NewSeed()
	for _, n := range []int{8, 20, 100, 4096} {
		k := strings.Repeat("x", n)
		b.Run(fmt.Sprintf("String/%d", n), func(b *testing.B) {
			for range b.N {
				sink = String(k, &s)
			}
		})
		b.Run(fmt.Sprintf("xxhash/%d", n), func(b *testing.B) {
			for range b.N {
				sink = seededXXHash(k, &s)
			}
		})
	}
}

func BenchmarkStable(b *testing.B) {
	s := StableSeed()
	type key struct {
		a uint64
		b string
	}
	k := key{1, strings.Repeat("x", 20)}
	b.Run("struct", func(b *testing.B) { f := must[key](b); benchStable(b, f, unsafe.Pointer(&k), &s) })
	var e any = k
	b.Run("any(struct)", func(b *testing.B) { f := must[any](b); benchStable(b, f, unsafe.Pointer(&e), &s) })
}

func benchStable(b *testing.B, f StableFunc, p unsafe.Pointer, s *Seed) {
	b.ReportAllocs()
	for range b.N {
		sink = f.Sum(p, s)
	}
}
