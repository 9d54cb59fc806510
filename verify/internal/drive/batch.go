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

// batchItem is one of the keys of a batch: a hot one, or one of the worker's fillers.
type batchItem struct {
	in     history.Input // of a hot key
	filler int           // -1: it is hot
}

// chooseBatch makes up a batch: a few hot keys, which may repeat, and often fillers around them, as the map treats short
// batches as single operations. More hot keys would be more operations at a time than can be put in order.
func (w *worker[K, V]) chooseBatch() (kind history.Kind, items []batchItem) {
	kind = [...]history.Kind{history.Load, history.Store, history.Delete}[w.rng.IntN(3)]
	for range 1 + w.rng.IntN(4) {
		key := int8(w.rng.IntN(w.s.plan.Keys))
		items = append(items, batchItem{history.Input{Kind: kind, Key: key, Value: w.newValue(), Batched: true}, -1})
	}
	if w.rng.IntN(2) == 0 {
		n := len(w.fill.present)
		for _, i := range w.rng.Perm(n)[:min(7+w.rng.IntN(20), n)] {
			items = append(items, batchItem{filler: i})
		}
	}
	w.rng.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	return kind, items
}

// performBatch makes one call for many keys, and records the parts that are of hot ones.
func (w *worker[K, V]) performBatch(b Batcher[K, V]) {
	s := w.s
	kind, items := w.chooseBatch()
	keys, values, found := make([]K, len(items)), make([]V, len(items)), make([]bool, len(items))
	for i, item := range items {
		if item.filler >= 0 {
			keys[i], values[i] = w.fill.key(item.filler), s.values.Encode(w.fill.nextID())
			continue
		}
		keys[i], values[i] = s.keys.Encode(int(item.in.Key)), s.values.Encode(item.in.Value)
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
	s.batches.Add(1)
	switch kind {
	case history.Load:
		w.checkFound(count, found)
	case history.Delete:
		w.tellDeleted(items, count, found)
	}
	for i, item := range items {
		if item.filler >= 0 {
			w.fill.batched(kind, item.filler, values[i], found[i])
			continue
		}
		out := history.Output{OK: found[i]}
		if kind == history.Load {
			out.Value = s.values.Decode(values[i])
		}
		w.note(history.Record{Client: w.id, In: item.in, Out: out, Call: call, Return: ret})
	}
}

// checkFound compares what LoadBatch returned with what it said of each key.
func (w *worker[K, V]) checkFound(count int, found []bool) {
	n := 0
	for _, ok := range found {
		if ok {
			n++
		}
	}
	if count != n {
		w.s.fail(CheckBatch, "LoadBatch of %d keys found %d and says that it found %d", len(found), n, count)
	}
}

// tellDeleted finds out, if it can be known, which of the hot keys were there: DeleteBatch says only how many of all.
func (w *worker[K, V]) tellDeleted(items []batchItem, count int, found []bool) {
	hot, fillers := 0, 0
	for _, item := range items {
		switch {
		case item.filler < 0:
			hot++
		case w.fill.present[item.filler] != history.Absent:
			fillers++
		}
	}
	least := fillers
	if w.s.plan.Clear {
		least = 0
	}
	if count < least || count > hot+fillers {
		w.s.fail(CheckBatch, "DeleteBatch counts %d; there were %d of the keys that nobody else deletes, and at most %d others",
			count, fillers, hot)
	}
	all, none := count == hot+fillers, count == least && least == fillers
	for i := range items {
		if items[i].filler < 0 && (all || none) {
			items[i].in.Kind, found[i] = history.DeleteOK, all
		}
	}
}
