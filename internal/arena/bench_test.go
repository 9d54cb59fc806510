package arena

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
)

// keysOf returns n different keys of the given length, each a string of its own.
func keysOf(n, length int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%0*d", length, i)
	}
	return keys
}

// fresh returns keys whose bytes are nowhere else, as if they came from the network.
func fresh(keys []string) []string {
	c := make([]string, len(keys))
	for i := range keys {
		c[i] = strings.Clone(keys[i])
	}
	return c
}

var sink atomic.Uint64

// BenchmarkEqual compares with fresh copies of the keys, in random order: 1 k
// records stay in the nearest cache, 1 M do not.
func BenchmarkEqual(b *testing.B) {
	for _, n := range []int{1 << 10, 1 << 20} {
		for _, length := range []int{5, 8, 20, 40, 100, 300} {
			if n*length > 1<<25 {
				continue
			}
			b.Run(fmt.Sprintf("n=%d/len=%d", n, length), func(b *testing.B) {
				a, keys := New(false), keysOf(n, length)
				refs := make([]Ref, n)
				for i, k := range keys {
					refs[i] = a.Add(0, k)
				}
				keys = fresh(keys)
				rand.Shuffle(n, func(i, j int) {
					keys[i], keys[j] = keys[j], keys[i]
					refs[i], refs[j] = refs[j], refs[i]
				})
				hits := 0
				b.ResetTimer()
				for i := 0; i < b.N; i++ {
					if a.Equal(refs[i&(n-1)], keys[i&(n-1)]) {
						hits++
					}
				}
				sink.Add(uint64(hits))
			})
		}
	}
}

// BenchmarkEqualParallel has the readers of BenchmarkEqual compete with nobody
// (add=false) or with one of them that adds a record for each hundred reads.
func BenchmarkEqualParallel(b *testing.B) {
	for _, adds := range []bool{false, true} {
		b.Run(fmt.Sprintf("add=%t", adds), func(b *testing.B) {
			a, keys := New(false), keysOf(1024, 20)
			refs := make([]Ref, len(keys))
			for i, k := range keys {
				refs[i] = a.Add(0, k)
			}
			var goroutines atomic.Uint64
			b.RunParallel(func(pb *testing.PB) {
				adder := goroutines.Add(1) == 1 && adds
				keys, hits := fresh(keys), 0
				for i := 0; pb.Next(); i++ {
					if a.Equal(refs[i&1023], keys[i&1023]) {
						hits++
					}
					if adder && i%100 == 0 {
						a.Add(0, keys[i&1023])
					}
				}
				sink.Add(uint64(hits))
			})
		})
	}
}

// BenchmarkEqualMiss compares with keys of another length.
func BenchmarkEqualMiss(b *testing.B) {
	a := New(false)
	keys := keysOf(1024, 20)
	refs := make([]Ref, len(keys))
	for i, k := range keys {
		refs[i] = a.Add(0, k)
	}
	shorter := keysOf(1024, 19)
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if a.Equal(refs[i&1023], shorter[i&1023]) {
			b.Fatal("equal")
		}
	}
}

// benchmarkAdd renews the Arena long before it is full.
func benchmarkAdd(b *testing.B, add func(a *Arena, hint uint64, key string) Ref, values bool) {
	const renew = 1 << 22
	keys := keysOf(1024, 20)
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		a := New(values)
		for i := 0; i < b.N; i++ {
			if i%renew == 0 {
				a = New(values)
			}
			add(a, 0, keys[i&1023])
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		var shared atomic.Pointer[Arena]
		var hints atomic.Uint64
		shared.Store(New(values))
		b.RunParallel(func(pb *testing.PB) {
			hint := hints.Add(1)
			for i := 1; pb.Next(); i++ {
				if i%renew == 0 {
					shared.Store(New(values))
				}
				add(shared.Load(), hint, keys[i&1023])
			}
		})
	})
}

func BenchmarkAdd(b *testing.B) { benchmarkAdd(b, (*Arena).Add, false) }

func BenchmarkAddPair(b *testing.B) {
	benchmarkAdd(b, func(a *Arena, hint uint64, key string) Ref {
		return a.AddPair(hint, key, "a value of 24 bytes.....")
	}, true)
}

// BenchmarkCopy moves an Arena of a million records of 24 bytes to another, as a rebuild does.
func BenchmarkCopy(b *testing.B) {
	const n = 1 << 20
	from, keys := New(false), keysOf(1024, 20)
	refs := make([]Ref, n)
	for i := range refs {
		refs[i] = from.Add(0, keys[i&1023])
	}
	var to *Arena
	for i := 0; i < b.N; i += MaxCopies {
		if i%n == 0 {
			to = New(false)
			to.Expect(from)
		}
		bucket := [MaxCopies]Ref(refs[i%n:])
		to.Copy(0, from, bucket[:])
	}
}
