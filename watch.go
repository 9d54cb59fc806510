// This file is responsible for a Compute that cannot get through: its function ran many times, and each time the
// value had changed when it returned.
//
// It then publishes a watch on its key. Writers of that key that belong to other goroutines give way: they wait a
// little, a bounded number of times, so that the function gets its turn. Writes of that key by the function itself
// are counted: a function that changes its own key can never succeed and must not hang.

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

// watch marks one key of which a Compute is about to get through. It is immutable.
type watch[K comparable] struct {
	key     K
	hash    uint64 // of key, under the seed of the read map that the watch is in
	watcher *watcher
}

// watcher is the Compute behind a watch.
type watcher struct {
	id     uint32        // of the stackmark.Call its function runs in; immutable
	writes atomic.Uint32 // writes of the key by the function itself; added to by them, read by the Compute
	over   atomic.Bool   // set by the Compute when it is through
}

// ids numbers calls of functions, in flight or watched, for stackmark.
var ids atomic.Uint32

// giveWay is called by writers of key, with hash h, while w is published, before they lock anything.
func (w *watch[K]) giveWay(key K, h uint64) {
	if w.hash != h || w.key != key {
		return
	}
	if w.watcher.calls() {
		w.watcher.writes.Add(1)
		return
	}
	for n := 0; n < giveWayPauses && !w.watcher.over.Load(); n++ {
		pause(n)
	}
}

// calls reports whether the caller was called by the watcher's function.
func (w *watcher) calls() bool { return slices.Contains(stackmark.Marks(nil), w.id) }
