package work

import (
	"fmt"

	"github.com/hushmap/hushmap/bench/internal/peer"
)

// WrongError says that a map returned or held something else than was stored: its times count for nothing.
type WrongError struct{ What string }

func (e WrongError) Error() string { return "wrong result: " + e.What }

func wrong(format string, args ...any) error { return WrongError{fmt.Sprintf(format, args...)} }

// settle checks what each lane's loop saw and brings the record of own keys up to date.
func (r *runner[K, V]) settle(m Mix, lanes []*lane[K, V]) error {
	for _, l := range lanes {
		if l.tally.Bad != 0 {
			return wrong("a value that belongs to another key")
		}
		want := expectedHits(l.block.Ops, l.done)
		if m.miss {
			want = 0
		}
		if l.tally.Hits != want {
			return wrong("%d hits where %d are certain", l.tally.Hits, want)
		}
		r.replay(l.block.Ops, l.done)
	}
	return nil
}

// expectedHits counts the operations that must find their key among the first done of the repeated ops.
func expectedHits(ops []peer.Op, done uint64) uint64 {
	count := func(ops []peer.Op) (n uint64) {
		for _, o := range ops {
			if k := o.Kind(); k == peer.Load || k == peer.LoadOrStore {
				n++
			}
		}
		return n
	}
	total := uint64(len(ops))
	hits := count(ops[:done%total])
	if full := done / total; full > 0 {
		hits += full * count(ops)
	}
	return hits
}

// replay applies the last pass over ops to the record of own keys; earlier passes cannot matter, as the last one
// touches the same keys again.
func (r *runner[K, V]) replay(ops []peer.Op, done uint64) {
	at := done % uint64(len(ops))
	if done >= uint64(len(ops)) {
		r.replayOps(ops[at:])
	}
	r.replayOps(ops[:at])
}

func (r *runner[K, V]) replayOps(ops []peer.Op) {
	for _, o := range ops {
		i := int(o.ID()) - r.u.Stable
		if i < 0 || i >= r.u.Own {
			continue
		}
		switch o.Kind() {
		case peer.Store, peer.LoadOrStoreOwn:
			r.present[i] = true
		case peer.Delete:
			r.present[i] = false
		}
	}
}

// Check looks every key up with a fresh copy, and compares the length and what Range visits.
func (r *runner[K, V]) Check() error {
	want, sum := 0, uint64(0)
	for id, key := range freshKeys(r.kit, r.u.Stable+r.u.Own) {
		i := int(id) - r.u.Stable
		expect := i < 0 || r.present[i]
		v, ok := r.m.Load(key)
		switch {
		case ok != expect:
			return wrong("key %d: found %v, must be %v", id, ok, expect)
		case ok && r.kit.ID(v) != id:
			return wrong("key %d has the value of key %d", id, r.kit.ID(v))
		}
		if expect {
			want++
			sum += id
		}
	}
	if n := r.m.Len(); n != want {
		return wrong("length %d, must be %d", n, want)
	}
	n, got := 0, uint64(0)
	r.m.Range(func(_ K, v V) bool {
		n++
		got += r.kit.ID(v)
		return true
	})
	if n != want || got != sum {
		return wrong("Range visited %d entries, must be %d", n, want)
	}
	return nil
}
