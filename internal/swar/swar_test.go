package swar

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// split is the reference for how a word is cut into bytes.
func split(word uint64) (b [8]uint8) {
	for i := range b {
		b[i] = uint8(word / (1 << (8 * i)))
	}
	return b
}

// flagged is the reference for masks: the flags of all bytes for which f holds.
func flagged(word uint64, f func(b uint8) bool) (mask uint64) {
	for i, b := range split(word) {
		if f(b) {
			mask += 0x80 << (8 * i)
		}
	}
	return mask
}

// words calls f with words that are likely to break the formulas: all pairs of
// lowest bytes, special pairs in all positions, and random words in which b and the
// bytes next to it are frequent.
func words(b uint8, f func(word uint64)) {
	for pair := range uint64(1 << 16) {
		f(pair)
	}
	for _, background := range []uint64{0, ^uint64(0), flags, low7, ones, ones * uint64(b)} {
		for i := range 7 {
			for _, pair := range []uint64{0, 1, 0x80, 0x100, 0x8000, 0xffff, uint64(b) * 0x101, uint64(b^1)<<8 | uint64(b)} {
				f(background&^(0xffff<<(8*i)) | pair<<(8*i))
			}
		}
	}
	r := rand.New(rand.NewPCG(uint64(b), 1))
	near := []uint8{b, b ^ 1, b + 1, b - 1, b ^ 0x80, 0, 1, 0xff}
	for range 2000 {
		word := r.Uint64()
		for i := range 8 {
			if r.IntN(3) > 0 {
				word = word&^(0xff<<(8*i)) | uint64(near[r.IntN(len(near))])<<(8*i)
			}
		}
		f(word)
	}
}

func TestEmptyAndFullAreExact(t *testing.T) {
	for _, b := range []uint8{0, 1, 0x7f, 0x80, 0xff} {
		words(b, func(word uint64) {
			empty := flagged(word, func(b uint8) bool { return b == 0 })
			if Empty(word) != empty || Full(word) != empty^flags {
				t.Fatalf("%#016x: Empty %#016x, Full %#016x, want %#016x and its complement", word, Empty(word), Full(word), empty)
			}
		})
	}
}

func TestMatchNeverMissesAndErrsOnlyAboveAMatch(t *testing.T) {
	for b := range 256 {
		b := uint8(b)
		if testing.Short() && b%16 > 1 {
			continue
		}
		words(b, func(word uint64) {
			got, exact := Match(word, b), flagged(word, func(x uint8) bool { return x == b })
			switch false_ := got &^ exact; {
			case exact&^got != 0:
				t.Fatalf("Match(%#016x, %#02x) = %#016x misses one of %#016x", word, b, got, exact)
			case got&^flags != 0:
				t.Fatalf("Match(%#016x, %#02x) = %#016x has more than flags", word, b, got)
			case false_&^(got<<8) != 0:
				t.Fatalf("Match(%#016x, %#02x) = %#016x: a false flag without a flag below it", word, b, got)
			case false_&^flagged(word, func(x uint8) bool { return x == b^1 }) != 0:
				t.Fatalf("Match(%#016x, %#02x) = %#016x: a false flag on a byte that is not b^1", word, b, got)
			case exact == 0 && got != 0:
				t.Fatalf("Match(%#016x, %#02x) = %#016x, want 0", word, b, got)
			case exact != 0 && First(got) != First(exact):
				t.Fatalf("Match(%#016x, %#02x) = %#016x: lowest flag is false", word, b, got)
			}
		})
	}
}

// The doc comment's examples, and one false flag, which is not an error.
func TestMatchExamples(t *testing.T) {
	const word = 0x002a00072a01002a
	assert.Equal(t, uint64(0x8000800000008000), Empty(word))
	assert.Equal(t, uint64(0x0080008080800080), Full(word))
	assert.Equal(t, uint64(0x0080000080000080), Match(word, 0x2a))
	assert.Equal(t, uint64(0x0000000000008080), Match(0x1111111111112b2a, 0x2a), "byte 1 is 0x2b: a false flag")
	assert.Equal(t, uint64(0x0000000000808080), Match(0x11111111112b2b2a, 0x2a), "a run of false flags")
	assert.Zero(t, Match(0x11111111112b2b29, 0x2a), "no false flag without a true one")
}

func TestFirstNextCountVisitEveryFlag(t *testing.T) {
	for subset := range 256 {
		var mask uint64
		var want []int
		for i := range 8 {
			if subset>>i&1 != 0 {
				mask |= 0x80 << (8 * i)
				want = append(want, i)
			}
		}
		var got []int
		for m := mask; m != 0; m = Next(m) {
			got = append(got, First(m))
		}
		require.Equal(t, want, got)
		require.Equal(t, len(want), Count(mask))
	}
	assert.Equal(t, 8, First(0))
}

func TestByteAndWith(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		word := r.Uint64()
		for i := range 8 {
			bytes := split(word)
			require.Equal(t, bytes[i], Byte(word, i))
			b := uint8(r.Uint32())
			bytes[i] = b
			require.Equal(t, bytes, split(With(word, i, b)))
			require.Equal(t, word, With(With(word, i, b), i, Byte(word, i)))
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add(uint64(0), uint8(0))
	f.Add(uint64(0x1111111111112b2a), uint8(0x2a))
	f.Fuzz(func(t *testing.T, word uint64, b uint8) {
		got, exact := Match(word, b), flagged(word, func(x uint8) bool { return x == b })
		require.Zero(t, exact&^got, "missed")
		require.Equal(t, exact == 0, got == 0, "zero is exact")
	})
}
