//go:build hushmap_types || !(race || hushmap_invariants || hushmap_atomic || 386)

// This file compares batches with single calls, over many types. It is left out where suite_types_test.go is, and where
// words are stored with atomic instructions or have 32 bits, unless the tag hushmap_types asks for it.

package hushmap

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Batches do what single calls do, in every state of a map, for keys of many types, present, absent and repeated ones.
func TestBatchesAreSingleCalls(t *testing.T) {
	btTestKeys(t, 300, func(i int) uint64 { return uint64(i) << 20 })
	btTestKeys(t, 200, func(i int) uint8 { return uint8(i) })
	btTestKeys(t, 300, func(i int) string { return strings.Repeat("k", i%40) + fmt.Sprint(i) })
	btTestKeys(t, 300, btMixed)
	btTestKeys(t, 300, func(i int) stNested {
		return stNested{name: fmt.Sprint(i / 3), inner: struct {
			any   any
			flag  bool
			point stPoint
		}{any: i % 3}}
	})
	btTestKeys(t, 300, func(i int) float64 { // every ninth is a NaN, which no call finds
		if i%9 == 4 {
			return math.NaN()
		}
		return float64(i) / 3
	})
	btTestKeys(t, 300, func(i int) uint64 { return uint64(i) }, WithStableHash())
	// Of keys with the same hash only one is in the first candidate's slot, and some are not in their home bucket.
	btTestKeys(t, 60, func(i int) string { return fmt.Sprint(i) }, WithHasher(func(k string, _ uint64) uint64 { return uint64(len(k)) }))
	btTestKeys(t, 60, func(i int) uint64 { return uint64(i) }, WithHasher(func(k uint64, _ uint64) uint64 { return k % 3 }))
}

func btTestKeys[K comparable](t *testing.T, n int, key func(i int) K, more ...Option) {
	keys := make([]K, n)
	for i := range keys {
		keys[i] = key(i)
	}
	for _, s := range btStates {
		t.Run(fmt.Sprintf("%T/%s/%d options", keys[0], s.name, len(more)), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(n)))
			make2 := func() (m, single *Map[K, ftWide]) { // with two thirds of the keys
				opts := append(slices.Clone(s.opts), more...)
				m, single = New[K, ftWide](opts...), New[K, ftWide](opts...)
				for i, k := range keys {
					if i%3 != 0 && k == k {
						m.Store(k, ftWideOf(i))
						single.Store(k, ftWideOf(i))
					}
				}
				btBring(t, s, m)
				btBring(t, s, single)
				return m, single
			}
			for _, size := range []int{0, 1, 31, 32, 33, 150} {
				batch := make([]K, size)
				for i := range batch {
					batch[i] = keys[r.IntN(n)]
				}
				m, single := make2()
				if size > 0 {
					settled := btNear(m, batch)
					require.Equal(t, s.quick, settled >= 0, "whether batches are brought near")
					require.True(t, !s.quick || size < 30 || n < 100 || settled > size/4, "only %d are settled by that", settled)
				}
				vals, found := make([]ftWide, size), make([]bool, size)
				for i := range vals { // what was there must not stay
					vals[i], found[i] = ftWideOf(-1), i%2 == 0
				}
				hits := m.LoadBatch(batch, vals, found)
				for i, k := range batch {
					v, ok := single.Load(k)
					require.True(t, vals[i] == v || ok && ftWideIs(vals[i]) && vals[i].n == v.n, "LoadBatch: value of %v: %v instead of %v", k, vals[i], v)
					require.Equal(t, ok, found[i], "LoadBatch: %v", k)
					if ok {
						hits--
					}
				}
				require.Zero(t, hits, "LoadBatch: the number of hits is off")

				for i := range vals {
					vals[i] = ftWideOf(1000 + i)
				}
				m.StoreBatch(batch, vals)
				for i, k := range batch {
					single.Store(k, vals[i])
				}
				btSame(t, "StoreBatch", single, m)

				m.DeleteBatch(nil)
				batch = batch[:size/2]
				deleted := m.DeleteBatch(batch)
				for _, k := range batch {
					if _, ok := single.LoadAndDelete(k); ok {
						deleted--
					}
				}
				require.Zero(t, deleted, "DeleteBatch: the number of deleted ones is off")
				btSame(t, "DeleteBatch", single, m)
			}
		})
	}
}

func TestBatchesOfStructsAllocateNothing(t *testing.T) {
	btTestAllocs(t, func(i int) mtTriple { return mtTriple{uint64(i), fmt.Sprint(i)} })
}
