//go:build !race && !hushmap_invariants

// This file tortures what TestTornWordsMeetTheGC leaves out: arenas, records, mapped tables and batches, with a
// collector that runs all the time, checks its own marking, and fills what it frees with garbage. It is left out where
// suite_types_test.go is: words are stored as in the build with the tag hushmap_atomic, or as in the plain one.

package hushmap

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"sync"
	"testing"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/internal/mem"
)

// tnKey and tnValue are several words with pointers among them, which all say the same.
type (
	tnKey struct {
		box  any
		name string
	}
	tnValue struct {
		self *tnValue
		id   int
		name string
		box  any
	}
)

func tnName(id int) string { return fmt.Sprintf("the name of number %08d", id) }

func tnKeyOf(id int) tnKey { return tnKey{id, tnName(id)} }

func tnValueOf(id int) tnValue {
	v := &tnValue{id: id, name: tnName(id)}
	v.self, v.box = v, v
	return *v
}

func (v tnValue) is(id int) bool {
	return v.self != nil && v.id == id && v.name == tnName(id) && v.self.id == id && v.self.name == v.name &&
		v.self.self == v.self && v.box == any(v.self)
}

// tnWeak are objects by number that are kept alive by others only, as keys.
type tnWeak []struct {
	mu sync.Mutex
	at weak.Pointer[mtObject] // under mu
}

// object returns the object with the given number: the same as long as somebody keeps it.
func (w tnWeak) object(id int) *mtObject {
	w[id].mu.Lock()
	defer w[id].mu.Unlock()
	o := w[id].at.Value()
	if o == nil {
		o = mtNewObject(id)
		w[id].at = weak.Make(o)
	}
	return o
}

// is reports whether the object is what mtNewObject made.
func (o *mtObject) is(id int) bool { return o.self == o && o.id == id && o.pad == [6]uint64{} }

// Every value is visible to the collector at every step: in slots, records, arenas and batches, while tables grow,
// shrink and are dropped. Mapped tables are looked into by readers while they are replaced and unmapped.
func TestEveryEntryIsVisibleToTheGC(t *testing.T) {
	const child = "HUSHMAP_TEST_TORTURE_CHILD"
	if os.Getenv(child) == "" {
		out, err := tnChild(t, child, "GOGC=1", "GODEBUG=gccheckmark=1,clobberfree=1")
		require.NoError(t, err, "%.4000s", out)
		assert.Contains(t, out, "wordAtomic: "+fmt.Sprint(wordAtomic), "it is the same build")
		t.Log(regexp.MustCompile("counts: .*").FindString(out))
		return
	}
	t.Log("wordAtomic:", wordAtomic)
	require.Equal(t, "1", os.Getenv("GOGC"), "took effect")
	const ids, workers = 60, 3
	turns := ftN(3000)
	if os.Getenv("HUSHMAP_SOAK") != "" {
		turns *= 10
	}
	tuned := withTuning(func(tu *tuning) { ftOneBucket(tu); tu.mapFrom, tu.waste = 1, 256 })
	wide := New[tnKey, tnValue](tuned)
	named := New[string, tnValue](tuned) // keys in an arena, values in slots
	records := NewBytes(tuned)
	mapped := New[uint64, [3]uint64](tuned)
	pointers := New[*mtObject, *mtObject](tuned) // words, the values overwritten in place
	buffers := New[string, []byte](tuned)
	weakly := make(tnWeak, ids) // so that pointers alone keeps its keys
	mapped.Store(1, [3]uint64{1, 1, 1})
	require.Equal(t, mem.CanMap, mapped.Stats().MappedBytes > 0)
	ok := func(what string, id int, holds bool) {
		if !holds {
			t.Errorf("%s: %d", what, id)
		}
	}
	write := func(i int) {
		id := i * 7919 % ids
		n := uint64(id)
		switch i % 11 {
		case 0, 1, 2:
			wide.Delete(tnKeyOf(id))
			named.Delete(tnName(id))
			records.Delete(tnName(id))
			mapped.DeleteBatch([]uint64{n, n + 1})
			pointers.Delete(weakly.object(id))
			buffers.Delete(tnName(id))
		case 3:
			named.StoreBatch([]string{tnName(id), tnName(id + 1)}, []tnValue{tnValueOf(id), tnValueOf(id + 1)})
			wide.StoreBatch([]tnKey{tnKeyOf(id), tnKeyOf(id + 1)}, []tnValue{tnValueOf(id), tnValueOf(id + 1)})
			mapped.StoreBatch([]uint64{n}, [][3]uint64{{n, n, n}})
		default:
			wide.Store(tnKeyOf(id), tnValueOf(id))
			named.Swap(tnName(id), tnValueOf(id))
			records.Set(tnName(id), []byte(tnName(id)))
			mapped.Store(n, [3]uint64{n, n, n})
			pointers.Store(weakly.object(id), mtNewObject(id))
			buffers.Store(tnName(id), []byte(tnName(id)))
		}
	}
	read := func(i int) {
		id := i * 104729 % ids
		n := uint64(id)
		vals, found := make([]tnValue, 2), make([]bool, 2)
		named.LoadBatch([]string{tnName(id), tnName(id + 1)}, vals, found)
		for j := range vals {
			ok("LoadBatch", id, !found[j] || vals[j].is(id+j))
		}
		v, loaded := wide.Load(tnKeyOf(id))
		ok("Load", id, !loaded || v.is(id))
		b, loaded := records.Get(nil, tnName(id))
		ok("Get", id, !loaded || string(b) == tnName(id))
		w, loaded := mapped.Load(n)
		ok("mapped", id, !loaded || w == [3]uint64{n, n, n})
		p, loaded := pointers.Load(weakly.object(id))
		ok("pointer", id, !loaded || p.is(id))
		s, loaded := buffers.Load(tnName(id))
		ok("slice", id, !loaded || string(s) == tnName(id))
	}
	sweep := func(i int) {
		for k, v := range wide.All() {
			ok("All", v.id, v.is(k.box.(int)) && k.name == v.name)
		}
		for k, v := range named.All() {
			ok("All, names", v.id, v.is(v.id) && k == v.name)
		}
		for k, v := range records.All() {
			ok("All, records", 0, k == string(v))
		}
		for k, v := range mapped.All() {
			ok("All, mapped", int(k), v == [3]uint64{k, k, k})
		}
		for k, v := range pointers.All() {
			ok("All, pointers", k.id, k.is(k.id) && v.is(k.id))
			pointers.Store(k, mtNewObject(k.id))
		}
		for k, v := range buffers.All() {
			ok("All, slices", len(v), k == string(v))
			buffers.Store(k, []byte(k))
		}
		for j, m := range []interface {
			Grow(int)
			Compact()
			Clear()
		}{wide, named, records, mapped, pointers, buffers} {
			switch (i + j) % 3 {
			case 0:
				m.Grow(4 * ids)
			case 1:
				m.Compact()
			case 2:
				m.Clear()
			}
		}
		runtime.GC()
	}
	ftWatch(t, func() {
		ftTogether(workers, func(g int) {
			for i := range turns {
				write(i*workers + g)
				read(i + g)
				if i%60 == 59 {
					sweep(i/60 + g)
				}
			}
		})
	})
	transitions := uint32(0)
	for _, s := range []Stats{wide.Stats(), named.Stats(), records.Stats(), mapped.Stats(), pointers.Stats(), buffers.Stats()} {
		transitions += s.Growths + s.Shrinks + s.Rebuilds
	}
	var collector runtime.MemStats
	runtime.ReadMemStats(&collector)
	t.Logf("counts: %d operations, %d tables replaced, %d GC cycles", 12*workers*turns, transitions, collector.NumGC)
	for _, err := range []error{wide.Verify(), named.Verify(), records.Verify(), mapped.Verify(), pointers.Verify(), buffers.Verify()} {
		assert.NoError(t, err)
	}
}
