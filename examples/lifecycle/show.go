// This file is responsible for printing claims, and for finding out whether they hold.

package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/metrics"
	"time"
	"weak"

	"github.com/hushmap/hushmap"
)

// show prints what happens and counts the claims that do not hold.
type show struct {
	out            io.Writer
	claims, failed int
}

func (s *show) step(name string)            { fmt.Fprintf(s.out, "\n%s\n", name) }
func (s *show) say(format string, a ...any) { fmt.Fprintf(s.out, "  "+format+"\n", a...) }

// claim prints a statement and whether it holds.
func (s *show) claim(holds bool, format string, a ...any) {
	s.claims++
	mark := "ok  "
	if !holds {
		s.failed++
		mark = "FALSE"
	}
	s.say(mark+" "+format, a...)
}

// line prints count, B and flags of a map.
func (s *show) line(when string, st hushmap.Stats) {
	flags := "-"
	if st.Growing {
		flags = fmt.Sprintf("growing, %d of %d old buckets evacuated", st.EvacuatedBuckets, st.OldBuckets)
	}
	s.say("     %-22s count %7d  B %2d  load %.2f  heap %8d  mapped %9d  in %-7q  flags: %s",
		when, st.Entries, st.B, st.LoadFactor, st.HeapBytes, st.MappedBytes, st.Memory, flags)
}

// holds reports whether m has just the keys below n.
func holds(m *hushmap.Map[uint64, uint64], n uint64) bool {
	for k := range n {
		if v, ok := m.Load(k); !ok || v != ^k {
			return false
		}
	}
	return m.Len() == int(n)
}

// addressSpace returns the size of the process's address space, where Linux tells it.
func addressSpace() (size int64, known bool) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	_, err = fmt.Sscan(string(text), &size)
	return size * int64(os.Getpagesize()), err == nil
}

// eventually collects until done; cleanups run some time after the collection that found them due.
func eventually(done func() bool) bool {
	for range 2000 {
		runtime.GC()
		if done() {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

func scanBytes() int64 {
	runtime.GC() // twice: the first may still see what was dropped while it ran
	runtime.GC()
	sample := []metrics.Sample{{Name: "/gc/scan/heap:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

func alive(watched []weak.Pointer[object]) (n int) {
	for _, w := range watched {
		if w.Value() != nil {
			n++
		}
	}
	return n
}
