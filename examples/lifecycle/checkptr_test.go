//go:build !race && !hushmap_atomic && !hushmap_invariants

// This file builds the program in other ways than its own, so one of the builds has it.

package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// Every use of unsafe keeps the rules that -d=checkptr checks at run time, on both ways of storing into slots.
func TestCheckptr(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped by -short: builds the program, and the library for it, twice")
	}
	path, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go command is missing: ", err)
	}
	for _, tags := range []string{"", "hushmap_atomic"} {
		program := filepath.Join(t.TempDir(), "lifecycle.exe")
		build := exec.Command(path, "build", "-tags="+tags, "-gcflags=github.com/hushmap/hushmap/...=-d=checkptr", "-o", program, ".")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if out, err := exec.Command(program).CombinedOutput(); err != nil {
			t.Errorf("tags %q: %v:\n%s", tags, err, out)
		}
	}
}
