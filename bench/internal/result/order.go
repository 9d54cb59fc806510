package result

import (
	"slices"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/work"
)

func kindRank(kind string) int { return slices.Index(peer.Kinds, kind) }

func mixRank(mix string) int {
	return slices.IndexFunc(work.Mixes, func(m work.Mix) bool { return m.Name == mix })
}

func metricRank(c Cell) int {
	return slices.IndexFunc(work.Metrics(c.Work), func(m work.Metric) bool { return m.Name == c.Metric })
}
