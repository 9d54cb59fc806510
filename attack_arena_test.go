package hushmap

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Entries whose bucket has moved since the sweep copied it are looked up, which for records is not what it is for
// other values.
func TestBytesRangeVisitsAllThatIsDeletedMeanwhile(t *testing.T) {
	var m Bytes
	const n = 5000
	for i := range n {
		m.Set(fmt.Sprint(i), fmt.Appendf(nil, "-%d", i))
	}
	visited := 0
	m.Range(func(key string, value []byte) bool {
		visited++
		assert.Equal(t, "-"+key, string(value))
		return assert.True(t, m.Delete(key))
	})
	assert.Equal(t, n, visited)
	require.Zero(t, m.Len())
	require.NoError(t, m.Verify())
}

// atTables makes tables small enough to be mapped by the dozen, arenas that are rebuilt at the first opportunity, and
// growths that take long.
func atTables() Option {
	return withTuning(func(tu *tuning) { ftOneBucket(tu); tu.mapFrom, tu.waste = 1, 1 })
}

// atValue is a value that knows its key and length: whatever is cut, mixed or outdated does not pass atCheck.
func atValue(dst []byte, key string, n, size int) []byte {
	dst = fmt.Appendf(dst, "%s/%d/%d/", key, n, size)
	for i := range size {
		dst = append(dst, byte(n+i))
	}
	return dst
}

func atCheck(key string, value []byte) (n int, err error) {
	var size int
	head, rest, _ := bytes.Cut(value, []byte("/"))
	if string(head) != key {
		return 0, fmt.Errorf("key %q has the value %.60q", key, value)
	}
	if _, err := fmt.Sscanf(string(rest), "%d/%d/", &n, &size); err != nil {
		return 0, fmt.Errorf("key %q has the value %.60q: %w", key, value, err)
	}
	if want := atValue(nil, key, n, size); !bytes.Equal(want, value) {
		return 0, fmt.Errorf("key %q has the value %.60q instead of %.60q", key, value, want)
	}
	return n, nil
}

// atFor runs f over and over for a while.
func atFor(d time.Duration, f func(n int)) {
	for n, end := 0, time.Now().Add(d); n&15 != 0 || time.Now().Before(end); n++ {
		f(n)
	}
}

// Owners of disjoint keys, with others that replace tables and arenas, range and collect garbage all the time.
func TestBytesUnderStorm(t *testing.T) {
	const owners, keys = 3, 60
	m := NewBytes(atTables())
	ftWatch(t, func() {

		ftWhile(func() {
			ftTogether(owners, func(g int) { atOwnBytes(t, m, g, keys) })
		}, func() { m.Compact() }, runtime.GC, func() {
			seen := map[string]bool{}
			m.Range(func(key string, value []byte) bool {
				_, err := atCheck(key, value)
				twice := seen[key]
				seen[strings.Clone(key)] = true
				return assert.NoError(t, err) && assert.False(t, twice, "%q comes up twice", key)
			})
		}, func() {
			if rm := m.core.read.Load(); rm != nil {
				m.core.resizeAnd(rm, minBuckets<<rand.IntN(5), rand.IntN(2) == 0)
			}
		})
	})
	require.NoError(t, m.Verify())
}

// atOwnBytes is the only writer of its keys, and knows what they must hold.
func atOwnBytes(t *testing.T, m *Bytes, g, keys int) {
	has := map[string][]byte{}
	var buffer, key []byte
	atFor(1200*time.Millisecond, func(n int) {
		key = fmt.Appendf(key[:0], "%d:%d", g, rand.IntN(keys))
		k := string(key)
		was, had := has[k]
		size := rand.IntN(40)
		if rand.IntN(64) == 0 {
			size = 3000
		}
		next := atValue(nil, k, n, size)
		switch rand.IntN(6) {
		case 0, 1:
			m.SetB(key, next)
			has[k] = next
		case 2:
			assert.Equal(t, had, m.DeleteB(key), k)
			delete(has, k)
		case 3:
			assert.Equal(t, had, m.CompareAndSwapB(key, was, next), k)
			if had {
				has[k] = next
			}
		case 4:
			assert.False(t, m.CompareAndSwapB(key, next, next), k)
		case 5:
			actual, loaded := m.LoadOrStoreB(nil, key, next)
			if !had {
				was, has[k] = next, next
			}
			assert.Equal(t, had, loaded, k)
			assert.Equal(t, string(was), string(actual), k)
		}
		for i := range key {
			key[i] = 'x' // it was only borrowed
		}
		want, ok := has[k]
		got, found := m.Get(buffer[:0], k)
		if !assert.Equal(t, ok, found, k) || !assert.Equal(t, string(want), string(got), k) {
			t.FailNow()
		}
		buffer = got
	})
	for k, v := range has {
		got, _ := m.Get(nil, k)
		assert.Equal(t, string(v), string(got))
	}
}

// atWide does not fit a word, and has no pointers.
type atWide struct{ n, m, o uint64 }

func atWideOf(n uint64) atWide { return atWide{n, 3 * n, ^n} }

// Tables that are mapped and dropped by the hundred, with everything that looks into them: whoever does so without
// keeping them alive crashes.
func TestMappedTablesUnderStorm(t *testing.T) {
	t.Run("uint64,uint64", func(t *testing.T) {
		atStorm(t, func(i int) uint64 { return uint64(i) }, func(n int) uint64 { return uint64(n) })
	})
	t.Run("string,wide", func(t *testing.T) {
		atStorm(t, func(i int) string { return fmt.Sprint("key ", i) }, func(n int) atWide { return atWideOf(uint64(n)) })
	})
	t.Run("string,nothing", func(t *testing.T) {
		atStorm(t, func(i int) string { return strings.Repeat("k", i) }, func(int) struct{} { return struct{}{} })
	})
	t.Run("float64,wide", func(t *testing.T) {
		atStorm(t, func(i int) float64 { return float64(i) }, func(n int) atWide { return atWideOf(uint64(n)) })
	})
}

func atStorm[K, V comparable](t *testing.T, key func(int) K, value func(int) V) {
	const owners, keys = 2, 100
	m := New[K, V](atTables())
	ftWatch(t, func() {
		ftWhile(func() {
			ftTogether(owners, func(g int) { atOwn(t, m, func(i int) K { return key(2*i + g) }, value, keys) })
		}, func() {
			m.Compact()
			assert.GreaterOrEqual(t, m.Stats().Entries, 0)
		}, runtime.GC, func() {
			seen := map[K]bool{}
			m.Range(func(k K, _ V) bool {
				twice := seen[k]
				seen[k] = true
				return assert.False(t, twice, "%v comes up twice", k)
			})
		}, func() {
			if rm := m.core.read.Load(); rm != nil {
				m.core.resizeAnd(rm, minBuckets<<rand.IntN(5), rand.IntN(2) == 0)
			}
		})
	})
	require.NoError(t, m.Verify())
}

// atOwn is the only writer of its keys.
func atOwn[K, V comparable](t *testing.T, m *Map[K, V], key func(int) K, value func(int) V, keys int) {
	has := map[K]V{}
	atFor(400*time.Millisecond, func(n int) {
		k, v := key(rand.IntN(keys)), value(n)
		was, had := has[k]
		switch rand.IntN(8) {
		case 0, 1, 2:
			got, loaded := m.Swap(k, v)
			assert.Equal(t, had, loaded, k)
			assert.Equal(t, was, got, k)
			has[k] = v
		case 3:
			got, loaded := m.LoadAndDelete(k)
			assert.Equal(t, had, loaded, k)
			assert.Equal(t, was, got, k)
			delete(has, k)
		case 4:
			assert.Equal(t, had, m.CompareAndDelete(k, was), k)
			delete(has, k)
		case 5:
			m.Compute(k, func(old V, loaded bool) (V, Op) {
				assert.Equal(t, had, loaded, k)
				assert.Equal(t, was, old, k)
				return v, UpdateOp
			})
			has[k] = v
		case 6:
			got, _, _ := m.LoadOrCompute(k, func() (V, error) { return v, nil })
			if !had {
				was, has[k] = v, v
			}
			assert.Equal(t, was, got, k)
		case 7:
			deleted := m.DeleteFunc(func(other K, _ V) bool { return other == k })
			assert.Equal(t, had, deleted == 1, k)
			delete(has, k)
		}
		want, ok := has[k]
		got, found := m.Load(k)
		if !assert.Equal(t, ok, found, k) || !assert.Equal(t, want, got, k) {
			t.FailNow()
		}
	})
}

// Batches of keys that have one writer, over tables large enough to be brought near.
func TestBatchesUnderStorm(t *testing.T) {
	t.Run("uint64", func(t *testing.T) { atBatches(t, func(i int) uint64 { return uint64(i) }) })
	t.Run("string", func(t *testing.T) { atBatches(t, func(i int) string { return fmt.Sprint("key ", i) }) })
	t.Run("any", func(t *testing.T) { atBatches(t, func(i int) any { return i }) })
}

func atBatches[K comparable](t *testing.T, key func(int) K) {
	const size = 3 * batchGroup
	m := New[K, atWide](withTuning(func(tu *tuning) { tu.waste, tu.farFrom = 1, 1 }))
	ftWatch(t, func() {
		ftWhile(func() {
			ftTogether(2, func(g int) {
				keys, vals, found := make([]K, size), make([]atWide, size), make([]bool, size)
				has := map[K]atWide{}
				atFor(400*time.Millisecond, func(n int) {
					for i := range keys {
						keys[i] = key((2*rand.IntN(1000) + g))
						vals[i] = atWideOf(uint64(n*size + i))
					}
					if rand.IntN(3) == 0 {
						want := 0
						for _, k := range keys {
							if _, ok := has[k]; ok {
								want++
							}
							delete(has, k)
						}
						assert.Equal(t, want, m.DeleteBatch(keys))
					} else {
						m.StoreBatch(keys, vals)
						for i, k := range keys {
							has[k] = vals[i]
						}
					}
					for i := range keys {
						keys[i] = key((2*rand.IntN(1000) + g))
					}
					m.LoadBatch(keys, vals, found)
					for i, k := range keys {
						if want, ok := has[k]; ok != found[i] || vals[i] != want {
							t.Errorf("key %v: LoadBatch has %v, %v instead of %v, %v", k, vals[i], found[i], want, ok)
						}
					}
				})
			})
		}, runtime.GC, func() {
			if rm := m.core.read.Load(); rm != nil {
				m.core.resizeAnd(rm, 512<<rand.IntN(2), rand.IntN(2) == 0)
			}
			m.core.settle()
		})
	})
	require.NoError(t, m.Verify())
}

// A ref has 32 bits of the hash: in a larger table an entry would lose its home when it moves on.
func TestTablesOfRefsHaveNoMoreHomesThanRefsTell(t *testing.T) {
	const h = math.MaxUint64
	for _, n := range []uint64{minBuckets, maxBuckets[string, struct{}](), maxBuckets[string, int](), maxBuckets[string, record]()} {
		tb := table[string, int]{mask: n - 1, shift: uint8(64 - bits.Len64(n-1))}
		assert.Equal(t, tb.home(h), tb.home(newRef(h, 1).hash(tophash(h))), "%d buckets", n)
	}
	if strconv.IntSize == 64 {
		assert.Panics(t, func() { New[string, struct{}](WithCapacity(math.MaxInt >> 28)) })
	}
}
