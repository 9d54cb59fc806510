package arena

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/hushmap/hushmap/internal/cacheline"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lengths are those where the format, the comparison or the way a chunk is
// found changes, and their neighbours.
var lengths = []int{
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 15, 16, 17, 20, 31, 32, 33, 63, 64, 65,
	253, 254, 255, 256, 257, 500, 511, 512, 4096,
	chunkBytes/2 - 9, chunkBytes/2 - 8, chunkBytes/2 - 7,
	chunkBytes - 10, chunkBytes - 9, chunkBytes - 8, chunkBytes - 1, chunkBytes,
	1 << 20, 1<<20 + 3,
}

// text returns n bytes that are no UTF-8, the same for the same seed.
func text(n int, seed uint64) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(n), byte(n >> 8)}).Read(b)
	if n > 0 {
		b[n-1] = 0xff // in no UTF-8
	}
	return string(b)
}

// bytesOf returns what a record of these fields takes: written once more, from
// the package comment.
func bytesOf(fields ...string) (n uint64) {
	for _, f := range fields {
		n += uint64(len(f)) + 1
		if len(f) >= 255 {
			n += 8
		}
	}
	return (n + 7) / 8 * 8
}

func requireRecord(t *testing.T, a *Arena, r Ref, key string) {
	t.Helper()
	require.NotZero(t, r)
	require.True(t, a.Valid(r))
	require.True(t, a.Key(r) == key, "key of %d bytes", len(key))
	require.True(t, equal(a, r, strings.Clone(key)), "key of %d bytes", len(key))
	if n := len(key); n > 0 {
		require.False(t, equal(a, r, key[:n-1]), "shorter than %d bytes", n)
		for _, i := range []int{0, n / 2, n - 1} {
			b := []byte(key)
			b[i] ^= 1
			require.False(t, equal(a, r, string(b)), "byte %d of %d differs", i, n)
		}
	}
	require.False(t, equal(a, r, key+"\x00"), "longer than %d bytes", len(key))
}

// equal is a.Equal, and sees to it that the same without a call says the same.
func equal(a *Arena, r Ref, key string) bool {
	whole, n := a.Equal(r, key), len(key)
	if n >= 17 && n <= 32 {
		p := unsafe.Pointer(unsafe.StringData(key))
		q, same := a.Short(r, n)
		if same = same && Differ(p, q, 0)|Differ(p, q, n-16) == 0; same != whole {
			panic("Short and Differ say otherwise than Equal")
		}
	}
	return whole
}

func TestLayout(t *testing.T) {
	var a Arena
	assert.GreaterOrEqual(t, unsafe.Offsetof(a.first)-unsafe.Offsetof(a.more), cacheline.Size,
		"adding must not disturb readers of the directory")
	assert.Equal(t, cacheline.Size, unsafe.Sizeof(shard{}))
	assert.Equal(t, 256<<10, chunkBytes)
	assert.Equal(t, uint64(32<<30), uint64(maxIndices)*chunkBytes)
}

func TestPosition(t *testing.T) {
	p := newPosition(maxIndices-1, chunkGranules, chunkGranules-1)
	assert.Equal(t, maxIndices-1, p.index())
	assert.Equal(t, uint64(chunkGranules-1), p.offset())
	assert.Equal(t, uint64(1), p.room())
	assert.Equal(t, ^Ref(0), p.ref())
	assert.Zero(t, (p + 1).room())
	assert.Zero(t, position(0).room())
	kept := p | keptBit
	assert.True(t, kept.kept() && !p.kept())
	assert.Equal(t, []uint64{uint64(p.index()), p.offset(), p.room(), uint64(p.ref())},
		[]uint64{uint64(kept.index()), kept.offset(), kept.room(), uint64(kept.ref())})
}

func TestFloorPowerOfTwo(t *testing.T) {
	for n, want := range []uint64{0, 1, 2, 2, 4, 4, 4, 4, 8, 8} {
		assert.Equal(t, want, floorPowerOfTwo(uint64(n)))
	}
}

func TestRoundTrip(t *testing.T) {
	a := New(false)
	refs := make([]Ref, len(lengths))
	var used uint64
	for i, n := range lengths {
		refs[i] = a.Add(0, text(n, 1))
		used += bytesOf(text(n, 1))
		assert.Equal(t, used, a.Usage().Used)
	}
	for i, n := range lengths {
		requireRecord(t, a, refs[i], text(n, 1))
		assert.Equal(t, bytesOf(text(n, 1))/granule, a.size(refs[i]))
	}
}

func TestEachLengthAlone(t *testing.T) {
	for _, n := range lengths {
		a, key := New(false), text(n, 2)
		r := a.Add(0, key)
		requireRecord(t, a, r, key)
		assert.Equal(t, bytesOf(key), a.Usage().Used)
		assert.LessOrEqual(t, a.Usage().Allocated, max(512, bytesOf(key)), "%d bytes", n)
	}
}

func TestValues(t *testing.T) {
	a := New(true)
	type pair struct {
		r    Ref
		k, v string
	}
	var pairs []pair
	var used uint64
	for _, k := range lengths {
		for _, v := range lengths {
			if k > 512 && v > 512 && k != v {
				continue // large with small, and with its like
			}
			p := pair{k: text(k, 3), v: text(v, 4)}
			p.r = a.AddPair(0, p.k, p.v)
			used += bytesOf(p.k, p.v)
			pairs = append(pairs, p)
		}
	}
	for _, p := range pairs {
		require.True(t, a.Valid(p.r))
		require.True(t, a.Key(p.r) == p.k && a.Value(p.r) == p.v, "%d and %d bytes", len(p.k), len(p.v))
		require.True(t, a.Equal(p.r, strings.Clone(p.k)))
		require.Equal(t, bytesOf(p.k, p.v)/granule, a.size(p.r))
	}
	assert.Equal(t, used, a.Usage().Used)
}

// TestRecordEndsWithChunk has empty and full last fields where the chunk ends:
// under checkptr, an address behind the chunk would be fatal.
func TestRecordEndsWithChunk(t *testing.T) {
	t.Run("empty value", func(t *testing.T) {
		a := New(true)
		for range minChunk {
			r := a.AddPair(0, "123456", "")
			assert.Equal(t, "", a.Value(r))
			assert.Equal(t, "123456", a.Key(r))
			assert.Equal(t, uint64(1), a.size(r))
			assert.True(t, a.Valid(r))
		}
		u := a.Usage()
		assert.Equal(t, u.Allocated, u.Used)
	})
	t.Run("full key", func(t *testing.T) {
		a := New(false)
		for range minChunk {
			requireRecord(t, a, a.Add(0, "1234567"), "1234567")
		}
		u := a.Usage()
		assert.Equal(t, u.Allocated, u.Used)
	})
	t.Run("empty key", func(t *testing.T) {
		a := New(false)
		for range minChunk {
			requireRecord(t, a, a.Add(0, ""), "")
		}
	})
}

func TestCallersBytesAreCopied(t *testing.T) {
	a := New(true)
	k, v := []byte("a key"), []byte("a value")
	r := a.AddPair(0, unsafe.String(&k[0], len(k)), unsafe.String(&v[0], len(v)))
	clear(k)
	clear(v)
	assert.Equal(t, "a key", a.Key(r))
	assert.Equal(t, "a value", a.Value(r))
}

func TestRefZeroReadsAsEmpty(t *testing.T) {
	a := New(true)
	for range 2 {
		assert.Equal(t, "", a.Key(0))
		assert.Equal(t, "", a.Value(0))
		assert.True(t, a.Equal(0, ""))
		for _, n := range lengths[1:] {
			assert.False(t, a.Equal(0, text(n, 0)))
		}
		assert.False(t, a.Valid(0))
		a.AddPair(0, "a", "b")
	}
}

// copyOne copies one record.
func copyOne(to *Arena, hint uint64, from *Arena, r Ref) Ref {
	refs := [1]Ref{r}
	to.Copy(hint, from, refs[:])
	return refs[0]
}

func TestCopy(t *testing.T) {
	for _, values := range []bool{false, true} {
		from, to := New(values), New(values)
		add := func(a *Arena, k, v string) Ref {
			if values {
				return a.AddPair(0, k, v)
			}
			return a.Add(0, k)
		}
		copyOne(to, 0, from, add(from, "first", "so that Refs differ"))
		for _, n := range lengths {
			r := add(from, text(n, 5), text(n/3, 6))
			c := copyOne(to, 0, from, r)
			requireRecord(t, to, c, text(n, 5))
			if values {
				require.True(t, to.Value(c) == text(n/3, 6))
			}
			require.Equal(t, from.size(r), to.size(c))
		}
		assert.Equal(t, from.Usage().Used, to.Usage().Used)
	}
}

func TestUsage(t *testing.T) {
	a := New(false)
	assert.Equal(t, Usage{}, a.Usage())

	x := a.Add(0, "0123456789") // 11 bytes: 2 granules
	assert.Equal(t, Usage{Chunks: 1, Allocated: 512, Used: 16}, a.Usage())
	a.Free(0, x)
	assert.Equal(t, Usage{Chunks: 1, Allocated: 512, Used: 16, Dead: 16}, a.Usage())
	assert.Equal(t, "0123456789", a.Key(x), "freed bytes stay readable")
	assert.True(t, a.Equal(x, "0123456789"))

	y := a.Add(0, text(1<<20, 0)) // a chunk of its own, 9 bytes of header
	own := uint64(1<<20 + 16)
	assert.Equal(t, Usage{Chunks: 2, Allocated: 512 + own, Used: 16 + own, Dead: 16}, a.Usage())
	a.Free(0, y)
	assert.Equal(t, 16+own, a.Usage().Dead)

	a.Add(0, "z") // the shard still has its first chunk
	assert.Equal(t, Usage{Chunks: 2, Allocated: 512 + own, Used: 24 + own, Dead: 16 + own}, a.Usage())
}

// TestUsageOfManyRecords adds and frees at random, with many hints, and keeps
// the books itself.
func TestUsageOfManyRecords(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	a := New(true)
	rng := rand.New(rand.NewPCG(1, 2))
	var living []Ref
	var used, dead uint64
	for range 200_000 {
		k, v := text(int(rng.ExpFloat64()*20), 1), text(int(rng.ExpFloat64()*60), 2)
		living = append(living, a.AddPair(rng.Uint64(), k, v))
		used += bytesOf(k, v)
		if rng.IntN(3) == 0 {
			i := rng.IntN(len(living))
			dead += a.size(living[i]) * granule
			a.Free(rng.Uint64(), living[i])
			living[i] = living[len(living)-1]
			living = living[:len(living)-1]
		}
	}
	u := a.Usage()
	assert.Equal(t, used, u.Used)
	assert.Equal(t, dead, u.Dead)
	var live uint64
	for _, r := range living {
		live += bytesOf(a.Key(r), a.Value(r))
	}
	assert.Equal(t, live, u.Used-u.Dead)
	assert.Len(t, a.more, 7, "all shards are in use")
	assert.Equal(t, uint32(7), a.mask.Load())
	assert.LessOrEqual(t, u.Allocated, u.Used+u.Used/4, "room left stays in proportion")
}

func TestShardsFollowSize(t *testing.T) {
	for procs, most := range map[int]int{1: 1, 2: 2, 3: 4, 5: 8, 8: 8, 40: 8} {
		func() {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			a, key := New(false), text(1000, 0)
			for range 20_000 {
				a.Add(rand.Uint64(), key)
				used, mib := int(a.mask.Load())+1, int(a.allocated*granule>>20)
				require.LessOrEqual(t, used, max(mib, 1))
			}
			assert.Equal(t, most, int(a.mask.Load())+1, "GOMAXPROCS %d", procs)
		}()
	}
}

func TestChunksGrow(t *testing.T) {
	a := New(false)
	key := text(24, 0)
	for u := a.Usage(); u.Used < 16<<20; {
		a.Add(0, key)
		before := u
		if u = a.Usage(); u.Chunks > before.Chunks {
			next, _ := a.Ahead()
			require.LessOrEqual(t, next, max(512, u.Allocated/roomFraction))
			require.LessOrEqual(t, u.Allocated, u.Used+max(512, u.Used/roomFraction))
			require.Less(t, u.Chunks, int(u.Used>>18)+120)
		}
	}
}

// TestAhead compares what is said of the next chunk with it, and Free's steps with what is there.
func TestAhead(t *testing.T) {
	a := New(false)
	a.limit = 128
	_, full := a.Ahead()
	assert.Zero(t, full)
	looks, dead := 0, uint64(0)
	for u := a.Usage(); u.Allocated < 1<<20; {
		next, before := a.Ahead()
		was := u
		r := a.Add(0, text(30, 0))
		u = a.Usage()
		_, full := a.Ahead()
		if u.Chunks == was.Chunks {
			require.Equal(t, before, full)
		} else {
			require.Equal(t, was.Allocated+next, u.Allocated)
			require.Greater(t, full, before)
		}
		if a.Free(0, r) {
			looks++
			require.LessOrEqual(t, u.Dead+32-dead, max(1<<10, u.Allocated/16), "at %d", u.Allocated)
			dead = u.Dead + 32
		}
	}
	assert.Less(t, looks, 200)
	_, full = a.Ahead()
	assert.Greater(t, full, 0.5)
}

// TestLargeRecordsWasteLittle has records of which one and a half, or nearly
// two, would fit a chunk.
func TestLargeRecordsWasteLittle(t *testing.T) {
	for _, n := range []int{chunkBytes / 3, chunkBytes/2 + 100, chunkBytes * 2 / 3, chunkBytes - 100} {
		a, key := New(false), text(n, 0)
		for range 64 {
			a.Add(0, key)
		}
		u := a.Usage()
		assert.LessOrEqual(t, u.Allocated, u.Used+u.Used/2, "%d bytes", n)
	}
}

func TestConcurrentAdds(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	const goroutines = 8
	n := 20_000
	if testing.Short() {
		n = 2_000
	}
	a := New(true)
	published := make([][]atomic.Uint32, goroutines)
	for g := range published {
		published[g] = make([]atomic.Uint32, n)
	}
	keyOf := func(g, i int) string { return strings.Repeat(fmt.Sprintf("%d/%d.", g, i), 1+i%7) }
	valueOf := func(g, i int) string { return strings.Repeat(fmt.Sprintf("%d", i+g), i%50) }
	check := func(g, i int) {
		r := Ref(published[g][i].Load())
		if r == 0 {
			return
		}
		key, value := keyOf(g, i), valueOf(g, i)
		if !a.Valid(r) || !a.Equal(r, key) || a.Key(r) != key || a.Value(r) != value {
			t.Errorf("record %d of goroutine %d is not what was added", i, g)
		}
	}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			for i := range n {
				published[g][i].Store(uint32(a.AddPair(uint64(g), keyOf(g, i), valueOf(g, i))))
				check(rng.IntN(goroutines), rng.IntN(i+1))
				if i%100 == 0 {
					u := a.Usage()
					if u.Dead > u.Used || u.Used > u.Allocated {
						t.Errorf("out of order: %+v", u)
					}
				}
				if i%1000 == 999 {
					long := a.AddPair(uint64(g), text(chunkBytes+i, 0), "")
					a.Free(uint64(g), long)
				}
			}
		}()
	}
	wg.Wait()
	var used uint64
	for g := range goroutines {
		for i := range n {
			require.NotZero(t, published[g][i].Load())
			check(g, i)
			used += bytesOf(keyOf(g, i), valueOf(g, i))
		}
	}
	u := a.Usage()
	assert.Equal(t, used, u.Used-u.Dead)
	assert.NotZero(t, a.mask.Load(), "more than one shard took part")
}

// TestOneChunkManyGoroutines fills small chunks from many goroutines: most
// steps are races for the last room, and for the lock after it.
func TestOneChunkManyGoroutines(t *testing.T) {
	for range 200 {
		a := New(false)
		var all sync.Map
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				key := strings.Repeat(string(rune('a'+g)), 8+g)
				for range 40 {
					if _, loaded := all.LoadOrStore(a.Add(0, key), key); loaded {
						t.Error("a Ref was given out twice")
					}
				}
			}()
		}
		wg.Wait()
		all.Range(func(r, key any) bool {
			require.True(t, a.Equal(r.(Ref), key.(string)))
			return true
		})
		var used uint64
		for g := range 8 {
			used += 40 * bytesOf(strings.Repeat("a", 8+g))
		}
		require.Equal(t, used, a.Usage().Used)
	}
}

// TestExtendLooksAgain is the goroutine that comes second for a new chunk.
func TestExtendLooksAgain(t *testing.T) {
	a := New(false)
	first := a.extend(&a.first, 2, false)
	assert.Equal(t, first+2, a.extend(&a.first, 2, false))
	assert.Equal(t, Usage{Chunks: 1, Allocated: 512, Used: 32}, a.Usage())
}

func TestAddAllocatesOnlyChunks(t *testing.T) {
	a, key := New(false), text(20, 0)
	for a.Usage().Allocated < 4<<20 {
		a.Add(0, key)
	}
	r := a.Add(0, key)
	hit := false
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		a.Free(1, a.Add(0, key))
		hit = a.Equal(r, key) && a.Key(r) == key
	}))
	assert.True(t, hit)
}

func TestFootprintOfOneKey(t *testing.T) {
	const n = 1000
	arenas := make([]*Arena, n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range arenas {
		arenas[i] = New(false)
		arenas[i].Add(0, "one key of 20 bytes.")
	}
	runtime.ReadMemStats(&after)
	each := (after.TotalAlloc - before.TotalAlloc) / n
	t.Logf("%d bytes", each)
	assert.LessOrEqual(t, each, uint64(1024+2*cacheline.Size-128))
}

// TryAdd is Add as long as the chunk at hand has room, and for short records; otherwise nothing happens.
func TestTryAdd(t *testing.T) {
	for _, values := range []bool{false, true} {
		a, value := New(values), ""
		try := func(key string) Ref { return a.TryAdd(7, key) }
		if values {
			value = "value"
			try = func(key string) Ref { return a.TryAddPair(7, key, value) }
		}
		require.Zero(t, try("no chunk yet"))
		require.Zero(t, a.Usage())
		add := func(key string) Ref {
			if values {
				return a.AddPair(7, key, value)
			}
			return a.Add(7, key)
		}
		add("first")
		var refs []Ref
		var keys []string
		for {
			key := text(len(refs)%40, uint64(len(refs)))
			r := try(key)
			if r == 0 {
				break
			}
			refs, keys = append(refs, r), append(keys, key)
		}
		require.Greater(t, len(refs), 5)
		for i, r := range refs {
			requireRecord(t, a, r, keys[i])
			if values {
				require.Equal(t, value, a.Value(r))
			}
		}
		before := a.Usage()
		require.Zero(t, try(text(40, 1)))
		require.Equal(t, before, a.Usage())

		r := add(text(40, 1)) // there is a new chunk
		requireRecord(t, a, r, text(40, 1))
		require.NotZero(t, try("short"))
		for position(a.shard(7).pos.Load()).room() < 2*smallGranules {
			add(text(1000, 1))
		}
		require.Zero(t, try(text(smallGranules*granule, 1)), "what is counted is left to Add")
		require.NotZero(t, try(text(smallGranules*granule-len(value)-10, 1)))
		before = a.Usage()
		New(values).Expect(a) // a is left
		require.Zero(t, try("short"))
		require.Equal(t, before, a.Usage())
	}
}

func TestLimit(t *testing.T) {
	full := func(f func()) {
		t.Helper()
		assert.PanicsWithValue(t, Full, f)
	}
	a := New(false)
	a.limit = 5
	full(func() { a.Add(0, text(4*chunkBytes, 0)) }) // and its header: 5 indices
	assert.Equal(t, Usage{}, a.Usage())
	r := a.Add(0, text(3*chunkBytes, 0)) // 4 indices: 1 to 4
	requireRecord(t, a, r, text(3*chunkBytes, 0))
	before := a.Usage()
	full(func() { a.Add(0, "short") })
	full(func() { a.Add(0, text(chunkBytes, 0)) })
	assert.Equal(t, before, a.Usage(), "a failed Add changes nothing")

	// What has room still works, and no lock is left held.
	b := New(false)
	b.limit = 2
	b.Add(0, "first")
	full(func() { b.Add(0, text(600, 0)) })
	requireRecord(t, b, b.Add(0, "second"), "second")
	full(func() { b.Add(0, text(600, 0)) })
}

// skipUnderRace skips a long test of one goroutine, in which the race detector has nothing to find.
func skipUnderRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("a long test of one goroutine, which has no races")
	}
}

// TestExpect: what Add leaves is enough for the copies, whoever comes first, and
// is given back.
func TestExpect(t *testing.T) {
	skipUnderRace(t)
	for name, size := range map[string]func(i int) int{
		"short":  func(int) int { return 20 },
		"mixed":  func(i int) int { return i * 7919 % 5000 },
		"long":   func(i int) int { return i * 7919 % 100_000 },
		"longer": func(i int) int { return i * 7919 % (3 * chunkBytes) },
	} {
		from, records := New(false), []Ref(nil)
		for i := 0; from.Usage().Allocated < 24<<20; i++ {
			records = append(records, from.Add(0, text(size(i), uint64(i))))
		}
		living := records[:0]
		for i, r := range records {
			if i%3 == 0 {
				from.Free(0, r)
			} else {
				living = append(living, r)
			}
		}
		rand.Shuffle(len(living), func(i, j int) { living[i], living[j] = living[j], living[i] })
		to := New(false)
		to.limit = len(from.bases) // there is no more for both together
		to.Expect(from)
		full, added := false, 0
		add := func() {
			defer func() { full = recover() == Full }()
			to.Add(0, text(100, 0))
			added++
		}
		for _, r := range living {
			for range 3 {
				if !full {
					add()
				}
			}
			c := copyOne(to, 0, from, r)
			require.True(t, to.Equal(c, from.Key(r)))
		}
		for !full {
			add()
		}
		require.Greater(t, added, 50, name)
		before := added
		to.Settle()
		for full = false; !full; {
			add()
		}
		require.Equal(t, to.limit, len(to.bases), name)
		t.Logf("%s: %d added before the copies were there, %d more after", name, before, added-before)
	}
	a := New(false)
	a.Expect(New(false))
	a.Add(0, "key")
}

// TestLastIndex uses the highest Refs there are, without the 32 GiB below.
func TestLastIndex(t *testing.T) {
	a := New(false)
	first := a.Add(0, "first")
	a.mu.Lock()
	a.bases = append(a.bases, make([]unsafe.Pointer, maxIndices-1-len(a.bases))...)
	a.extents = append(a.extents, make([]extent, maxIndices-1-len(a.extents))...)
	a.allocated = 1 << 30
	a.directory.Store(unsafe.SliceData(a.bases))
	a.mu.Unlock()
	key := text(255, 0) // 264 bytes, so 33 granules
	for range minChunk / 33 {
		a.Add(0, key)
	}
	var last Ref
	for range chunkGranules / 33 {
		last = a.Add(0, key)
		requireRecord(t, a, last, key)
	}
	assert.Equal(t, Ref(maxIndices-1), last>>granuleBits)
	requireRecord(t, a, first, "first")
	assert.PanicsWithValue(t, Full, func() { a.Add(0, key) })
	for range chunkGranules % 33 {
		last = a.Add(0, "1234567")
	}
	assert.Equal(t, ^Ref(0), last)
	requireRecord(t, a, last, "1234567")
	assert.Less(t, a.Usage().Chunks, 3)
}

func TestValidTakesAnyRef(t *testing.T) {
	for _, values := range []bool{false, true} {
		a := New(values)
		assert.False(t, a.Valid(0))
		assert.False(t, a.Valid(^Ref(0)))
		rng := rand.New(rand.NewPCG(3, 4))
		records := map[Ref]bool{}
		for range 3000 {
			n := int(rng.ExpFloat64() * 100)
			if rng.IntN(300) == 0 {
				n = rng.IntN(3 * chunkBytes)
			}
			if values {
				records[a.AddPair(rng.Uint64(), text(n, 1), text(n/2, 2))] = true
			} else {
				records[a.Add(rng.Uint64(), text(n, 1))] = true
			}
		}
		for r := range records {
			require.True(t, a.Valid(r))
		}
		for range 300_000 {
			r := Ref(rng.Uint32())
			if rng.IntN(4) > 0 {
				r %= Ref(len(a.bases)+1) << granuleBits
			}
			if a.Valid(r) { // then reading it stays in its chunk
				_ = a.Equal(r, a.Key(r))
				if values {
					_ = a.Value(r)
				}
			}
		}
		room := position(a.first.pos.Load()).ref()
		assert.False(t, a.Valid(room), "the room left is no record")
		assert.False(t, a.Valid(1), "index 0 is no chunk's")
	}
}

func TestFits(t *testing.T) {
	huge := "\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	for _, c := range []struct {
		bytes       string
		one, second bool // is a record without, with a value
	}{
		{"", false, false},
		{"\x00", true, false},
		{"\x00\x00", true, true},
		{"\x02ab", true, false},
		{"\x02a", false, false},
		{"\x02ab\x01", true, false},
		{"\x02ab\x01c", true, true},
		{"\xff\x01\x00", false, false},
		{huge, false, false},
		{"\x01a" + huge, true, false},
		{"\xff\x01\x00\x00\x00\x00\x00\x00\x00a\x00", true, true},
	} {
		assert.Equal(t, c.one, fits([]byte(c.bytes), false), "%q", c.bytes)
		assert.Equal(t, c.second, fits([]byte(c.bytes), true), "%q", c.bytes)
	}
}

// TestStringsOutliveTheArena drops arenas and keeps what they handed out. A
// chunk that is freed too early shows best in the child process of
// TestUnderClobber.
func TestStringsOutliveTheArena(t *testing.T) {
	const rounds, n = 20, 500
	var kept, want []string
	for round := range rounds {
		a := New(true)
		for i := range n {
			k, v := text(i%300, uint64(round)), text(i%70, uint64(i))
			if i%100 == 99 {
				k = text(chunkBytes+i, uint64(round))
			}
			r := a.AddPair(uint64(i), k, v)
			if i%17 == 0 {
				kept = append(kept, a.Key(r), a.Value(r))
				want = append(want, k, v)
			}
		}
		runtime.GC() // after its last use, a is garbage
	}
	runtime.GC()
	for i := range kept {
		require.True(t, kept[i] == want[i], "string %d", i)
	}
}

// TestArenaKeepsItsChunks holds nothing but the Arena and numbers.
func TestArenaKeepsItsChunks(t *testing.T) {
	a := New(false)
	var refs []Ref
	for i := range 5000 {
		refs = append(refs, a.Add(0, text(i%400, 1)))
		if i%500 == 0 {
			refs = append(refs, a.Add(0, text(chunkBytes*2, 1)))
			runtime.GC()
		}
	}
	runtime.GC()
	j := 0
	for i := range 5000 {
		require.True(t, a.Equal(refs[j], text(i%400, 1)))
		if j++; i%500 == 0 {
			require.True(t, a.Equal(refs[j], text(chunkBytes*2, 1)))
			j++
		}
	}
}

// TestUnderClobber runs the tests that depend on the collector most where the collector runs all the
// time and overwrites what it frees.
func TestUnderClobber(t *testing.T) {
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("no child processes")
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	tests := "^(TestStringsOutliveTheArena|TestArenaKeepsItsChunks|TestValues|TestConcurrentAdds)$"
	cmd := exec.Command(exe, "-test.run="+tests, "-test.short", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=clobberfree=1", "GOGC=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Equal(t, 4, strings.Count(string(out), "--- PASS"), "%s", out)
}

// Who adds or copies has a bucket of the map locked, and must not sleep with it while another makes a chunk. What waits is
// in the list of goroutines with the function it is in; asleep for a mutex it would be in the mutex's.
func TestNobodySleepsForTheLock(t *testing.T) {
	waits := map[string]func(*Arena){
		"Add":   func(a *Arena) { a.Add(0, "a key that needs a chunk") },
		"Copy":  func(a *Arena) { from := New(false); a.Copy(0, from, []Ref{from.Add(0, "a key")}) },
		"Usage": func(a *Arena) { a.Usage() },
	}
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			a := New(false)
			a.mu.Lock()
			over := make(chan struct{})
			go func() {
				defer close(over)
				wait(a)
			}()
			looks := 0
			for tries := 0; looks < 20 && tries < 100_000; tries++ {
				runtime.Gosched()
				list := make([]byte, 1<<20)
				for goroutine := range strings.SplitSeq(string(list[:runtime.Stack(list, true)]), "\n\n") {
					if !strings.Contains(goroutine, "TestNobodySleepsForTheLock") || !strings.Contains(goroutine, "(*Arena).") {
						continue
					}
					if strings.Contains(goroutine, "(*Mutex).Lock") {
						a.mu.Unlock()
						t.Fatal("sleeps for the mutex:\n", goroutine)
					}
					if strings.Contains(goroutine, "(*Arena).lock") {
						looks++
					}
				}
			}
			a.mu.Unlock()
			<-over
			assert.Equal(t, 20, looks, "times that it was seen waiting")
		})
	}
}

// ShortKey says of which keys it is not the one to ask.
func TestShortKey(t *testing.T) {
	a := New(false)
	for _, n := range []int{0, 1, 8, 253, 254, 255, 256, 70_000} {
		want := strings.Repeat("k", n)
		r := a.Add(0, want)
		key, ok := a.ShortKey(r)
		assert.Equal(t, 0 < n && n < 255, ok, "%d bytes", n)
		if ok {
			assert.Equal(t, want, key)
		}
		assert.Equal(t, want, a.Key(r))
	}
	_, ok := a.ShortKey(0)
	assert.False(t, ok)
}
