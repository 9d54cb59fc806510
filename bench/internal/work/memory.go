package work

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
)

// memory is what the process uses: from the runtime, and from the kernel, which also sees mappings.
type memory struct{ heap, objects, rss float64 }

// readMemory collects garbage, gives unused pages back and reads what is left.
func readMemory() memory {
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return memory{float64(m.HeapAlloc), float64(m.HeapObjects), procStatus("VmRSS")}
}

func (m memory) minus(o memory) memory {
	return memory{m.heap - o.heap, m.objects - o.objects, m.rss - o.rss}
}

// rest collects garbage if a collection may be under way or is near: the runtime starts one when the heap is past 85 % of its
// goal (0.7 of the way from what is live, which is half). Always collecting would cost maps of many objects ten times the length of
// a round.
func rest() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > m.NextGC/4*3 {
		runtime.GC()
	}
}

// smallest is the number of entries from which memory per entry means something: the resident size of a process
// wanders by a megabyte or so.
const smallest = 50_000

func (m memory) per(n int) memory {
	d := float64(n)
	return memory{m.heap / d, m.objects / d, m.rss / d}
}

// procStatus reads a line of /proc/self/status in bytes; 0 where there is no such file.
func procStatus(field string) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		rest, ok := strings.CutPrefix(line, field+":")
		if !ok {
			continue
		}
		kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
		return kib * 1024
	}
	return 0
}

// resetPeak makes the kernel forget the largest resident size so far; where it does not, the peak includes the start
// of the process.
func resetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

func peakRSS() float64 { return procStatus("VmHWM") }

// gcCPU returns the CPU seconds that garbage collection has used so far.
func gcCPU() float64 {
	s := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
	metrics.Read(s)
	return s[0].Value.Float64()
}
