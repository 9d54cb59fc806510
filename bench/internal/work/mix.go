package work

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/hushmap/hushmap/bench/internal/peer"
)

// Mix is a blend of operations.
type Mix struct {
	Name  string
	Reads float64 // share of Loads; the rest is half Store, half Delete
	zipf  bool    // stable keys by Zipf's law with exponent 0.99, else evenly
	hot   bool    // one key for all: Loads, and Stores for the rest
	miss  bool    // Loads of absent keys
	los   bool    // LoadOrStore in place of Load and Store
	Range bool    // one goroutine ranges, the others store and delete
	Batch bool    // a mix of the work batch: peer.BatchLen operations of a kind in a row
}

// Mixes lists every mix by its name in flags and reports.
var Mixes = []Mix{
	{Name: "reads=100", Reads: 1},
	{Name: "reads=99", Reads: 0.99},
	{Name: "reads=90", Reads: 0.90},
	{Name: "reads=75", Reads: 0.75},
	{Name: "reads=0", Reads: 0},
	{Name: "miss", Reads: 1, miss: true},
	{Name: "hot", Reads: 0.90, hot: true},
	{Name: "zipf", Reads: 0.90, zipf: true},
	{Name: "loadorstore", Reads: 0.90, los: true},
	{Name: "range", Range: true},
	{Name: "loads", Reads: 1, Batch: true},
	{Name: "writes", Reads: 0, Batch: true},
}

// FindMix returns the mix of that name.
func FindMix(name string) (Mix, error) {
	i := slices.IndexFunc(Mixes, func(m Mix) bool { return m.Name == name })
	if i < 0 {
		return Mix{}, fmt.Errorf("unknown mix %q", name)
	}
	return Mixes[i], nil
}

// Writes says whether the mix changes the map.
func (m Mix) Writes() bool { return m.Reads < 1 }

// picker draws ids for one goroutine.
type picker struct{ stable, own func() uint64 }

// ops draws count operations.
//
// Half of the Stores overwrite a stable key, the other half and all Deletes go to own keys: those are present
// with probability 1/3 at any time, so the size of the map stays where it is.
func (m Mix) ops(rng *rand.Rand, u Universe, p picker, count int) []peer.Op {
	ops := make([]peer.Op, count)
	for i := range ops {
		read := rng.Float64() < m.Reads
		switch {
		case m.hot && read:
			ops[i] = peer.Load
		case m.hot:
			ops[i] = peer.Store
		case m.miss:
			ops[i] = peer.Load | peer.Op(u.Stable+u.Own+rng.IntN(u.Miss))
		case m.los:
			ops[i] = losOp(rng, p, read)
		case read:
			ops[i] = peer.Load | peer.Op(p.stable())
		case m.Batch:
			ops[i] = batchOp(rng, p, i/peer.BatchLen)
		default:
			ops[i] = writeOp(rng, p)
		}
	}
	return ops
}

func writeOp(rng *rand.Rand, p picker) peer.Op {
	switch rng.IntN(4) {
	case 0:
		return peer.Store | peer.Op(p.stable())
	case 1:
		return peer.Store | peer.Op(p.own())
	default:
		return peer.Delete | peer.Op(p.own())
	}
}

// batchOp draws as writeOp does, but every other batch only stores and the rest only delete.
func batchOp(rng *rand.Rand, p picker, batch int) peer.Op {
	switch {
	case batch%2 != 0:
		return peer.Delete | peer.Op(p.own())
	case rng.IntN(2) == 0:
		return peer.Store | peer.Op(p.stable())
	default:
		return peer.Store | peer.Op(p.own())
	}
}

func losOp(rng *rand.Rand, p picker, stable bool) peer.Op {
	switch {
	case stable:
		return peer.LoadOrStore | peer.Op(p.stable())
	case rng.IntN(3) == 0:
		return peer.LoadOrStoreOwn | peer.Op(p.own())
	default:
		return peer.Delete | peer.Op(p.own())
	}
}

// even draws every id with the same probability.
func even(rng *rand.Rand, u Universe, g, procs int) picker {
	return picker{
		stable: func() uint64 { return rng.Uint64N(uint64(u.Stable)) },
		own:    ownEven(rng, u, g, procs),
	}
}

func ownEven(rng *rand.Rand, u Universe, g, procs int) func() uint64 {
	count := (u.Own - g + procs - 1) / procs
	return func() uint64 { return uint64(u.Stable + rng.IntN(count)*procs + g) }
}

// natural draws ids in the order of a text, each goroutine from a place of its own.
func natural(rng *rand.Rand, u Universe, text []uint32, g, procs int) picker {
	next := func(want func(id int) bool) func() uint64 {
		at := rng.IntN(len(text))
		return func() uint64 {
			for {
				at = (at + 1) % len(text)
				if id := int(text[at]); want(id) {
					return uint64(id)
				}
			}
		}
	}
	return picker{
		stable: next(func(id int) bool { return id < u.Stable }),
		own: next(func(id int) bool {
			return id >= u.Stable && id < u.Stable+u.Own && (id-u.Stable)%procs == g
		}),
	}
}
