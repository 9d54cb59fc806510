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
	var few uint64
	switch {
	case n > wordwise:
		return Comparable(&str, s)
	case n > 16:
		h := fold(load64(p, 0)^s.A, load64(p, 8)^s.C)
		for i := 16; i < n-16; i += 16 {
			h = fold(load64(p, i)^s.A, load64(p, i+8)^h)
		}
		return Tail(h^s.A, p, n, s)
	case n >= 4:
		i := n >> 3 << 2 // 0, 4 or 8: no branch that keys of changing length would take by surprise
		a, b := load32(p, 0)<<32^load32(p, i), load32(p, n-4)<<32^load32(p, n-4-i)
		return last(fold(a^s.A, b^s.C), n, s)
	case n > 0:
		few = uint64(*(*byte)(p)) | uint64(*(*byte)(unsafe.Add(p, n/2)))<<8 | uint64(*(*byte)(unsafe.Add(p, n-1)))<<16
	}
	return last(fold(few^s.A, s.C), n, s)
}

// IsMedium reports whether n is 17 to 32.
func IsMedium(n int) bool { return uint(n-17) <= 32-17 }

// Head begins String for the n bytes at p, if n IsMedium. It can be inlined, and so can Tail.
func Head(p unsafe.Pointer, n int, s *Seed) uint64 {
	return fold(load64(p, 0)^s.A, load64(p, 8)^s.C) ^ s.A
}

// Tail ends what Head began: String is Tail(Head(p, n, s), p, n, s).
func Tail(head uint64, p unsafe.Pointer, n int, s *Seed) uint64 {
	return fold(head^fold(load64(p, n-16)^s.D, load64(p, n-8)^s.B), s.B^uint64(n)<<1)
}

// last ends String for up to 16 bytes.
func last(h uint64, n int, s *Seed) uint64 { return fold(h^s.A, s.B^uint64(n)<<1) }

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
