package work

import (
	"maps"
	"slices"
	"time"

	"github.com/hushmap/hushmap/bench/internal/peer"
)

// Spec says what a single-shot work is to do.
type Spec struct {
	Kind  string        `json:"kind"`
	N     int           `json:"n"`
	Procs int           `json:"procs"`
	Time  time.Duration `json:"time"` // of the timed parts that have no size of their own
}

// Point is one point of a latency curve: a share of the operations took no longer than so many nanoseconds.
type Point struct {
	Quantile float64 `json:"q"`
	Nanos    float64 `json:"ns"`
}

// Outcome is what a single-shot work measured: a value per metric, and a curve if there is one.
type Outcome struct {
	Values map[string]float64 `json:"values,omitempty"`
	Curve  []Point            `json:"curve,omitempty"`
	Note   string             `json:"note,omitempty"` // a reservation to show beside the values
}

// Metric is a quantity that is lower when it is better.
type Metric struct{ Name, Unit string }

// The metrics of each work, in the order of reports.
var metricsOf = map[string][]Metric{
	Throughput: {{"time", "ns/op"}},
	Batch:      {{"time", "ns/op"}},
	Fill: {
		{"time", "ns/op"}, {"p50", "ns"}, {"p99", "ns"}, {"p99.9", "ns"}, {"p99.99", "ns"}, {"longest", "ns"},
		{"peak", "B/entry"}, {"delete", "ns/op"}, {"kept", "B/entry"}, {"compacted", "B/entry"},
	},
	GC: {
		{"cpu", "ms/cycle"}, {"wall", "ms/cycle"}, {"bytes", "B/entry"}, {"heap", "B/entry"}, {"mapped", "B/entry"},
		{"objects", "1/entry"}, {"neighbour", "ns/alloc"}, {"slowdown", "x"},
	},
	Embed: {
		{"set", "ns/op"}, {"mixed", "ns/op"}, {"bytes", "B/entry"}, {"cpu", "ms/cycle"}, {"lost", "1/entry"},
	},
}

// The works.
const (
	Throughput = "throughput"
	Batch      = "batch"
	Fill       = "fill"
	GC         = "gc"
	Embed      = "embed"
)

// Works lists the works in the order of reports.
var Works = []string{Throughput, Batch, Fill, GC, Embed}

// Mixed says whether a work is made of mixes, in rounds on maps that stay. Any other is single-shot.
func Mixed(work string) bool { return work == Throughput || work == Batch }

// Metrics returns the metrics of a work.
func Metrics(work string) []Metric { return metricsOf[work] }

// Scored says whether a metric takes part in ratios and means: one of those that measure the same from two sides is
// enough, and a count that is mostly 0 has no ratio.
func Scored(work, metric string) bool {
	switch work {
	case Fill:
		return slices.Contains([]string{"time", "p50", "p99", "p99.9", "p99.99", "longest", "peak", "delete"}, metric)
	case GC:
		return slices.Contains([]string{"cpu", "wall", "bytes", "neighbour"}, metric)
	case Embed:
		return metric != "lost"
	}
	return true
}

// Run does a single-shot work on one implementation.
func Run(work string, impl peer.Impl, s Spec) (Outcome, error) {
	if work == Embed {
		return runEmbed(impl, s)
	}
	switch s.Kind {
	case peer.KindUint64:
		return runOn(work, impl, Uint64Kit(), s)
	case peer.KindAny:
		return runOn(work, impl, AnyKit(), s)
	default:
		return runOn(work, impl, StringKit(), s)
	}
}

func runOn[K comparable, V any](work string, impl peer.Impl, kit Kit[K, V], s Spec) (Outcome, error) {
	if work == Fill {
		return runFill(impl, kit, s)
	}
	return runGC(impl, kit, s)
}

func merge(into, from map[string]float64) { maps.Insert(into, maps.All(from)) }

func drop(values map[string]float64, names ...string) {
	for _, name := range names {
		delete(values, name)
	}
}
