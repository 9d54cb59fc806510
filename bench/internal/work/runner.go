package work

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hushmap/hushmap/bench/internal/peer"
)

// blockOps is how many operations a goroutine does between two looks at the stop flag: a number of whole batches.
const blockOps = 1024

// Bounds of how many operations are prepared per round, all goroutines together; they are repeated until time is up.
const (
	minOps = 1 << 16
	maxOps = 1 << 21
)

// checkEachRound is the number of entries up to which the whole content is checked after every round; larger maps are
// checked in full at the end.
const checkEachRound = 100_000

// Round is the outcome of one measured round.
type Round struct {
	Ops     uint64        // operations done, or entries visited
	Elapsed time.Duration // from the first start to the last stop
}

// Runner is one preloaded map and all that is known about what it must contain.
type Runner interface {
	Round(m Mix, procs int, d time.Duration) (Round, error)
	// Check compares the whole content with what it must be.
	Check() error
	// Entries is how many entries the map was loaded with.
	Entries() int
}

// NewRunner makes and preloads a map of about n entries; real keys decide themselves how many.
func NewRunner(impl peer.Impl, kind string, n int) (Runner, error) {
	switch kind {
	case peer.KindUint64:
		return newRunner(impl, Uint64Kit(), ForEntries(n), nil), nil
	case peer.KindString:
		return newRunner(impl, StringKit(), ForEntries(n), nil), nil
	case peer.KindAny:
		return newRunner(impl, AnyKit(), ForEntries(n), nil), nil
	case peer.KindReal:
		t, err := GoSourceText()
		if err != nil {
			return nil, err
		}
		return newRunner(impl, RealKit(t.Words), forWords(len(t.Words)), t.IDs), nil
	}
	return nil, fmt.Errorf("unknown kind of key %q", kind)
}

type runner[K comparable, V any] struct {
	kit     Kit[K, V]
	m       peer.Instance[K, V]
	u       Universe
	text    []uint32 // ids in natural order, for real keys
	present []bool   // of own keys, by id - Stable
	zipf    *zipfian // made when first needed
	laid    laid[K, V]
	seed    uint64 // how often operations have been prepared
}

// laid is what the last round worked on. The next round of the same mix does the same operations again, as repeated passes
// over them within a round do: drawing them takes longer than a round.
type laid[K comparable, V any] struct {
	mix   string
	procs int
	lanes []*lane[K, V]
}

func newRunner[K comparable, V any](impl peer.Impl, kit Kit[K, V], u Universe, text []uint32) *runner[K, V] {
	r := &runner[K, V]{kit: kit, m: kit.New(impl), u: u, text: text, present: make([]bool, u.Own)}
	for id := range u.Stable {
		r.m.Store(kit.Own(uint64(id)), kit.Val(uint64(id)))
	}
	for i := 0; i < u.Own; i += 3 {
		id := uint64(u.Stable + i)
		r.m.Store(kit.Own(id), kit.Val(id))
		r.present[i] = true
	}
	return r
}

func (r *runner[K, V]) Entries() int { return r.u.Entries() }

// lane is the work of one goroutine in one round.
type lane[K comparable, V any] struct {
	block      peer.Block[K, V]
	done       uint64
	tally      peer.Tally
	start, end int64
}

// Round prepares operations, lets them run for about d, and checks what they returned.
func (r *runner[K, V]) Round(m Mix, procs int, d time.Duration) (Round, error) {
	if m.Range {
		return r.rangeRound(m, procs, d)
	}
	lanes := r.lay(m, procs, procs)
	runLanes(r.m.Run, lanes, d, func(*atomic.Bool) {})
	out := span(lanes)
	return out, r.conclude(m, lanes)
}

// conclude checks a round and makes sure that no collection is under way when the next implementation has its round.
func (r *runner[K, V]) conclude(m Mix, lanes []*lane[K, V]) error {
	defer rest()
	if err := r.settle(m, lanes); err != nil {
		return err
	}
	if r.u.Entries() > checkEachRound {
		return nil
	}
	return r.Check()
}

// lay returns lanes for a round: those of the round before if it was of the same kind.
func (r *runner[K, V]) lay(m Mix, procs, lanes int) []*lane[K, V] {
	if r.laid.lanes == nil || r.laid.mix != m.Name || r.laid.procs != procs {
		r.laid = laid[K, V]{} // garbage before the next are made
		r.laid = laid[K, V]{m.Name, procs, r.prepare(m, procs, lanes)}
	}
	for _, l := range r.laid.lanes {
		l.done, l.tally = 0, peer.Tally{}
	}
	return r.laid.lanes
}

// prepare makes so many lanes; own keys are shared out among procs goroutines.
func (r *runner[K, V]) prepare(m Mix, procs, lanes int) []*lane[K, V] {
	defer runtime.GC()                               // the garbage of preparing is not the map's
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // and worth one collection
	r.seed++
	if m.zipf && r.zipf == nil {
		r.zipf = newZipfian(nil, r.u.Stable, 0.99)
	}
	count := min(max(minOps, r.u.Entries()), maxOps) / procs
	out := make([]*lane[K, V], lanes)
	var wg sync.WaitGroup
	for g := range out {
		rng := rand.New(rand.NewPCG(r.seed, uint64(g)))
		wg.Go(func() {
			ops := m.ops(rng, r.u, r.picker(m, rng, g, procs), count)
			out[g] = &lane[K, V]{block: r.block(ops, !m.Writes() && !m.Range)}
		})
	}
	wg.Wait()
	return out
}

func (r *runner[K, V]) picker(m Mix, rng *rand.Rand, g, procs int) picker {
	switch {
	case r.text != nil:
		return natural(rng, r.u, r.text, g, procs)
	case m.zipf:
		z := *r.zipf
		z.rng = rng
		return picker{stable: z.next, own: ownEven(rng, r.u, g, procs)}
	}
	return even(rng, r.u, g, procs)
}

// block lays fresh keys, and boxed values, out beside the operations.
func (r *runner[K, V]) block(ops []peer.Op, loadsOnly bool) peer.Block[K, V] {
	ids := make([]uint64, len(ops))
	for i, o := range ops {
		ids[i] = o.ID()
	}
	b := peer.Block[K, V]{Ops: ops, Keys: r.kit.Fresh(ids), LoadsOnly: loadsOnly}
	if r.kit.Boxed {
		b.Vals = make([]V, len(ids))
		for i, id := range ids {
			b.Vals[i] = r.kit.Val(id)
		}
	}
	return b
}

// runLanes starts a goroutine per lane, and sets the stop flag when d has passed. It returns when they and main, which runs
// meanwhile, have seen it.
func runLanes[K comparable, V any](
	run func(peer.Block[K, V]) peer.Tally, lanes []*lane[K, V], d time.Duration, main func(stop *atomic.Bool),
) {
	var stop atomic.Bool
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for _, l := range lanes {
		wg.Go(func() {
			<-begin
			l.run(run, &stop)
		})
	}
	defer time.AfterFunc(d, func() { stop.Store(true) }).Stop()
	close(begin)
	main(&stop)
	wg.Wait()
}

// run does blocks of operations until stop is set, and one at least: on a busy machine the time can be up before the
// goroutine gets a processor, and a round that did nothing would be a division by zero, not a measurement.
func (l *lane[K, V]) run(run func(peer.Block[K, V]) peer.Tally, stop *atomic.Bool) {
	total := len(l.block.Ops)
	l.start = clock()
	for at := 0; l.done == 0 || !stop.Load(); {
		next := min(at+blockOps, total)
		l.tally.Add(run(l.block.Slice(at, next)))
		l.done += uint64(next - at)
		at = next % total
	}
	l.end = clock()
}

func span[K comparable, V any](lanes []*lane[K, V]) Round {
	var out Round
	first, last := lanes[0].start, lanes[0].end
	for _, l := range lanes {
		out.Ops += l.done
		first, last = min(first, l.start), max(last, l.end)
	}
	out.Elapsed = time.Duration(last - first)
	return out
}
