//go:build unix

package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/bench/internal/result"
)

// TestInterrupt: after Ctrl-C the program writes what it has, and says by its status that it was interrupted. The signal is
// sent when the program says that the first round is over; the rounds that are left would take minutes.
func TestInterrupt(t *testing.T) {
	out := t.TempDir()
	cmd := exec.Command(os.Args[0], small(out, "-rounds", "1000", "-time", "200ms")...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }) // if the test failed; else there is nobody left
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.HasSuffix(lines.Text(), "round 2") {
	}
	require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT), "to the whole group, as a terminal does")
	_, _ = io.Copy(io.Discard, stderr)
	_ = cmd.Wait()
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode())
	f, err := result.Read(filepath.Join(out, "results.json"))
	require.NoError(t, err)
	require.False(t, f.Meta.Complete)
	require.Len(t, f.Records, 2)
	for _, r := range f.Records {
		require.NotEmpty(t, r.Samples, r.Impl)
	}
}
