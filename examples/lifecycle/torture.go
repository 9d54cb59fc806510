package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/hushmap/hushmap"
)

// object can tell whether it is what it was: the collector fills what it frees with garbage.
type object struct {
	self *object
	id   int
	name string
}

func newObject(id int) *object {
	o := &object{id: id, name: name(id)}
	o.self = o
	return o
}

func (o *object) check(id int) bool {
	return o != nil && o.self == o && o.id == id && o.name == name(id)
}

func name(id int) string { return fmt.Sprintf("object with the number %08d", id) }

// key and value have several words with pointers among them, which all say the same.
type key struct {
	id   any
	name string
}

type value struct {
	o    *object
	id   int
	name string
	box  any
}

func newKey(id int) key { return key{id, name(id)} }
func newValue(id int) value {
	o := newObject(id)
	return value{o, id, name(id), o}
}

func (v value) check(id int) bool {
	return v.o.check(id) && v.id == id && v.name == name(id) && v.box == any(v.o)
}

// torture stores, overwrites, deletes and moves entries from several goroutines while the collector runs all the time,
// and checks everything that it reads.
func torture(s *show) {
	const ids, workers, turns = 100, 3, 4000
	var wide hushmap.Map[key, value]         // slots with pointers
	var named hushmap.Map[string, *object]   // keys in an arena, values with pointers
	var bytes hushmap.Bytes                  // keys and values in an arena
	large := new(hushmap.Map[int, [3]int64]) // outside the heap
	large.Grow(50_000)
	s.say("     pointer-free table in memory that is %q", large.Stats().Memory)
	var wrong atomic.Int64
	ok := func(holds bool) {
		if !holds {
			wrong.Add(1)
		}
	}
	turn := func(i int) {
		id := i * 7919 % ids
		switch i % 11 {
		case 0, 1:
			wide.Delete(newKey(id))
			named.Delete(name(id))
			bytes.Delete(name(id))
			large.Delete(id)
		case 2:
			named.DeleteBatch([]string{name(id), name(id + 1)})
			named.StoreBatch([]string{name(id), name(id + 1)}, []*object{newObject(id), newObject(id + 1)})
		default:
			wide.Store(newKey(id), newValue(id))
			named.Store(name(id), newObject(id))
			bytes.Set(name(id), []byte(name(id)))
			large.Store(id, [3]int64{int64(id), int64(id), int64(id)})
		}
		id = i * 104729 % ids
		if v, found := wide.Load(newKey(id)); found {
			ok(v.check(id))
		}
		if o, found := named.Load(name(id)); found {
			ok(o.check(id))
		}
		if b, found := bytes.Get(nil, name(id)); found {
			ok(string(b) == name(id))
		}
		if v, found := large.Load(id); found {
			ok(v == [3]int64{int64(id), int64(id), int64(id)})
		}
	}
	sweep := func(i int) {
		for k, v := range wide.All() {
			ok(v.check(k.id.(int)) && k.name == v.name)
		}
		for k, o := range named.All() {
			ok(o != nil && k == o.name && o.check(o.id))
		}
		for k, v := range bytes.All() {
			ok(k == string(v))
		}
		switch i % 3 {
		case 0:
			wide.Grow(wide.Len() * 3)
			large.Grow(100_000)
		case 1:
			wide.Compact()
			named.Compact()
			bytes.Compact()
			large.Compact()
		case 2:
			named.Clear()
			large.Clear()
			large.Grow(50_000)
		}
		runtime.GC()
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range turns {
				turn(i*workers + w)
				if i%100 == 99 {
					sweep(i/100 + w)
				}
			}
		}()
	}
	wg.Wait()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	s.claim(wrong.Load() == 0, "nothing that was read was torn, freed or another's")
	s.claim(stats.NumGC >= turns/100, "the collector has run, %d times", stats.NumGC)
	s.claim(wide.Verify() == nil && named.Verify() == nil && bytes.Verify() == nil && large.Verify() == nil, "Verify finds every invariant kept")
}
