package run

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/bench/internal/work"
)

// TestWhenBatchIsMeasured: the default run has no time for it, so it is measured if it or a mix of it is named, and where
// everything is; and no mix is measured for a work that it does not belong to.
func TestWhenBatchIsMeasured(t *testing.T) {
	for _, c := range []struct {
		Config
		mixes []string // of batch in each group
		cells int
	}{
		{Config{}, nil, 0},
		{Config{Mixes: []string{"reads=100"}}, nil, 0},
		{Config{Mixes: []string{"reads=100", "loads"}}, []string{"loads"}, 3},
		{Config{Works: []string{work.Batch}}, []string{"loads"}, 3},
		{Config{All: true}, []string{"loads", "writes"}, 3 * 3 * 2 * 2},
	} {
		cells := 0
		for _, g := range c.plan() {
			var mixes []string
			for _, m := range g.mixes {
				require.Equal(t, g.work == work.Batch, m.Batch, "%s %s", g.work, m.Name)
				mixes = append(mixes, m.Name)
			}
			if g.work == work.Batch {
				require.Equal(t, c.mixes, mixes)
				cells += len(g.mixes) * len(g.procs)
			}
		}
		require.Equal(t, c.cells, cells, "%+v", c.Config)
	}
}
