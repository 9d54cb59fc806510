// This file is responsible for one worker's part of a history: choosing operations, doing them, recording them.

package drive

import (
	"errors"
	"math/rand/v2"
	"runtime"

	"github.com/hushmap/hushmap"

	"github.com/hushmap/hushmap/verify/internal/history"
)

// errComputed is what a function of LoadOrCompute returns when it is to fail.
var errComputed = errors.New("the function failed")

// worker is one goroutine's state. Nobody else touches it while a history runs.
type worker[K comparable, V any] struct {
	s       *session[K, V]
	id      int
	rng     *rand.Rand
	records []history.Record
	seen    [history.Keys]int32 // what each key was when this worker last knew
	stored  int32               // values made so far
	fill    *fillers[K, V]
}

// kindsOf lists every operation on a key that m has as often as it is to be chosen.
func kindsOf(m any, writes bool) (list []history.Kind) {
	for k := history.Load; k < history.Clear; k++ {
		n := 2
		switch k {
		case history.Load:
			n = 5
		case history.Has, history.DeleteOK:
			n = 1
		}
		if lacks(m, k) || writes && (k == history.Load || k == history.Has) {
			n = 0
		}
		for range n {
			list = append(list, k)
		}
	}
	return list
}

// play does the worker's operations of one history.
func (w *worker[K, V]) play() {
	p := &w.s.plan
	for range p.Ops {
		if w.s.batcher != nil && w.rng.IntN(24) == 0 {
			w.performBatch(w.s.batcher)
		}
		in := w.choose()
		if compares(in.Kind) && w.rng.IntN(2) == 0 {
			w.perform(history.Input{Kind: history.Load, Key: in.Key}) // or it would hardly ever match
			in.Old = w.seen[in.Key]
		}
		w.perform(in)
		if w.rng.IntN(100) < p.Gusts {
			w.fill.gust()
		}
		if w.rng.IntN(100) < p.Yields {
			runtime.Gosched()
		}
	}
}

func compares(k history.Kind) bool {
	return k == history.CompareAndSwap || k == history.CompareAndDelete
}

// choose makes up an operation.
func (w *worker[K, V]) choose() history.Input {
	r, p := w.rng, &w.s.plan
	key := int8(r.IntN(p.Keys))
	in := history.Input{
		Kind: w.s.kinds[r.IntN(len(w.s.kinds))], Key: key, Value: w.newValue(), Old: w.seen[key],
		Verdict: history.Verdict(r.IntN(int(history.Verdicts))), Fails: r.IntN(4) == 0, Yields: r.IntN(4) == 0,
	}
	if p.Clear && r.IntN(24) == 0 {
		in = history.Input{Kind: history.Clear}
	}
	return in
}

// newValue returns a value that no other operation of the session stores, or one of three if they are to repeat.
func (w *worker[K, V]) newValue() int32 {
	if w.s.plan.SmallValues {
		return int32(w.rng.IntN(3))
	}
	w.stored++
	return w.stored*int32(w.s.plan.Workers) + int32(w.id) + 1
}

// perform does one operation and records it. The stamps enclose nothing but the call.
func (w *worker[K, V]) perform(in history.Input) {
	s, m := w.s, w.s.m
	key, value, old := s.keys.Encode(int(in.Key)), s.values.Encode(in.Value), s.values.Encode(in.Old)
	var out history.Output
	var err error
	var v V
	update, make := w.functions(in, value, &out)
	call := s.clock.Now()
	switch in.Kind {
	case history.Load:
		v, out.OK = m.Load(key)
	case history.Store:
		m.Store(key, value)
	case history.LoadOrStore:
		v, out.OK = m.LoadOrStore(key, value)
	case history.LoadAndDelete:
		v, out.OK = m.LoadAndDelete(key)
	case history.Delete:
		m.Delete(key)
	case history.Swap:
		v, out.OK = m.Swap(key, value)
	case history.CompareAndSwap:
		out.OK = m.CompareAndSwap(key, old, value)
	case history.CompareAndDelete:
		out.OK = m.CompareAndDelete(key, old)
	case history.Compute:
		v, out.OK = m.Compute(key, update)
	case history.LoadOrCompute:
		v, out.OK, err = m.LoadOrCompute(key, make)
	case history.Has:
		out.OK = has(m, key)
	case history.DeleteOK:
		out.OK = remove(m, key)
	case history.Clear:
		m.Clear()
	}
	ret := s.clock.Now()
	out.Value, out.Failed = s.values.Decode(v), err != nil
	w.note(history.Record{Client: w.id, In: in, Out: out, Call: call, Return: ret})
}

// functions returns what Compute and LoadOrCompute are to call. Each run overwrites what out says of the run before, so
// that the last one, which is the one that counts, remains.
func (w *worker[K, V]) functions(in history.Input, value V, out *history.Output) (
	update func(V, bool) (V, hushmap.Op), make func() (V, error)) {
	switch in.Kind {
	case history.Compute:
		update = func(old V, loaded bool) (V, hushmap.Op) {
			out.Seen, out.SeenOK = w.s.values.Decode(old), loaded
			w.yield(in)
			switch in.Verdict.On(loaded) {
			case history.Update:
				return value, hushmap.UpdateOp
			case history.Remove:
				return value, hushmap.DeleteOp
			}
			return value, hushmap.CancelOp
		}
	case history.LoadOrCompute:
		make = func() (V, error) {
			flights := &w.s.flights[in.Key]
			if n := flights.Add(1); n != 1 {
				w.s.fail(CheckOnce, "%d functions of LoadOrCompute run at once for key k%d", n, in.Key)
			}
			defer flights.Add(-1)
			if out.Ran {
				w.s.fail(CheckOnce, "LoadOrCompute ran one function twice for key k%d", in.Key)
			}
			out.Ran = true
			w.yield(in)
			if in.Fails {
				return value, errComputed
			}
			return value, nil
		}
	}
	return update, make
}

func (w *worker[K, V]) yield(in history.Input) {
	if in.Yields {
		runtime.Gosched()
	}
}

// note keeps a record, and what it says about the key's value.
func (w *worker[K, V]) note(r history.Record) {
	w.records = append(w.records, r)
	if r.Out.Value == history.Torn || r.Out.Seen == history.Torn {
		w.s.fail(CheckTorn, "a value whose words do not belong together, in\n%s", history.Text(w.records))
	}
	switch in, out := r.In, r.Out; in.Kind {
	case history.Load, history.LoadOrStore, history.Compute, history.LoadOrCompute:
		w.seen[in.Key] = out.Value
	case history.Store, history.Swap:
		w.seen[in.Key] = in.Value
	case history.CompareAndSwap:
		if out.OK {
			w.seen[in.Key] = in.Value
		}
	}
}
