package hash

// How strings are hashed: by a few multiplications if they are short, as most
// keys are, else by the runtime.

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// wordwise is the longest string that String hashes by itself.
const wordwise = 64

// String hashes str. Its bytes are read as pairs of words, the last of which may
// overlap; each pair becomes the product of its words, each hidden by a secret of
// its own or by what came before, with the halves folded together. A last product
// makes both ends good. It lacks what Word has for keys in sequence and for
// complements, with which a lookup took 1.08 of the time, so it must be given
// neither: the length, which tells strings with the same words apart ("aaaaaaaa"
// and "aaaaaaaaa"), goes into the other factor. Where it was xored to the first,
// strings of one letter lay in crowds under two seeds in a hundred.
//
// The construction is that of wyhash, by Wang Yi, which Go's runtime uses where
// there are no AES instructions.
func String(str string, s *Seed) uint64 {
	p, n := unsafe.Pointer(unsafe.StringData(str)), len(str)
	switch {
	case n > wordwise:
		return Comparable(&str, s)
	case n > 16:
		h := fold(load64(p, 0)^s.A, load64(p, 8)^s.C)
		for i := 16; i < n-16; i += 16 {
			h = fold(load64(p, i)^s.A, load64(p, i+8)^h)
		}
		return Tail(h^s.A, p, n, s)
	case n >= Least:
		a, b := Words(p, n)
		return Pair(a, b, n, s)
	case n > 0:
		return Pair(Few(p, n), 0, n, s)
	default:
		return Pair(0, 0, n, s)
	}
}

// What follows can be inlined, by callers for whom a call is dear. String of the n bytes at p is
//
//	Tail(Head(p, n, s), p, n, s)     if n IsMedium
//	Pair(a, b, n, s)                 if n IsShort, where Words has a and b, and below Least Few has a, and b is 0

// IsMedium reports whether n is 17 to 32.
func IsMedium(n int) bool { return uint(n-17) <= 32-17 }

// IsShort reports whether n is 1 to 16.
func IsShort(n int) bool { return uint(n-1) <= 16-1 }

// Least is the least n for Words.
const Least = 4

// Head begins with the first 16 bytes.
func Head(p unsafe.Pointer, n int, s *Seed) uint64 {
	return fold(load64(p, 0)^s.A, load64(p, 8)^s.C) ^ s.A
}

// Tail ends with the last 16 bytes.
func Tail(head uint64, p unsafe.Pointer, n int, s *Seed) uint64 {
	return fold(head^fold(load64(p, n-16)^s.D, load64(p, n-8)^s.B), s.B^uint64(n)<<1)
}

// Words returns the n bytes at p, 4 to 16, in two words, most of them more than once.
func Words(p unsafe.Pointer, n int) (a, b uint64) {
	i := n >> 3 << 2 // 0, 4 or 8: no branch that keys of changing length would take by surprise
	return load32(p, 0)<<32 | load32(p, i), load32(p, n-4)<<32 | load32(p, n-4-i)
}

// Few returns the n bytes at p, 1 to 3, in one word.
func Few(p unsafe.Pointer, n int) uint64 {
	return uint64(*(*byte)(p)) | uint64(*(*byte)(unsafe.Add(p, n/2)))<<8 | uint64(*(*byte)(unsafe.Add(p, n-1)))<<16
}

// Pair hashes two words that are all of n bytes.
func Pair(a, b uint64, n int, s *Seed) uint64 {
	return fold(fold(a^s.A, b^s.C)^s.A, s.B^uint64(n)<<1)
}

// fold multiplies to 128 bits and xors the halves.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func load64(p unsafe.Pointer, i int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(p, i))[:])
}

func load32(p unsafe.Pointer, i int) uint64 {
	return uint64(binary.LittleEndian.Uint32((*[4]byte)(unsafe.Add(p, i))[:]))
}
