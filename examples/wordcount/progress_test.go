package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProgressUpdatesOneLineOnATerminal(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	p.terminal = true
	p.begin("counting", 4)
	p.done.Add(1)
	time.Sleep(4 * terminalInterval)
	p.end("ready")
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "ready\n") {
		t.Errorf("not one line: %q", got)
	}
	if want := "\r\x1b[Kcounting           1 of 4 files, 25 %"; !strings.Contains(out.String(), want) {
		t.Errorf("%q lacks %q", &out, want)
	}
}

func TestProgressIsLinesElsewhere(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	p.begin("loading", 0)
	p.end("2 files")
	if got, want := out.String(), "loading            2 files\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
}
