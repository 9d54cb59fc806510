//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/bench/internal/result"
)

// TestInterrupt: after Ctrl-C the program writes what it has, and says by its status that it was interrupted.
func TestInterrupt(t *testing.T) {
	out := t.TempDir()
	cmd := exec.Command(os.Args[0], small(out, "-rounds", "100", "-mix", "reads=100,reads=0", "-time", "200ms")...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	time.Sleep(3 * time.Second)
	require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT), "to the whole group, as a terminal does")
	_ = cmd.Wait()
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode())
	f, err := result.Read(filepath.Join(out, "results.json"))
	require.NoError(t, err)
	require.False(t, f.Meta.Complete)
	require.NotEmpty(t, f.Records[0].Samples)
}
