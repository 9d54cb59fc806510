// This file is responsible for plans: what a session does, all derived from one seed.

package drive

import (
	"fmt"
	"math/rand/v2"

	"github.com/hushmap/hushmap/verify/internal/history"
)

// Hasher says how the map hashes.
type Hasher uint8

const (
	DefaultHash  Hasher = iota
	ConstantHash        // all keys alike: everything is displaced behind one bucket
	ZeroTopHash         // one byte of hash
	TwoHashes           // long probe sequences that start in two places
	FloodedHash         // all keys alike, until the map changes its seed
	GoodHash            // as good as the default, but a function of ours
)

var hasherNames = [...]string{"default", "constant", "zero top bits", "two values", "flooded", "good"}

func (h Hasher) String() string { return hasherNames[h] }

// Plan says what a session does.
type Plan struct {
	Seed        uint64
	Hasher      Hasher
	Histories   int  // on one map, one after the other
	Workers     int  // goroutines that are recorded
	Keys        int  // hot keys
	Ops         int  // operations per worker and history
	Gusts       int  // of 100 operations, how many are followed by a gust of the worker's own
	Yields      int  // of 100 operations, how many are followed by giving up the processor
	Stalls      int  // one hash in so many lets others run; 0: none
	Fillers     int  // keys outside the hot set that each worker, and the storm, inserts and deletes
	Prefill     int  // keys that stay from the start, and collide if the hasher is flooded
	Clear       bool // Clear is among the operations
	Storm       bool // a goroutine of its own does nothing but gusts
	SmallValues bool // values repeat, so that compare pairs meet values that went and came back
	Writes      bool // only operations that change something
}

// PlanFor derives a plan from a seed.
//
// Fillers decide what tables do: up to 16 buckets (96 entries) whoever starts a growth moves everything at once, larger
// ones are moved bit by bit. The small counts oscillate around the first thresholds, 24 and 48 entries, the large ones
// around 192.
func PlanFor(seed uint64) Plan {
	r := rand.New(rand.NewPCG(seed, 'p'))
	p := Plan{
		Seed: seed, Histories: 12, Workers: 2 + r.IntN(3), Keys: 1 + r.IntN(history.Keys), Ops: 10 + r.IntN(40),
		Gusts: []int{3, 8, 20}[r.IntN(3)], Yields: []int{0, 10, 30}[r.IntN(3)],
		Fillers: []int{8, 12, 20, 64, 80}[r.IntN(5)], Clear: r.IntN(4) == 0, Storm: r.IntN(2) == 0,
		SmallValues: r.IntN(4) == 0, Writes: r.IntN(4) == 0,
	}
	switch r.IntN(20) {
	case 0, 1, 2:
		p.Hasher = ConstantHash
	case 3, 4:
		p.Hasher = ZeroTopHash
	case 5, 6:
		p.Hasher = TwoHashes
	case 7:
		// An entry more than 64 buckets of 8 behind its home makes the map look at its hash.
		p.Hasher, p.Prefill, p.Histories, p.Clear = FloodedHash, 518, 2, false
	case 8, 9, 10, 11, 12, 13:
		p.Hasher = GoodHash
	}
	if p.Hasher != DefaultHash {
		p.Stalls = []int{0, 4, 16}[r.IntN(3)]
	}
	if p.Hasher != DefaultHash && p.Hasher != GoodHash && p.Fillers > 20 {
		p.Fillers = 20 // long chains make long histories
	}
	return p
}

// maxEntries is the most entries that the map can ever have.
func (p Plan) maxEntries() int { return p.Keys + p.Prefill + (p.Workers+1)*p.Fillers }

func (p Plan) String() string {
	return fmt.Sprintf("seed %d: %d goroutines, %d keys, %d operations each, hasher %v (stalls 1 in %d), "+
		"%d fillers, clear %t, storm %t", p.Seed, p.Workers, p.Keys, p.Ops, p.Hasher, p.Stalls, p.Fillers, p.Clear, p.Storm)
}
