// This file, with presence.go, is responsible for what histories hardly show, each as a small experiment of its own.
//
// Store buffers: the time stamps of a history are locked instructions, which drain the processor's store buffer, so a
// write that is still in there when the method returns is never missed by them.
// Length: Len is not linearizable, but has bounds, which are tight for a map that never holds more than one key.
// Bounded work: how much one write may move, and how soon a growth must have ended.

package drive

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"

	"github.com/hushmap/hushmap/verify/internal/history"
)

// experiment makes a session that has no workers, and runs f beside the watchdog.
func experiment[K comparable, V any](p Plan, keys KeyCodec[K], values ValueCodec[V], newMap Maker[K, V],
	f func(s *session[K, V], done func())) *Finding {
	s := &session[K, V]{plan: p, keys: keys, values: values, m: newMap(p), failed: make(chan *Finding, 1)}
	s.barrier.init(2)
	done := make(chan struct{})
	s.guard(func() { f(s, func() { close(done) }) })
	_, finding := s.watch(done)
	return finding
}

// storeBuffers lets two goroutines each write one key and then load the other's, again and again, with nothing in
// between. Whatever the order of the four operations, one of the two must find what the other wrote.
func (s *session[K, V]) storeBuffers(rounds int, done func()) {
	var arrived [2]atomic.Int64
	var found [2]int32
	meet := func(side int, n int64) {
		arrived[side].Store(n)
		for i := 0; arrived[1-side].Load() < n; i++ {
			if i > spins {
				runtime.Gosched()
			}
		}
	}
	play := func(side int) {
		mine, other := s.keys.Encode(side), s.keys.Encode(1-side)
		for n := range int64(rounds) {
			id := int32(n%30000) + 1
			value := s.values.Encode(id)
			meet(side, 3*n+1)
			s.writeSomehow(int(n), mine, value)
			v, ok := s.m.Load(other)
			found[side] = history.Absent
			if ok {
				found[side] = s.values.Decode(v)
			}
			meet(side, 3*n+2)
			if side == 0 && found[0] != id && found[1] != id {
				s.fail(CheckLitmus, "round %d: both goroutines stored %d under a key of their own and then found %d and %d (%d: "+
					"absent) under the other's", n, id, found[0], found[1], history.Absent)
			}
			s.progress.Store(n)
			if n%4 == 3 { // three writes of four are overwrites
				s.m.Delete(mine)
			}
			meet(side, 3*n+3)
		}
	}
	s.guard(func() { play(1) })
	play(0)
	done()
}

// writeSomehow stores value under key by one method or another.
func (s *session[K, V]) writeSomehow(n int, key K, value V) {
	switch n / 4 % 4 {
	case 0:
		s.m.Store(key, value)
	case 1:
		s.m.Swap(key, value)
	case 2:
		s.m.Delete(key)
		s.m.LoadOrStore(key, value)
	case 3:
		old, ok := s.m.Load(key)
		if !ok || !s.m.CompareAndSwap(key, old, value) {
			s.m.Store(key, value)
		}
	}
}

// lengths stores and deletes one key, from several goroutines, and asks for the length all the time.
func (s *session[K, V]) lengths(rounds int, done func()) {
	var left atomic.Int32
	const writers = 3
	left.Store(writers)
	key, value := s.keys.Encode(0), s.values.Encode(1)
	for side := range uint64(writers) {
		s.guard(func() {
			rng := rand.New(rand.NewPCG(uint64(rounds), side))
			for range rounds {
				if rng.IntN(2) == 0 {
					s.m.Store(key, value)
				} else {
					s.m.Delete(key)
				}
				if rng.IntN(8) == 0 {
					runtime.Gosched()
				}
				s.progress.Add(1)
			}
			left.Add(-1)
		})
	}
	for left.Load() > 0 {
		if n := s.m.Len(); n < 0 || n > 1 {
			s.fail(CheckLen, "Len is %d; there is never more than one entry", n)
			return
		}
		runtime.Gosched()
	}
	done()
}

const (
	// boundedBuckets is the size of a table that is not moved at one go.
	boundedBuckets = 512
	// boundedMoves is how many buckets one write may move: a few ordinarily, 128 if the new table is full already.
	boundedMoves = 160
)

// bounded grows a table of some size, looking after every write how much it has moved.
func (s *session[K, V]) bounded(done func()) {
	defer done()
	limit := boundedBuckets * 6
	store := func(n int) {
		s.m.Store(s.keys.Encode(n), s.values.Encode(1))
		s.progress.Add(1)
	}
	for n := range limit - 2 {
		store(n)
	}
	before := s.m.Stats()
	for n := limit - 2; !before.Growing; n++ {
		if n > 2*limit {
			s.fail(CheckBounded, "%d entries in a table of %d buckets, and it does not grow", n, before.Buckets)
			return
		}
		store(n)
		now := s.m.Stats()
		if now.Buckets != before.Buckets && !now.Growing && now.Buckets > boundedBuckets {
			s.fail(CheckBounded, "one Store moved all of %d buckets", before.Buckets)
			return
		}
		if now.EvacuatedBuckets > boundedMoves {
			s.fail(CheckBounded, "the Store that began a growth moved %d of %d buckets", now.EvacuatedBuckets, now.OldBuckets)
			return
		}
		before = now
	}
	for n := range before.OldBuckets {
		store(n)
		now := s.m.Stats()
		if !now.Growing {
			now.EvacuatedBuckets = before.OldBuckets
		}
		if moved := now.EvacuatedBuckets - before.EvacuatedBuckets; moved > boundedMoves {
			s.fail(CheckBounded, "one Store moved %d of %d buckets", moved, before.OldBuckets)
		}
		if before = now; !now.Growing {
			return
		}
	}
	s.fail(CheckBounded, "after as many writes as the old table had buckets (%d), %d of them have moved",
		before.OldBuckets, before.EvacuatedBuckets)
}
