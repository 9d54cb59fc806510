package arena

// How an Arena gets chunks, and what is known about them. Everything here
// happens once per chunk, under Arena.mu; adding to a chunk takes no lock.
//
// A shard's chunk is replaced when a record does not fit. A record that would
// take more than half of the replacement gets a chunk of its own instead, of
// exactly its size, and the shard stays where it is. So no tail is longer than
// half a chunk, and records of any size waste little.
//
// expect.go has what is kept for the records of another Arena.

import (
	"math/bits"
	"runtime"
	"unsafe"
)

const (
	minChunk = 512 / granule // granules; a map of one key stays small

	// maxShards bounds the shards. Two cores that add 20-byte keys without pause
	// do not tell one shard from two: 20 ns an Add at best either way, most of it
	// for touching new memory. Eight are for larger machines; what their chunks
	// leave empty is bounded by perShard.
	maxShards = 8

	// perShard is how many granules there must be for each shard in use: 1 MiB.
	// Below 2 MiB all goroutines share one shard.
	perShard = 1 << 20 / granule

	// roomFraction bounds the room in the shards' chunks: together these are at
	// most one part in so many of all there is, if that is more than a few KiB. With
	// 1 instead of 8 a map that is moved from one Arena to another needed up to 2.8
	// times its living bytes; with 8 it has a hundred chunks at 1 MiB, with 1 a
	// dozen.
	roomFraction = 8

	// freeFraction is how many times Free asks to look at Usage while all there is
	// dies.
	freeFraction = 32
)

// Full is the panic when chunk indices run out.
const Full = "hushmap: string keys and values of one map, with those deleted lately, exceed 32 GiB"

// nothing is what Ref 0 leads to, and directoryOfNone the directory before there
// is a chunk.
var (
	nothing         uint64 // a granule
	directoryOfNone = unsafe.Pointer(&nothing)
)

// ledger is what an Arena knows about its chunks.
type ledger struct {
	bases     []unsafe.Pointer // by index: the chunk's first byte, or nil; the directory
	extents   []extent         // by index
	limit     int              // indices; less than maxIndices only in tests
	chunks    int
	allocated uint64 // granules of all chunks
	sealed    uint64 // granules used in chunks that are no shard's any more

	// See expect.go.
	from       *Arena // whose records are going to be copied; else nil
	moving     uint64 // granules of these records
	tight      bool   // all that is left is kept for them; the kept bit of each position
	left       bool   // all records are going to be copied, and none may come; the same bit
	ownIndices uint64 // of the living records of more than half a chunk
	ownUsed    uint64 // their granules
}

// extent is the size of a chunk and of its used part, in granules. While a
// shard fills the chunk, the used part is in the shard's position only.
type extent struct{ size, used uint64 }

// position says where a shard adds next:
//
//	| kept | chunk index, 31 bits | end, 16 bits | offset, 16 bits |
//
// where end is the size of the chunk and end and offset count granules. They
// never exceed 1<<15. Position 0 has no chunk and no room. What is kept is for
// copies. The bit is part of the word that is exchanged, so it also stops an Add
// that has looked already.
type position uint64

const keptBit position = 1 << 63

// newPosition returns the position of an offset in a chunk.
func newPosition(index int, end, offset uint64) position {
	return position(uint64(index)<<32 | end<<16 | offset)
}

func (p position) kept() bool     { return p&keptBit != 0 }
func (p position) index() int     { return int(p &^ keptBit >> 32) }
func (p position) offset() uint64 { return uint64(p) & 0xffff }
func (p position) room() uint64   { return uint64(p)>>16&0xffff - uint64(p)&0xffff }
func (p position) ref() Ref       { return Ref(p>>32)<<granuleBits | Ref(p&0xffff) }

// extend reserves g granules for a shard whose chunk has no room for them, or
// returns 0 if the Arena is being left.
func (a *Arena) extend(s *shard, g uint64, expected bool) Ref {
	var own []byte
	if g > chunkGranules/2 {
		own = make([]byte, g*granule) // before the lock: it may take long
	}
	a.lock()
	defer a.mu.Unlock()
	if a.left {
		return 0
	}
	if own != nil {
		return a.addOwn(g, own, expected)
	}
	if r := s.take(g, expected); r != 0 { // somebody else replaced the chunk
		return r
	}
	size := a.nextSize()
	if g > size/2 {
		return a.addOwn(g, nil, expected)
	}
	i := a.addChunk(size, 0, nil, expected)
	next := newPosition(i, size, g)
	if a.tight {
		next |= keptBit
	}
	a.seal(position(s.pos.Swap(uint64(next))))
	a.spread()
	return newPosition(i, size, 0).ref()
}

// lock takes mu. It tries for a tenth of a millisecond, more than a chunk takes
// to make, and then lets others run, but does not sleep: many of its callers have a
// bucket locked. With more goroutines than processors a sync.Mutex does not spin, and one
// that somebody has waited for is handed on to those who sleep. With eight
// goroutines on two processors a map of a thousand string keys was on the move
// for two thirds of the time, as one of them slept with the last bucket.
func (a *Arena) lock() {
	for n := 1; !a.mu.TryLock(); n++ {
		if n%(1<<16) == 0 {
			runtime.Gosched()
		}
	}
}

// nextSize returns the granules of the next chunk for a shard: in proportion to
// what there is, or what is going to be copied, so that the room left stays in
// proportion, unless it is indices that are short.
func (a *Arena) nextSize() uint64 {
	if a.tight {
		return chunkGranules
	}
	n := floorPowerOfTwo(max(a.allocated, a.moving) / (roomFraction * a.shards()))
	return min(max(n, minChunk), chunkGranules)
}

// shards returns the number of shards in use.
func (a *Arena) shards() uint64 { return uint64(a.mask.Load()) + 1 }

// indicesOf returns how many indices a chunk of g granules covers.
func indicesOf(g uint64) uint64 { return (g + chunkGranules - 1) / chunkGranules }

// addOwn adds the chunk of a single record. chunk is as in addChunk.
func (a *Arena) addOwn(g uint64, chunk []byte, expected bool) Ref {
	i := a.addChunk(g, g, chunk, expected)
	a.sealed += g
	a.spread()
	return newPosition(i, 0, 0).ref()
}

// addChunk adds a chunk to the directory and returns its index. It makes the
// chunk unless there is one. Readers rely on the order: first the entry, then the
// directory that has it, and only after that a Ref which needs it.
func (a *Arena) addChunk(size, used uint64, chunk []byte, expected bool) int {
	covered := indicesOf(size)
	a.claim(covered, expected)
	if chunk == nil {
		chunk = make([]byte, size*granule)
	}
	if a.bases == nil {
		a.bases = append(make([]unsafe.Pointer, 0, 8), directoryOfNone)
		a.extents = make([]extent, 1, 2)
	}
	i := len(a.bases)
	// append writes behind what readers have a use for, or copies.
	a.bases = append(a.bases, unsafe.Pointer(unsafe.SliceData(chunk)))
	a.bases = append(a.bases, make([]unsafe.Pointer, covered-1)...)
	a.extents = append(a.extents, extent{size, used})
	a.extents = append(a.extents, make([]extent, covered-1)...)
	a.directory.Store(unsafe.SliceData(a.bases))
	a.chunks++
	a.allocated += size
	a.freeShift.Store(log2(min(max(a.allocated/freeFraction, minFreeStep), maxFreeStep)))
	return i
}

// seal records the last position in a chunk that no shard has any more.
func (a *Arena) seal(last position) {
	a.extents[last.index()].used = last.offset()
	a.sealed += last.offset()
}

// spread takes more shards into use as the Arena grows.
func (a *Arena) spread() {
	n := floorPowerOfTwo(min(max(a.allocated, a.moving)/perShard, maxShards))
	if n < 2 {
		return
	}
	if a.more == nil {
		a.more = make([]shard, floorPowerOfTwo(uint64(min(2*runtime.GOMAXPROCS(0)-1, maxShards)))-1)
	}
	a.mask.Store(uint32(min(n, uint64(len(a.more)+1)) - 1))
}

// floorPowerOfTwo returns the greatest power of two up to n, or 0 for 0.
func floorPowerOfTwo(n uint64) uint64 {
	if n == 0 {
		return 0
	}
	return 1 << (bits.Len64(n) - 1)
}

// log2 returns the logarithm of n, not 0, rounded down.
func log2(n uint64) uint32 { return uint32(bits.Len64(n) - 1) }

// Usage is the memory of an Arena, in bytes, as the package comment explains.
type Usage struct {
	Chunks    int
	Allocated uint64
	Used      uint64
	Dead      uint64
}

// Usage returns the memory in use: exactly when nobody adds or frees, and with
// Dead <= Used <= Allocated always. It takes constant time and, briefly, the
// lock under which chunks are made.
func (a *Arena) Usage() Usage {
	a.lock()
	defer a.mu.Unlock()
	used, dead := a.used()
	return Usage{a.chunks, a.allocated * granule, used * granule, dead * granule}
}

// used returns the granules of all records, and of those that were freed.
func (a *Arena) used() (used, dead uint64) {
	for s := range a.all { // first: what was freed by now was used by now
		dead += s.dead.Load()
	}
	used = a.sealed
	for s := range a.all {
		used += position(s.pos.Load()).offset()
	}
	return used, dead
}

// Ahead returns what the next chunks of all shards will add to Usage.Allocated,
// and which part of the address space is used up, from 0 to 1.
func (a *Arena) Ahead() (next uint64, full float64) {
	a.lock()
	defer a.mu.Unlock()
	return a.nextSize() * a.shards() * granule, float64(len(a.bases)) / float64(a.limit)
}

// Valid reports whether r lies in the used part of a chunk and the bytes there
// are a whole record. It takes any r, and is for checking a structure: it cannot
// know whether a record really starts there. While others add, the bytes at an r
// that was not published as its contract says may be in the making.
func (a *Arena) Valid(r Ref) bool {
	a.lock()
	defer a.mu.Unlock()
	i, offset := int(r>>granuleBits), uint64(r%chunkGranules)
	if i >= len(a.bases) || a.bases[i] == nil {
		return false
	}
	used := a.usedOf(i)
	if offset >= used {
		return false
	}
	chunk := unsafe.Slice((*byte)(a.bases[i]), used*granule)
	return fits(chunk[offset*granule:], a.values)
}

// usedOf returns the used granules of chunk i.
func (a *Arena) usedOf(i int) uint64 {
	for s := range a.all {
		if pos := position(s.pos.Load()); pos.index() == i {
			return pos.offset()
		}
	}
	return a.extents[i].used
}
