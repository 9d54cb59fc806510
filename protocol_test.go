package hushmap

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FAILURES: the race detector sees other code than production runs. A fixed sequence of operations leaves the same
// control and tophash words behind, that is the same versions, overflow counts and slots, in every build: plain, -race,
// hushmap_atomic, hushmap_invariants, 32-bit. The invariants build also counts the steps of the protocol.

// mtGolden is what TestSameProtocolInEveryBuild finds for a class of keys and values.
type mtGolden struct {
	digest uint64 // of all headers and Stats after the last operation; see mtDigest
	steps  string // counts of protocol steps, hushmap_invariants only; see mtSteps
}

// The constants may only change with the protocol, the hash or the script, and then in all builds alike.
var mtGoldens = map[string]mtGolden{
	"in place": {0x2a45633b59f7a885, "12263 3670 5864 2661 0 91 41 319 200 24 21925 4406 11"},
	"wide":     {0xdc7e398ed2ffdeb7, "12083 9240 11452 8231 244 78 16 337 200 24 21612 8195 11"},
	"string":   {0xa55243df717354ca, "12329 9697 11588 8243 232 70 11 461 328 30 21871 4186 13"},
	"any":      {0x5920e86e16afdd88, "12433 5903 8121 4894 192 149 64 343 200 24 22178 8744 11"},
}

func TestSameProtocolInEveryBuild(t *testing.T) {
	// Types of which no 32-bit machine treats another number of words as one; beside strings one of the same size
	// everywhere, as the bytes of a table decide when its arena is replaced.
	mtTestProtocol(t, "in place", func(i int) uint32 { return uint32(i) * 7 }, func(n int) uint32 { return uint32(n) })
	mtTestProtocol(t, "wide", func(i int) mtFour { return mtFour{a: uint64(i)} }, func(n int) mtFour { return mtFour{d: uint64(n)} })
	mtTestProtocol(t, "string", func(i int) string { return fmt.Sprint("key ", i) }, func(n int) mtFour { return mtFour{d: uint64(n)} })
	mtTestProtocol(t, "any", func(i int) any {
		if i%2 == 0 {
			return i
		}
		return fmt.Sprint(i)
	}, func(n int) any {
		if n%3 == 0 {
			return int64(n) // of another type, so that values are relocated too
		}
		return n
	})
}

func mtTestProtocol[K comparable, V comparable](t *testing.T, name string, key func(int) K, value func(int) V) {
	t.Run(name, func(t *testing.T) {
		before := mtStepCounts()
		m := New[K, V](WithStableHash())
		mtScript(t, m, key, value)
		rm := m.core.read.Load()
		digest := mtDigest(rm.table, m.Stats())
		got := mtGolden{digest: digest, steps: mtSteps(before, mtStepCounts())}
		want := mtGoldens[name]
		assert.Equal(t, fmt.Sprintf("%#x", want.digest), fmt.Sprintf("%#x", got.digest), "headers and Stats: %+v", m.Stats())
		if invariants {
			assert.Equal(t, want.steps, got.steps, "protocol steps")
		}
		require.NoError(t, m.Verify())

		again := New[K, V](WithStableHash())
		mtScript(t, again, key, value)
		assert.Equal(t, digest, mtDigest(again.core.read.Load().table, again.Stats()), "the script is deterministic")
	})
}

// mtScript does a fixed sequence of operations. While a table grows it only writes: lookups help at random.
func mtScript[K comparable, V comparable](t *testing.T, m *Map[K, V], key func(int) K, value func(int) V) {
	r := rand.New(rand.NewPCG(1, 2))
	const keys = 340 // below 128 buckets, where the length counter does not depend on the number of processors
	for i := range 12_000 {
		n := keys
		if i/3000%2 == 1 {
			n = 150
		}
		k, v := key(r.IntN(n)), value(i)
		switch op := r.IntN(12); {
		case op < 5:
			m.Store(k, v)
		case op < 7:
			m.Swap(k, v)
		case op < 9:
			m.LoadAndDelete(k)
		case op < 10:
			m.Delete(k)
		case m.core.read.Load() == nil || m.core.read.Load().old != nil:
			m.Store(k, v)
		case op < 11:
			m.LoadOrStore(k, v)
			old, _ := m.Load(k)
			m.CompareAndSwap(k, old, v)
		default:
			m.Compute(k, func(V, bool) (V, Op) { return v, Op(i % 3) })
			m.CompareAndDelete(k, v)
		}
		switch i {
		case 10_000:
			m.Grow(120)
		case 7000:
			for k := range keys {
				m.Delete(key(k)) // shrinks
			}
		case 9000, 11_000:
			m.Compact()
		}
	}
	m.core.settle()
	s := m.Stats()
	require.Positive(t, s.Growths)
	require.Positive(t, s.Shrinks)
	require.Less(t, s.Buckets, stripedBuckets)
}

// mtDigest condenses all headers of a table at rest, and Stats without what depends on the word size.
func mtDigest[K comparable, V any](t table[K, V], s Stats) uint64 {
	h := fnv.New64a()
	var word [8]byte
	write := func(w uint64) {
		binary.LittleEndian.PutUint64(word[:], w)
		h.Write(word[:])
	}
	for i := range t.buckets() {
		header := mtHeaderOf(t.bucket(i))
		write(header.tophash)
		write(uint64(header.control))
	}
	s.HeapBytes, s.MappedBytes, s.ArenaBytes, s.DeadBytes = 0, 0, 0, 0
	fmt.Fprintf(h, "%+v", s)
	return h.Sum64()
}

// mtSteps says how often each step was taken.
func mtSteps(before, after []uint64) string {
	var b strings.Builder
	for i := range after {
		fmt.Fprintf(&b, "%d ", after[i]-before[i])
	}
	return strings.TrimSpace(b.String())
}

// The build's tags have the effect that the tests of that build rely on.
func TestBuildTookEffect(t *testing.T) {
	tags, race := "", false
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "-tags":
				tags = s.Value
			case "-race":
				race = s.Value == "true"
			}
		}
		has := func(tag string) bool { return strings.Contains(","+tags+",", ","+tag+",") }
		assert.Equal(t, race, mtRace)
		assert.Equal(t, has("hushmap_invariants"), invariants)
		assert.Equal(t, runtime.GOARCH != "amd64" || race || has("hushmap_atomic"), wordAtomic)
	}
	t.Logf("GOARCH %s, tags %q, race %v, wordAtomic %v, invariants %v", runtime.GOARCH, tags, mtRace, wordAtomic, invariants)
	assert.False(t, mtRace && !wordAtomic, "the race detector only understands atomics")

	before := mtStepCounts()
	var m Map[string, string]
	m.Store("k", "v")
	m.Load("k")
	assert.Equal(t, invariants, mtSteps(before, mtStepCounts()) != mtSteps(before, before), "steps are counted if and only if invariants are on")
}
