// This file is responsible for saying what a run has done and what it has left out.

package verify

import (
	"fmt"
	"os"
	"testing"

	"github.com/hushmap/hushmap/verify/internal/drive"
)

// done is what TestLinearizable has done.
var done drive.Counts

// left counts what was left out, by the variable that runs it. Tests of this package do not run side by side.
var left = make(map[string][]string)

// leaveOut skips a test, or a part of one, that is not for ordinary runs.
func leaveOut(t *testing.T, what, variable string) {
	t.Helper()
	left[variable] = append(left[variable], what)
	t.Skipf("left out: %s; %s runs it", what, variable)
}

func TestMain(m *testing.M) {
	status := m.Run()
	if done.Sessions > 0 {
		fmt.Println("done:", done)
	}
	for variable, what := range left {
		fmt.Printf("left out, %s runs it: %q\n", variable, what)
	}
	if os.Getenv("HUSHMAP_SOAK") == "" {
		fmt.Println("HUSHMAP_SOAK=10m lets each test of the engine run for ten minutes")
	}
	os.Exit(status)
}
