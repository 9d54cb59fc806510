package main

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// costs is what a count cost.
type costs struct {
	wall      time.Duration
	cpu       time.Duration // processor time of the whole process, the GC's included; 0 where unknown
	allocated int64         // bytes allocated while counting
	cycles    int64         // GC cycles that ended while counting
	gcCPU     time.Duration // processor time of these cycles
	held      int64         // bytes that stay on the heap afterwards: the map and its keys
	cycleCPU  time.Duration // processor time of one GC cycle afterwards, with the map alive
}

// measurement is one way's result.
type measurement struct {
	name  string
	found int // identifiers passed to the counter
	tally *tally
	costs costs
}

// measureAll counts in each way after the other, after one pass that only finds the words. The pass's measurement
// comes first.
func measureAll(ways []way, s *sources, workers int, show *progress) []measurement {
	scan := way{"finding the words", func() counter { return blindCounter{} }}
	var all []measurement
	for _, w := range append([]way{scan}, ways...) {
		show.begin(w.name, len(s.texts))
		m := measure(w, s, workers, show)
		all = append(all, m)
		show.end(round(m.costs.wall).String())
	}
	return all
}

// measure counts in one way.
func measure(w way, s *sources, workers int, show *progress) measurement {
	m := measurement{name: w.name}
	runtime.GC()
	before := readUsage()
	c := w.make()
	start := time.Now()
	m.found = countAll(c, s.texts, workers, show)
	m.costs.wall = time.Since(start)
	after := readUsage()
	runtime.GC() // ends a cycle that may be under way
	settled := readUsage()
	runtime.GC()
	m.costs.cycleCPU = readUsage().gcCPU - settled.gcCPU
	m.costs.cpu = after.cpu - before.cpu
	m.costs.allocated = after.allocated - before.allocated
	m.costs.cycles = after.cycles - before.cycles
	m.costs.gcCPU = after.gcCPU - before.gcCPU
	m.costs.held = max(settled.live-before.live, 0)
	m.tally = newTally(c) // keeps c alive until here
	return m
}

// countAll counts the identifiers of all texts into c, from the given number of goroutines, and returns how many there
// are. Each goroutine takes the next text that nobody has taken.
func countAll(c counter, texts [][]byte, workers int, show *progress) int {
	var next, found atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			n := 0
			for i := next.Add(1) - 1; i < int64(len(texts)); i = next.Add(1) - 1 {
				for word := range identifiers(texts[i]) {
					c.count(word)
					n++
				}
				show.done.Add(1)
			}
			found.Add(int64(n))
		}()
	}
	group.Wait()
	return int(found.Load())
}

// usage is what the runtime says it has used so far.
type usage struct {
	cpu       time.Duration
	allocated int64
	live      int64
	cycles    int64
	gcCPU     time.Duration
}

// readUsage asks the runtime. GC processor time is as of the end of the last cycle.
func readUsage() usage {
	s := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/cpu/classes/gc/total:cpu-seconds"},
	}
	metrics.Read(s)
	return usage{
		cpu:       cpuTime(),
		allocated: int64(s[0].Value.Uint64()),
		live:      int64(s[1].Value.Uint64()),
		cycles:    int64(s[2].Value.Uint64()),
		gcCPU:     time.Duration(s[3].Value.Float64() * float64(time.Second)),
	}
}
