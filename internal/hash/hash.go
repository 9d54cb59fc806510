// Package hash turns keys into 64-bit hashes, under a seed that no attacker
// knows (hash.go) or, on request, the same in every process (stable.go).
//
// A map takes the bucket index from the top bits of a hash and the tophash
// from its lowest byte, so both ends must be good.
package hash

import (
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"unsafe"
)

// Seed selects one function out of a large family. Never compare hashes that
// were made under different seeds.
type Seed struct {
	A, B uint64       // for Word, Mix, String and the stable hashers; B is odd
	C, D uint64       // for String
	M    maphash.Seed // for Comparable, and String where strings are long
}

// NewSeed returns a random seed. The top-level functions of math/rand/v2 are
// ChaCha8, seeded by the operating system, so seeds cannot be guessed from
// each other.
func NewSeed() Seed {
	return Seed{A: rand.Uint64(), B: rand.Uint64() | 1, C: rand.Uint64(), D: rand.Uint64(), M: maphash.MakeSeed()}
}

// StableSeed returns the seed that is the same in every process: A and B are
// the first 128 bits of the fraction of pi. M is valid but random; the stable
// hashers use neither it nor C and D.
func StableSeed() Seed {
	return Seed{A: 0x243f6a8885a308d3, B: 0x13198a2e03707345, M: maphash.MakeSeed()}
}

// Word hashes one machine word: a seeded 128-bit product, its halves folded
// together, spread once more by a constant. Two details matter, and the tests
// fail without either.
//
// The rotation is for keys that are each other's complement. The products of x
// and ^x are so related that hi ^ lo, over random seeds, agreed in its low byte
// 23 times too often, and in its top 16 bits 700 times. It is free: the lower half
// of a product is ready before the upper one.
//
// The constant is for keys in sequence, and costs 1 ns. The top bits of hi ^ lo
// are those of x*B, which most B spread better than chance would, but 3 %
// of them leave gaps and crowds: in a table at its load limit keys then lay
// dozens of buckets from home, 756 in the worst of 300 seeds. With it, thirty
// patterns of keys lay as random keys do, under every seed. Making both
// factors depend on x did not help; a second full fold did no better than the
// constant, for another 0.7 ns.
func Word(x uint64, s *Seed) uint64 {
	hi, lo := bits.Mul64(x^s.A, s.B)
	return (hi ^ bits.RotateLeft64(lo, 32)) * spread
}

// spread is 2^64 divided by the golden ratio, made odd: no simple pattern of
// bits, and multiplying by it loses nothing.
const spread = 0x9e3779b97f4a7c15

// Mix makes a good hash of h, the answer of a user's function, in which any
// of the bits may be poor. Different h may
// meet only by chance.
func Mix(h uint64, s *Seed) uint64 {
	return Word(h, s)
}

// Comparable hashes *k such that keys equal under == have equal hashes. A key
// that is not equal to itself (NaN) gets another hash each time. If the dynamic
// type of a key cannot be hashed, Comparable panics with the runtime.Error that
// sync.Map panics with. Neither *k nor anything it refers to escapes.
//
// Seeded XXH64 would be no alternative where the CPU lacks the AES instructions
// that maphash works with: there are sets of strings that collide in XXH64 under
// every seed (flood_test.go has one), and it is slower, 40 ns for 20 bytes
// against 15.
func Comparable[K comparable](k *K, s *Seed) uint64 {
	return maphash.Comparable(s.M, *(*K)(NoEscape(unsafe.Pointer(k))))
}

// Any hashes an interface value as Comparable does, but keys of the most usual
// dynamic types without a detour. Keys of several types that hold the same
// number share a hash; few maps have such keys.
func Any(k any, s *Seed) uint64 {
	switch k := k.(type) {
	case string:
		return String(k, s)
	case int:
		return Word(uint64(k), s)
	case uint64:
		return Word(k, s)
	case int64:
		return Word(uint64(k), s)
	case int32:
		return Word(uint64(k), s)
	case uint32:
		return Word(uint64(k), s)
	}
	return Comparable(&k, s)
}

// Custom returns what a user's function says of *k under the seed. Neither *k nor anything it refers to escapes, so
// the function must not keep its argument.
func Custom[K comparable](f func(key K, seed uint64) uint64, k *K, s *Seed) uint64 {
	return f(*(*K)(NoEscape(unsafe.Pointer(k))), s.A)
}

// NoEscape returns p, hiding from the compiler that the result points to the
// same place. maphash.Comparable declares that its argument escapes, because
// a key that holds a pointer to the stack would change its hash when the stack
// moves; every lookup with a boxed key would pay for that with an allocation.
//
// It is sound here as no pointer outlives the call: a hash is a number, and
// bytes that a caller lends for a key are copied. And the key of a lookup needs
// no stable address: a key that points to the lookup's own stack is not in the
// map, since what is stored has escaped to the heap by being stored. Whatever its
// hash, it is not found.
//
// The integer u lives for two instructions, without a call between them, so
// the stack cannot move while it holds the address; and if the goroutine is
// stopped there, the collector takes any number in its registers and in this
// frame for an address. Builds with checkptr (-race, -msan, -asan) would put a
// call there, hence the directives. It must not be inlined: the compiler may keep
// an integer for the pointer that was made from it, across the caller's calls,
// where the collector and whoever moves the stack do not know it for an address;
// and the directives mean nothing in a caller's package.
//
// With -asan the compiler moves every variable to the heap whose address becomes
// an unsafe.Pointer. Callers must have none of these directives, so that it knows
// what p was made from: an address of the stack that it did not know of would be
// left behind in the heap when the stack moves.
//
//go:noinline
//go:nosplit
//go:nocheckptr
//go:norace
func NoEscape(p unsafe.Pointer) unsafe.Pointer {
	u := uintptr(p)
	return *(*unsafe.Pointer)(unsafe.Pointer(&u))
}
