//go:build !race

// This file looks for differentials by trying millions of pairs in one goroutine, which is slow in race builds and shows no
// races.

package hash

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestStringHasNoSeedIndependentDifferential(t *testing.T) {
	for _, n := range []int{1, 3, 4, 7, 8, 12, 16, 20, 32, 40} {
		const trials = 500
		worst, mean := stringDifferential(String, 0xffff<<48, n, trials)
		assert.LessOrEqual(t, worst, 4.0/trials, "%d bytes: top 16 bits agree too often for one delta; ideal 1/65536", n)
		assert.Less(t, mean, 10.0/65536, "%d bytes: top 16 bits agree too often on average", n)
		worst, mean = stringDifferential(String, 0xff, n, trials)
		assert.Less(t, worst, 16.0/trials, "%d bytes: low byte agrees too often for one delta; ideal 2 of 500", n)
		assert.InEpsilon(t, 1.0/256, mean, 0.2, "%d bytes: low byte", n)
	}
}

func TestWordHasNoSeedIndependentDifferential(t *testing.T) {
	const (
		trials = 1000
		top    = 0xffff << 48
		low    = 0xff
	)
	for name, h := range map[string]wordHash{"Word": Word, "Mix": Mix} {
		t.Run(name, func(t *testing.T) {
			worst, mean := worstDifferential(h, top, trials)
			assert.Less(t, worst, 0.01, "top 16 bits agree too often for one delta; ideal 1/65536")
			assert.Less(t, mean, 3.0/65536, "top 16 bits agree too often on average; ideal 1/65536")

			// 1000 trials at 1/256: 4 hits expected, a standard deviation of 2.
			worst, mean = worstDifferential(h, low, trials)
			assert.Less(t, worst, 5.0/256, "low byte agrees too often for one delta; ideal 1/256")
			assert.InEpsilon(t, 1.0/256, mean, 0.1, "low byte; ideal 1/256")

			assert.False(t, predictable(h), "the xor of two hashes must depend on the seed")
		})
	}
	t.Run("mutants are caught", func(t *testing.T) {
		worst, _ := worstDifferential(fixedMultiplier, low, 200)
		assert.Equal(t, 1.0, worst, "high bits never reach the low byte")
		worst, _ = worstDifferential(unrotated, low, trials)
		assert.Greater(t, worst, 5.0/256, "x and ^x")
		assert.True(t, predictable(fixedMultiplier))
		assert.True(t, predictable(unseeded))
		assert.True(t, predictable(seededLate))
	})
}
