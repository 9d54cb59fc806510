package hushmap

import (
	"maps"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// This file attacks Range and DeleteFunc by their own callback, which stores, deletes, and replaces the table as it likes, in
// the middle of a bucket as well as between two. As nobody else is there, what must be visited is known exactly.

// asMap is a map with the entries that it must have, by the number of their key.
type asMap[K, V comparable] struct {
	m      *Map[K, V]
	key    func(int) K
	value  func(int) V
	number map[K]int
	now    map[int]V
	stay   int // the keys from 0 to stay are never deleted, unless all are
	stored int
}

const asKeys = 64

func asNew[K, V comparable](key func(int) K, value func(int) V, options ...Option) *asMap[K, V] {
	a := &asMap[K, V]{m: New[K, V](options...), key: key, value: value, number: make(map[K]int), now: make(map[int]V), stay: asKeys / 2}
	for i := range asKeys {
		a.number[key(i)] = i
		if i < a.stay || i%2 == 0 {
			a.store(i)
		}
	}
	return a
}

func (a *asMap[K, V]) store(i int) {
	a.stored++
	a.now[i] = a.value(a.stored)
	a.m.Store(a.key(i), a.now[i])
}

func (a *asMap[K, V]) delete(i int) {
	if i >= a.stay {
		delete(a.now, i)
		a.m.Delete(a.key(i))
	}
}

// act does anything to the map but to the entry that is being visited.
func (a *asMap[K, V]) act(visited int) {
	i := rand.IntN(asKeys)
	if i == visited {
		return
	}
	switch rand.IntN(8) {
	case 0, 1, 2:
		a.store(i)
	case 3, 4:
		a.delete(i)
	case 5:
		a.delete(i)
		a.store(i)
	case 6:
		left := rand.IntN(asKeys)
		a.m.Range(func(K, V) bool { left--; return left > 0 })
	default:
		if rand.IntN(30) == 0 {
			a.m.Clear()
			clear(a.now)
			a.stay = 0
		}
		ftResize(a.m, asKeys)
	}
}

// visit checks what Range or DeleteFunc hands out, and acts.
func (a *asMap[K, V]) visit(t *testing.T, visits *[asKeys]int, key K, value V) (i int) {
	i, known := a.number[key]
	require.True(t, known, "key %v was never stored", key)
	now, present := a.now[i]
	require.True(t, present, "%v was deleted before its turn", key)
	require.Equal(t, now, value, "%v was overwritten before its turn", key)
	visits[i]++
	require.Equal(t, 1, visits[i], "%v is visited again", key)
	for rand.IntN(3) > 0 {
		a.act(i)
	}
	return i
}

// end checks that what stayed was visited, and that the map has what it must.
func (a *asMap[K, V]) end(t *testing.T, visits *[asKeys]int) {
	for i := range a.stay {
		require.Equal(t, 1, visits[i], "visits of %v, which stayed", a.key(i))
	}
	want := make(map[K]V)
	for i, v := range a.now {
		want[a.key(i)] = v
	}
	require.Equal(t, want, maps.Collect(a.m.All()))
	require.NoError(t, a.m.Verify())
}

func asAttack[K, V comparable](t *testing.T, name string, key func(int) K, value func(int) V) {
	number := make(map[K]int)
	for i := range asKeys {
		number[key(i)] = i
	}
	crowded := WithHasher(func(k K, seed uint64) uint64 { return (uint64(number[k]%5) + seed) << 40 })
	for _, c := range []struct {
		name    string
		options []Option
	}{
		{"normal", nil},
		{"one bucket at a time", []Option{withTuning(ftOneBucket)}},
		{"five hashes", []Option{crowded}},
		{"five hashes, one bucket at a time", []Option{crowded, withTuning(ftOneBucket)}},
		{"asked for ahead", []Option{withTuning(func(tu *tuning) { tu.farFrom = 1 })}},
	} {
		t.Run(name+", "+c.name, func(t *testing.T) {
			for range ftN(120) {
				var visits [asKeys]int
				a := asNew(key, value, c.options...)
				a.m.Range(func(k K, v V) bool { a.visit(t, &visits, k, v); return true })
				a.end(t, &visits)

				visits = [asKeys]int{}
				deleted := a.m.DeleteFunc(func(k K, v V) bool {
					i := a.visit(t, &visits, k, v)
					if i < a.stay || rand.IntN(2) == 0 {
						return false
					}
					delete(a.now, i)
					return true
				})
				a.end(t, &visits)
				require.LessOrEqual(t, deleted, asKeys-a.stay)
			}
		})
	}
}

func TestAttackSweepByItsCallback(t *testing.T) {
	ftAlone(t)
	asAttack(t, "integers", func(i int) int { return i }, func(n int) int { return n })
	asAttack(t, "wide", func(i int) [3]int { return [3]int{i, -i, i} }, func(n int) [4]int { return [4]int{n, n, -n, n} })
	asAttack(t, "strings", strconv.Itoa, strconv.Itoa)
	asAttack(t, "interfaces", func(i int) any { return i }, func(n int) any { return strconv.Itoa(n) })
}

// asDisplaced ranges over a map that is about to grow, so that one key in seventeen is behind its home, while the callback deletes
// and stores others, and now and then replaces the table.
func asDisplaced[K comparable](t *testing.T, key func(int) K, options ...Option) {
	const n = slotLimit * 256
	for _, resizes := range []bool{false, true} {
		m := New[K, int](options...)
		for i := range n {
			m.Store(key(i), i)
		}
		rm := m.core.settle()
		require.EqualValues(t, 256, rm.buckets())
		displaced := 0
		for i := range rm.buckets() {
			displaced += int(rm.bucket(i).observe().overflow())
		}
		require.Greater(t, displaced, n/50, "times that a key was displaced by a bucket")

		visits := make([]int, n)
		m.Range(func(k K, i int) bool {
			require.Equal(t, key(i), k)
			visits[i]++
			if other := i ^ 1; other > n/2 {
				m.Delete(key(other))
				m.Store(key(other), other)
			}
			if resizes && rand.IntN(300) == 0 {
				ftResize(m, n)
			}
			return true
		})
		for i, times := range visits[:n/2] {
			require.Equal(t, 1, times, "visits of key %d, which stayed", i)
		}
		for i, times := range visits[n/2:] {
			require.LessOrEqual(t, times, 1, "visits of key %d, which came and went", n/2+i)
		}
		require.NoError(t, m.Verify())
	}
}

func TestRangeWhereKeysAreDisplaced(t *testing.T) {
	ftAlone(t)
	asDisplaced(t, func(i int) int { return i })
	asDisplaced(t, func(i int) int { return i }, WithHasher(func(k int, seed uint64) uint64 { return uint64(k) * 0x9e3779b97f4a7c15 }))
	asDisplaced(t, func(i int) any { return i })
	asDisplaced(t, strconv.Itoa)
	asDisplaced(t, func(i int) float64 { return float64(i) })
}

// NaN keys behind their home can only be deleted by the slot that they are in. Every one is visited once, and every other deleted.
func TestDeleteFuncWhereNaNsAreDisplaced(t *testing.T) {
	const n = slotLimit * 64
	for range ftN(20) {
		m := New[float64, int]()
		for i := range n {
			if i%4 < 2 {
				m.Store(math.NaN(), i)
			} else {
				m.Store(float64(i), i)
			}
		}
		require.EqualValues(t, 64, m.core.settle().buckets())
		var visits [n]int
		deleted := m.DeleteFunc(func(_ float64, i int) bool { visits[i]++; return i%2 == 0 })
		require.Equal(t, n/2, deleted)
		require.Equal(t, n/2, m.Len())
		var left [n]int
		m.Range(func(_ float64, i int) bool { left[i]++; return true })
		for i := range n {
			require.Equal(t, 1, visits[i], "visits of %d", i)
			require.Equal(t, i%2, left[i], "%d is there", i)
		}
		require.NoError(t, m.Verify())
	}
}

// A table of so many buckets is asked for ahead, with what its keys and values point to, up to the last and beyond the last.
func TestRangeAsksForWhatIsPointedTo(t *testing.T) {
	ftAlone(t)
	const n = 1000
	room := WithCapacity(pointersFrom * slotLimit)
	asVisits(t, New[any, any](room), func(i int) any { return i }, func(v any) int { return v.(int) }, func(i int) any { return i }, n)
	asVisits(t, New[string, string](room), strconv.Itoa, func(v string) int { i, _ := strconv.Atoi(v); return i }, strconv.Itoa, n)
	asVisits(t, New[int, *int](room), func(i int) int { return i }, func(v *int) int { return *v }, func(i int) *int { return &i }, n)
}

func asVisits[K comparable, V any](t *testing.T, m *Map[K, V], key func(int) K, number func(V) int, value func(int) V, n int) {
	t.Helper()
	for i := range n {
		m.Store(key(i), value(i))
	}
	rm := m.core.settle()
	require.GreaterOrEqual(t, rm.buckets(), uint64(pointersFrom))
	s := sweep[K, V]{core: &m.core}
	require.True(t, s.asks(rm))
	visits := make([]int, n)
	m.Range(func(k K, v V) bool {
		require.Equal(t, key(number(v)), k)
		visits[number(v)]++
		return true
	})
	for i, times := range visits {
		require.Equal(t, 1, times, "visits of key %d", i)
	}
}

// The value of a record is not in the slot, so there is nothing that it points to.
func TestRecordsAreNotAskedForAsValues(t *testing.T) {
	require.Equal(t, noData, newTraits[string, record](&defaults).data)
	require.Equal(t, inFirst, newTraits[string, string](&defaults).data)
	require.Equal(t, inFirst, newTraits[string, *int](&defaults).data)
	require.Equal(t, inSecond, newTraits[string, any](&defaults).data)
	require.Equal(t, noData, newTraits[string, int](&defaults).data)
}
