// This file is responsible for the options of New and for what they must not be.

package hushmap

import (
	"fmt"
	"reflect"

	"github.com/hushmap/hushmap/internal/mem"
)

// HugePages says whether large tables ask the operating system for huge pages.
type HugePages uint8

const (
	// HugePagesAuto asks for huge pages for tables large enough to profit.
	HugePagesAuto HugePages = iota
	// HugePagesOff never asks for huge pages.
	HugePagesOff
)

// An Option configures a Map made by [New], or a Bytes made by [NewBytes].
type Option struct {
	apply func(*settings)
}

// settings is what the options add up to. It is written by New only and read-only afterwards.
type settings struct {
	capacity  int
	hasher    any          // func(K, uint64) uint64, or nil
	hasherKey reflect.Type // the K that hasher was made for
	stable    bool
	noShrink  bool
	hugePages HugePages
	tuning    tuning
}

// tuning makes rare paths common; only tests change it.
type tuning struct {
	chunk   uint64  // buckets that a writer evacuates besides those its key needs
	atOnce  uint64  // buckets up to which whoever starts a growth evacuates the whole table
	control uint64  // what control words start with: counters near their end
	rawHash bool    // do not mix the result of WithHasher
	mapFrom uintptr // bytes from which on tables without pointers leave the Go heap
	farFrom uintptr // bytes from which on batches ask for a table's memory ahead
	waste   uint64  // dead bytes below which an arena is not rebuilt; see smallWaste
}

// defaultTuning. chunk: the old table is empty after a sixteenth as many writes as it has buckets, long before the new
// one is full, even if that is eight times smaller. A write's own bucket is anywhere in memory, these are in a row: with
// 16 instead of 4 filling a map with a million entries took 0.94 of the time. Since entries are copied from slot to slot 8,
// 32 and 64 take as long as 16; with 32 the 99th percentile of a Store is a quarter, as no growth comes into it, and the
// 99.9th nearly twice as long. atOnce: less work than a few writers' chunks. farFrom: smaller
// tables are in the cache, and batches of 100 thousand entries took half as long again with prefetches as without. waste:
// what an arena leaves unused at the end of its chunks anyway.
var defaultTuning = tuning{chunk: 16, atOnce: 16, mapFrom: mem.MapThreshold, farFrom: 8 << 20, waste: 4 << 10}

// WithCapacity makes the first table large enough for n entries, so that filling a map of known size never grows
// it. It is also the size below which deletions do not shrink the table; [Map.Compact] goes below it. No table is allocated
// before the first write; after [Map.Clear] the next one makes a table of this capacity again.
//
// Units: entries. Errors: New panics if n is negative or the table would not fit the address space.
func WithCapacity(n int) Option {
	return Option{func(s *settings) {
		if n < 0 {
			panic(fmt.Sprintf("hushmap: WithCapacity(%d): capacity is negative", n))
		}
		s.capacity = n
	}}
}

// WithHasher replaces the built-in hash. The function gets the key and a random seed, which is another for every map, after
// Clear, when keys collide too often, and when a table shrinks whose entries are, or seem, all in one part of it. Keys that are ==
// must hash alike for the same seed, and the function must not panic for keys that are ==-comparable, nor keep the key. It
// is called by several goroutines at once, and while buckets are locked, so it must not use the map. Its result is mixed
// with the seed once more, so weak low or high bits do no harm, but keys with the same hash share a probe sequence. A
// function that is inconsistent loses sight of keys; it never corrupts the map.
//
// Reason to exist: keys of which only a part identifies, and hashes that are at hand already.
// Errors: New panics if hash is nil, if K is not the key type of the map, or if WithStableHash is given as well.
func WithHasher[K comparable](hash func(key K, seed uint64) uint64) Option {
	return Option{func(s *settings) {
		if hash == nil {
			panic("hushmap: WithHasher: the function is nil")
		}
		s.hasher, s.hasherKey = hash, reflect.TypeFor[K]()
	}}
}

// WithStableHash makes the hash the same in every process, and after the same operations the order of [Map.Range] as well.
// Strings are hashed by xxhash. Addresses in keys of an interface type have no stable hash, and are not noticed.
//
// Reason to exist: reproducible runs. Anyone who knows the hash can build keys that collide, and the map will not
// defend itself by changing the seed: use it for trusted keys only. Keys that are stored in the order in which a Range over
// another such map has them crowd in one part of the table, until the table has nearly the size that all of them need;
// [Map.Grow] before saves that. If a Range deletes all but one part, the table stays so large that this part fits where
// it is.
// Errors: New panics if keys of type K hold addresses (pointers, channels), which no hash can make stable, or if WithHasher
// is given as well.
func WithStableHash() Option {
	return Option{func(s *settings) { s.stable = true }}
}

// WithoutShrink keeps the table as large as it ever was; only [Map.Compact] and [Map.Clear] make it smaller.
//
// Reason to exist: a map that empties and fills in turns need not grow again each time.
func WithoutShrink() Option {
	return Option{func(s *settings) { s.noShrink = true }}
}

// WithHugePages says whether large tables ask the operating system for huge pages. Those of pointer-free slots, from 2 MiB
// on, lie outside the Go heap. With HugePagesAuto they get what can be had first: reserved huge pages; pages
// that the system is advised to make huge; plain pages; the Go heap. With HugePagesOff they get small pages,
// also where the system is set up to give programs huge ones unasked, or the heap. Only Linux has the first two; WebAssembly,
// Plan 9 and builds with -race have nothing but the heap. Stats.Memory says what a table got.
// Slots are free of pointers if K and V are, where a key of kind string counts as free.
//
// A table that was replaced is unmapped when a garbage collection has found no reader in it. Mapping starts collections
// if nothing else does, and turns to the Go heap if they do not keep up: all maps of the process together never have
// more mapped than S + max(1 GiB, 4*S) and one table, where S is the most that was in use, or being unmapped, during
// the last two collections. (256 MiB instead of 1 GiB where int is 32 bits.)
//
// A huge page is filled with zeroes when it is first written to. On a virtual machine whose host has to find that memory
// first this may take a Store several milliseconds. A growth times that: where huge pages are slow, or not known to be fast,
// its new table is filled in small pages. The table that WithCapacity makes is not watched in this way. With HugePagesOff no
// memory takes longer to come than a page of 4 KiB does.
//
// Tables of 2 MiB and more that are in small pages for this reason, and those with pointers, which lie on the Go heap, have their
// pages joined to huge ones by HugePagesAuto, in the background: once they hold a third of the entries for which they have room,
// and have been in use for a tenth of a second. That takes Linux 6.1 or later, whose administrator has not forbidden huge
// pages. Page faults of the process wait meanwhile, each time for as long as it takes to copy 2 MiB. With HugePagesOff tables on
// the Go heap have what pages the system gives to all of it.
//
// Reason to exist: huge pages save TLB misses, but memory becomes resident 2 MiB at a time.
// Errors: New panics if mode is not one of the HugePages constants.
func WithHugePages(mode HugePages) Option {
	return Option{func(s *settings) {
		if mode > HugePagesOff {
			panic(fmt.Sprintf("hushmap: WithHugePages(%d): unknown mode", mode))
		}
		s.hugePages = mode
	}}
}

// newSettings applies the options and checks what can be checked without the map's types.
func newSettings(opts []Option) *settings {
	s := &settings{tuning: defaultTuning}
	for i, o := range opts {
		if o.apply == nil {
			panic(fmt.Sprintf("hushmap: New: option %d is the zero Option", i))
		}
		o.apply(s)
	}
	if s.stable && s.hasher != nil {
		panic("hushmap: New: WithHasher and WithStableHash exclude each other")
	}
	return s
}
