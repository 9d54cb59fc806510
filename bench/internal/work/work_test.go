package work

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/bench/internal/peer"
)

// TestEveryPeerEveryMix runs each mix for a moment on each implementation that takes part, with the full check after it.
func TestEveryPeerEveryMix(t *testing.T) {
	for _, impl := range peer.All() {
		for _, kind := range []string{peer.KindUint64, peer.KindString, peer.KindAny} {
			if !impl.Holds(kind) {
				continue
			}
			t.Run(impl.Name+"/"+kind, func(t *testing.T) {
				r, err := NewRunner(impl, kind, 1000)
				require.NoError(t, err)
				for _, m := range Mixes {
					if impl.Batches && !m.Batch {
						continue
					}
					procs := 2
					if !impl.Concurrent || impl.Name == "haxmap" {
						procs = 1 // haxmap loses count under concurrent writes, sometimes: that is for a report to say
					}
					out, err := r.Round(m, procs, 5*time.Millisecond)
					require.NoError(t, err, m.Name)
					require.Positive(t, out.Ops, m.Name)
				}
			})
		}
	}
}
