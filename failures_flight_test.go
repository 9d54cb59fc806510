//go:build go1.25

// This file tests who waits for whom in LoadOrCompute. It needs testing/synctest to know that everyone who can wait does.

package hushmap

import (
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// ftFlight starts a leader for key 1, whose function ends as end says, and then waiters, whose function returns 2.
// It returns how many calls of the waiters' function there were, after all have returned; each result goes to
// check.
func ftFlight(t *testing.T, m *Map[int, int], waiters int, end func() (int, error), check func(v int, loaded bool, err error)) (calls int) {
	var own atomic.Int32
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		go func() {
			defer func() { _ = recover() }()
			v, loaded, err := m.LoadOrCompute(1, func() (int, error) {
				<-release
				return end()
			})
			if loaded {
				t.Error("the leader was told that the value was there already")
			}
			check(v, true, err)
		}()
		synctest.Wait()
		for range waiters {
			go func() {
				check(m.LoadOrCompute(1, func() (int, error) {
					own.Add(1)
					return 2, nil
				}))
			}()
		}
		synctest.Wait() // all of them are asleep
		require.Zero(t, own.Load(), "a waiter did not wait")
		_, ok := m.Load(1)
		require.False(t, ok)
		m.Store(7, 7) // other keys are free
		close(release)
	})
	require.Empty(t, m.flights.byID)
	require.NoError(t, m.Verify())
	return int(own.Load())
}

// FAILURES: "the value function runs twice" (xsync#66): those who wait get the value of the first.
func TestValueFunctionRunsTwiceForThoseWhoWait(t *testing.T) {
	ftEach(t, func(t *testing.T, c ftConfig) {
		m := ftNew[int](t, c)
		var results atomic.Int32
		calls := ftFlight(t, m, 10, func() (int, error) { return 5, nil }, func(v int, loaded bool, err error) {
			require.NoError(t, err)
			require.True(t, loaded)
			require.Equal(t, 5, v)
			results.Add(1)
		})
		require.Zero(t, calls)
		require.EqualValues(t, 11, results.Load())
	})
}

// The same row: an error goes to all who waited, and nothing is stored.
func TestValueFunctionRunsTwiceAfterAnError(t *testing.T) {
	var m Map[int, int]
	var results atomic.Int32
	calls := ftFlight(t, &m, 10, func() (int, error) { return 5, errFt }, func(v int, _ bool, err error) {
		require.ErrorIs(t, err, errFt)
		require.Zero(t, v)
		results.Add(1)
	})
	require.Zero(t, calls)
	require.EqualValues(t, 11, results.Load())
	_, ok := m.Load(1)
	require.False(t, ok)
	v, loaded, err := m.LoadOrCompute(1, func() (int, error) { return 6, nil })
	require.NoError(t, err)
	require.False(t, loaded)
	require.Equal(t, 6, v)

	// A function that is called from within the one that it would wait for is no different.
	_, _, err = m.LoadOrCompute(2, func() (int, error) {
		v, loaded, err := m.LoadOrCompute(2, func() (int, error) { return 5, errFt })
		require.Zero(t, v)
		require.False(t, loaded)
		return 5, err
	})
	require.ErrorIs(t, err, errFt)
}

// FAILURES: "callback panics and the bucket stays locked" (xsync#208): one of those who wait takes over, the others get its
// value.
func TestCallbackPanicsAndAWaiterTakesOver(t *testing.T) {
	for name, exit := range map[string]func() (int, error){
		"panic":  func() (int, error) { panic(errFt) },
		"Goexit": func() (int, error) { runtime.Goexit(); return 0, nil },
	} {
		t.Run(name, func(t *testing.T) {
			var m Map[int, int]
			var results, computed atomic.Int32
			calls := ftFlight(t, &m, 10, exit, func(v int, loaded bool, err error) {
				require.NoError(t, err)
				require.Equal(t, 2, v)
				results.Add(1)
				if !loaded {
					computed.Add(1)
				}
			})
			require.Equal(t, 1, calls)
			require.EqualValues(t, 10, results.Load())
			require.EqualValues(t, 1, computed.Load())
		})
	}
}

// FAILURES: "the value function runs twice" (xsync#66): a Store that comes while the function runs wins, for the leader and
// all who wait.
func TestValueFunctionRunsTwiceWhenAStoreComesFirst(t *testing.T) {
	var m Map[int, int]
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		for range 5 {
			go func() {
				v, loaded, err := m.LoadOrCompute(1, func() (int, error) {
					<-release
					return 2, nil
				})
				require.NoError(t, err)
				require.True(t, loaded)
				require.Equal(t, 9, v)
			}()
		}
		synctest.Wait()
		m.Store(1, 9)
		v, loaded, err := m.LoadOrCompute(1, func() (int, error) { panic("the key is there") })
		require.NoError(t, err)
		require.True(t, loaded)
		require.Equal(t, 9, v)
		close(release)
	})
}

// FAILURES: wrap-around of small counters. After 2^32 functions a number comes again while the function that had it is
// running still. The newer flight gets another, or who waits for the older one would wait for ever.
func TestFlightNumbersWrap(t *testing.T) {
	var m Map[int, int]
	before := ids.Load()
	defer func() { ids.Store(max(before, ids.Load())) }()
	first, leads, _, _ := m.flights.board(&m.core, 1)
	require.True(t, leads)
	ids.Store(first.id - 1) // as 2^32 - 1 more would
	second, leads, _, _ := m.flights.board(&m.core, 2)
	require.True(t, leads)
	require.NotEqual(t, first.id, second.id)
	for key, f := range map[int]*flight[int]{2: second, 1: first} {
		m.flights.land(key, f, nil)
		select {
		case <-f.over:
		default:
			t.Errorf("who waits for key %d waits for ever", key)
		}
	}
	require.Empty(t, m.flights.byKey)
	require.Empty(t, m.flights.byID)
}
