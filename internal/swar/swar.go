// Package swar works on eight bytes packed into one 64-bit word, all eight at
// once ("SIMD within a register").
//
//	bits   63..56  55..48  47..40  39..32  31..24  23..16  15..8   7..0
//	      +-------+-------+-------+-------+-------+-------+-------+-------+
//	word  |   7   |   6   |   5   |   4   |   3   |   2   |   1   |   0   |
//	      +-------+-------+-------+-------+-------+-------+-------+-------+
//
// Byte i is bits 8i to 8i+7 of the number, whatever the byte order of the
// machine. A mask, the answer of Match, Empty and Full, has bit 8i+7 (the flag
// of byte i) set where byte i qualifies, and no other bit:
//
//	word                     00 2a 00 07 2a 01 00 2a
//	Empty(word)              80 00 80 00 00 00 80 00    bytes 7, 5, 1
//	Match(word, 0x2a)        00 80 00 00 80 00 00 80    bytes 6, 3, 0
//
// # Proof of Empty and Full
//
// For one byte x, take its low seven bits and add 0x7f. The sum is at most
// 0xfe, so nothing is carried into the next byte: the eight additions in one
// word do not disturb each other. Bit 7 of the sum is set exactly when the low
// seven bits of x are not all zero; "or x" adds the case that bit 7 of x is
// set. What remains is bit 7 set exactly when x != 0: that is Full, and its
// complement is Empty.
//
// # Proof of Match
//
// Xor with b in every byte turns "equal to b" into "zero"; let x be the result.
// x - 0x0101..01 subtracts one from each byte, from the lowest to the highest,
// where a byte may also have to lend one to the byte below it. Flag i is bit 7
// of that difference's byte i, if bit 7 of x's byte i was clear.
//
//   - Nothing is missed: a zero byte becomes 0xff, or 0xfe if it lends as
//     well. Bit 7 is set in both, and was clear in zero.
//   - A byte that does not lend is flagged only if it is zero: from 0x01..0x80,
//     taking one leaves 0x00..0x7f, with bit 7 clear; from 0x81..0xff, bit 7 was set
//     before.
//   - A byte that lends loses two. 0x01 becomes 0xff and is flagged though it
//     is not zero; 0x02..0x81 become 0x00..0x7f, and 0x82..0xff had bit 7 set.
//     So of all non-zero bytes only 0x01 can be flagged.
//   - A byte borrows only if it is zero, or is 0x01 and lends. Following the
//     loans downwards one byte at a time, they start at a zero byte. So a false flag
//     stands directly above a true flag, or at the end of an unbroken run of
//     false flags above one.
//
// Hence a mask of zero is exact, the lowest flag of a mask is always true, and
// the caller, who compares the keys anyway, pays for a false flag with one
// comparison. The exact formula takes two operations more.
package swar

import "math/bits"

const (
	ones  = 0x0101010101010101 // 1 in each byte
	flags = 0x8080808080808080 // bit 7 of each byte
	low7  = 0x7f7f7f7f7f7f7f7f // all bits but those
)

// Match flags every byte of word that equals b. It may also flag a byte that
// equals b^1 if the byte below it is flagged.
func Match(word uint64, b uint8) uint64 {
	x := word ^ ones*uint64(b)
	return (x - ones) &^ x & flags
}

// Empty flags exactly the bytes of word that are zero.
func Empty(word uint64) uint64 {
	return ^(word&low7 + low7 | word) & flags
}

// Full flags exactly the bytes of word that are not zero.
func Full(word uint64) uint64 {
	return (word&low7 + low7 | word) & flags
}

// First returns the index of the lowest flagged byte, 8 if there is none.
func First(mask uint64) int {
	return bits.TrailingZeros64(mask) >> 3
}

// Next returns mask without its lowest flag. Together with First it visits
// the flagged bytes in ascending order:
//
//	for m := swar.Match(word, b); m != 0; m = swar.Next(m) {
//		i := swar.First(m)
//		...
//	}
func Next(mask uint64) uint64 {
	return mask & (mask - 1)
}

// Count returns the number of flagged bytes.
func Count(mask uint64) int {
	return bits.OnesCount64(mask)
}

// Byte returns byte i of word, 0 <= i < 8.
func Byte(word uint64, i int) uint8 {
	return uint8(word >> shift(i))
}

// With returns word with byte i, 0 <= i < 8, replaced by b.
func With(word uint64, i int, b uint8) uint64 {
	s := shift(i)
	return word&^(0xff<<s) | uint64(b)<<s
}

// shift is the position of byte i. The mask changes nothing for a valid i; it
// tells the compiler that the shift needs no code for counts of 64 and more.
func shift(i int) uint {
	return uint(i) * 8 & 63
}
