// This file is responsible for LoadOrCompute: one function per missing key, and others that wait for it.
//
// Functions in flight are registered under a mutex that is never held while one runs. A leader publishes its value
// and leaves the register in one critical section: whoever finds the flight there joins it before the value becomes
// visible, and whoever comes later finds the key in the map, or a new flight to lead.
//
// A function may call LoadOrCompute itself. Waiting for a flight that, directly or through others, waits for a
// function further down on the same stack would never end; such a call runs its own function instead.

package hushmap

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/hushmap/hushmap/internal/stackmark"
)

// errAbandoned is what waiters get to see, internally, when the leader's function panicked or called Goexit; they
// start again.
var errAbandoned = errors.New("hushmap: LoadOrCompute: the function did not return")

// flight is a function that is running for a missing key.
type flight[V any] struct {
	id       uint32     // of the stackmark.Call the function runs in; immutable
	waitsFor *flight[V] // the flight whose end its goroutine waits for, written under flights.mu
	over     chan struct{}
	// The rest is written by the leader before over is closed, and read by waiters after.
	value  V
	loaded bool
	err    error
}

// flights is the register of functions in flight.
type flights[K comparable, V any] struct {
	mu    sync.Mutex
	byKey map[K]*flight[V]      // written and read under mu; no NaN keys
	byID  map[uint32]*flight[V] // the same flights by stackmark id
}

// loadOrCompute is Map.LoadOrCompute.
func (r *flights[K, V]) loadOrCompute(c *core[K, V], key K, fn func() (V, error)) (value V, loaded bool, err error) {
	if value, loaded = c.lookup(key); loaded {
		return value, true, nil
	}
	if storageOf[K, V]() != inSlot { // the map will copy the bytes as well, and until then the caller's could go away
		key = keyOf[K](strings.Clone(stringOf(key)))
	}
	for {
		f, leads, value, loaded := r.board(c, key)
		switch {
		case loaded:
			return value, true, nil
		case leads:
			return r.lead(c, key, f, fn)
		}
		if value, loaded, err = r.await(c, key, f, fn); err != errAbandoned {
			return value, loaded, err
		}
	}
}

// board returns the flight for key: a new one that the caller leads, or the one to wait for. If the key has come in
// the meantime it returns its value instead.
func (r *flights[K, V]) board(c *core[K, V], key K) (f *flight[V], leads bool, value V, loaded bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if value, loaded = c.lookup(key); loaded {
		return nil, false, value, true
	}
	if f = r.byKey[key]; f != nil {
		return f, false, value, false
	}
	f = &flight[V]{id: ids.Add(1), over: make(chan struct{}), err: errAbandoned}
	if r.byKey == nil {
		r.byKey, r.byID = make(map[K]*flight[V]), make(map[uint32]*flight[V])
	}
	for r.byID[f.id] != nil { // there have been 2^32 since that one, which is running still
		f.id = ids.Add(1)
	}
	r.byID[f.id] = f
	if key == key { // nobody would find a NaN there, nor could it be deleted
		r.byKey[key] = f
	}
	return f, true, value, false
}

// lead runs the function and lands the flight, also if the function panics or calls Goexit.
func (r *flights[K, V]) lead(c *core[K, V], key K, f *flight[V], fn func() (V, error)) (V, bool, error) {
	defer r.land(key, f, nil)
	var value V
	var err error
	stackmark.Call(f.id, func() { value, err = fn() })
	r.land(key, f, func() {
		if err == nil {
			f.value, f.loaded = c.loadOrStore(key, value)
		}
		f.err = err
	})
	return f.value, f.loaded, f.err
}

// land takes f out of the register and wakes those who wait for it, after publishing its result in the same
// critical section. Only the first call for a flight does anything.
func (r *flights[K, V]) land(key K, f *flight[V], publish func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID[f.id] != f {
		return
	}
	if publish != nil {
		publish()
	}
	delete(r.byID, f.id)
	if r.byKey[key] == f {
		delete(r.byKey, key)
	}
	close(f.over)
}

// await waits for a flight that another goroutine leads. If this goroutine is what that flight waits for, it runs
// its own function.
func (r *flights[K, V]) await(c *core[K, V], key K, f *flight[V], fn func() (V, error)) (value V, loaded bool, err error) {
	own := stackmark.Marks(nil)
	if !r.waitFor(f, own) {
		made, err := fn()
		if err != nil {
			return value, false, err
		}
		value, loaded = c.loadOrStore(key, made)
		return value, loaded, nil
	}
	<-f.over
	r.waitFor(nil, own)
	return f.value, f.loaded || f.err == nil, f.err
}

// waitFor notes that the flights led by this goroutine, whose ids are own, wait for f. It reports false, and notes
// nothing, if that closes a cycle.
func (r *flights[K, V]) waitFor(f *flight[V], own []uint32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for g := f; g != nil; g = g.waitsFor {
		if slices.Contains(own, g.id) {
			return false
		}
	}
	for _, id := range own {
		if g := r.byID[id]; g != nil {
			g.waitsFor = f
		}
	}
	return true
}
