package main

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

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

// victims are the maps that are tortured.
type victims struct {
	wide  hushmap.Map[key, value]      // slots with pointers
	named hushmap.Map[string, *object] // keys in an arena, values with pointers
	bytes hushmap.Bytes                // keys and values in an arena
	large hushmap.Map[int, [3]int64]   // outside the heap

	mu    sync.Mutex
	wrong map[string]int // what was read, and how often it was not what was stored
}

const tortureIDs = 100

// torture stores, overwrites, deletes and moves entries from several goroutines while the collector runs all the time,
// and checks everything that it reads.
func torture(s *show) {
	const workers, turns = 3, 2000
	m := &victims{wrong: map[string]int{}}
	m.large.Grow(50_000)
	s.say("     pointer-free table in memory that is %q", m.large.Stats().Memory)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range turns {
				m.write(i*workers + w)
				m.read(i*workers + w)
				if i%100 == 99 {
					m.sweep()
					m.move(i/100 + w)
					runtime.GC()
				}
			}
		}()
	}
	wg.Wait()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	for what, n := range m.wrong {
		s.say("     wrong %d times: %s", n, what)
	}
	s.claim(len(m.wrong) == 0, "nothing that was read was torn, freed or another's")
	s.claim(stats.NumGC >= turns/100, "the collector has run, %d times", stats.NumGC)
	s.claim(m.verify() == nil, "Verify finds every invariant kept")
}

// check notes what does not hold.
func (m *victims) check(what string, holds bool) {
	if !holds {
		m.mu.Lock()
		m.wrong[what]++
		m.mu.Unlock()
	}
}

// write changes one entry of each map.
func (m *victims) write(i int) {
	id := i * 7919 % tortureIDs
	switch i % 11 {
	case 0, 1:
		m.wide.Delete(newKey(id))
		m.named.Delete(name(id))
		m.bytes.Delete(name(id))
		m.large.Delete(id)
	case 2:
		m.named.DeleteBatch([]string{name(id), name(id + 1)})
		m.named.StoreBatch([]string{name(id), name(id + 1)}, []*object{newObject(id), newObject(id + 1)})
	default:
		m.wide.Store(newKey(id), newValue(id))
		m.named.Store(name(id), newObject(id))
		m.bytes.Set(name(id), []byte(name(id)))
		m.large.Store(id, [3]int64{int64(id), int64(id), int64(id)})
	}
}

// read looks up one entry of each map.
func (m *victims) read(i int) {
	id := i * 104729 % tortureIDs
	if v, found := m.wide.Load(newKey(id)); found {
		m.check("wide.Load", v.check(id))
	}
	if o, found := m.named.Load(name(id)); found {
		m.check("named.Load", o.check(id))
	}
	if b, found := m.bytes.Get(nil, name(id)); found {
		m.check("bytes.Get", string(b) == name(id))
	}
	if v, found := m.large.Load(id); found {
		m.check("large.Load", v == [3]int64{int64(id), int64(id), int64(id)})
	}
}

// sweep reads all entries.
func (m *victims) sweep() {
	for k, v := range m.wide.All() {
		m.check("wide.All", v.check(k.id.(int)) && k.name == v.name)
	}
	for k, o := range m.named.All() {
		m.check("named.All", o != nil && k == o.name && o.check(o.id))
	}
	for k, v := range m.bytes.All() {
		m.check("bytes.All", k == string(v))
	}
	for k, v := range m.large.All() {
		m.check("large.All", v == [3]int64{int64(k), int64(k), int64(k)})
	}
}

// move replaces tables.
func (m *victims) move(i int) {
	switch i % 3 {
	case 0:
		m.wide.Grow(m.wide.Len() * 3)
		m.large.Grow(100_000)
	case 1:
		m.wide.Compact()
		m.named.Compact()
		m.bytes.Compact()
		m.large.Compact()
	case 2:
		m.named.Clear()
		m.large.Clear()
		m.large.Grow(50_000)
	}
}

func (m *victims) verify() error {
	return errors.Join(m.wide.Verify(), m.named.Verify(), m.bytes.Verify(), m.large.Verify())
}
