package hushmap

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/hushmap/hushmap/internal/hash"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// This file attacks shrinking by deletions in the order of hashes, as a Range or DeleteFunc makes them. What is left has its homes in
// one part of the table; in a smaller one it would be displaced all over it, and each of its operations search that far.

const acN = 30_000

// acCrowded requires that next to no entry of m is far behind its home.
func acCrowded[K comparable](t *testing.T, m *Map[K, int], when string) {
	t.Helper()
	s := m.Stats()
	far := s.Probes[len(s.Probes)-1]
	require.LessOrEqual(t, far, max(s.Entries/50, 8), "entries far behind their home, of %d, in %d buckets, %s", s.Entries, s.Buckets, when)
}

func acFill[K comparable](key func(int) K, options ...Option) *Map[K, int] {
	m := New[K, int](options...)
	for i := range acN {
		m.Store(key(i), i)
	}
	m.core.settle()
	return m
}

func acAttack[K comparable](t *testing.T, key func(int) K, stable bool, options ...Option) {
	m := acFill(key, options...)
	full := m.Stats().Buckets
	visits, n := make([]int, acN), 0
	require.Equal(t, acN, m.DeleteFunc(func(_ K, i int) bool {
		if n++; n%(acN/32) == 0 {
			acCrowded(t, m, "while all are deleted")
		}
		visits[i]++
		return true
	}))
	for i, times := range visits {
		require.Equal(t, 1, times, "visits of key %d", i)
	}
	require.Zero(t, m.Len())
	require.Less(t, m.Stats().Buckets, full/16, "the empty table is large still")

	m = acFill(key, options...)
	left := acN
	m.Range(func(k K, _ int) bool {
		m.Delete(k)
		left--
		return left > acN/16
	})
	if !stable {
		require.Less(t, m.Stats().Buckets, full, "the end of the Range is when the table shrinks")
	}
	m.core.settle()
	acCrowded(t, m, "after one that deleted was left early")
	m.Compact()
	acCrowded(t, m, "after Compact")
	if stable {
		assert.GreaterOrEqual(t, m.Stats().Buckets, full/2, "a smaller table would be crowded, whatever the hash")
	} else {
		assert.LessOrEqual(t, m.Stats().Buckets, full/8)
	}
	for i := range acN {
		m.Store(key(acN+i), i)
	}
	require.Equal(t, left+acN, m.Len())
	require.NoError(t, m.Verify())
}

func TestDeletingInTheOrderOfARange(t *testing.T) {
	ftAlone(t)
	number := func(i int) int { return i }
	t.Run("int", func(t *testing.T) { acAttack(t, number, false) })
	t.Run("string", func(t *testing.T) { acAttack(t, strconv.Itoa, false) })
	t.Run("any", func(t *testing.T) { acAttack(t, func(i int) any { return i }, false) })
	t.Run("hasher", func(t *testing.T) {
		acAttack(t, number, false, WithHasher(func(k int, seed uint64) uint64 { return uint64(k) ^ seed }))
	})
	t.Run("stable", func(t *testing.T) { acAttack(t, number, true, WithStableHash()) })
}

// Where nothing is crowded a table that shrinks keeps its seed, as another costs every key a hash, and every sweep its order.
func TestShrinkingKeepsTheSeed(t *testing.T) {
	ftAlone(t)
	m := acFill(func(i int) int { return i })
	seed := m.core.settle().seed
	for _, i := range rand.Perm(acN) {
		m.Delete(i)
	}
	require.Greater(t, int(m.Stats().Shrinks), 2)
	require.Equal(t, seed, m.core.settle().seed)
}

// A crowd that is in none of the places that are looked at is noticed as they have too few entries, or could have next to none.
func TestCrowdBetweenThePlacesThatAreLookedAt(t *testing.T) {
	ftAlone(t)
	const n, left = 200_000, 200_000 / 128
	m := New[int, int](WithoutShrink())
	for i := range n {
		m.Store(i, i)
	}
	m.Range(func(k, _ int) bool {
		m.Delete(k)
		return m.Len() > left
	})
	m.Compact()
	require.Less(t, m.Stats().Buckets, 2*int(bucketsFor(left)))
	acCrowded(t, m, "after Compact")

	rm := New[int, int](WithCapacity(slotLimit << 18)).core.writable()
	require.True(t, rm.crowds(crowdFrom, rm.buckets()/4, false), "too few places are looked at to see any")
	require.False(t, rm.crowds(crowdFrom, rm.buckets()/4, true), "there is none")
	require.False(t, rm.crowds(crowdFrom-1, rm.buckets()/4, false), "they do no harm")
}

// A stable hash is not blamed for what is not seen, nor is a crowd missed that is between the places that others look at.
func TestStableTableIsLookedAtAsAWhole(t *testing.T) {
	ftAlone(t)
	const n = 200_000
	m := New[int, int](WithStableHash())
	for i := range n {
		m.Store(i, i)
	}
	full := m.core.settle().buckets()
	require.Equal(t, n-crowdFrom, m.DeleteFunc(func(k, _ int) bool { return k >= crowdFrom }))
	require.Less(t, uint64(m.Stats().Buckets), full/64, "a few entries from all over it")

	m = New[int, int](WithStableHash(), WithCapacity(n))
	rm := m.core.writable()
	lo, hi := 100*rm.buckets()/1024, 102*rm.buckets()/1024 // no stretch is from there
	for i := range n {
		if home := rm.home(rm.hash(i)); i%100 == 0 || lo <= home && home < hi {
			m.Store(i, i)
		}
	}
	require.False(t, rm.crowds(m.Len(), rm.buckets()/16, false))
	require.True(t, rm.crowds(m.Len(), rm.buckets()/16, true))
	_, ok := m.core.seedFor(rm, rm.buckets()/16)
	require.False(t, ok)
}

// A sweep starts over with a new seed. If shrinking changed it again and again, it would never end.
func TestRangeBesideDeleteFuncKeepsTheSeed(t *testing.T) {
	ftAlone(t)
	const stay, come = 50, 8000
	m := New[int, int]()
	for i := range stay {
		m.Store(i, i)
	}
	fill := func() {
		for i := range come {
			m.Store(stay+i, i)
		}
	}
	fill()
	seeds := make(map[hash.Seed]bool)
	visits := make([]int, stay)
	m.Range(func(k, _ int) bool {
		if k < stay {
			visits[k]++
			m.DeleteFunc(func(k, _ int) bool { return k >= stay })
			seeds[m.core.read.Load().seed] = true
			fill()
		}
		return true
	})
	for i, times := range visits {
		require.Equal(t, 1, times, "visits of key %d", i)
	}
	require.LessOrEqual(t, len(seeds), 2)
	require.Zero(t, m.core.sweeps.Load())
	require.NoError(t, m.Verify())
}

// Keys that come in the order of the hash that they have here too are all of one part of a table that grows with their number.
func TestCopyingInTheOrderOfTheHash(t *testing.T) {
	ftAlone(t)
	from := acFill(func(i int) int { return i }, WithStableHash())
	to := New[int, int](WithStableHash())
	n := 0
	from.Range(func(k, v int) bool {
		to.Store(k, v)
		if n++; n == acN/16 {
			to.core.settle()
			require.GreaterOrEqual(t, to.Stats().Buckets, from.Stats().Buckets/2, "%d of %d are copied", n, acN)
		}
		return true
	})
	require.Equal(t, acN, to.Len())
	require.Equal(t, from.Stats().Buckets, to.Stats().Buckets)
	acCrowded(t, to, "when all are copied")
	require.NoError(t, to.Verify())
}

// acOfOnePart returns n keys of which the stable hash has the same upper bits.
func acOfOnePart(n, bits int) (keys []int) {
	rm := New[int, int](WithStableHash()).core.writable()
	for k := 0; len(keys) < n; k++ {
		if rm.hash(k)>>(64-bits) == 1 {
			keys = append(keys, k)
		}
	}
	return keys
}

// A table grows for the distances of its entries only as long as that helps, and as far as their number allows.
func TestCrowdedTableGrowsWithinBounds(t *testing.T) {
	ftAlone(t)
	const n = 4000
	for _, c := range []struct {
		bits        int
		least, most uint64
	}{
		{12, 1, bucketsFor(n)}, // one home still in a table twice as large
		{9, 8 * bucketsFor(n), 2 * sparsest * n},
	} {
		m := New[int, int](WithStableHash())
		for _, k := range acOfOnePart(n, c.bits) {
			m.Store(k, k)
			m.core.settle() // or the growth before would be all that bounds it
		}
		buckets := uint64(m.Stats().Buckets)
		assert.GreaterOrEqual(t, buckets, c.least, "buckets, %d bits in common", c.bits)
		assert.LessOrEqual(t, buckets, c.most, "buckets, %d bits in common", c.bits)
		require.NoError(t, m.Verify())
	}
}

// BenchmarkDeleteInOrder is the time for each entry of a map of which all are deleted in the order of hashes.
func BenchmarkDeleteInOrder(b *testing.B) {
	const n = 1_000_000
	for _, c := range []struct {
		name   string
		delete func(m *Map[int, int])
	}{
		{"DeleteFunc", func(m *Map[int, int]) { m.DeleteFunc(func(int, int) bool { return true }) }},
		{"Range", func(m *Map[int, int]) { m.Range(func(k, _ int) bool { m.Delete(k); return true }) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				m := New[int, int]()
				for i := range n {
					m.Store(i, i)
				}
				b.StartTimer()
				c.delete(m)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
		})
	}
}

// BenchmarkCopyInOrder is the time for each entry of a map that is filled in the order of another's hashes, which are its own too
// if both have WithStableHash.
func BenchmarkCopyInOrder(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		for name, options := range map[string][]Option{"random": nil, "stable": {WithStableHash()}} {
			b.Run(name+"/"+strconv.Itoa(n), func(b *testing.B) {
				from := New[int, int](options...)
				for i := range n {
					from.Store(i, i)
				}
				for b.Loop() {
					to := New[int, int](options...)
					from.Range(func(k, v int) bool { to.Store(k, v); return true })
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/entry")
			})
		}
	}
}
