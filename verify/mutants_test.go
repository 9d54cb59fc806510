// This file is responsible for running mutants: each must be caught, and the engine itself, in the same builds, must not.

package verify

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/verify/internal/mutant"
)

// hunting is how long a mutant may stay unnoticed. Most are caught in the first second; on a busy machine one took 40.
const hunting = 2 * time.Minute

const everyMutant = "HUSHMAP_MUTANTS=1"

// allMutants reports whether every mutant is to run.
func allMutants() bool {
	s := os.Getenv("HUSHMAP_MUTANTS")
	return s != "" && s != "0"
}

// hunt builds prey against a mutant and runs it.
func hunt(t *testing.T, m mutant.Mutant, length time.Duration) mutant.Outcome {
	t.Helper()
	program, err := m.Build("..", ".", t.TempDir())
	require.NoError(t, err)
	begin := time.Now()
	outcome, err := m.Hunt(program, length)
	require.NoError(t, err)
	t.Logf("prey ran for %v", time.Since(begin).Round(time.Millisecond))
	return outcome
}

// mutantsTime is after how long the ordinary run builds no further mutant. A build takes two to thirty seconds, as much as
// else is going on.
const mutantsTime = 12 * time.Second

// TestMutants: every mutant is caught, and by a check that can see what is wrong with it. The ordinary run takes as many as
// there is time for of those that are caught quickly and for sure, others each time.
func TestMutants(t *testing.T) {
	table, begin := mutant.Table, time.Now()
	if !allMutants() {
		table = slices.Clone(table)
		rand.Shuffle(len(table), func(i, j int) { table[i], table[j] = table[j], table[i] })
	}
	for _, m := range table {
		t.Run(m.Name(), func(t *testing.T) {
			if !allMutants() && (!m.Ordinary || time.Since(begin) > mutantsTime) {
				leaveOut(t, m.Name(), everyMutant)
			}
			if m.Race && !canRace(t) {
				t.Skip("the race detector needs cgo and a C compiler")
			}
			outcome := hunt(t, m, hunting)
			require.NotEmpty(t, outcome.By, "not caught in %v: %s\n%s", hunting, m.File, outcome.Output)
			require.Contains(t, m.By, outcome.By, "caught by accident: %s\n%s", m.File, outcome.Output)
			t.Logf("caught by: %s\n%s", outcome.By, firstLines(outcome.Output, 6))
		})
	}
}

// firstLines returns the first n lines of s, and says whether there are more.
func firstLines(s string, n int) string {
	lines := strings.Split(s, "\n")
	if len(lines) > n {
		lines = append(lines[:n], "...")
	}
	return strings.Join(lines, "\n")
}

func canRace(t *testing.T) bool {
	cmd := exec.Command("go", "build", "-race", "-o", filepath.Join(t.TempDir(), "race"), "runtime/race")
	return cmd.Run() == nil
}

// TestUnmutated: nothing is found in copies that are as they should be. The one with stalls is more than a control: no
// other test makes operations overlap so often.
func TestUnmutated(t *testing.T) {
	for _, c := range []struct {
		name     string
		m        mutant.Mutant
		ordinary bool
	}{
		{"stalls", mutant.Mutant{}, true},
		{"stalls between words", mutant.Mutant{Words: true}, false},
		{"no stalls", mutant.Mutant{NoStalls: true}, false},
		{"race detector", mutant.Mutant{Race: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !c.ordinary && !allMutants() {
				leaveOut(t, "the engine as it is, "+c.name, everyMutant)
			}
			if c.m.Race && !canRace(t) {
				t.Skip("the race detector needs cgo and a C compiler")
			}
			outcome := hunt(t, c.m, soak(t, 4*time.Second))
			if outcome.By != "" {
				keep(t, outcome.Output)
			}
			require.Empty(t, outcome.By, outcome.Output)
			t.Log(outcome.Output)
		})
	}
}

// keep writes what was found to the directory of artifacts, if there is one.
func keep(t *testing.T, output string) {
	if dir := os.Getenv("HUSHMAP_ARTIFACTS"); dir != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "unmutated.txt"), []byte(output), 0o644))
	}
}

// TestOutdated: a mutant whose text is gone is an error, not a mutant that nobody caught.
func TestOutdated(t *testing.T) {
	m := mutant.Mutant{Invariant: "I0", Description: "none", File: "map.go", Old: "no such text", New: "x"}
	outdated := func() {
		_, err := m.Apply("..")
		assert.ErrorContains(t, err, "outdated")
	}
	outdated()
	m.Old = "hushmap" // is there often
	outdated()
	m.File = "gone.go"
	outdated()
}

// TestApply: no mutant is outdated, and each says what may catch it. The ordinary run builds few of them, but it looks at all.
func TestApply(t *testing.T) {
	for _, m := range mutant.Table {
		_, err := m.Apply("..")
		assert.NoError(t, err)
		assert.NotEmpty(t, m.By, m.Name())
	}
}
