package result

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/work"
)

// TestSubject: where bytes are stored the store made for them is compared, if it takes part, and likewise for batches. No
// subject is a peer of another, however good it is.
func TestSubject(t *testing.T) {
	embed := Cell{Work: work.Embed, Keys: peer.KindString, N: 1000, Procs: 2, Metric: "set", Unit: "ns/op"}
	load := Cell{Work: work.Throughput, Keys: peer.KindString, N: 1000, Procs: 2, Mix: "reads=100", Metric: "time", Unit: "ns/op"}
	batch := Cell{Work: work.Batch, Keys: peer.KindString, N: 1000, Procs: 2, Mix: "loads", Metric: "time", Unit: "ns/op"}
	f := &File{Peers: []string{peer.Subject, "xsync"}}
	add := func(c Cell, impl string, v float64) { f.Record(c, impl).Samples = []float64{v} }
	ratios := func() (out []float64) {
		for _, row := range f.Rows() {
			r, best, ok := f.Ratio(row)
			require.True(t, ok)
			require.Equal(t, "xsync", best)
			out = append(out, r)
		}
		return out
	}
	for _, c := range []Cell{load, batch, embed} {
		add(c, peer.Subject, 20)
		add(c, "xsync", 40)
	}
	require.Equal(t, []float64{0.5, 0.5, 0.5}, ratios())

	f.Peers = append(f.Peers, peer.SubjectBytes, peer.SubjectBatch)
	add(embed, peer.SubjectBytes, 10)
	add(batch, peer.SubjectBatch, 5)
	require.Equal(t, []float64{0.5, 0.125, 0.25}, ratios())

	f.Record(embed, peer.SubjectBytes).Void = true
	row := f.Rows()[2]
	_, _, ok := f.Ratio(row)
	require.False(t, ok, "a subject that failed is not replaced by the other")
}
