// This file is responsible for calls that do several operations. They are no more than that, so the record of each says
// that it happened at some moment of the call.

package drive

import "github.com/hushmap/hushmap/verify/internal/history"

// Batcher is a map with operations on many keys at once.
type Batcher[K comparable, V any] interface {
	LoadBatch(keys []K, values []V, found []bool) int
	StoreBatch(keys []K, values []V)
	DeleteBatch(keys []K) int
}

// performBatch makes one call for a few keys, which may repeat, and records its parts.
func (w *worker[K, V]) performBatch(b Batcher[K, V]) {
	s, n := w.s, 1+w.rng.IntN(4)
	ins, keys, values, found := make([]history.Input, n), make([]K, n), make([]V, n), make([]bool, n)
	kind := [...]history.Kind{history.Load, history.Store, history.Delete}[w.rng.IntN(3)]
	for i := range ins {
		ins[i] = history.Input{Kind: kind, Key: int8(w.rng.IntN(s.plan.Keys)), Value: w.newValue(), Batched: true}
		keys[i], values[i] = s.keys.Encode(int(ins[i].Key)), s.values.Encode(ins[i].Value)
	}
	count := 0
	call := s.clock.Now()
	switch kind {
	case history.Load:
		count = b.LoadBatch(keys, values, found)
	case history.Store:
		b.StoreBatch(keys, values)
	case history.Delete:
		count = b.DeleteBatch(keys)
	}
	ret := s.clock.Now()
	if kind == history.Delete && (count == 0 || count == n) { // else it does not say which of them
		for i := range ins {
			ins[i].Kind, found[i] = history.DeleteOK, count == n
		}
	}
	for i, in := range ins {
		out := history.Output{OK: found[i]}
		if kind == history.Load {
			out.Value = s.values.Decode(values[i])
			if found[i] {
				count--
			}
		}
		w.note(history.Record{Client: w.id, In: in, Out: out, Call: call, Return: ret})
	}
	if kind == history.Load && count != 0 || count < 0 || count > n {
		s.fail(CheckBatch, "a batch of %d keys miscounts by %d", n, count)
	}
	s.batches.Add(1)
}
