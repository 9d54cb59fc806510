package arena

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// isFull reports whether f panicked with Full, and lets any other panic through.
func isFull(f func()) (full bool) {
	defer func() {
		if p := recover(); p != nil {
			if p != Full {
				panic(p)
			}
			full = true
		}
	}()
	f()
	return false
}

// crowd returns an Arena of so many indices and what lives in it: all but every third record.
func crowd(indices int, size func(i int) int) (from *Arena, living []Ref) {
	from = New(false)
	for i := 0; len(from.bases) < indices; i++ {
		r := from.Add(0, text(size(i), uint64(i)))
		if i%3 == 0 {
			from.Free(0, r)
		} else {
			living = append(living, r)
		}
	}
	return from, living
}

// requireCopies copies the living records, in random order, and calls add before each. Copies are never refused.
func requireCopies(t *testing.T, from, to *Arena, living []Ref, add func(i int)) {
	t.Helper()
	rand.Shuffle(len(living), func(i, j int) { living[i], living[j] = living[j], living[i] })
	for i, r := range living {
		add(i)
		var c Ref
		require.False(t, isFull(func() { c = copyOne(to, 0, from, r) }),
			"copy %d of %d, %d of %d indices", i, len(living), len(to.bases), to.limit)
		require.True(t, to.Equal(c, from.Key(r)))
	}
}

// requireOpen: after the last copy Add uses what is left.
func requireOpen(t *testing.T, to *Arena, size int) {
	t.Helper()
	to.Settle()
	key := text(size, 0)
	for !isFull(func() { to.Add(0, key) }) {
	}
	require.Equal(t, to.limit, len(to.bases))
}

// TestRefusedAddsLeaveCopiesTheirChunks has Adds that are tried again after they were refused, while copies open chunks in
// which there is room for them.
func TestRefusedAddsLeaveCopiesTheirChunks(t *testing.T) {
	skipUnderRace(t)
	for _, size := range []int{100_000, 20_000, 1000, 100} {
		for _, per := range []int{1, 5} {
			t.Run(fmt.Sprintf("%d bytes, %d for each copy", size, per), func(t *testing.T) {
				from, living := crowd(300, func(int) int { return size })
				to := New(false)
				to.limit = len(from.bases)
				to.Expect(from)
				refused, key := 0, text(size, 0)
				requireCopies(t, from, to, living, func(int) {
					for range per {
						if isFull(func() { to.Add(0, key) }) {
							refused++
						}
					}
				})
				require.NotZero(t, refused)
				requireOpen(t, to, size)
			})
		}
	}
}

// TestCopiesPayForNobody has Adds that only come when the chunk has room for one, so that it is always the copies that
// open chunks.
func TestCopiesPayForNobody(t *testing.T) {
	const size = 100_000 // two to a chunk
	from, living := crowd(300, func(int) int { return size })
	to := New(false)
	to.limit = len(from.bases)
	to.Expect(from)
	requireCopies(t, from, to, living, func(int) {
		if position(to.first.pos.Load()).room() > size/granule+10 {
			isFull(func() { to.Add(0, text(size, 0)) })
		}
	})
	requireOpen(t, to, size)
}

// TestLivingPackWorse has living records that leave much of their chunks empty, and dead ones that do not: the share of the
// bytes is not that of the indices.
func TestLivingPackWorse(t *testing.T) {
	skipUnderRace(t)
	for name, size := range map[string]int{
		"own chunk":      chunkBytes/2 + 64,
		"own two":        chunkBytes + 64,
		"one to a chunk": chunkBytes/2 - 64,
		"two to a chunk": chunkBytes/3 + 1000,
	} {
		t.Run(name, func(t *testing.T) {
			from, living := New(false), []Ref(nil)
			for len(from.bases) < 400 {
				living = append(living, from.Add(0, text(size, 1)))
			}
			for len(from.bases) < 850 {
				from.Free(0, from.Add(0, text(1000, 1)))
			}
			to := New(false)
			to.limit = len(from.bases)
			to.Expect(from)
			for !isFull(func() { to.Add(0, text(1000, 0)) }) {
			}
			requireCopies(t, from, to, living, func(int) {})
			requireOpen(t, to, 1000)
		})
	}
}

// TestCopiesWhileOthersAdd has goroutines of both kinds, and what they add and copy is of all sizes.
func TestCopiesWhileOthersAdd(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	const adders, copiers = 4, 3
	for name, size := range map[string]func(i int) int{
		"short": func(i int) int { return 60 + i%40 },
		"mixed": func(i int) int { return 1 + i*7919%5000 },
		"large": func(i int) int { return 1 + i*7919%(chunkBytes/2) },
		"own":   func(i int) int { return 1 + i*7919%(2*chunkBytes) },
	} {
		t.Run(name, func(t *testing.T) {
			from, living := crowd(200, size)
			to := New(false)
			to.Expect(from)
			to.limit = to.kept() + 30
			rand.Shuffle(len(living), func(i, j int) { living[i], living[j] = living[j], living[i] })
			var next, refused, added atomic.Int64
			var done atomic.Bool
			var copying, adding sync.WaitGroup
			for g := range adders {
				adding.Add(1)
				go func() {
					defer adding.Done()
					for i := g; !done.Load(); i++ {
						key := text(size(i), uint64(i))
						var r Ref
						if isFull(func() { r = to.Add(uint64(g), key) }) {
							refused.Add(1)
							runtime.Gosched()
						} else if added.Add(1); !to.Equal(r, key) {
							t.Error("an added record is another")
						}
					}
				}()
			}
			for g := range copiers {
				copying.Add(1)
				go func() {
					defer copying.Done()
					for i := int(next.Add(1)) - 1; i < len(living); i = int(next.Add(1)) - 1 {
						var c Ref
						if isFull(func() { c = copyOne(to, uint64(g), from, living[i]) }) {
							t.Errorf("copy %d of %d was refused", i, len(living))
						} else if !to.Equal(c, from.Key(living[i])) {
							t.Error("a copy is another")
						}
					}
				}()
			}
			copying.Wait()
			done.Store(true)
			adding.Wait()
			t.Logf("%d added, %d refused, %d copied", added.Load(), refused.Load(), len(living))
			requireOpen(t, to, 1000)
		})
	}
}

// TestCostsFollowRecords keeps the books itself, with hints that spread adding and freeing over the shards.
func TestCostsFollowRecords(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	a := New(false)
	rng := rand.New(rand.NewPCG(5, 6))
	type record struct {
		r Ref
		g uint64
	}
	var living []record
	free := func(i int) {
		a.Free(rng.Uint64(), living[i].r)
		living[i] = living[len(living)-1]
		living = living[:len(living)-1]
	}
	check := func() {
		for _, tail := range []uint64{smallGranules, 2 * smallGranules, 4 * smallGranules, chunkGranules / 2} {
			var want uint64
			for _, l := range living {
				switch {
				case l.g > chunkGranules/2:
					want += (l.g + chunkGranules - 1) / chunkGranules * (chunkGranules - tail)
				case l.g > tail:
					want += 2 * l.g
				default:
					want += l.g
				}
			}
			require.Equal(t, want, a.costs(tail), "tail %d", tail)
		}
	}
	edges := []uint64{smallGranules, 2 * smallGranules, 4 * smallGranules, chunkGranules / 2, chunkGranules}
	largest := uint64(0)
	for i := range 3000 {
		g := 2 + rng.Uint64N(chunkGranules>>rng.IntN(12))
		if i%20 == 0 {
			g = edges[rng.IntN(len(edges))] + rng.Uint64N(3) - 1
		}
		n := int(g*granule) - longHeader
		if n < long {
			n = min(int(g*granule)-shortHeader, long-1)
		}
		r := a.Add(rng.Uint64(), text(n, 0))
		require.Equal(t, g, a.size(r))
		living = append(living, record{r, g})
		if g <= chunkGranules/2 {
			largest = max(largest, g)
		}
		for n := rng.IntN(3); n > 0 && len(living) > 0; n-- {
			free(rng.IntN(len(living)))
		}
		if i%100 == 0 {
			check()
		}
	}
	require.Equal(t, largest, a.largest())
	require.NotZero(t, a.mask.Load())
	for len(living) > 0 {
		free(0)
	}
	check()
	require.Zero(t, a.costs(smallGranules))
}

// TestKeptIsEnough gives copies the indices that are kept for them and no more, for sizes that pack in all ways, while Adds
// take all they get. Some records come after Expect, and some die.
func TestKeptIsEnough(t *testing.T) {
	skipUnderRace(t)
	for round := range 60 {
		rng := rand.New(rand.NewPCG(uint64(round), 7))
		// A few sizes, near fractions of a chunk, in any proportion.
		var sizes []int
		for range 1 + rng.IntN(3) {
			sizes = append(sizes, max(1, chunkBytes/(1+rng.IntN(20))+rng.IntN(2000)-1000))
		}
		size := func(i int) int {
			n := sizes[min(rng.IntN(len(sizes)), rng.IntN(len(sizes)))]
			if i%50 == 0 {
				n = rng.IntN(chunkBytes * 3 / 2)
			}
			return n
		}
		from, living := crowd(60+rng.IntN(60), size)
		to := New(false)
		to.Expect(from)
		to.limit = 1 + to.kept()
		for range 3 {
			living = append(living, from.Add(0, text(1+rng.IntN(chunkBytes/2-100), 1)))
		}
		rng.Shuffle(len(living), func(i, j int) { living[i], living[j] = living[j], living[i] })
		for range rng.IntN(5) {
			from.Free(0, living[0])
			living = living[1:]
		}
		added := 0
		requireCopies(t, from, to, living, func(i int) {
			for range rng.IntN(4) {
				if !isFull(func() { to.Add(0, text(size(i+1), 0)) }) {
					added++
				}
			}
		})
		t.Logf("%v: %d copied, %d added, %d of %d indices", sizes, len(living), added, len(to.bases), to.limit)
		requireOpen(t, to, 1000)
	}
}

// TestRareLargeRecordKeepsLittle: one record of half a chunk among many small ones does not count for all.
func TestRareLargeRecordKeepsLittle(t *testing.T) {
	from, _ := crowd(400, func(i int) int {
		if i == 1 {
			return chunkBytes/2 - 100
		}
		return 1000
	})
	to := New(false)
	to.Expect(from)
	u := from.Usage()
	require.Less(t, to.kept(), int((u.Used-u.Dead)/chunkBytes)*16/15+expectSpare+3)
}

// TestCopiesOfSeveral copies records that fit in a row, that do not, and that have chunks of their own, together.
func TestCopiesOfSeveral(t *testing.T) {
	for _, n := range []int{0, 1, 20, 1000, chunkBytes / 9, chunkBytes / 5, chunkBytes} {
		from, to := New(false), New(false)
		var refs []Ref
		for i := range 10 * MaxCopies {
			refs = append(refs, from.Add(0, text(n+i, uint64(i))))
		}
		to.Expect(from)
		kept := to.kept()
		for i := range 10 {
			some := slices.Clone(refs[i*MaxCopies:][:MaxCopies-i%3])
			to.Copy(uint64(i), from, some)
			for j, c := range some {
				requireRecord(t, to, c, text(n+i*MaxCopies+j, uint64(i*MaxCopies+j)))
			}
			require.LessOrEqual(t, to.kept(), kept)
			kept = to.kept()
			for j, r := range refs[i*MaxCopies:][:MaxCopies] { // as many as are left
				if j >= len(some) {
					copyOne(to, uint64(i), from, r)
				}
			}
		}
		require.Equal(t, expectSpare, to.kept())
		require.Equal(t, from.Usage().Used, to.Usage().Used)
		require.Zero(t, to.Usage().Dead)
		require.Equal(t, from.costs(smallGranules), to.costs(smallGranules))
	}
}

// TestCopyAllOrNone has no room for the last of some records: those before it are dead, and all are still to come.
func TestCopyAllOrNone(t *testing.T) {
	for _, n := range []int{chunkBytes / 5, chunkBytes / 2, chunkBytes} {
		from, to := New(false), New(false)
		var refs []Ref
		for i := range MaxCopies {
			refs = append(refs, from.Add(0, text(n, uint64(i))))
		}
		to.Expect(from)
		kept := to.kept()
		to.limit = 1 + 2*int(indicesOf(granulesOf(uint64(n)+longHeader)))
		require.True(t, isFull(func() { to.Copy(0, from, slices.Clone(refs)) }))
		u := to.Usage()
		require.NotZero(t, u.Used)
		require.Equal(t, u.Used, u.Dead)
		require.Zero(t, to.costs(smallGranules))
		require.Equal(t, kept, to.kept())
		to.limit = maxIndices
		to.Copy(0, from, refs)
		require.Equal(t, expectSpare, to.kept())
	}
}

// TestLeave adds to an Arena whose records are being copied, in its chunk and with a chunk of their own.
func TestLeave(t *testing.T) {
	from, to := New(false), New(false)
	r := from.Add(0, "key")
	to.Expect(from)
	before := from.Usage()
	for _, n := range []int{0, 20, chunkBytes / 4, 2 * chunkBytes} {
		require.Zero(t, from.Add(0, text(n, 1)))
	}
	require.Equal(t, before, from.Usage())
	require.True(t, from.Equal(r, "key"))
	from.Free(0, r)

	from.Stay()
	requireRecord(t, from, from.Add(0, text(20, 1)), text(20, 1))

	pairs, next := New(true), New(true)
	next.Expect(pairs)
	require.Zero(t, pairs.AddPair(0, "key", "value"))
	require.Zero(t, pairs.Usage().Chunks)
}

// TestRefusedLargeAddStopsNoOthers: small records go on in the chunks that there are.
func TestRefusedLargeAddStopsNoOthers(t *testing.T) {
	from, _ := crowd(30, func(int) int { return 1000 })
	to := New(false)
	to.limit = 90
	to.Expect(from)
	to.Add(0, text(1000, 0))
	before, large := to.Usage().Chunks, text(chunkBytes*to.limit, 0)
	for range 100 {
		require.True(t, isFull(func() { to.Add(0, large) }))
		to.Add(0, text(100, 0))
	}
	require.Less(t, to.Usage().Chunks-before, 10)
}

// TestMovable has as many records as there can be, of small ones, and then of such as may pack badly.
func TestMovable(t *testing.T) {
	a := New(false)
	require.True(t, a.Movable())
	a.Add(0, "key")
	living := func(bytes uint64, large bool) bool {
		a.mu.Lock()
		a.sealed = bytes / granule
		a.mu.Unlock()
		if large {
			a.first.large[classes-1].Store(bytes / granule)
			a.first.largest.Store(chunkGranules / 2)
		}
		return a.Movable()
	}
	require.True(t, living(29<<30, false))
	require.False(t, living(31<<30, false))
	require.True(t, living(15<<30, true))
	require.False(t, living(17<<30, true))
}
