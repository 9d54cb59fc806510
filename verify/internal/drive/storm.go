// This file is responsible for unrest: keys outside the hot set come and go in bursts, so that the table grows, shrinks
// and is rebuilt all the time. Each goroutine owns its fillers and knows exactly which of them are in the map, unless
// Clear is about, so every answer of the map about them is checked on the way: nothing is lost while tables change.

package drive

import (
	"math/rand/v2"

	"github.com/hushmap/hushmap/verify/internal/history"
)

// fillers are one owner's keys outside the hot set.
type fillers[K comparable, V any] struct {
	s       *session[K, V]
	rng     *rand.Rand
	first   int     // number of the first
	present []int32 // the value of each, or history.Absent
	rounds  int32
}

// newFillers hands out n keys behind all that were handed out before.
func newFillers[K comparable, V any](s *session[K, V], rng *rand.Rand, n int) *fillers[K, V] {
	f := &fillers[K, V]{s: s, rng: rng, first: s.handedOut, present: make([]int32, n)}
	s.handedOut += n
	for i := range f.present {
		f.present[i] = history.Absent
	}
	return f
}

func (f *fillers[K, V]) key(i int) K { return f.s.keys.Encode(f.first + i) }

// gust does one thing that may change the table, or looks at it while it changes.
func (f *fillers[K, V]) gust() {
	n := len(f.present)
	if n == 0 {
		return
	}
	from, to := f.rng.IntN(n), f.rng.IntN(n+1)
	switch f.rng.IntN(24) {
	default:
		for i := from; i < to; i++ {
			f.put(i)
		}
	case 0, 1, 2, 3, 4, 5, 6, 7:
		for i := min(from, to); i < n; i++ {
			f.remove(i)
		}
	case 8:
		f.s.m.Grow(f.rng.IntN(4 * n))
	case 9, 10:
		f.s.m.Compact()
	case 11:
		f.removeMany()
	case 12:
		f.sweep()
	case 13:
		f.s.checkLen()
	case 14, 15:
		f.ask(from)
	case 16:
		if f.rng.IntN(8) == 0 {
			f.s.checkVerify()
		}
	}
}

// expect compares what the map said of filler i with what its owner knows.
func (f *fillers[K, V]) expect(i int, what string, v V, loaded bool) {
	got := history.Absent
	if loaded {
		got = f.s.values.Decode(v)
	}
	if f.s.plan.Clear {
		if got == history.Absent {
			return
		}
	}
	if got != f.present[i] {
		f.s.fail(CheckFillers, "%s of filler %d, which only its owner writes, says %d; it is %d (%d: absent)",
			what, f.first+i, got, f.present[i], history.Absent)
	}
}

// put stores filler i under a new value, by one method or another.
func (f *fillers[K, V]) put(i int) {
	id := f.nextID()
	key, value := f.key(i), f.s.values.Encode(id)
	switch f.rng.IntN(3) {
	case 0:
		f.s.m.Store(key, value)
	case 1:
		old, loaded := f.s.m.Swap(key, value)
		f.expect(i, "Swap", old, loaded)
	case 2:
		actual, loaded := f.s.m.LoadOrStore(key, value)
		if loaded {
			f.expect(i, "LoadOrStore", actual, loaded)
			return
		}
		f.expect(i, "LoadOrStore", actual, false)
	}
	f.present[i] = id
}

// nextID returns a value other than the last ones.
func (f *fillers[K, V]) nextID() int32 {
	f.rounds++
	return f.rounds%1000 + 1
}

// batched notes what a batch has done to filler i: loaded v, stored it, or deleted.
func (f *fillers[K, V]) batched(kind history.Kind, i int, v V, loaded bool) {
	switch kind {
	case history.Load:
		f.expect(i, "LoadBatch", v, loaded)
	case history.Store:
		f.present[i] = f.s.values.Decode(v)
	case history.Delete:
		f.present[i] = history.Absent
	}
}

// remove deletes filler i.
func (f *fillers[K, V]) remove(i int) {
	old, loaded := f.s.m.LoadAndDelete(f.key(i))
	f.expect(i, "LoadAndDelete", old, loaded)
	f.present[i] = history.Absent
}

// ask looks filler i up.
func (f *fillers[K, V]) ask(i int) {
	v, ok := f.s.m.Load(f.key(i))
	f.expect(i, "Load", v, ok)
}

// removeMany deletes every other filler by DeleteFunc, which must find them all.
func (f *fillers[K, V]) removeMany() {
	doomed := make(map[K]int)
	for i := f.rng.IntN(2); i < len(f.present); i += 2 {
		if f.present[i] != history.Absent {
			doomed[f.key(i)] = i
		}
	}
	deleted := f.s.m.DeleteFunc(func(key K, _ V) bool { _, ok := doomed[key]; return ok })
	if deleted != len(doomed) && !f.s.plan.Clear || deleted > len(doomed) {
		f.s.fail(CheckRange, "DeleteFunc deleted %d of %d fillers", deleted, len(doomed))
	}
	for _, i := range doomed {
		f.present[i] = history.Absent
	}
}

// sweep goes over the map: no key may come twice, and the owner's must come as they are.
func (f *fillers[K, V]) sweep() {
	visited := make(map[K]int32)
	f.s.m.Range(func(key K, value V) bool {
		if _, again := visited[key]; again {
			f.s.fail(CheckRange, "Range visits %v twice", key)
		}
		visited[key] = f.s.values.Decode(value)
		return true
	})
	for i, id := range f.present {
		got, ok := visited[f.key(i)]
		if !ok {
			got = history.Absent
		}
		if got != id && !(f.s.plan.Clear && !ok) {
			f.s.fail(CheckRange, "Range says %d of filler %d, which only its owner writes; it is %d (%d: absent)",
				got, f.first+i, id, history.Absent)
		}
	}
}
