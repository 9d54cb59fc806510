package work

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/bench/internal/peer"
)

// TestGeneratedLoops: the loops written by internal/gen do what the model does, operation by operation.
func TestGeneratedLoops(t *testing.T) {
	compareLoops(t, Uint64Kit(), peer.KindUint64)
	compareLoops(t, StringKit(), peer.KindString)
	compareLoops(t, AnyKit(), peer.KindAny)
}

func compareLoops[K comparable, V any](t *testing.T, kit Kit[K, V], kind string) {
	for _, impl := range peer.All() {
		if !impl.Holds(kind) {
			continue
		}
		for _, mix := range []string{"reads=75", "reads=100", "loadorstore", "loads", "writes"} {
			m, err := FindMix(mix)
			require.NoError(t, err)
			if impl.Batches && !m.Batch {
				continue
			}
			r := newRunner(impl, kit, ForEntries(500), nil)
			b := r.prepare(m, 1, 1)[0].block
			got := r.m.Run(b)
			want := peer.RunDynamic(newRunner(impl, kit, ForEntries(500), nil).m.Map, b, kit.ID, kit.Val)
			require.Equal(t, want, got, "%s %s %s", impl.Name, kind, mix)
			require.Equal(t, expectedHits(b.Ops, uint64(len(b.Ops))), got.Hits)
		}
	}
}

// TestBatchesAreOfOneKind: the loop of batches looks only at the first operation of each.
func TestBatchesAreOfOneKind(t *testing.T) {
	require.Zero(t, blockOps%peer.BatchLen)
	impl, _ := peer.Find(peer.SubjectBatch)
	r := newRunner(impl, Uint64Kit(), ForEntries(500), nil)
	for _, m := range Mixes {
		if !m.Batch {
			continue
		}
		batches := map[peer.Op]int{}
		for batch := range slices.Chunk(r.prepare(m, 1, 1)[0].block.Ops, peer.BatchLen) {
			batches[batch[0].Kind()]++
			for _, o := range batch {
				require.Equal(t, batch[0].Kind(), o.Kind(), m.Name)
			}
		}
		want := map[peer.Op]int{peer.Load: minOps / peer.BatchLen}
		if m.Writes() {
			want = map[peer.Op]int{peer.Store: minOps / peer.BatchLen / 2, peer.Delete: minOps / peer.BatchLen / 2}
		}
		require.Equal(t, want, batches, m.Name)
	}
}

// TestSizeStaysWhereItIs: after any number of rounds a map holds about the entries it was loaded with.
func TestSizeStaysWhereItIs(t *testing.T) {
	impl, _ := peer.Find("rwmutex")
	for _, m := range Mixes {
		if !m.Writes() || m.Range {
			continue
		}
		r := newRunner(impl, Uint64Kit(), ForEntries(9000), nil)
		require.InDelta(t, 9000, r.m.Len(), 1, m.Name)
		l := r.prepare(m, 1, 1)[0]
		l.runCount(r.m.Run, 200_000)
		require.InEpsilon(t, 9000, r.m.Len(), 0.04, m.Name)
		require.NoError(t, r.settle(m, []*lane[uint64, uint64]{l}))
		require.NoError(t, r.Check())
	}
}

// TestZipf compares the frequencies of the first ranks with the law.
func TestZipf(t *testing.T) {
	const n, draws = 1000, 1_000_000
	z := newZipfian(rand.New(rand.NewPCG(1, 1)), n, 0.99)
	var count [n]float64
	for range draws {
		count[z.next()]++
	}
	require.InEpsilon(t, draws/z.zeta, count[0], 0.02)
	require.InEpsilon(t, 1.986, count[0]/count[1], 0.05)
	require.Greater(t, count[0], 50*count[99])
	require.Positive(t, count[n-1]+count[n-2]+count[n-3])
}

// TestFreshKeys: the keys looked up are equal to the keys stored, in other memory, and all different.
func TestFreshKeys(t *testing.T) {
	kit := StringKit()
	seen := map[string]bool{}
	ids := []uint64{0, 1, 2, 1 << 20, peer.MaxID}
	for i, key := range kit.Fresh(ids) {
		require.Len(t, key, keyBytes)
		require.Equal(t, kit.Own(ids[i]), key)
		require.False(t, seen[key])
		seen[key] = true
	}
}

// TestGoSource: the identifiers of the Go installation make a universe, and every class of ids occurs in the text.
func TestGoSource(t *testing.T) {
	text, err := GoSourceText()
	if err != nil {
		t.Skip("skipped: ", err)
	}
	impl, _ := peer.Find("rwmutex")
	r := newRunner(impl, RealKit(text.Words), forWords(len(text.Words)), text.IDs)
	m, _ := FindMix("reads=90")
	l := r.prepare(m, 2, 2)
	for _, l := range l {
		l.runCount(r.m.Run, 100_000)
	}
	require.NoError(t, r.settle(m, l))
	require.NoError(t, r.Check())
	t.Logf("%d words, %d of them in the map", len(text.IDs), r.Entries())
}

func TestScanIdentifiers(t *testing.T) {
	var words []string
	scanIdentifiers([]byte("x1 := f_(2a) // no comment\n_b"), func(w []byte) { words = append(words, string(w)) })
	require.Equal(t, []string{"x1", "f_", "a", "_b"}, words)
}
