//go:build hushmap_invariants

package hushmap

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/internal/arena"
)

// A writer has locked its bucket when the records begin to move to another arena, which others fill as far as they are let.
// Then it goes on, with a record of many chunks. That must not end up among those that are to be copied, as no room was
// kept for it: the move would never end, and no Delete get through any more.
func TestLateWriterAddsNothingToAnArenaThatIsLeft(t *testing.T) {
	const n, size, indices = 4000, 5000, 260
	for _, overwrites := range []bool{true, false} {
		t.Run(fmt.Sprint("overwrites ", overwrites), func(t *testing.T) {
			ftWatch(t, func() { lateWriter(t, n, size, indices, overwrites) })
		})
	}
}

func lateWriter(t *testing.T, n, size, indices int, overwrites bool) {
	key := func(i int) string { return fmt.Sprint("key ", i) }
	value := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, size) }
	m := rbThirdDead(t, n, key, value)
	rm := m.core.settle()
	rbLimit(rm.traits.arena, indices)
	last := rm.buckets() - rm.buckets()/50 // the first of the last buckets, which nobody comes to but the late writer
	late := 0
	if !overwrites {
		late = 10 * n
	}
	for rm.home(rm.hash(key(late))) < last {
		late++
	}

	var armed atomic.Bool
	stalled, goOn, done := make(chan struct{}), make(chan struct{}), make(chan any)
	hook := func(s protocolStep) {
		if s == stepLocked && armed.CompareAndSwap(true, false) {
			close(stalled)
			<-goOn
		}
	}
	stepHook.Store(&hook)
	defer stepHook.Store(nil)
	armed.Store(true)
	go func() { done <- ftPanic(func() { m.Set(key(late), make([]byte, 5<<20)) }) }()
	<-stalled

	require.True(t, m.core.resizeAnd(rm, rm.buckets(), true))
	rbLimit(m.core.read.Load().traits.arena, indices)
	for i, full := 2*n, any(nil); full == nil; i++ {
		if rm.home(rm.hash(key(i))) < last {
			full = ftPanic(func() { m.Set(key(i), value(i)) })
		}
	}
	close(goOn)
	require.Equal(t, any(arena.Full), <-done, "it found its way to the other arena, where there is no room for it")

	for i := range n {
		require.Nil(t, ftPanic(func() { require.True(t, m.Delete(key(i))) }))
	}
	for i := 0; m.core.read.Load().old != nil; i++ {
		m.Delete(key(i))
	}
	require.NoError(t, m.Verify())
}
