package main

import (
	"sync"
	"sync/atomic"

	"github.com/hushmap/hushmap"
)

// counter counts words. All goroutines share one.
type counter interface {
	// count adds one to the count of word. It keeps no reference to word, whose bytes belong to a file.
	count(word []byte)

	// each calls f for every word counted, in any order, after the last count has returned.
	each(f func(word string, n int))
}

// way is a way of counting: its name, and how to make an empty counter.
type way struct {
	name string
	make func() counter
}

// allWays are the ways that are compared. Each is written as its users would write it, without allocating where
// its map makes that possible.
func allWays() []way {
	return []way{
		{"hushmap.Map", func() counter { return new(hushCounter) }},
		{"sync.Map", func() counter { return new(syncCounter) }},
		{"mutex and map", func() counter { return &mutexCounter{counts: make(map[string]*int)} }},
	}
}

// hushCounter counts in a hushmap.Map, where a count is an object of its own that is changed in place, so that frequent
// words are no contest for a lock. The map copies a word's bytes when it meets it first; only then anything is allocated.
// Compute could change plain ints, without an object for each, but takes a bucket's lock for every word.
type hushCounter struct {
	counts hushmap.Map[string, *atomic.Int64]
}

func (c *hushCounter) count(word []byte) {
	n, ok := hushmap.LoadBytes(&c.counts, word)
	if !ok {
		n, _ = hushmap.LoadOrStoreBytes(&c.counts, word, new(atomic.Int64))
	}
	n.Add(1)
}

func (c *hushCounter) each(f func(word string, n int)) {
	for word, n := range c.counts.All() {
		f(word, int(n.Load()))
	}
}

// syncCounter counts in a sync.Map, in the same way.
type syncCounter struct {
	counts sync.Map // string to *atomic.Int64
}

func (c *syncCounter) count(word []byte) {
	n, ok := c.counts.Load(string(word))
	if !ok {
		n, _ = c.counts.LoadOrStore(string(word), new(atomic.Int64))
	}
	n.(*atomic.Int64).Add(1)
}

func (c *syncCounter) each(f func(word string, n int)) {
	c.counts.Range(func(word, n any) bool {
		f(word.(string), int(n.(*atomic.Int64).Load()))
		return true
	})
}

// mutexCounter counts in a built-in map. Its counts are pointers because a lookup by string(word) does not allocate
// but an assignment would.
type mutexCounter struct {
	mu     sync.Mutex
	counts map[string]*int // protected by mu
}

func (c *mutexCounter) count(word []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.counts[string(word)]
	if n == nil {
		n = new(int)
		c.counts[string(word)] = n
	}
	*n++
}

func (c *mutexCounter) each(f func(word string, n int)) {
	for word, n := range c.counts {
		f(word, *n)
	}
}

// blindCounter only finds the words: its time is that of scanning, without a map.
type blindCounter struct{}

func (blindCounter) count([]byte) {}

func (blindCounter) each(func(string, int)) {}
