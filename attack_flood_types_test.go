//go:build hushmap_types || !(race || hushmap_invariants || hushmap_atomic || 386)

// This file looks at how keys of several types spread. It is left out where suite_types_test.go is, and where words are
// stored with atomic instructions or have 32 bits, unless the tag hushmap_types asks for it.

package hushmap

import (
	"fmt"
	"testing"
)

// Keys of other kinds, in patterns.
func TestAttackSetsOfOtherKeys(t *testing.T) {
	n := afFull(afSize() / 8)
	type pair struct{ a, b uint32 }
	check := func(what string, mean, far float64) {
		t.Logf("%-36s %d keys: %.4f buckets from home", what, n, mean)
		afLikeRandom(t, what, n, mean, far)
	}
	capacity := WithCapacity(n)
	mean, far := afSpread(t, New[string, struct{}](capacity), n, func(i uint64) string { return fmt.Sprint(i) })
	check("numbers as strings", mean, far)
	mean, far = afSpread(t, New[string, struct{}](capacity), n, func(i uint64) string { return fmt.Sprintf("%0200d", i) })
	check("long strings that end differently", mean, far)
	mean, far = afSpread(t, New[any, struct{}](capacity), n, func(i uint64) any { return int64(i) << 32 })
	check("integers in interfaces", mean, far)
	mean, far = afSpread(t, New[pair, struct{}](capacity), n, func(i uint64) pair { return pair{uint32(i), uint32(i)} })
	check("structs with equal fields", mean, far)
	mean, far = afSpread(t, New[float64, struct{}](capacity), n, func(i uint64) float64 { return float64(i) })
	check("floats", mean, far)
	mean, far = afSpread(t, New[uint64, struct{}](capacity, WithHasher(func(k, _ uint64) uint64 { return k << 40 })), n,
		func(i uint64) uint64 { return i })
	check("WithHasher of few bits, unseeded", mean, far)
}
