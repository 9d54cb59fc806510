// This file is responsible for turning the small numbers of package history into keys and values of real types, and
// back. A value that consists of several words says in each of them which value it is, so that a torn one shows.

package drive

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/hushmap/hushmap"

	"github.com/hushmap/hushmap/verify/internal/history"
)

// KeyCodec makes keys. Two calls with the same number make keys that are == and, but for pointers, share no memory.
type KeyCodec[K comparable] struct {
	Name   string
	Encode func(n int) K
}

// ValueCodec makes values and recognises them. 0 is the zero value; Decode returns history.Torn for what it never made.
type ValueCodec[V any] struct {
	Name   string
	Encode func(id int32) V
	Decode func(V) int32
}

// Pair is a key of several words of different kinds.
type Pair struct {
	Name string
	N    int
}

// trap is laid out as a string, but does not point anywhere. An interface of which one word is of a string and the other
// of a trap kills whoever compares it with a string of that length.
type trap struct {
	pointer uintptr
	length  int
}

// name makes string keys: short, of a length that lookups have a path of their own for, and now and then long, so that dead
// bytes of strings add up.
func name(n int) string {
	switch n % 5 {
	case 1, 3:
		return fmt.Sprintf("key %016d", n)
	case 4:
		return fmt.Sprintf("key %d %s", n, strings.Repeat("-", 150))
	default:
		return "key " + strconv.Itoa(n)
	}
}

// Key codecs.
var (
	Ints    = KeyCodec[int]{"int", func(n int) int { return n * 3 }}
	Strings = KeyCodec[string]{"string", name}
	Structs = KeyCodec[Pair]{"struct", func(n int) Pair { return Pair{name(n), n} }}
	Boxed   = KeyCodec[any]{"any", func(n int) any {
		switch n % 4 {
		case 0:
			return name(n)
		case 1:
			return trap{uintptr(n) + 1, len(name(n - 1))}
		case 2:
			return Pair{name(n), n}
		}
		return float64(n) / 2
	}}
)

// Pointers are keys of one word that the garbage collector looks at.
var Pointers = KeyCodec[*int]{"pointer", func(n int) *int { return &pointed[n] }}

var pointed [1 << 14]int

// Value codecs: a word, a wide value with a pointer, a wide value without.
var (
	Words  = ValueCodec[int]{"int", func(id int32) int { return spread(id, 1) }, unspread}
	Strung = ValueCodec[string]{"string", func(id int32) string { return stringOf(id, short(id)) }, idOf(short)}
	// Lines are for maps that copy them: their bytes add up.
	Lines = ValueCodec[string]{"lines", func(id int32) string { return stringOf(id, long(id)) }, idOf(long)}
	// Triples are not scalars, so they go from slot to slot or are written in place, and a torn one has unequal words.
	Triples = ValueCodec[[3]uint64]{"[3]uint64", func(id int32) [3]uint64 {
		return [3]uint64{uint64(spread(id, 1)), uint64(spread(id, 2)), uint64(spread(id, 3))}
	}, func(v [3]uint64) int32 {
		id := unspread(int(v[0]))
		if id == history.Torn || v[1] != uint64(spread(id, 2)) || v[2] != uint64(spread(id, 3)) {
			return history.Torn
		}
		return id
	}}
)

// spread writes id into both halves of a word, where it has two; the zero value stands for 0.
func spread(id int32, times int) int {
	n := int(id) * times
	return n<<(strconv.IntSize/2) | n // on 32 bits the halves overlap, which unspread does not mind
}

func unspread(n int) int32 {
	id := int32(n & (1<<(strconv.IntSize/2) - 1))
	if strconv.IntSize == 32 {
		id = int32(n & 0xffff)
	}
	if spread(id, 1) != n {
		return history.Torn
	}
	return id
}

// short and long are how much follows the number in a string value.
func short(id int32) int { return int(id % 37) }

func long(id int32) int {
	if id%8 == 0 {
		return 1000 + int(id%37)
	}
	return short(id)
}

// stringOf makes a fresh string whose length says who it is too: one with another's length or bytes is torn.
func stringOf(id int32, length int) string {
	if id == 0 {
		return ""
	}
	return strconv.Itoa(int(id)) + ":" + strings.Repeat("x", length)
}

func idOf(length func(int32) int) func(v string) int32 {
	return func(v string) int32 {
		if v == "" {
			return 0
		}
		digits, rest, _ := strings.Cut(v, ":")
		id, err := strconv.ParseInt(digits, 10, 32)
		if err != nil || len(rest) != length(int32(id)) || strings.Trim(rest, "x") != "" {
			return history.Torn
		}
		return int32(id)
	}
}

// hashSeed makes the good part of the hashers below.
var hashSeed = maphash.MakeSeed()

// hasher returns the options for the plan's hasher. WithHasher mixes the result with the table's seed, so that these
// decide which keys share a hash, not where they go.
func hasher[K comparable](p Plan) []hushmap.Option {
	hash, options := hashFunc[K](p.Hasher)
	if p.Stalls > 0 {
		hash = stalling(hash, p.Stalls)
	}
	if hash != nil {
		options = append(options, hushmap.WithHasher(hash))
	}
	return options
}

func hashFunc[K comparable](h Hasher) (hash func(K, uint64) uint64, options []hushmap.Option) {
	good := func(key K, _ uint64) uint64 { return maphash.Comparable(hashSeed, key) }
	switch h {
	case DefaultHash:
		return nil, nil
	case ConstantHash:
		return func(K, uint64) uint64 { return 7 }, nil
	case ZeroTopHash:
		return func(key K, _ uint64) uint64 { return good(key, 0) >> 56 }, nil
	case TwoHashes:
		return func(key K, _ uint64) uint64 { return good(key, 0) & 1 }, nil
	case FloodedHash:
		// The map only changes its seed if that scatters its keys over many buckets, so it must have many.
		return flooded(good), []hushmap.Option{hushmap.WithCapacity(1200)}
	}
	return good, nil
}

// flooded makes all keys collide under the first seed that it is given.
func flooded[K comparable](good func(K, uint64) uint64) func(K, uint64) uint64 {
	var first atomic.Uint64
	return func(key K, seed uint64) uint64 {
		first.CompareAndSwap(0, seed|1)
		if seed|1 == first.Load() {
			return 7
		}
		return good(key, 0)
	}
}

// stalling makes one call in n let other goroutines run. The map hashes a key after it has looked which table is
// current and before it locks a bucket, and hashes what it moves while it holds the lock of an old bucket, so this is a
// stall in the middle of operations, in those two places. Goroutines that share a processor overlap by it.
func stalling[K comparable](hash func(K, uint64) uint64, n int) func(K, uint64) uint64 {
	return func(key K, seed uint64) uint64 {
		if rand.IntN(n) == 0 {
			runtime.Gosched()
		}
		return hash(key, seed)
	}
}
