package arena

// Comparing keys without a call where they are short, which most are: by words
// that may overlap, and without a branch that depends on the bytes. The loads are
// those of encoding/binary, which are one instruction where the machine can load
// a word from any address. Measured on fresh keys in cache, in ns, this way and
// as strings: 5 bytes 3.1 and 6.1, 20 bytes 3.5 and 4.8, 40 bytes 4.2 and 5.7.

import (
	"encoding/binary"
	"unsafe"
)

// wordwise is the longest key that is compared by words; beyond it the string
// comparison of the runtime, which goes by 64 bytes, is faster: 100 bytes took
// 8.6 ns by words and 7.1 as strings.
const wordwise = 64

// equalMany reports whether n > 8 bytes at p and q are the same.
func equalMany(p, q unsafe.Pointer, n int) bool {
	if n > wordwise {
		return unsafe.String((*byte)(p), n) == unsafe.String((*byte)(q), n)
	}
	for i := 0; i < n-8; i += 8 {
		if differ64(p, q, i) != 0 {
			return false
		}
	}
	return differ64(p, q, n-8) == 0
}

// equalFew reports whether n < 4 bytes at p and q are the same.
func equalFew(p, q unsafe.Pointer, n int) bool {
	return n == 0 || differ8(p, q, 0)|differ8(p, q, n>>1)|differ8(p, q, n-1) == 0
}

// equalSome reports whether n bytes, 4 to 16, at p and q are the same.
func equalSome(p, q unsafe.Pointer, n int) bool {
	i := n >> 3 << 2 // 0, 4 or 8: no branch that keys of changing length would take by surprise
	return differ32(p, q, 0)|differ32(p, q, i)|differ32(p, q, n-4-i)|differ32(p, q, n-4) == 0
}

// differ8 and differ32 return a number that is 0 if the bytes, or four of them, at p+i and q+i are the same.
func differ8(p, q unsafe.Pointer, i int) byte {
	return *(*byte)(unsafe.Add(p, i)) ^ *(*byte)(unsafe.Add(q, i))
}

func differ32(p, q unsafe.Pointer, i int) uint32 { return load32(p, i) ^ load32(q, i) }

// Differ returns a word that is 0 if 16 bytes from p+i and q+i on are the same.
func Differ(p, q unsafe.Pointer, i int) uint64 {
	return differ64(p, q, i) | differ64(p, q, i+8)
}

// differ64 returns a word that is 0 if the words at p+i and q+i are the same.
func differ64(p, q unsafe.Pointer, i int) uint64 { return load64(p, i) ^ load64(q, i) }

func load64(p unsafe.Pointer, i int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(p, i))[:])
}

func load32(p unsafe.Pointer, i int) uint32 {
	return binary.LittleEndian.Uint32((*[4]byte)(unsafe.Add(p, i))[:])
}
