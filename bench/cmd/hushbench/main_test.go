package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/bench/internal/run"
)

// asProgram in the environment makes the test program be hushbench, as its children always are.
const asProgram = "HUSHBENCH_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if run.IsChild() || os.Getenv(asProgram) != "" {
		plainEvery = 0
		main()
		return
	}
	os.Exit(m.Run())
}

// small is a run of about a second.
func small(out string, more ...string) []string {
	return append([]string{"-work", "throughput", "-impl", "xsync,rwmutex", "-keys", "uint64", "-mix", "reads=100",
		"-n", "1k", "-procs", "1", "-rounds", "2", "-time", "10ms", "-out", out}, more...)
}

func TestBadFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-impl", "nobody"}, `unknown name "nobody", known are hushmap, `},
		{[]string{"-work", "play"}, `unknown name "play"`},
		{[]string{"-keys", ""}, `unknown name ""`},
		{[]string{"-n", "many"}, `"many" is not a number`},
		{[]string{"-n", "1"}, "1 is not from 32 to"},
		{[]string{"-n", "100M"}, "is not from 32 to"},
		{[]string{"-n", "99999999999999999999"}, "is not a number"},
		{[]string{"-procs", "0"}, "0 is not from 1 to 8"},
		{[]string{"-rounds", "0"}, "-rounds must be from 1"},
		{[]string{"-time", "1h"}, "-time must be from 1ms to 1m"},
		{[]string{"-json", "old.json"}, "-json and -against go together"},
		{[]string{"-work", "throughput,gc", "-keys", "real"}, "gc has no keys of kind real, only uint64, string, any"},
		{[]string{"-work", "throughput,batch", "-mix", "reads=99"}, "batch has no mix reads=99, only loads, writes"},
		{[]string{"-work", "gc", "-impl", "otter"}, "nothing to measure"},
		{[]string{"-work", "gc", "-impl", "hushmap.Batch"}, "nothing to measure"},
		{[]string{"-nonsense"}, "flag provided but not defined"},
		{[]string{"extra"}, `unexpected argument "extra"`},
	} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, exitUsage, command(c.args, &stdout, &stderr), "%v", c.args)
		require.Contains(t, stderr.String(), c.want)
		require.Empty(t, stdout.String())
	}
}

// TestFlagsInReport: the report names the flags, and no directory.
func TestFlagsInReport(t *testing.T) {
	require.Equal(t, "-n 1k -rounds=2", withoutOut([]string{"-n", "1k", "-out", "/some/where", "-rounds=2", "--out=there"}))
}

func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitOK, command([]string{"-help"}, &stdout, &stderr))
	for _, name := range []string{"-work", "-impl", "-keys", "-mix", "-n ", "-procs", "-rounds", "-time", "-out", "-all", "-json", "-against"} {
		require.Contains(t, stderr.String(), name)
	}
}

// TestDefaultRun: without flags the program estimates about two minutes, with six rounds of throughput.
func TestDefaultRun(t *testing.T) {
	o, err := parse(nil, io.Discard)
	require.NoError(t, err)
	s, err := run.NewSession(o.Config, nil)
	require.NoError(t, err)
	require.GreaterOrEqual(t, o.Rounds, 6)
	require.LessOrEqual(t, s.Seconds(), 120.0)
}

// TestRunAndCompare measures twice and compares the results.
func TestRunAndCompare(t *testing.T) {
	before, after := t.TempDir(), t.TempDir()
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitOK, command(small(before), &stdout, &stderr), stderr.String())
	require.Regexp(t, `xsync v\d+\.\d+\.\d+`, stdout.String())
	require.FileExists(t, filepath.Join(before, "report", "index.html"))
	require.Equal(t, exitOK, command(small(after), &stdout, &stderr), stderr.String())

	stdout.Reset()
	files := []string{"-json", filepath.Join(before, "results.json"), "-against", filepath.Join(after, "results.json")}
	require.Equal(t, exitOK, command(files, &stdout, &stderr), stderr.String())
	require.Regexp(t, `xsync +\d`, stdout.String())

	files[1] = filepath.Join(before, "absent.json")
	require.Equal(t, exitFailed, command(files, &stdout, &stderr))
	require.Contains(t, stderr.String(), "absent.json")
}
