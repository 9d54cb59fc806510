// Package stripe counts the entries of a map that many cores change at once.
//
// One shared number would be the hottest cache line of the whole map. A
// Counter spreads it over stripes, each on a cache line of its own and chosen
// by a number that the caller gives, and keeps two numbers per stripe that only ever grow:
//
//	           stripe 0     stripe 1     stripe 2     stripe 3
//	inserted      412          398          405          420
//	removed       100          131           97          104
//
//	Len = (412 + 398 + 405 + 420) - (100 + 131 + 97 + 104) = 1203
//
// # Why Len is never negative and never more than what lived at once
//
// Call I(t) and R(t) the true sums of all insert counts and of all remove
// counts at time t. The callers count under the lock of the key's bucket, an
// entry's insertion before its removal. So at every instant
// L(t) = I(t) - R(t) >= 0 is the number of entries counted as living.
//
// Len first reads all insert counts, finished at time t, and then all remove
// counts. Counts only grow: what it read of the inserts is at most I(t), what it
// read of the removes is at least R(t). Their difference is at most L(t),
// which some instant really had; and a difference below zero (removals that
// came after t) is reported as zero, the least that L can be.
//
// # When Len is exact
//
// If two such passes read the same two sums, then, as no count ever falls, no
// single count differed between them. Nothing was counted from the end of the first
// pass to the start of the second, and the sums are L of that time. Without
// writers that is always so. Under writers Len tries a few times, then answers
// with the bound above.
//
// Both arguments only use the sums, so they hold as well when an entry is
// inserted through one Counter and removed through a later one that has it as
// prev.
package stripe

import (
	"iter"
	"sync/atomic"
	"unsafe"

	"github.com/hushmap/hushmap/internal/cacheline"
)

// attempts is how often Len looks for two equal passes. Writers that disturb
// three in a row are not going to stop.
const attempts = 3

// Counter is a striped count of insertions and removals. Its fields are
// written once, in New; the cells are written by everybody, atomically.
type Counter struct {
	prev *Counter // older counter that is part of the sum, or nil
	many []padded // a power of two of stripes, or none at all
	one  cell     // the only stripe, if many is empty
}

// cell is one stripe. Both numbers only grow.
type cell struct {
	inserted atomic.Uint64
	removed  atomic.Uint64
}

// padded is a cell with a cache line to itself. A cell is never split by a
// line's end, as it is aligned to its size; the next one starts a whole line later.
type padded struct {
	cell
	_ [cacheline.Size - unsafe.Sizeof(cell{})]byte
}

// New returns a counter with the given number of stripes, rounded up to a power
// of two. Its Len includes everything ever counted by prev, which may be nil
// and may still be counting.
func New(stripes int, prev *Counter) *Counter {
	c := &Counter{prev: prev}
	if stripes > 1 {
		n := 2
		for n < stripes {
			n *= 2
		}
		c.many = make([]padded, n)
	}
	return c
}

// Inserted counts one entry that has come to life, in the stripe that hint
// chooses: a number that differs between goroutines that count at the same time.
// It returns the insertions that the stripe has seen.
func (c *Counter) Inserted(hint uint64) uint64 {
	return c.cell(hint).inserted.Add(1)
}

// Removed counts one entry that has died, in the stripe that hint chooses, and
// returns the removals that the stripe has seen.
func (c *Counter) Removed(hint uint64) uint64 {
	return c.cell(hint).removed.Add(1)
}

// cell is the stripe that a hint chooses, by its bits from 8 on.
func (c *Counter) cell(hint uint64) *cell {
	if len(c.many) == 0 {
		return &c.one
	}
	return &c.many[int(hint>>8)&(len(c.many)-1)].cell
}

// Stripes returns the number of stripes, those of older counters not included.
func (c *Counter) Stripes() int {
	return max(len(c.many), 1)
}

// Len returns the number of living entries: exactly if it can catch a moment
// without a writer, else a number between zero and the most entries that were
// alive at one time during the call.
func (c *Counter) Len() int {
	inserted, removed := c.sums()
	for range attempts {
		i, r := c.sums()
		quiet := i == inserted && r == removed
		inserted, removed = i, r
		if quiet {
			break
		}
	}
	if inserted < removed {
		return 0
	}
	return int(inserted - removed)
}

// Includes reports whether the Len of c has all that o counts: whether o is c, or comes before it.
func (c *Counter) Includes(o *Counter) bool {
	for p := c; p != nil; p = p.prev {
		if p == o {
			return true
		}
	}
	return false
}

// sums reads all insert counts, then all remove counts. The order is what
// bounds Len.
func (c *Counter) sums() (inserted, removed uint64) {
	for p := c; p != nil; p = p.prev {
		inserted += p.one.inserted.Load()
		for i := range p.many {
			inserted += p.many[i].inserted.Load()
		}
	}
	for p := c; p != nil; p = p.prev {
		removed += p.one.removed.Load()
		for i := range p.many {
			removed += p.many[i].removed.Load()
		}
	}
	return inserted, removed
}

// Cells returns the insertions and removals that each stripe has counted, by
// its number, those of older counters not included.
func (c *Counter) Cells() iter.Seq2[int, [2]uint64] {
	return func(yield func(int, [2]uint64) bool) {
		for i := range c.Stripes() {
			cell := &c.one
			if len(c.many) > 0 {
				cell = &c.many[i].cell
			}
			if !yield(i, [2]uint64{cell.inserted.Load(), cell.removed.Load()}) {
				return
			}
		}
	}
}
