// This file is responsible for the engine as it is: sessions and litmus tests on hushmap.Map with every type of key and
// value.

package verify

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/verify/internal/drive"
	"github.com/hushmap/hushmap/verify/internal/history"
)

// engines is hushmap with every type of key and every type of value: one word, and wider with and without pointers; and
// its map of bytes. Not every pair is here, as each takes seconds to compile.
var engines = []drive.Engine{
	drive.Hush(drive.Ints, drive.Words),
	drive.HushStrings(drive.Strung),
	drive.HushBytes(),
	drive.Hush(drive.Boxed, drive.Triples),
	drive.Hush(drive.Structs, drive.Strung),
	drive.Hush(drive.Ints, drive.Triples),
	drive.HushStrings(drive.Words),
	drive.Hush(drive.Pointers, drive.Strung),
}

// soak returns how long a test runs that takes the given time ordinarily.
func soak(t *testing.T, ordinary time.Duration) time.Duration {
	switch s := os.Getenv("HUSHMAP_SOAK"); s {
	case "", "0":
		return ordinary
	case "1":
		return time.Minute
	default:
		d, err := time.ParseDuration(s)
		require.NoError(t, err, "HUSHMAP_SOAK is 1 or a duration")
		return d
	}
}

// firstSeed is different in every run, as every run should look at something new.
func firstSeed() uint64 { return uint64(time.Now().UnixNano()) }

// complain fails the test with a finding, and draws its history if it has one.
func complain(t *testing.T, engine string, f *drive.Finding) {
	t.Helper()
	if f == nil {
		return
	}
	if f.Violation != nil {
		dir := os.Getenv("HUSHMAP_ARTIFACTS")
		if dir == "" {
			dir = t.TempDir()
		}
		page := filepath.Join(dir, fmt.Sprintf("history-%d.html", f.Plan.Seed))
		if err := f.Violation.Draw(page); err != nil {
			page = err.Error()
		}
		t.Logf("picture: %s", page)
	}
	again := ""
	if f.Plan.Workers > 0 {
		again = fmt.Sprintf("HUSHMAP_SEED=%d runs this session again", f.Plan.Seed)
	}
	t.Fatalf("%s: %v\n%s", engine, f, again)
}

// TestLinearizable runs sessions with every type of map in turn, each of a new seed.
func TestLinearizable(t *testing.T) {
	end := time.Now().Add(soak(t, 8*time.Second))
	var total drive.Counts
	for seed := firstSeed(); time.Now().Before(end); seed++ {
		engine := engines[seed%uint64(len(engines))]
		counts, f := engine.Session(drive.PlanFor(seed))
		complain(t, engine.Name, f)
		total.Add(counts)
	}
	done = total
	t.Log(total)
	t.Log("operations by kind:", byKind(total))
	checkEffort(t, total)
}

// checkEffort fails a test that has not done what it is for.
func checkEffort(t *testing.T, c drive.Counts) {
	require.Greater(t, c.Growths, 0)
	require.Greater(t, c.Shrinks, 0)
	require.Greater(t, c.Rebuilds, 0)
	require.Greater(t, c.Batches, 0)
	require.LessOrEqual(t, c.Undecided, c.Histories/100)
	for kind, n := range c.ByKind {
		require.Greater(t, n, 0, history.Kind(kind))
	}
}

func byKind(c drive.Counts) (s string) {
	for kind, n := range c.ByKind {
		s += fmt.Sprintf("%v %d ", history.Kind(kind), n)
	}
	return s
}

// TestStoreBuffers: what a method has written is visible when it returns.
func TestStoreBuffers(t *testing.T) {
	end, rounds := time.Now().Add(soak(t, time.Second)), 0
	for n := 0; time.Now().Before(end); n++ {
		engine := engines[n%len(engines)]
		complain(t, engine.Name, engine.StoreBuffers(10_000))
		rounds += 10_000
	}
	t.Logf("%d rounds", rounds)
}

// TestLengths: Len never says more than there was, nor less than nothing.
func TestLengths(t *testing.T) {
	end, rounds := time.Now().Add(soak(t, 500*time.Millisecond)), 0
	for n := 0; time.Now().Before(end); n++ {
		engine := engines[n%len(engines)]
		complain(t, engine.Name, engine.Lengths(10_000))
		complain(t, engine.Name, engine.Announced(2_000))
		rounds += 10_000
	}
	t.Logf("%d writes each of three goroutines", rounds)
}

// TestPresence: a key that is overwritten all the time is never missed, and one that comes and goes does not come back.
func TestPresence(t *testing.T) {
	end, rounds := time.Now().Add(soak(t, time.Second)), 0
	for n := 0; time.Now().Before(end); n++ {
		engine, hasher := engines[n%len(engines)], drive.Hasher(n/len(engines)%3)
		complain(t, engine.Name, engine.Presence(hasher, 2_000+n/len(engines)))
		rounds += 2_000
	}
	t.Logf("%d looks each of two goroutines", rounds)
}

// TestOnce: LoadOrCompute runs one function for those who miss a key at the same time.
func TestOnce(t *testing.T) {
	end, rounds := time.Now().Add(soak(t, 500*time.Millisecond)), 0
	for n := 0; time.Now().Before(end); n++ {
		engine := engines[n%len(engines)]
		complain(t, engine.Name, engine.Once(500))
		rounds += 500
	}
	t.Logf("%d keys that three goroutines missed", rounds)
}

// TestBounded: no write moves more than a bounded part of a table, and growths end.
func TestBounded(t *testing.T) {
	for _, engine := range engines {
		complain(t, engine.Name, engine.Bounded())
	}
}

// TestSeed runs the session of one seed again and again. Its operations are the same each time, but not how they
// overlap.
func TestSeed(t *testing.T) {
	s := os.Getenv("HUSHMAP_SEED")
	if s == "" {
		leaveOut(t, "one session again and again", "HUSHMAP_SEED=<seed of a failure>")
	}
	seed, err := strconv.ParseUint(s, 10, 64)
	require.NoError(t, err)
	engine := engines[seed%uint64(len(engines))]
	end := time.Now().Add(soak(t, 20*time.Second))
	var total drive.Counts
	for time.Now().Before(end) {
		counts, f := engine.Session(drive.PlanFor(seed))
		complain(t, engine.Name, f)
		total.Add(counts)
	}
	t.Log(total)
}
