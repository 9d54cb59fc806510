// Package work makes the keys and the operations, runs them on one map and checks what came back. It is what a
// child process does; nothing here knows of more than one implementation at a time.
package work

import (
	"encoding/binary"
	"encoding/hex"
	"iter"
	"math/bits"
	"unsafe"

	"github.com/hushmap/hushmap/bench/internal/peer"
)

// Kit makes the keys and values of one kind. Every key is made from its id, and the value of a key is its id.
type Kit[K comparable, V any] struct {
	// New makes the map under test.
	New func(peer.Impl) peer.Instance[K, V]
	// Own returns the key in memory of its own, as a program that keeps the key would hold it.
	Own func(id uint64) K
	// Fresh returns copies of the keys side by side in the order given, as a reader's buffer would hold them.
	Fresh func(ids []uint64) []K
	// Val and ID turn an id into its value and back.
	Val func(id uint64) V
	ID  func(V) uint64
	// Boxed says that Val allocates, so that values are made outside the timed part.
	Boxed bool
}

// Uint64Kit makes random-looking integers.
func Uint64Kit() Kit[uint64, uint64] {
	return Kit[uint64, uint64]{
		New:   func(i peer.Impl) peer.Instance[uint64, uint64] { return i.Uint64() },
		Own:   scramble,
		Fresh: each(scramble),
		Val:   same,
		ID:    same,
	}
}

// AnyKit makes the same integers, boxed.
func AnyKit() Kit[any, any] {
	box := func(id uint64) any { return scramble(id) }
	return Kit[any, any]{
		New:   func(i peer.Impl) peer.Instance[any, any] { return i.Any() },
		Own:   box,
		Fresh: each(box),
		Val:   func(id uint64) any { return id },
		ID:    func(v any) uint64 { return v.(uint64) },
		Boxed: true,
	}
}

// StringKit makes strings of 20 bytes.
func StringKit() Kit[string, uint64] {
	own := func(id uint64) string {
		var b [keyBytes]byte
		putKey(b[:], id)
		return string(b[:])
	}
	return stringKit(own, freshStrings)
}

// RealKit looks identifiers up by their place in the list.
func RealKit(words []string) Kit[string, uint64] {
	own := func(id uint64) string { return string([]byte(words[id])) }
	fresh := func(ids []uint64) []string {
		var buf []byte
		for _, id := range ids {
			buf = append(buf, words[id]...)
		}
		keys := make([]string, len(ids))
		for i, id := range ids {
			n := len(words[id])
			keys[i], buf = view(buf[:n]), buf[n:]
		}
		return keys
	}
	return stringKit(own, fresh)
}

func stringKit(own func(uint64) string, fresh func([]uint64) []string) Kit[string, uint64] {
	return Kit[string, uint64]{
		New:   func(i peer.Impl) peer.Instance[string, uint64] { return i.String() },
		Own:   own,
		Fresh: fresh,
		Val:   same,
		ID:    same,
	}
}

const keyBytes = 20

// putKey writes the 20 bytes of a string key: hexadecimal digits of its scrambled id, all different.
func putKey(dst []byte, id uint64) {
	var raw [keyBytes / 2]byte
	x := scramble(id)
	binary.LittleEndian.PutUint64(raw[:], x)
	binary.LittleEndian.PutUint16(raw[8:], uint16(scramble(x)))
	hex.Encode(dst, raw[:])
}

func freshStrings(ids []uint64) []string {
	buf := make([]byte, keyBytes*len(ids))
	keys := make([]string, len(ids))
	for i, id := range ids {
		b := buf[i*keyBytes : (i+1)*keyBytes]
		putKey(b, id)
		keys[i] = view(b)
	}
	return keys
}

// view reads bytes that are not written again as a string.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func each[K any](own func(uint64) K) func([]uint64) []K {
	return func(ids []uint64) []K {
		keys := make([]K, len(ids))
		for i, id := range ids {
			keys[i] = own(id)
		}
		return keys
	}
}

// freshKeys yields the ids below n with fresh copies of their keys, made batch by batch.
func freshKeys[K comparable, V any](kit Kit[K, V], n int) iter.Seq2[uint64, K] {
	return func(yield func(uint64, K) bool) {
		ids := make([]uint64, 0, batchKeys)
		for first := 0; first < n; first += batchKeys {
			ids = ids[:0]
			for id := first; id < min(first+batchKeys, n); id++ {
				ids = append(ids, uint64(id))
			}
			for i, key := range kit.Fresh(ids) {
				if !yield(ids[i], key) {
					return
				}
			}
		}
	}
}

func same(id uint64) uint64 { return id }

// scramble is a bijection (the finalizer of splitmix64), so different ids make different keys.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return bits.RotateLeft64(x^x>>31, 17)
}
