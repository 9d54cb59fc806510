// This file is responsible for experiments in which every key has one writer, so that a reader knows what it must find
// without a look at a clock: nothing slows the operations down, and they meet far more often than in a history.

package drive

import (
	"runtime"
	"sync/atomic"

	"github.com/hushmap/hushmap/verify/internal/history"
)

// announced stores keys in order and deletes none. Once Len says n, the first n must be there.
func (s *session[K, V]) announced(rounds int, done func()) {
	var over atomic.Bool
	s.guard(func() {
		for n := range rounds {
			s.m.Store(s.keys.Encode(n), s.values.Encode(1))
			s.progress.Add(1)
		}
		over.Store(true)
	})
	for last := false; !last && !s.barrier.stopped.Load(); runtime.Gosched() {
		last = over.Load()
		n := s.m.Len()
		if last && n != rounds {
			s.fail(CheckLen, "at rest Len is %d; there are %d entries", n, rounds)
		}
		if n == 0 {
			continue
		}
		if _, ok := s.m.Load(s.keys.Encode(n - 1)); !ok {
			s.fail(CheckLen, "Len is %d, but the entry that was stored as number %d is not there yet", n, n)
		}
	}
	done()
}

// movers is how many keys come and go in presence, beside the two that are looked at.
const movers = 36

// presence has one key that is overwritten and never deleted, and one that is stored and deleted, each by a goroutine of
// its own and each time with a new value, while another lets the table grow and shrink if the number of rounds is even: it
// takes a table that stays for all lookups to begin at the key's home.
func (s *session[K, V]) presence(rounds int, done func()) {
	stays, returns := s.keys.Encode(0), s.keys.Encode(1)
	s.m.Store(stays, s.values.Encode(1))
	var over atomic.Bool
	write := func(f func(id int32)) {
		s.guard(func() {
			for id := int32(2); !over.Load(); id++ {
				f(id)
				if id%16 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	write(func(id int32) { s.overwrite(id, stays) })
	write(func(id int32) {
		s.m.Store(returns, s.values.Encode(id))
		s.m.Delete(returns)
	})
	if rounds%2 == 0 {
		write(func(id int32) { s.comeOrGo(int(id) % (2 * movers)) })
	}
	finished := make(chan struct{})
	s.guard(func() { s.read(rounds, stays, returns); close(finished) })
	s.read(rounds, stays, returns)
	<-finished
	over.Store(true)
	done()
}

// overwrite stores value id under a key that nobody else writes, by one method or another.
func (s *session[K, V]) overwrite(id int32, key K) {
	value := s.values.Encode(id)
	switch id % 3 {
	case 0:
		s.m.Store(key, value)
	case 1:
		s.m.Swap(key, value)
	case 2:
		if old, ok := s.m.Load(key); !ok || !s.m.CompareAndSwap(key, old, value) {
			s.fail(CheckStays, "CompareAndSwap from what Load returned fails, and nobody else writes")
		}
	}
}

// comeOrGo inserts the movers one by one, then deletes them; and goes over the map.
func (s *session[K, V]) comeOrGo(n int) {
	if n < movers {
		s.m.Store(s.keys.Encode(2+n), s.values.Encode(1))
	} else {
		s.m.Delete(s.keys.Encode(2 + n - movers))
	}
	if n%movers != movers/2 {
		return
	}
	visits, stays := 0, s.keys.Encode(0)
	s.m.Range(func(key K, _ V) bool {
		if key == stays {
			visits++
		}
		return true
	})
	if visits != 1 {
		s.fail(CheckRange, "Range visits a key %d times that is there all the time", visits)
	}
}

// read looks at the two keys of presence again and again.
func (s *session[K, V]) read(rounds int, stays, returns K) {
	last, seen, gone := history.Absent, history.Absent, history.Absent
	for n := range rounds {
		if s.barrier.stopped.Load() {
			return
		}
		s.progress.Add(1)
		if n%32 == 0 {
			runtime.Gosched()
		}
		v, ok := s.m.Load(stays)
		switch id := s.values.Decode(v); {
		case !ok:
			s.fail(CheckStays, "a key is missed that has been there all the time")
		case id == history.Torn:
			s.fail(CheckTorn, "a value whose words do not belong together: %v", v)
		case id < last:
			s.fail(CheckStays, "the value goes back from %d to %d", last, id)
		default:
			last = id
		}
		for range 3 {
			v, ok = s.m.Load(returns)
			switch id := s.values.Decode(v); {
			case !ok:
				gone = seen
			case id == history.Torn:
				s.fail(CheckTorn, "a value whose words do not belong together: %v", v)
			case id == gone || id < seen:
				s.fail(CheckReturns, "value %d is seen after %d was, and %d was gone", id, seen, gone)
			default:
				seen = id
			}
		}
	}
}

// once lets goroutines compute the same missing key at the same time, with nobody else at it.
func (s *session[K, V]) once(rounds int, done func()) {
	const callers = 3
	if lacks(s.m, history.LoadOrCompute) {
		done()
		return
	}
	s.barrier.init(callers)
	var ran atomic.Int32
	var got [callers]int32
	play := func(side int) {
		for n := range rounds {
			key, id := s.keys.Encode(n%5), int32(n%10000*callers+side)+1
			if !s.barrier.meet(func() { ran.Store(0) }) {
				return
			}
			v, _, err := s.m.LoadOrCompute(key, func() (V, error) {
				ran.Add(1)
				if n%2 == 0 {
					runtime.Gosched()
				}
				return s.values.Encode(id), nil
			})
			if got[side] = s.values.Decode(v); err != nil {
				got[side] = history.Absent
			}
			s.progress.Add(1)
			if !s.barrier.meet(func() { s.judgeOnce(key, ran.Load(), got[:]) }) {
				return
			}
		}
	}
	finished := make(chan struct{}, callers)
	for side := range callers {
		s.guard(func() { play(side); finished <- struct{}{} })
	}
	for range callers {
		<-finished
	}
	done()
}

// judgeOnce ends a round of once.
func (s *session[K, V]) judgeOnce(key K, ran int32, got []int32) {
	for _, id := range got {
		if ran != 1 || id != got[0] || id <= 0 {
			s.fail(CheckOnce, "%d functions of LoadOrCompute ran for one missing key, and its callers got the values %d", ran, got)
			return
		}
	}
	s.m.Delete(key)
}
