package hash

import (
	"fmt"
	"maps"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wordHash is the signature of Word and of the mutants that the tests below
// must tell from it.
type wordHash func(x uint64, s *Seed) uint64

// Mutants: plausible integer hashes with a known weakness.
var (
	// fixedMultiplier xors the seed in, but always multiplies by the same number.
	fixedMultiplier wordHash = func(x uint64, s *Seed) uint64 {
		return (x ^ s.A) * spread
	}
	// unseeded ignores the seed and is otherwise excellent (MurmurHash3's
	// finaliser).
	unseeded wordHash = func(x uint64, _ *Seed) uint64 {
		x = (x ^ x>>33) * 0xff51afd7ed558ccd
		x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
		return x ^ x>>33
	}
	// seededLate xors the seed in at the end.
	seededLate wordHash = func(x uint64, s *Seed) uint64 {
		return unseeded(x, nil) ^ s.A
	}
	// unrotated is Word without its rotation.
	unrotated wordHash = func(x uint64, s *Seed) uint64 {
		hi, lo := bits.Mul64(x^s.A, s.B)
		return (hi ^ lo) * spread
	}
	// unspread is Word without its last multiplication.
	unspread wordHash = func(x uint64, s *Seed) uint64 {
		hi, lo := bits.Mul64(x^s.A, s.B)
		return hi ^ bits.RotateLeft64(lo, 32)
	}
)

// seeds returns n seeds that are the same in every run of the test.
func seeds(n int) []Seed {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]Seed, n)
	for i := range out {
		out[i] = Seed{A: r.Uint64(), B: r.Uint64() | 1, M: out[i].M}
	}
	return out
}

// deltas returns every single bit, every pair of bits, every run of bits, and
// random patterns.
func deltas() []uint64 {
	seen := make(map[uint64]bool)
	for i := range 64 {
		for j := range 64 {
			seen[1<<i|1<<j] = true
			if j >= i {
				seen[math.MaxUint64>>(63-j+i)<<i] = true
			}
		}
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		seen[r.Uint64()] = true
		seen[r.Uint64()&r.Uint64()&r.Uint64()] = true
	}
	delete(seen, 0)
	return slices.Sorted(maps.Keys(seen))
}

// worstDifferential returns how often the hashes of x and x^delta agree in the
// given bits, for the worst delta, over many seeds and a random x each. It
// also returns the mean over all deltas.
func worstDifferential(h wordHash, in uint64, trials int) (worst, mean float64) {
	r := rand.New(rand.NewPCG(5, 6))
	all := seeds(trials)
	ds := deltas()
	for _, d := range ds {
		hits := 0
		for i := range all {
			x := r.Uint64()
			if (h(x, &all[i])^h(x^d, &all[i]))&in == 0 {
				hits++
			}
		}
		rate := float64(hits) / float64(trials)
		worst = max(worst, rate)
		mean += rate / float64(len(ds))
	}
	return worst, mean
}

// predictable reports whether, for some delta, one value of the hashes' xor
// comes up far more often than chance allows, over random seeds and for a fixed x: the
// seed-independent differential that floods a table.
func predictable(h wordHash) bool {
	const trials = 256
	all := seeds(trials)
	for _, d := range deltas() {
		seen := make(map[uint64]int)
		for i := range all {
			diff := (h(0x1234, &all[i]) ^ h(0x1234^d, &all[i])) >> 48
			if seen[diff]++; seen[diff] > trials/4 {
				return true
			}
		}
	}
	return false
}

// patterns are the ways in which integer keys are usually not random: counters, multiples,
// pointers, byte-swapped and packed numbers.
func patterns() map[string]func(i uint64) uint64 {
	m := map[string]func(uint64) uint64{
		"negative":  func(i uint64) uint64 { return -i },
		"swapped":   bits.ReverseBytes64,
		"reversed":  bits.Reverse64,
		"pointers":  func(i uint64) uint64 { return 0xc000000000 + i*48 },
		"packed":    func(i uint64) uint64 { return i%128<<32 | i/128 },
		"gray":      func(i uint64) uint64 { return i ^ i>>1 },
		"floats":    func(i uint64) uint64 { return math.Float64bits(float64(i)) },
		"same low":  func(i uint64) uint64 { return i<<32 | 0xdeadbeef },
		"same high": func(i uint64) uint64 { return 0xdeadbeef<<32 | i },
	}
	for s := 0; s <= 48; s += 4 {
		m[fmt.Sprintf("shifted %d", s)] = func(i uint64) uint64 { return i << s }
	}
	for _, f := range []uint64{3, 24, 1000, 1e6, 1e9, 1<<32 + 1, 1<<16 + 1} {
		m[fmt.Sprintf("times %d", f)] = func(i uint64) uint64 { return i * f }
	}
	return m
}

// probeLength fills a table of 8-slot buckets to three quarters, with linear
// probing from the bucket that the hash's top bits name, and returns how many
// buckets past their home the keys lie, on average.
func probeLength(h wordHash, s *Seed, key func(uint64) uint64) float64 {
	const buckets, slots = 1 << 10, 8
	var used [buckets]int
	total, n := 0, buckets*slots*3/4
	for k := range n {
		i := h(key(uint64(k)), s) >> 54
		for used[i] == slots {
			i = (i + 1) % buckets
			total++
		}
		used[i]++
	}
	return float64(total) / float64(n)
}

// Random keys lie 0.10 buckets from home. The limits leave room for 100 draws.
func TestWordSpreadsPatternsOverBuckets(t *testing.T) {
	all := seeds(100)
	for name, key := range patterns() {
		worst, sum := 0.0, 0.0
		for i := range all {
			l := probeLength(Word, &all[i], key)
			worst, sum = max(worst, l), sum+l
		}
		assert.Less(t, worst, 0.3, "%s: worst seed", name)
		assert.Less(t, sum/float64(len(all)), 0.12, "%s: mean over seeds", name)
	}
	t.Run("mutant is caught", func(t *testing.T) {
		worst := 0.0
		for i := range all {
			worst = max(worst, probeLength(unspread, &all[i], func(i uint64) uint64 { return i }))
		}
		assert.Greater(t, worst, 1.0, "without the second multiplication some seed crowds sequential keys")
	})
}

// chi2 returns how far counts are from uniform, as a number of standard
// deviations.
func chi2(counts []int) float64 {
	n := 0
	for _, c := range counts {
		n += c
	}
	expected, x := float64(n)/float64(len(counts)), 0.0
	for _, c := range counts {
		d := float64(c) - expected
		x += d * d / expected
	}
	df := float64(len(counts) - 1)
	return (x - df) / math.Sqrt(2*df)
}

// Within one bucket the low bytes of sequential and other patterned keys are
// what saves the comparisons: they must not repeat more than chance.
func TestWordTophashDiffersWithinBuckets(t *testing.T) {
	all := seeds(20)
	for name, key := range patterns() {
		pairs, equal := 0, 0
		for i := range all {
			buckets := make(map[uint64][]uint8)
			for k := range uint64(6 << 10) {
				h := Word(key(k), &all[i])
				for _, other := range buckets[h>>54] {
					pairs++
					if other == uint8(h) {
						equal++
					}
				}
				buckets[h>>54] = append(buckets[h>>54], uint8(h))
			}
		}
		assert.Less(t, float64(equal)/float64(pairs), 1.5/256, "%s: equal tophashes in one bucket", name)
	}
}

// Over random keys, each output byte is uniform.
func TestWordIsUnbiased(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, s := range seeds(4) {
		var counts [8][256]int
		for range 1 << 16 {
			h := Word(r.Uint64(), &s)
			for i := range counts {
				counts[i][uint8(h>>(8*i))]++
			}
		}
		for i := range counts {
			assert.Less(t, math.Abs(chi2(counts[i][:])), 6.0, "byte %d, seed %#x", i, s)
		}
	}
}

// Each input bit flips each bit of the index (top 16) with a probability near
// one half, over seeds.
func TestWordAvalanche(t *testing.T) {
	const trials = 4000
	all := seeds(trials)
	r := rand.New(rand.NewPCG(9, 10))
	for in := range 64 {
		var flips [64]int
		for i := range all {
			x := r.Uint64()
			d := Word(x, &all[i]) ^ Word(x^1<<in, &all[i])
			for out := range flips {
				flips[out] += int(d >> out & 1)
			}
		}
		for out := 48; out < 64; out++ {
			assert.InDelta(t, 0.5, float64(flips[out])/trials, 0.05, "input bit %d, output bit %d", in, out)
		}
	}
}

// fold(0) is zero for the one key that equals s.A. No other key may meet it
// there, and no two neighbours of it may pair up.
func TestWordAroundItsZero(t *testing.T) {
	for _, s := range append(seeds(50), StableSeed()) {
		require.Zero(t, Word(s.A, &s))
		seen := map[uint64]uint64{0: s.A}
		add := func(x uint64) {
			h := Word(x, &s)
			if other, ok := seen[h]; ok && other != x {
				t.Fatalf("seed %#x: %#x and %#x both hash to %#x", s, x, other, h)
			}
			seen[h] = x
		}
		for _, d := range deltas() {
			add(s.A ^ d)
			add(s.A + d)
			add(d)
		}
		for x := range uint64(1000) {
			add(x)
			add(^x)
			add(s.A ^ x)
			add(s.B ^ x)
		}
	}
}

func TestSeedsMatter(t *testing.T) {
	a, b := NewSeed(), NewSeed()
	assert.NotEqual(t, a, b)
	assert.EqualValues(t, 1, a.B&1, "B is odd")
	assert.EqualValues(t, 1, StableSeed().B&1, "B is odd")
	same := 0
	for x := range uint64(1000) {
		if Word(x, &a)>>48 == Word(x, &b)>>48 {
			same++
		}
		k := fmt.Sprint(x)
		assert.NotEqual(t, String(k, &a), String(k, &b))
	}
	assert.Less(t, same, 10, "top 16 bits under two seeds")
}

func TestStableSeedIsStable(t *testing.T) {
	a, b := StableSeed(), StableSeed()
	assert.Equal(t, uint64(0x243f6a8885a308d3), a.A)
	assert.Equal(t, uint64(0x13198a2e03707345), a.B)
	assert.Equal(t, [2]uint64{a.A, a.B}, [2]uint64{b.A, b.B})
	assert.NotPanics(t, func() { String("M is valid", &a) })
}
