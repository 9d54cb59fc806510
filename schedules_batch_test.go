//go:build go1.25 && hushmap_invariants

// This file explores the schedules of batches: another operation comes while a batch has brought keys near, or is at
// any step of one of its own operations.

package hushmap

import (
	"fmt"
	"testing"
)

// batch does a batch with all keys, o.key among the second group, so that it is on its way for several turns.
func (m *scTyped[K, V]) batch(o scOp) (r scResult) {
	keys, vals, found := make([]K, scKeys), make([]V, scKeys), make([]bool, scKeys)
	at := func(k int) int { return (k - o.key + batchGroup + scKeys) % scKeys }
	for k := range scKeys {
		keys[at(k)], vals[at(k)] = m.key(k), m.value(o.single(k).arg)
	}
	r.each = new([scKeys]scResult)
	switch o.kind {
	case scLoadBatch:
		r.value = m.LoadBatch(keys, vals, found)
		for k := range scKeys {
			r.each[k].value, r.each[k].ok = m.result(vals[at(k)], found[at(k)])
		}
	case scStoreBatch:
		m.StoreBatch(keys, vals)
	default:
		r.value = m.DeleteBatch(keys)
	}
	return r
}

// single is what a batch does to one key.
func (o scOp) single(key int) scOp {
	switch o.kind {
	case scLoadBatch:
		return scOp{kind: scLoad, key: key}
	case scStoreBatch:
		return scOp{kind: scStore, key: key, arg: o.arg + key}
	default:
		return scOp{kind: scRemove, key: key}
	}
}

// checkBatch reports what is wrong after a batch and some other operations. What a batch does to one key is an operation
// of its own, so each key has its own order; only Clear is in all of them.
func (s *scSchedule) checkBatch(batch *scActor, last *scState) error {
	found, sure, maybe := 0, 0, 0
	for k := range scKeys {
		about := []*scActor{{op: batch.op.single(k), result: batch.result.each[k], call: batch.call, end: batch.end}}
		for _, a := range s.actors {
			if a.op.kind == scClear || a.op.kind < scRange && a.op.key == k {
				about = append(about, a)
			}
		}
		var before, after scState
		before[k], after[k] = s.first[k], last[k]
		if !scExplains(before, about, &after) {
			return fmt.Errorf("key %d: no order explains %+v of the batch, and that %d became %d", k, batch.result.each[k], before[k], after[k])
		}
		switch {
		case len(about) > 1:
			maybe++
		case before[k] != 0:
			sure++
		}
		if batch.result.each[k].ok {
			found++
		}
	}
	n := batch.result.value
	if batch.op.kind == scLoadBatch && n != found {
		return fmt.Errorf("LoadBatch returned %d with %d keys found", n, found)
	}
	if batch.op.kind == scDeleteBatch && (n < sure || n > sure+maybe) {
		return fmt.Errorf("DeleteBatch returned %d, of %d entries that it must have deleted and %d that others wrote", n, sure, maybe)
	}
	return nil
}

// A batch is stopped at its steps, and meets what changes or moves a key that it has brought near, or does not know of
// yet. The other way round it meets, as any operation does, one that stands still.
func TestSchedulesOfBatches(t *testing.T) {
	scEach(t, func(t *testing.T, x *scExplorer) {
		if x.bytes {
			t.Skip("a Bytes has no batches")
		}
		a, b := x.p.a, x.p.b
		others := []scOp{
			{kind: scLoad, key: a}, {kind: scStore, key: a, arg: 1100}, {kind: scLoadAndDelete, key: a}, {kind: scLoadAndDelete, key: b},
			{kind: scStore, key: scAbsent, arg: 1100}, {kind: scUpdate, key: a, arg: 1100}, {kind: scClear}, {kind: scGrow, arg: 60},
			{kind: scCompact}, {kind: scDouble}, {kind: scRebuild}, {kind: scMove},
		}
		for kind := scLoadBatch; kind <= scDeleteBatch; kind++ {
			batch := scOp{kind: kind, key: a, arg: 1000}
			for i, other := range others {
				if x.sitsOut(int(kind) + i) {
					continue
				}
				x.sequences([]scOp{batch}, 15, []scOp{other}, []scOp{other, {kind: scStore, key: a, arg: 1300}, {kind: scGrow, arg: 300}})
				x.sequences([]scOp{other}, 3, []scOp{batch})
			}
		}
	})
}
