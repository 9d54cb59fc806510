package run

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/result"
	"github.com/hushmap/hushmap/bench/internal/work"
)

// delay is what an operation of the fakes "slow" and "exact" takes: of real time, and by a clock that nothing else advances.
const delay = 5 * time.Microsecond

func registerFakes() {
	nothing := func() {}
	all := func(uint64) bool { return true }
	same := func(v uint64) uint64 { return v }
	registerFake("slow", fake{before: spin, store: all, load: same})
	registerFake("exact", fake{made: useExactClock, before: tick, store: all, load: same})
	registerFake("dropping", fake{before: nothing, store: func(k uint64) bool { return k%1000 != 0 }, load: same})
	registerFake("mixing", fake{before: nothing, store: all, load: func(v uint64) uint64 { return v &^ 1 }})
	registerFake("crashing", fake{before: func() { panic("out of order") }, store: all, load: same})
}

func spin() {
	for start := time.Now(); time.Since(start) < delay; {
	}
}

// exactClock is the time in a child that serves the fake "exact".
var exactClock atomic.Int64

func useExactClock() { work.SetClockForTest(exactClock.Load) }
func tick()          { exactClock.Add(int64(delay)) }

type quiet struct{}

func (quiet) Step(string)  {}
func (quiet) Done(float64) {}

// measure runs a small session.
func measure(t *testing.T, c Config) *result.File {
	t.Helper()
	if c.Keys == nil {
		c.Keys = []string{peer.KindUint64}
	}
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

// delayed measures a fake in every work that times its operations, and returns the samples by cell.
func delayed(t *testing.T, impl string) map[result.Cell][]float64 {
	t.Helper()
	f := measure(t, Config{
		Works: []string{work.Throughput, work.Batch, work.Fill, work.Embed}, Impls: []string{impl},
		Keys: []string{peer.KindUint64, peer.KindString}, Mixes: []string{"reads=100", "reads=0", "loads", "writes"},
		Sizes: []int{400}, Procs: []int{1}, Time: time.Millisecond,
	})
	samples := map[result.Cell][]float64{}
	for _, r := range f.Records {
		if r.Void && r.Note == "holds no string keys" {
			continue
		}
		require.False(t, r.Void, "%v: %s", r.Cell, r.Note)
		if slices.Contains([]string{"time", "delete", "p50", "p99.99", "longest", "set", "mixed"}, r.Metric) {
			require.NotEmpty(t, r.Samples, r.Cell.String())
			samples[r.Cell] = r.Samples
		}
	}
	require.Len(t, samples, 11)
	return samples
}

// TestKnownDelay: a fake whose operations take a known time must come out with exactly that: operations are counted right, and
// nothing but them is timed. Its clock stands still while the machine does something else.
func TestKnownDelay(t *testing.T) {
	const histogram = 0.001 // its resolution
	for cell, samples := range delayed(t, "exact") {
		for _, v := range samples {
			require.InEpsilon(t, float64(delay), v, histogram, cell.String())
		}
	}
}

// TestNeverTooFast: by the real clock the same delay can come out longer, if the machine is busy, but never shorter.
func TestNeverTooFast(t *testing.T) {
	for cell, samples := range delayed(t, "slow") {
		require.GreaterOrEqual(t, slices.Min(samples), float64(delay)*0.999, cell.String())
	}
}

// TestLosersAreCaught: whoever loses entries or mixes values up has no time that counts, whatever the work.
func TestLosersAreCaught(t *testing.T) {
	for _, impl := range []string{"dropping", "mixing", "crashing"} {
		f := measure(t, Config{
			Works: work.Works, Impls: []string{impl, "sync.Map"}, Keys: []string{peer.KindUint64, peer.KindString},
			Mixes: []string{"reads=100", "reads=0", "range", "loads", "writes"}, Sizes: []int{20000}, Procs: []int{2}, Rounds: 1,
		})
		for _, r := range f.Records {
			_, counts := r.Median()
			if r.Impl != impl {
				require.False(t, r.Void, "%s: %s", r.Cell, r.Note)
				continue
			}
			require.Falsef(t, counts, "%s counts in %s", impl, r.Cell)
			if r.Keys == peer.KindString && r.Work != work.Embed {
				continue // the fakes hold no strings
			}
			want := "wrong result"
			if impl == "crashing" {
				want = "crashed: panic: out of order"
			}
			require.Contains(t, r.Note, want)
		}
	}
}

// TestBatch: one implementation works in batches, the others do the same operations one by one, and it takes part in
// nothing else.
func TestBatch(t *testing.T) {
	impls := []string{peer.Subject, peer.SubjectBatch, "xsync"}
	f := measure(t, Config{
		Works: []string{work.Throughput, work.Batch}, Impls: impls, Keys: []string{peer.KindUint64, peer.KindString, peer.KindAny},
		Mixes: []string{"reads=100", "loads", "writes"}, Sizes: []int{20000}, Procs: []int{2},
	})
	require.Len(t, f.Rows(), 9)
	for _, row := range f.Rows() {
		for _, impl := range impls {
			_, ok := row.By[impl].Median()
			require.Equal(t, row.Work == work.Batch || impl != peer.SubjectBatch, ok, "%s %s", row.Cell, impl)
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
	require.Contains(t, s.File.Warnings, "interrupted: this is what had been measured by then; large maps have not had their last check")
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
