package hash

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/cespare/xxhash/v2"
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

// A map needs the hash before it can do anything else, so what counts is latency.
func BenchmarkString(b *testing.B) {
	s := NewSeed()
	for _, n := range []int{3, 8, 20, 32, 40, 64, 100, 4096} {
		k := strings.Repeat("x", n)
		for name, h := range map[string]func(string, *Seed) uint64{
			"String": String,
			"xxhash": func(k string, s *Seed) uint64 {
				d := xxhash.NewWithSeed(s.A)
				_, _ = d.WriteString(k)
				return d.Sum64()
			},
			"Comparable": func(k string, s *Seed) uint64 { return Comparable(&k, s) },
		} {
			b.Run(fmt.Sprintf("%s/throughput/%d", name, n), func(b *testing.B) {
				for range b.N {
					sink = h(k, &s)
				}
			})
			b.Run(fmt.Sprintf("%s/latency/%d", name, n), func(b *testing.B) {
				keys := [2]string{k, strings.Repeat("y", n)}
				for range b.N {
					sink = h(keys[sink&1], &s)
				}
			})
		}
	}
}

func BenchmarkAny(b *testing.B) {
	s := NewSeed()
	for name, k := range map[string]any{"int": 123456, "string": strings.Repeat("x", 20), "bool": true} {
		b.Run("Any/"+name, func(b *testing.B) {
			for range b.N {
				sink = Any(k, &s)
			}
		})
		b.Run("Comparable/"+name, func(b *testing.B) {
			for range b.N {
				sink = Comparable(&k, &s)
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
