// This file is responsible for a Compute that cannot get through: its function ran many times, and each time the
// value had changed when it returned.
//
// It then puts a watch on its key. Writers of that key that belong to other goroutines give way: they wait a little,
// a bounded number of times, so that the function gets its turn. Writes of that key by the function itself are
// noted: a function that changes its own key can never succeed and must not hang.

package hushmap

import (
	"slices"
	"sync/atomic"

	"github.com/hushmap/hushmap/internal/stackmark"
)

const (
	// watchAfter is how often a Compute's function runs in vain before the key is watched.
	watchAfter = 16

	// ownChanges is how often in a row a watched function may write its own key before it is said to keep doing so.
	ownChanges = 8

	// giveWayPauses bounds how long a writer gives way; see pause. It is a few milliseconds.
	giveWayPauses = 300
)

// watch is a Compute that is about to get through. The watches of a map are a list, newest first, of which each node
// is immutable but for two fields, writes and over.
type watch[K comparable] struct {
	key    K
	id     uint32        // of the stackmark.Call its function runs in
	writes atomic.Uint32 // writes of the key by the function itself; added to by them, read by the Compute
	over   atomic.Bool   // set by the Compute when it is through
}

// watches is a list of watches. It is immutable.
type watches[K comparable] struct {
	watch *watch[K]
	next  *watches[K]
}

// without returns the list without w.
func (l *watches[K]) without(w *watch[K]) *watches[K] {
	if l == nil || l.watch == w {
		if l != nil {
			l = l.next
		}
		return l
	}
	return &watches[K]{l.watch, l.next.without(w)}
}

// ids numbers calls of functions, in flight or watched, for stackmark.
var ids atomic.Uint32

// giveWay is called by writers of key before they lock anything. own is the caller's own watch, or nil.
func (l *watches[K]) giveWay(key K, own *watch[K]) {
	for ; l != nil; l = l.next {
		w := l.watch
		if w == own || w.key != key {
			continue
		}
		if w.calls() {
			w.writes.Add(1)
			continue
		}
		for n := 0; n < giveWayPauses && !w.over.Load(); n++ {
			pause(n)
		}
	}
}

// blocks reports whether there is a watch on key that the caller was not called from.
func (l *watches[K]) blocks(key K) bool {
	for ; l != nil; l = l.next {
		if l.watch.key == key && !l.watch.calls() {
			return true
		}
	}
	return false
}

// calls reports whether the caller was called by the watch's function.
func (w *watch[K]) calls() bool { return slices.Contains(stackmark.Marks(nil), w.id) }
