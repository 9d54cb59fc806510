package main

import (
	"bytes"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/hushmap/hushmap/internal/mem"
)

// TestMain lets the test program be the child that tortureInChild starts.
func TestMain(m *testing.M) {
	if os.Getenv(underTorture) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestClaimsHold(t *testing.T) {
	var out bytes.Buffer
	s := &show{out: &out}
	run(s)
	if s.failed != 0 || s.claims < 29 || strings.Contains(out.String(), "FALSE") {
		t.Errorf("%d of %d claims do not hold:\n%s", s.failed, s.claims, &out)
	}
	want := []string{
		"zero value             count       0  B  0",
		"first write            count       1  B  2",
		"a table is full        count     193  B  6  load 0.38  heap    13824  mapped         0  in \"heap\"   flags: growing, 0 of 32 old buckets evacuated",
		"write 1 of the growth  count     194  B  6",
		"local, uint64 to uint64", "global, uint64 to uint64", "escaped, uint64 to uint64",
		"deleted values die, all 334",
		"nothing that was read was torn, freed or another's",
	}
	if mem.CanMap {
		want = append(want, "the large table of pointer-free slots is outside the heap")
	}
	if mem.CanMap && runtime.GOOS == "linux" {
		want = append(want, "gives its memory back to the system")
	}
	for _, w := range want {
		if !strings.Contains(out.String(), w) {
			t.Errorf("output lacks %q:\n%s", w, &out)
		}
	}
}

func TestFalseClaimsCount(t *testing.T) {
	var out bytes.Buffer
	s := &show{out: &out}
	s.claim(true, "one")
	s.claim(false, "two")
	if want := "  ok   one\n  FALSE two\n"; out.String() != want || s.claims != 2 || s.failed != 1 {
		t.Errorf("%+v, %q", s, &out)
	}
}
