// This file is responsible for a session: one map, several histories on it, what is checked during and after each, and
// a watchdog over all of it.

package drive

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hushmap/hushmap/verify/internal/history"
)

// Check names what noticed that something is wrong.
type Check string

const (
	CheckHistory Check = "history"       // no order of the operations explains their results
	CheckTorn    Check = "torn value"    // words of two values
	CheckFillers Check = "fillers"       // a key that only one goroutine writes is not what it wrote
	CheckRange   Check = "range"         // Range or DeleteFunc misses, repeats or resurrects
	CheckLen     Check = "length"        // Len out of its bounds, or wrong at rest
	CheckVerify  Check = "Verify"        // the map's own structural check
	CheckOnce    Check = "runs once"     // LoadOrCompute ran a function once too often
	CheckPanic   Check = "panic"         // out of a method of the map
	CheckHang    Check = "hang"          // a session does not end
	CheckLitmus  Check = "store buffers" // two goroutines each miss the other's store
	CheckStays   Check = "stays"         // a key that is never deleted is missed, or goes back to an earlier value
	CheckReturns Check = "returns"       // a value is seen again after it was deleted
	CheckBatch   Check = "batch"         // LoadBatch or DeleteBatch miscounts
	CheckBounded Check = "bounded work"  // one write moves a whole table, or a growth does not end
)

// Finding is something wrong with the map.
type Finding struct {
	Check     Check
	Detail    string
	Plan      Plan
	Violation *history.Violation // of CheckHistory
}

func (f *Finding) String() string {
	if f.Plan.Workers == 0 {
		return fmt.Sprintf("%s: in an experiment, hasher %v\n%s", f.Check, f.Plan.Hasher, f.Detail)
	}
	return fmt.Sprintf("%s: %v\n%s", f.Check, f.Plan, f.Detail)
}

// Counts is how much was done.
type Counts struct {
	Sessions, Histories, Operations, Undecided int
	Overlapping                                int // operations during which another was called or returned
	Batches                                    int // calls that did several of the operations
	Growths, Shrinks, Rebuilds                 int
	ByKind                                     [history.Kinds]int
}

// Add adds d to c.
func (c *Counts) Add(d Counts) {
	c.Sessions += d.Sessions
	c.Histories += d.Histories
	c.Operations += d.Operations
	c.Undecided += d.Undecided
	c.Overlapping += d.Overlapping
	c.Batches += d.Batches
	c.Growths += d.Growths
	c.Shrinks += d.Shrinks
	c.Rebuilds += d.Rebuilds
	for i, n := range d.ByKind {
		c.ByKind[i] += n
	}
}

func (c Counts) String() string {
	return fmt.Sprintf("%d operations (%d overlapping others, some of %d batches) in %d histories of %d maps, "+
		"%d undecided; %d growths, %d shrinks, %d rebuilds", c.Operations, c.Overlapping, c.Batches, c.Histories,
		c.Sessions, c.Undecided, c.Growths, c.Shrinks, c.Rebuilds)
}

// session is one map and all that is known about it.
type session[K comparable, V any] struct {
	plan      Plan
	keys      KeyCodec[K]
	values    ValueCodec[V]
	m         Target[K, V]
	batcher   Batcher[K, V]  // m, if it is one
	kinds     []history.Kind // of the operations to choose from
	batches   atomic.Int32   // calls of batcher
	clock     history.Clock
	workers   []*worker[K, V]
	storm     *fillers[K, V]
	stays     *fillers[K, V] // never deleted
	handedOut int            // numbers of keys in use, hot ones first
	barrier   barrier
	playing   atomic.Int32  // workers that are not through with the history
	initial   history.State // of the hot keys when the history began
	recorded  []recorded
	flights   [history.Keys]atomic.Int32
	failed    chan *Finding // the first finding
	progress  atomic.Int64  // histories recorded and checked, for the watchdog
	counts    Counts
}

// run runs a session to its end or to the first finding. After a finding its goroutines may be left behind: locks may
// be held by those that failed.
func run[K comparable, V any](p Plan, keys KeyCodec[K], values ValueCodec[V], newMap Maker[K, V]) (Counts, *Finding) {
	s := &session[K, V]{plan: p, keys: keys, values: values, m: newMap(p), failed: make(chan *Finding, 1)}
	s.batcher, _ = s.m.(Batcher[K, V])
	s.kinds = kindsOf(s.m, p.Writes)
	s.handedOut = history.Keys
	for id := range p.Workers {
		rng := rand.New(rand.NewPCG(p.Seed, uint64(id)))
		s.workers = append(s.workers, &worker[K, V]{s: s, id: id, rng: rng, fill: newFillers(s, rng, p.Fillers)})
	}
	s.storm = newFillers(s, rand.New(rand.NewPCG(p.Seed, 's')), p.Fillers)
	s.stays = newFillers(s, rand.New(rand.NewPCG(p.Seed, 'f')), p.Prefill)
	players := p.Workers
	if p.Storm {
		players++
	}
	s.barrier.init(players)
	s.playing.Store(int32(p.Workers))
	done := make(chan struct{})
	s.guard(func() { s.histories(); close(done) })
	return s.watch(done)
}

// watchdog is how long one history may take. It takes a millisecond or so, but the machine may be busy, and neither a map as
// it is nor one with a planted bug is to be suspected for that.
const watchdog = time.Minute

// watch waits for the end of the session, a finding or a standstill.
func (s *session[K, V]) watch(done chan struct{}) (Counts, *Finding) {
	tick := time.NewTicker(watchdog / 8)
	defer tick.Stop()
	for last, still := int64(-1), 0; ; {
		select {
		case f := <-s.failed:
			return Counts{}, f
		case <-done:
			select {
			case f := <-s.failed:
				return Counts{}, f
			default:
				return s.counts, nil
			}
		case <-tick.C:
			now := s.progress.Load()
			if still++; now != last {
				last, still = now, 0
			}
			if still == 8 {
				stacks := make([]byte, 1<<20)
				stacks = stacks[:runtime.Stack(stacks, true)]
				return Counts{}, &Finding{Check: CheckHang, Plan: s.plan,
					Detail: fmt.Sprintf("no progress in %v after %d histories\n%s", watchdog, now, stacks)}
			}
		}
	}
}

// fail reports a finding; only the first one counts.
func (s *session[K, V]) fail(check Check, format string, args ...any) {
	s.report(&Finding{Check: check, Detail: fmt.Sprintf(format, args...), Plan: s.plan})
}

func (s *session[K, V]) report(f *Finding) {
	select {
	case s.failed <- f:
	default:
	}
	s.barrier.stop()
}

// guard runs f on a goroutine and turns its panic into a finding.
func (s *session[K, V]) guard(f func()) {
	go func() {
		defer func() {
			if r := recover(); r != nil {
				s.fail(CheckPanic, "%v\n%s", r, debug.Stack())
			}
		}()
		f()
	}()
}

// histories runs one history after the other, each from the state that the last one left, and checks them at the end:
// thinking about them in between would let the processors that ran the workers go to sleep.
func (s *session[K, V]) histories() {
	for i := range s.stays.present {
		s.stays.put(i)
	}
	s.readInitial()
	var over sync.WaitGroup
	for _, w := range s.workers {
		over.Add(1)
		s.guard(func() {
			for range s.plan.Histories {
				if !s.barrier.meet(nil) {
					return
				}
				w.play()
				s.playing.Add(-1)
				if !s.barrier.meet(s.between) {
					return
				}
			}
			over.Done() // not deferred: after a finding nobody is waited for, as some may never come
		})
	}
	if s.plan.Storm {
		over.Add(1)
		s.guard(func() { s.blow(); over.Done() })
	}
	over.Wait()
	stats := s.m.Stats()
	s.counts.Sessions, s.counts.Batches = 1, int(s.batches.Load())
	s.counts.Growths, s.counts.Shrinks, s.counts.Rebuilds = int(stats.Growths), int(stats.Shrinks), int(stats.Rebuilds)
	for _, h := range s.recorded {
		s.check(h)
	}
}

// blow is the storm's part in all histories: gusts, as long as a worker plays.
func (s *session[K, V]) blow() {
	for range s.plan.Histories {
		if !s.barrier.meet(nil) {
			return
		}
		for s.playing.Load() > 0 && !s.barrier.stopped.Load() {
			s.storm.gust()
			runtime.Gosched()
		}
		if !s.barrier.meet(s.between) {
			return
		}
	}
}

// between ends a history and prepares the next one, while nobody else runs.
func (s *session[K, V]) between() {
	s.recorded = append(s.recorded, recorded{s.initial, s.collect()})
	s.rest(len(s.recorded) - 1)
	s.readInitial()
	s.playing.Store(int32(len(s.workers)))
	s.progress.Add(1)
}

// recorded is a history that is to be checked.
type recorded struct {
	initial history.State
	records []history.Record
}

// check checks one history.
func (s *session[K, V]) check(h recorded) {
	v, decided := history.Check(h.initial, h.records)
	if !decided {
		s.counts.Undecided++
	}
	if v != nil {
		s.report(&Finding{Check: CheckHistory, Detail: v.String(), Plan: s.plan, Violation: v})
	}
	s.checkOnce(h.records)
	s.counts.Histories++
	s.counts.Operations += len(h.records)
	for _, r := range h.records {
		s.counts.ByKind[r.In.Kind]++
		if r.Return > r.Call+1 {
			s.counts.Overlapping++
		}
	}
	s.progress.Add(1)
}

// checkOnce checks that LoadOrCompute ran one function per missing key: one whose result is not stored can only have
// lost against another method. Values must be unique to tell.
func (s *session[K, V]) checkOnce(records []history.Record) {
	if s.plan.SmallValues {
		return
	}
	computed := make(map[int32]bool)
	for _, r := range records {
		if r.In.Kind == history.LoadOrCompute && r.Out.Ran && !r.Out.OK && !r.Out.Failed {
			computed[r.In.Value] = true
		}
	}
	for _, r := range records {
		if r.In.Kind == history.LoadOrCompute && r.Out.Ran && r.Out.OK && computed[r.Out.Value] {
			s.fail(CheckOnce, "two functions of LoadOrCompute ran, and one of them stored v%d for both, in\n%s",
				r.Out.Value, history.Text(records))
		}
	}
}

// readInitial notes the state of the hot keys while nobody writes them.
func (s *session[K, V]) readInitial() {
	s.initial = history.Empty
	for key := range s.plan.Keys {
		if v, ok := s.m.Load(s.keys.Encode(key)); ok {
			s.initial[key] = s.values.Decode(v)
		}
	}
}

// collect returns the records of all workers, and of a Load of each hot key at the end: what is in the map now must
// follow from the history too.
func (s *session[K, V]) collect() (all []history.Record) {
	last := &worker[K, V]{s: s, id: len(s.workers)}
	for key := range s.plan.Keys {
		last.perform(history.Input{Kind: history.Load, Key: int8(key)})
	}
	for _, w := range append(s.workers, last) {
		all = append(all, w.records...)
		w.records = w.records[:0]
	}
	return all
}

// rest checks what must hold when nobody writes. The expensive part is left out after most histories.
func (s *session[K, V]) rest(n int) {
	owners := []*fillers[K, V]{s.storm, s.stays}
	for _, w := range s.workers {
		owners = append(owners, w.fill)
	}
	for _, f := range owners {
		for i := range f.present {
			f.ask(i)
		}
	}
	if n%4 != 3 && n != s.plan.Histories-1 {
		return
	}
	s.checkVerify()
	s.storm.sweep()
	entries := 0
	s.m.Range(func(K, V) bool { entries++; return true })
	if length := s.m.Len(); length != entries {
		s.fail(CheckLen, "at rest Len is %d, but Range visits %d entries", length, entries)
	}
}

// checkLen checks what Len promises while others write.
func (s *session[K, V]) checkLen() {
	if n := s.m.Len(); n < 0 || n > s.plan.maxEntries() {
		s.fail(CheckLen, "Len is %d; there are never more than %d entries", n, s.plan.maxEntries())
	}
}

func (s *session[K, V]) checkVerify() {
	if err := s.m.Verify(); err != nil {
		s.fail(CheckVerify, "%v", err)
	}
}
