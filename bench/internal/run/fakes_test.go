package run

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/result"
	"github.com/hushmap/hushmap/bench/internal/work"
)

// delay is what an operation of the slow fake takes.
const delay = 5 * time.Microsecond

func registerFakes() {
	nothing := func() {}
	all := func(uint64) bool { return true }
	same := func(v uint64) uint64 { return v }
	registerFake("slow", fake{before: spin, store: all, load: same})
	registerFake("dropping", fake{before: nothing, store: func(k uint64) bool { return k%1000 != 0 }, load: same})
	registerFake("mixing", fake{before: nothing, store: all, load: func(v uint64) uint64 { return v &^ 1 }})
	registerFake("crashing", fake{before: func() { panic("out of order") }, store: all, load: same})
}

func spin() {
	for start := time.Now(); time.Since(start) < delay; {
	}
}

type quiet struct{}

func (quiet) Step(string)  {}
func (quiet) Done(float64) {}

// measure runs a small session.
func measure(t *testing.T, c Config) *result.File {
	t.Helper()
	c.Keys = []string{peer.KindUint64}
	if c.Time == 0 {
		c.Time = 10 * time.Millisecond
	}
	if c.Rounds == 0 {
		c.Rounds = 2
	}
	s, err := NewSession(c, quiet{})
	require.NoError(t, err)
	s.Run(context.Background())
	return s.File
}

func record(t *testing.T, f *result.File, w, impl, metric string) *result.Record {
	t.Helper()
	for _, r := range f.Records {
		if r.Work == w && r.Impl == impl && r.Metric == metric {
			return r
		}
	}
	require.Failf(t, "no record", "%s %s %s", w, impl, metric)
	return nil
}

// TestKnownDelay: a fake whose operations take a known time must come out with that, in every work that times operations.
// The least of the rounds counts, they are short, and a machine that is busy with other tests gets more of them. Nothing
// may ever come out faster than it is.
func TestKnownDelay(t *testing.T) {
	least := map[result.Cell]float64{}
	for range 8 {
		f := measure(t, Config{
			Works: []string{work.Throughput, work.Fill}, Impls: []string{"slow"},
			Mixes: []string{"reads=100", "reads=0"}, Sizes: []int{400}, Procs: []int{1}, Rounds: 6, Time: time.Millisecond,
		})
		slowest := 0.0
		for _, r := range f.Records {
			if !slices.Contains([]string{"time", "delete", "p50"}, r.Metric) {
				continue
			}
			require.False(t, r.Void, "%v: %s", r.Cell, r.Note)
			low := slices.Min(r.Samples)
			require.GreaterOrEqual(t, low, float64(delay)*0.99, r.Cell.String())
			if old, ok := least[r.Cell]; !ok || low < old {
				least[r.Cell] = low
			}
			slowest = max(slowest, least[r.Cell])
		}
		if slowest < 1.25*float64(delay) {
			break
		}
	}
	require.Len(t, least, 5)
	for cell, v := range least {
		require.Less(t, v, 1.25*float64(delay), cell.String())
	}
}

// TestLosersAreCaught: whoever loses entries or mixes values up has no time that counts, whatever the work.
func TestLosersAreCaught(t *testing.T) {
	for _, impl := range []string{"dropping", "mixing", "crashing"} {
		f := measure(t, Config{
			Works: []string{work.Throughput, work.Fill, work.GC}, Impls: []string{impl, "sync.Map"},
			Mixes: []string{"reads=100", "reads=0", "range"}, Sizes: []int{20000}, Procs: []int{2}, Rounds: 1,
		})
		for _, r := range f.Records {
			_, counts := r.Median()
			if r.Impl != impl {
				require.False(t, r.Void, "%s: %s", r.Cell, r.Note)
				continue
			}
			require.Falsef(t, counts, "%s counts in %s", impl, r.Cell)
			want := "wrong result"
			if impl == "crashing" {
				want = "crashed: panic: out of order"
			}
			require.Contains(t, r.Note, want)
		}
	}
}

// TestUnable: what an implementation cannot do is said, not left out.
func TestUnable(t *testing.T) {
	f := measure(t, Config{
		Works: []string{work.Throughput}, Impls: []string{"builtin", "rwmutex"},
		Mixes: []string{"reads=90"}, Sizes: []int{1000}, Procs: []int{2}, Rounds: 1,
	})
	require.Equal(t, "not safe with several goroutines", record(t, f, work.Throughput, "builtin", "time").Note)
	_, ok := record(t, f, work.Throughput, "rwmutex", "time").Median()
	require.True(t, ok)
}

// TestInterrupt keeps what was measured before the context ended, and says that it is not all.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s, err := NewSession(Config{
		Works: []string{work.Throughput}, Impls: []string{"rwmutex"}, Keys: []string{peer.KindUint64},
		Mixes: []string{"reads=100", "reads=0"}, Sizes: []int{1000}, Procs: []int{1}, Rounds: 2, Time: 10 * time.Millisecond,
	}, &cancelAfter{steps: 3, cancel: cancel}) // after loading and two rounds
	require.NoError(t, err)
	s.Run(ctx)
	require.False(t, s.File.Meta.Complete)
	require.Len(t, s.File.Records, 1, "the second mix was not begun")
	require.Len(t, s.File.Records[0].Samples, 2)
	require.Contains(t, s.File.Warnings, "interrupted: this is what had been measured by then")
}

type cancelAfter struct {
	steps  int
	cancel func()
}

func (c *cancelAfter) Step(string) {}

func (c *cancelAfter) Done(float64) {
	if c.steps--; c.steps == 0 {
		c.cancel()
	}
}

// TestGivesUp: a child that does not answer in time is ended.
func TestGivesUp(t *testing.T) {
	p, err := start(context.Background())
	require.NoError(t, err)
	_, err = p.ask(request{Step: work.Fill, Impl: "slow", Spec: work.Spec{Kind: peer.KindUint64, N: 10_000_000, Procs: 1}},
		50*time.Millisecond)
	require.ErrorContains(t, err, "gave up after 50ms")
}
