package hash

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stringHash is the signature of String and of the mutants that the tests below must tell from it.
type stringHash func(str string, s *Seed) uint64

var (
	// lengthless is String without the length.
	lengthless stringHash = func(str string, s *Seed) uint64 {
		p, n := unsafe.Pointer(unsafe.StringData(str)), len(str)
		if n < 8 || n > 16 {
			return String(str, s)
		}
		return Word(fold(load64(p, 0)^s.A, load64(p, n-8)^s.C), s)
	}
	// halfSeeded hides only one of two words.
	halfSeeded stringHash = func(str string, s *Seed) uint64 {
		p, n := unsafe.Pointer(unsafe.StringData(str)), len(str)
		if n < 8 || n > 16 {
			return String(str, s)
		}
		return Word(fold(load64(p, 0)^s.A, load64(p, n-8))^uint64(n), s)
	}
	// summed gives both words the same secret and adds them.
	summed stringHash = func(str string, s *Seed) uint64 {
		p, n := unsafe.Pointer(unsafe.StringData(str)), len(str)
		if n < 8 || n > 16 {
			return String(str, s)
		}
		return Word(fold(load64(p, 0)^s.A, s.B)+fold(load64(p, n-8)^s.A, s.B)^uint64(n), s)
	}
)

// lengths are those at which String does something else, and some between.
var lengths = []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 20, 31, 32, 33, 40, 48, 49, 63, 64, 65, 100, 300}

// fullSeeds is seeds with all parts.
func fullSeeds(n int) []Seed {
	r, all := rand.New(rand.NewPCG(11, 12)), seeds(n)
	for i := range all {
		all[i].C, all[i].D, all[i].M = r.Uint64(), r.Uint64(), NewSeed().M
	}
	return all
}

// randomBytes returns n random bytes.
func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestStringDependsOnBytesAndLength(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	check := func(h stringHash) (collisions int) {
		s := fullSeeds(1)[0]
		for range 20 {
			seen := make(map[uint64]string)
			add := func(b []byte) {
				k := string(b)
				v := h(k, &s)
				require.Equal(t, v, h(clone(k), &s), "another copy, at another address")
				if other, ok := seen[v]; ok && other != k {
					collisions++
				}
				seen[v] = k
			}
			for _, n := range lengths {
				b := randomBytes(r, n)
				add(b)
				add(make([]byte, n))
				add([]byte(strings.Repeat("a", n)))
				for i := range n * 8 { // every bit counts
					b[i/8] ^= 1 << (i % 8)
					add(b)
					b[i/8] ^= 1 << (i % 8)
				}
			}
		}
		return collisions
	}
	assert.Zero(t, check(String))
	assert.NotZero(t, check(lengthless), "mutant")
}

// stringDifferential is worstDifferential for strings of n bytes that differ by a pattern, which may be anywhere in
// them.
func stringDifferential(h stringHash, in uint64, n, trials int) (worst, mean float64) {
	r := rand.New(rand.NewPCG(5, 6))
	all := fullSeeds(trials)
	patterns := [][]byte{}
	for i := range n * 8 {
		d := make([]byte, n)
		d[i/8] = 1 << (i % 8)
		patterns = append(patterns, d)
	}
	for i := range n { // the same in each of two places
		for j := range i {
			d := make([]byte, n)
			d[i], d[j] = 0x80, 0x80
			patterns = append(patterns, d)
		}
	}
	all1 := make([]byte, n)
	for i := range all1 {
		all1[i] = 0xff
	}
	patterns = append(patterns, all1, append(make([]byte, n-n/2), all1[:n/2]...), append(all1[:n/2:n/2], make([]byte, n-n/2)...))
	for range 300 {
		patterns = append(patterns, randomBytes(r, n))
	}
	for _, d := range patterns {
		if bytes.Count(d, []byte{0}) == n {
			continue
		}
		hits := 0
		for i := range all {
			x := randomBytes(r, n)
			y := make([]byte, n)
			for k := range y {
				y[k] = x[k] ^ d[k]
			}
			if (h(string(x), &all[i])^h(string(y), &all[i]))&in == 0 {
				hits++
			}
		}
		rate := float64(hits) / float64(trials)
		worst, mean = max(worst, rate), mean+rate/float64(len(patterns))
	}
	return worst, mean
}

// The two words of a string, swapped, must not meet: nor may pairs of words whose differences cancel out.
func TestStringWordsDoNotCancel(t *testing.T) {
	words := func(a, b uint64) string {
		return string(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, a), b))
	}
	meet := func(h stringHash) (n int) {
		for _, s := range fullSeeds(2000) {
			r := rand.New(rand.NewPCG(s.A, s.B))
			a, b := r.Uint64(), r.Uint64()
			for _, other := range []string{
				words(b, a), words(^a, b), words(a, ^b), words(^a, ^b), words(-a, b), words(a+1, b-1), words(a^1, b^1),
				words(bits.ReverseBytes64(a), bits.ReverseBytes64(b)), words(a, 0), words(0, b), words(0, 0),
			} {
				if h(words(a, b), &s)>>44 == h(other, &s)>>44 {
					n++
				}
			}
			if h(words(a, 0), &s) == h(words(b, 0), &s) {
				n += 100 // one word that is 0 must not hide the other
			}
		}
		return n
	}
	assert.LessOrEqual(t, meet(String), 3, "of 22000 pairs; ideal 0.02")
	assert.Greater(t, meet(halfSeeded), 100, "mutant")
	assert.Greater(t, meet(summed), 1000, "mutant")
}

// keysLike are the ways in which string keys are usually alike.
var keysLike = map[string]func(i int) string{
	"numbers":     func(i int) string { return fmt.Sprint(i) },
	"padded":      func(i int) string { return fmt.Sprintf("%08d", i) },
	"wide":        func(i int) string { return fmt.Sprintf("%020d", i) },
	"uuid":        func(i int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", i/7, i) },
	"path":        func(i int) string { return fmt.Sprintf("/api/v1/users/%d/items/%d", i/10, i%10) },
	"little word": func(i int) string { return string(binary.LittleEndian.AppendUint64(nil, uint64(i))) },
	"big word":    func(i int) string { return string(binary.BigEndian.AppendUint64(nil, uint64(i))) },
	"two words": func(i int) string {
		w := binary.LittleEndian.AppendUint64(nil, uint64(i))
		return string(append(w, w...))
	},
	"pointer-like": func(i int) string { return fmt.Sprintf("0xc%09x", i*48) },
	"length":       func(i int) string { return strings.Repeat("ab", i%64) + fmt.Sprint(i/64) },
}

func TestStringSpreadsKeysOverBuckets(t *testing.T) {
	for name, key := range keysLike {
		var keys []string
		for i := range 6 << 10 {
			keys = append(keys, key(i))
		}
		worst, sum := 0.0, 0.0
		all := fullSeeds(50)
		for i := range all {
			h := func(k uint64, s *Seed) uint64 { return String(keys[k], s) }
			l := probeLength(h, &all[i], func(i uint64) uint64 { return i })
			worst, sum = max(worst, l), sum+l
			pairs, equal := 0, 0
			buckets := make(map[uint64][]uint8)
			for _, k := range keys {
				v := String(k, &all[i])
				for _, other := range buckets[v>>54] {
					pairs++
					if other == uint8(v) {
						equal++
					}
				}
				buckets[v>>54] = append(buckets[v>>54], uint8(v))
			}
			assert.Less(t, float64(equal)/float64(pairs), 2.5/256, "%s: equal tophashes in one bucket", name)
		}
		assert.Less(t, worst, 0.3, "%s: worst seed", name)
		assert.Less(t, sum/float64(len(all)), 0.12, "%s: mean over seeds", name)
	}
}

// Strings that repeat the same have the same words, and differ in nothing but their lengths.
func TestStringSpreadsLengthsOverBuckets(t *testing.T) {
	for _, period := range []int{1, 2, 4} {
		var keys []string
		for i := 0; len(keys) < 6<<10; i++ {
			for n := period; n <= 64; n += period {
				keys = append(keys, strings.Repeat(string([]byte{byte(i), byte(i >> 8), byte(i), 1}[:period]), n/period))
			}
		}
		worst, sum := 0.0, 0.0
		all := fullSeeds(400)
		for i := range all {
			h := func(k uint64, s *Seed) uint64 { return String(keys[k], s) }
			l := probeLength(h, &all[i], func(i uint64) uint64 { return i })
			worst, sum = max(worst, l), sum+l
		}
		assert.Less(t, worst, 0.2, "period %d: worst seed", period)
		assert.Less(t, sum/float64(len(all)), 0.1, "period %d: mean over seeds", period)
	}
}

// TestPiecesAreString: callers that cannot afford a call get the same hashes.
func TestPiecesAreString(t *testing.T) {
	seed := NewSeed()
	text := []byte("the quick brown fox jumps over the lazy dog, and runs away")
	pieces := 0
	for n := range len(text) {
		str, p := string(text[:n]), unsafe.Pointer(&text[0])
		var h uint64
		switch {
		case IsMedium(n):
			h = Tail(Head(p, n, &seed), p, n, &seed)
		case IsShort(n) && n >= Least:
			a, b := Words(p, n)
			h = Pair(a, b, n, &seed)
		case IsShort(n):
			h = Pair(Few(p, n), 0, n, &seed)
		default:
			continue
		}
		assert.Equal(t, String(str, &seed), h, "%d bytes", n)
		pieces++
	}
	assert.Equal(t, 32, pieces)
	assert.False(t, IsShort(0) || IsShort(17) || IsMedium(16) || IsMedium(33))
}

func TestStringIsUnbiased(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, s := range fullSeeds(2) {
		for _, n := range []int{3, 7, 8, 16, 20, 64} {
			var counts [8][256]int
			for range 1 << 15 {
				h := String(string(randomBytes(r, n)), &s)
				for i := range counts {
					counts[i][uint8(h>>(8*i))]++
				}
			}
			for i := range counts {
				assert.Less(t, math.Abs(chi2(counts[i][:])), 6.0, "%d bytes, byte %d, seed %#x", n, i, s)
			}
		}
	}
}

func TestLongStringIsComparable(t *testing.T) {
	type name string
	s := NewSeed()
	for n := wordwise + 1; n < 300; n++ {
		str := strings.Repeat("x", n)
		named := name(str)
		assert.Equal(t, Comparable(&str, &s), String(str, &s))
		assert.Equal(t, Comparable(&named, &s), String(str, &s))
	}
}
