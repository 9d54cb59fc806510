// Package arena keeps strings where the garbage collector does not count them:
// thousands to a chunk, and a chunk is one object without pointers.
//
//	   Ref, 32 bits                    directory        chunks on the Go heap
//	+----------------+------------+    +----------+
//	| chunk index 17 | granule 15 |  0 | nothing  |     +-----+-----+-----+------+
//	+-------+--------+-----+------+  1 | base ----+---->| rec | rec | rec | room |
//	        |              |           +----------+     +-----+-----+-----+------+
//	        +--------------|-------> 2 | base ----+---->+-----+---------+---+----+
//	                       |           +----------+     | rec |   rec   |rec|room|
//	                       |         3 | base     |     +-----+---------+---+----+
//	                       |           +----------+           ^
//	                       +------- times 8 bytes ------------+
//
//	record   | klen | key bytes | vlen | value bytes | zeroes up to a granule |
//	                            '-- with values -----'
//	length   one byte below 255; or the byte 255 and 8 bytes, little endian
//
// A granule is 8 bytes; records start at granules. A chunk index stands for
// 256 KiB of address space. A chunk may be smaller than that (the first is 512
// bytes). A record may have a chunk of its own, which may be larger: it takes
// as many consecutive indices as it covers, and the Ref has the first of them.
// Index 0 is no chunk's, so Ref 0 is no record's. It can be read all the same,
// as an empty key and an empty value: a reader that meets a slot which is just
// being cleared need not look at the Ref before it uses it.
//
// # Records never change
//
// A record is written once, by the goroutine that adds it, before that one has
// the Ref. Nothing is overwritten or given back one by one: Free only counts. So a
// stale Ref leads to old bytes, and a string that Key or Value returned stays
// good for ever: it points into its chunk, and that keeps the chunk, even if
// the Arena is dropped. A chunk's memory goes when neither the Arena nor such a
// string can be reached.
//
// # The contract of a Ref
//
// An Arena orders nothing between the goroutine that adds a record and one that
// reads it. Whoever hands a Ref over must publish it with an atomic store (or
// under a lock), and the other must take it with an atomic load: then the plain
// stores that wrote the record and its chunk's directory entry, and the atomic
// one that published the directory, all happen before the read. Only Valid takes
// a number of any origin; all else is undefined for a Ref, other than 0, that did
// not come from this Arena in that way.
//
// # Memory in use
//
//	Allocated   all chunks
//	Used        the part of them given to records, each rounded up to granules
//	Dead        the part of Used that was freed
//
// Used-Dead is what the living records take. Allocated-Used is the room in the
// chunks being filled, and the tails of chunks that were left because the next
// record did not fit: those count as neither used nor dead.
package arena

import (
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/hushmap/hushmap/internal/cacheline"
)

const (
	granule       = 8                       // bytes, the unit of a Ref
	granuleBits   = 15                      // of a Ref: the granule in the chunk
	indexBits     = 32 - granuleBits        // of a Ref: the chunk index
	chunkGranules = 1 << granuleBits        // the most that an index can address
	chunkBytes    = chunkGranules * granule // 256 KiB
	maxIndices    = 1 << indexBits          // 32 GiB of chunks

	// MaxCopies is how many records Copy takes at once.
	MaxCopies = 8

	// Free reports true once for so many granules, a power of two: 16 KiB, and less in a small Arena, where 1 KiB may be
	// much.
	minFreeStep = 1 << 10 / granule
	maxFreeStep = 16 << 10 / granule
)

// Ref is the place of a record: chunk index and granule in the chunk. 0 is no
// record.
type Ref uint32

// Arena holds records. All methods may be called by any number of goroutines
// at once. Make it with New; it must not be copied.
type Arena struct {
	// directory is the first element of bases, which has one for each index. It
	// is all that readers look at; stored under mu, when a chunk is added.
	directory atomic.Pointer[unsafe.Pointer]

	values bool          // set by New: records have a value
	mask   atomic.Uint32 // shards in use, less one; stored under mu
	more   []shard       // shards 1 and up; set once, under mu, before mask is not 0

	freeShift atomic.Uint32 // log2 of the step of Free; stored under mu, only grows
	tail      atomic.Uint32 // see expect.go; 0 if nothing is expected. Stored under mu

	mu sync.Mutex // guards what follows; taken by lock
	ledger

	_     cacheline.Pad
	first shard // shard 0
}

// shard is where some of the goroutines add, on a cache line of its own. It is
// written by those goroutines, atomically; pos is replaced under Arena.mu.
type shard struct {
	pos  atomic.Uint64 // a position: the shard's chunk and how far it is filled
	dead atomic.Uint64 // granules freed by goroutines of this shard

	// See expect.go.
	copied  atomic.Uint64          // what copies have cost
	largest atomic.Uint64          // granules of the largest record that was ever counted in large
	large   [classes]atomic.Uint64 // granules of living records above smallGranules; only the sum of all shards is a number
	_       [cacheline.Size - 32 - 8*classes]byte
}

// New returns an empty Arena, whose records have a value behind their key or
// have not. It allocates no chunk.
func New(values bool) *Arena {
	a := &Arena{values: values}
	a.limit = maxIndices
	a.freeShift.Store(log2(minFreeStep))
	a.directory.Store(&directoryOfNone)
	return a
}

// Add copies key into a record and returns its place. For an Arena without
// values.
//
// The low bits of hint spread callers that run at the same time: pass what
// differs between them and stays the same for each.
//
//   - Complexity: linear in the length of key, one atomic exchange; allocates
//     only chunks.
//   - Blocking: waits for others only while a chunk is made.
//   - Errors: panics when the address space of 32 GiB is used up, dead records
//     and what Expect keeps included. It returns 0 if the records of this Arena
//     are being copied to another. Either way nothing has changed.
func (a *Arena) Add(hint uint64, key string) Ref {
	r, b := a.reserve(hint, granulesOf(fieldSize(key)))
	if r != 0 {
		putField(b, key)
	}
	return r
}

// AddPair copies key and value into a record and returns its place. For an
// Arena with values; otherwise like Add. If the value cannot be read, nothing has
// changed; the key was read when it was hashed.
func (a *Arena) AddPair(hint uint64, key, value string) Ref {
	Touch(value)
	r, b := a.reserve(hint, granulesOf(fieldSize(key)+fieldSize(value)))
	if r != 0 {
		putField(putField(b, key), value)
	}
	return r
}

// touchStep is at most the size of a page.
const touchStep = 4096

// Touch reads a byte of each page of s, so that bytes which cannot be read fault
// here, before anything is reserved for them.
func Touch(s string) {
	var seen byte
	for i := 0; i < len(s); i += touchStep {
		seen |= s[i]
	}
	if len(s) > 0 {
		seen |= s[len(s)-1]
	}
	runtime.KeepAlive(seen) // or the reads would be found useless
}

// TryAdd is Add for a short key that fits into the chunk at hand. Otherwise it
// returns 0, and nothing has changed. It never waits, and does not panic.
func (a *Arena) TryAdd(hint uint64, key string) Ref {
	r, b := a.reserveShort(hint, granulesOf(fieldSize(key)))
	if r != 0 {
		putField(b, key)
	}
	return r
}

// TryAddPair is AddPair as TryAdd is Add.
func (a *Arena) TryAddPair(hint uint64, key, value string) Ref {
	g := granulesOf(fieldSize(key) + fieldSize(value))
	if g > smallGranules {
		return 0
	}
	Touch(value)
	r, b := a.reserveShort(hint, g)
	if r != 0 {
		putField(putField(b, key), value)
	}
	return r
}

// Copy copies up to MaxCopies records of the Arena from, which has values if a
// has, and replaces each Ref by that of its copy. It may take what Expect keeps
// from Add. If it finds a full all the same, nothing is copied, and the Refs mean
// nothing any more. Otherwise like Add.
func (a *Arena) Copy(hint uint64, from *Arena, refs []Ref) {
	var sizes [MaxCopies]uint64
	all, costs := uint64(0), uint64(0)
	for i, r := range refs {
		g := from.size(r)
		sizes[i] = g
		all += g
		costs += a.cost(g)
	}
	s := a.shard(hint)
	if next := s.take(all, true); next != 0 {
		for i, r := range refs {
			g := sizes[i]
			if g > smallGranules {
				a.count(s, g)
			}
			copyRecord(a.bytes(next, g), from, r)
			refs[i] = next
			next += Ref(g)
		}
	} else {
		a.copyEach(hint, from, refs, &sizes)
	}
	s.copied.Add(costs)
}

// copyEach is Copy for records that do not fit in a row.
func (a *Arena) copyEach(hint uint64, from *Arena, refs []Ref, sizes *[MaxCopies]uint64) {
	copied := 0
	defer func() {
		if copied < len(refs) {
			for _, r := range refs[:copied] {
				a.Free(hint, r)
			}
		}
	}()
	for i, r := range refs {
		to, b := a.reserveFor(hint, sizes[i], true)
		copyRecord(b, from, r)
		refs[i] = to
		copied++
	}
}

// copyRecord copies record r to b, which has its size.
func copyRecord(b []byte, from *Arena, r Ref) {
	copy(b, unsafe.Slice((*byte)(from.at(r)), len(b)))
}

// Free counts record r as dead. Its bytes stay, and stay readable. The caller
// sees to it that a record is freed once. It reports true now and then, each time
// that a few percent more have died, or 16 KiB: that is when to look at Usage.
func (a *Arena) Free(hint uint64, r Ref) (look bool) {
	g := a.size(r)
	s := a.shard(hint)
	if g > smallGranules {
		a.forget(s, g)
	}
	after := s.dead.Add(g)
	step := a.freeShift.Load() & 63
	return after>>step != (after-g)>>step
}

// Equal reports whether the key of record r is key.
func (a *Arena) Equal(r Ref, key string) bool {
	p, q, n := a.at(r), unsafe.Pointer(unsafe.StringData(key)), len(key)
	if n >= long {
		return field(p) == key
	}
	if int(*(*uint8)(p)) != n {
		return false
	}
	p = unsafe.Add(p, shortHeader)
	switch {
	case n > 32:
		return equalMany(p, q, n)
	case n > 16:
		return Differ(p, q, 0)|Differ(p, q, n-16) == 0
	case n >= 4:
		return equalSome(p, q, n)
	default:
		return equalFew(p, q, n)
	}
}

// Short returns where the bytes of record r's key are, and whether it has n of them, fewer than 255. It can be inlined,
// and so can Differ: it is for those who compare keys without a call. For n from 17 to 32 the keys are the same if neither
// their first 16 bytes Differ nor their last.
func (a *Arena) Short(r Ref, n int) (key unsafe.Pointer, ok bool) {
	p := a.at(r)
	return unsafe.Add(p, shortHeader), int(*(*uint8)(p)) == n
}

// WordOf returns the address of the first word of record r, to prefetch.
func (a *Arena) WordOf(r Ref) unsafe.Pointer { return a.at(r) }

// Key returns the key of record r. It aliases the chunk and is valid for ever.
func (a *Arena) Key(r Ref) string {
	return field(a.at(r))
}

// ShortKey is Key for a key of 1 to 254 bytes. If ok is false it is another one, and key is nothing to look into. It is small
// enough to be inlined.
func (a *Arena) ShortKey(r Ref) (key string, ok bool) {
	p := a.at(r)
	n := *(*uint8)(p)
	return unsafe.String((*byte)(unsafe.Add(p, shortHeader)), n), n-1 < long-1
}

// Value returns the value of record r, for an Arena with values. It aliases
// the chunk and is valid for ever.
func (a *Arena) Value(r Ref) string {
	return field(second(a.at(r)))
}

// at returns the first byte of record r.
//
// No bounds are checked, and none need be. By the contract of a Ref, whoever has
// r sees the directory that was published before r was given out, or a later
// one, and directories only get longer: so it has an entry for r's index. The
// entry is written before that directory is published, and never again. The chunk
// behind it reaches to the record's end, or take had not reserved it.
func (a *Arena) at(r Ref) unsafe.Pointer {
	entry := uintptr(r>>granuleBits) * unsafe.Sizeof(unsafe.Pointer(nil))
	base := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(a.directory.Load()), entry))
	return unsafe.Add(base, uintptr(r%chunkGranules)*granule)
}

// size returns the granules of record r.
func (a *Arena) size(r Ref) uint64 {
	p := a.at(r)
	n := fieldLen(p)
	if a.values {
		n += fieldLen(second(p))
	}
	return granulesOf(n)
}

// shard returns where a goroutine with this hint adds and counts.
func (a *Arena) shard(hint uint64) *shard {
	i := uint32(hint) & a.mask.Load()
	if i == 0 {
		return &a.first
	}
	return &a.more[i-1]
}

// reserve returns the place of g granules of zeroes, and their bytes, or 0 if
// the Arena is being left.
func (a *Arena) reserve(hint, g uint64) (Ref, []byte) { return a.reserveFor(hint, g, false) }

// reserveFor is reserve for a record that was expected or was not.
func (a *Arena) reserveFor(hint, g uint64, expected bool) (Ref, []byte) {
	s := a.shard(hint)
	r := s.take(g, expected)
	if r == 0 {
		if r = a.extend(s, g, expected); r == 0 {
			return 0, nil
		}
	}
	if g > smallGranules {
		a.count(s, g)
	}
	return r, a.bytes(r, g)
}

// reserveShort is reserve in the chunk at hand, for what needs not be counted.
func (a *Arena) reserveShort(hint, g uint64) (Ref, []byte) {
	if g > smallGranules {
		return 0, nil
	}
	r := a.shard(hint).take(g, false)
	if r == 0 {
		return 0, nil
	}
	return r, a.bytes(r, g)
}

// bytes returns the g granules at r.
func (a *Arena) bytes(r Ref, g uint64) []byte { return unsafe.Slice((*byte)(a.at(r)), g*granule) }

// take reserves g granules of the shard's chunk, or returns 0 if they do not
// fit, or the room is kept for records that are expected.
//
// An atomic addition could not fail, but it would move the position past the
// end of the chunk, and who then knows how much was used? With an exchange the
// position is exact at any time, and so is Usage, even after a panic.
func (s *shard) take(g uint64, expected bool) Ref {
	for {
		pos := position(s.pos.Load())
		if g > pos.room() || pos.kept() && !expected {
			return 0
		}
		if s.pos.CompareAndSwap(uint64(pos), uint64(pos)+g) {
			return pos.ref()
		}
	}
}
