package hash

import (
	"encoding/binary"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The multipliers of XXH64, and what undoes the second.
const (
	xxPrime1 = 0x9e3779b185ebca87
	xxPrime2 = 0xc2b2ae3d27d4eb4f
)

// inverse returns the number by which a product with odd p must be multiplied to undo it.
func inverse(p uint64) uint64 {
	x := p // right in the lowest 3 bits
	for range 5 {
		x *= 2 - p*x
	}
	return x
}

// xxStrings returns 3^n strings of which 2^n have one hash under XXH64, whatever its seed. XXH64 adds eight bytes times a prime to
// one of four accumulators, rotates it by 31, multiplies it by another prime, and takes the next eight for it 32 bytes
// later. Flipping the highest bit of a sum moves the accumulator, after rotation, by 2^30 times the prime, up or down:
// the seed decides which. The next eight bytes can take back either. So of three ways to write a pair of eight bytes (as it
// was; flipped and taken back as if it had moved up; as if down) two always come to the same.
func xxStrings(n int) []string {
	undo := inverse(xxPrime2)
	flip := undo << 63 // times the second prime it is the highest bit
	takeBack := undo << 30
	takeBack *= xxPrime1
	pairs := func(digits []int) string {
		b := make([]byte, (len(digits)+3)/4*64)
		for i, d := range digits {
			first, second := i/4*64+i%4*8, i/4*64+32+i%4*8
			switch d {
			case 1:
				binary.LittleEndian.PutUint64(b[first:], flip)
				binary.LittleEndian.PutUint64(b[second:], takeBack)
			case 2:
				binary.LittleEndian.PutUint64(b[first:], flip)
				binary.LittleEndian.PutUint64(b[second:], -takeBack)
			}
		}
		return string(b)
	}
	var strs []string
	digits := make([]int, n)
	for {
		strs = append(strs, pairs(digits))
		i := 0
		for ; i < n && digits[i] == 2; i++ {
			digits[i] = 0
		}
		if i == n {
			return strs
		}
		digits[i]++
	}
}

// mostAlike returns how many strings share the commonest hash.
func mostAlike(strs []string, hash func(string) uint64) (most int) {
	counts := make(map[uint64]int)
	for _, s := range strs {
		counts[hash(s)]++
		most = max(most, counts[hash(s)])
	}
	return most
}

// No set of strings may collide under every seed. Strings are hashed by the runtime, with AES instructions if the processor has
// them, else without; the child of this test is told that it has none.
func TestStringsCollideUnderNoSeed(t *testing.T) {
	const n = 8
	strs := xxStrings(n)
	for range 20 {
		seed := NewSeed()
		assert.Equal(t, 1<<n, mostAlike(strs, func(s string) uint64 {
			d := xxhash.NewWithSeed(seed.A)
			_, _ = d.WriteString(s)
			return d.Sum64()
		}), "the set is what it should be: XXH64 does not scatter it under any seed")
		assert.Equal(t, 1, mostAlike(strs, func(s string) uint64 { return String(s, &seed) }), "seed %x", seed)
	}
	const child = "HUSHMAP_TEST_WITHOUT_AES"
	if runtime.GOARCH == "amd64" && os.Getenv(child) == "" {
		exe, err := os.Executable()
		require.NoError(t, err)
		c := exec.Command(exe, "-test.run=^"+t.Name()+"$", "-test.v")
		c.Env = append(os.Environ(), child+"=1", "GODEBUG=cpu.aes=off")
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS")
	}
}
