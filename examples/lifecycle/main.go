// Lifecycle shows on the running library what a reader of Go's map internals wants to see of hushmap: count, B and
// flags of a table from its creation to its release, what the garbage collector scans, what it can see, and how long
// keys, values and pointers stay valid. It checks what it says; the exit status is 1 if anything does not hold.
//
//	go run ./examples/lifecycle
package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"weak"

	"github.com/hushmap/hushmap"
)

// underTorture, in the environment, says that the process is the one that only runs the torture.
const underTorture = "HUSHMAP_LIFECYCLE_TORTURE"

func main() {
	s := &show{out: os.Stdout}
	if os.Getenv(underTorture) != "" {
		torture(s)
	} else {
		run(s)
		s.step(fmt.Sprintf("%d claims, of which %d do not hold.", s.claims, s.failed))
	}
	if s.failed > 0 {
		os.Exit(1)
	}
}

func run(s *show) {
	table(s)
	scanned(s)
	pointers(s)
	ranging(s)
	death(s)
	tortureInChild(s)
	s.step("Corruption")
	s.say("A header that a stray write has corrupted is reported by Verify, which names bucket, slot and invariant. The API")
	s.say("has no way to corrupt one; the library's tests do: go test -run TestVerifyReports")
}

// table follows a table from creation to release.
func table(s *show) {
	s.step("Creation, first write")
	var m hushmap.Map[uint64, uint64]
	s.line("zero value", m.Stats())
	s.claim(m.Stats() == hushmap.Stats{}, "a zero Map has no table and takes no memory beyond its own few words")
	m.Store(0, ^uint64(0))
	st := m.Stats()
	s.line("first write", st)
	s.claim(st.Buckets == 4 && st.B == 2 && st.Memory == "heap", "the first write makes a table of 4 buckets of 8 slots on the heap")

	s.step("Growth: both tables alive, evacuation")
	next := uint64(1)
	store := func() hushmap.Stats {
		m.Store(next, ^next)
		next++
		return m.Stats()
	}
	for st = m.Stats(); st.Buckets < 32 || !st.Growing; st = store() {
	}
	s.line("a table is full", st)
	s.claim(st.Buckets == 2*st.OldBuckets && st.EvacuatedBuckets < st.OldBuckets, "the write that exceeds load 0.75 of the old table makes one of twice its size, and both are in use")
	s.claim(holds(&m, next), "every key is found, in whichever table it is")
	all, writes := true, 0
	for ; st.Growing && writes < 32; writes++ {
		st = store()
		s.line(fmt.Sprintf("write %d of the growth", writes+1), st)
		all = all && holds(&m, next)
	}
	s.claim(!st.Growing && st.OldBuckets == 0, "the writes, and the lookups between them, have moved all buckets, and the old table is dropped")
	s.claim(all, "every key was found after each of them")

	s.step("Large tables, release")
	for next < 49_000 { // without Stats, which looks at every slot
		m.Store(next, ^next)
		next++
	}
	for st = store(); st.B < 14; st = store() {
	}
	s.line("a table of 2 MiB", st)
	if st.MappedBytes == 0 {
		s.say("this system or build (-race) has nothing to map tables with")
	} else {
		s.claim(st.HeapBytes > 0, "the large table of pointer-free slots is outside the heap, the smaller one before it is not")
	}
	s.claim(holds(&m, next), "every key is found on both sides")
	s.claim(m.Verify() == nil, "Verify finds every invariant kept")
	m.Grow(1 << 20) // entries; address space, of which little is touched
	st = m.Stats()
	s.line("Grow", st)
	size, known := addressSpace()
	m.Clear()
	s.line("Clear", m.Stats())
	s.claim(m.Stats().MappedBytes == 0 && m.Len() == 0, "Clear drops the tables at once")
	if known && st.MappedBytes > 0 {
		s.claim(eventually(func() bool { now, _ := addressSpace(); return now+int64(st.MappedBytes)*3/4 < size }),
			"a collection, which finds no reader in the table, gives its memory back to the system")
	}
}

type pair struct{ a, b *int }

var global hushmap.Map[uint64, uint64]
var globalPointers hushmap.Map[uint64, pair]
var sink any

// scanned compares what the collector scans for local, global and escaped maps.
func scanned(s *show) {
	const entries = 10_000
	s.step(fmt.Sprintf("What the collector scans (/gc/scan/heap:bytes) for %d entries", entries))
	n := new(int)
	measure := func(name string, free bool, fill func(i uint64), stats func() hushmap.Stats) {
		before := scanBytes()
		for i := range uint64(entries) {
			fill(i)
		}
		now := scanBytes() - before
		st := stats()
		table := int64(st.HeapBytes + st.MappedBytes)
		if free {
			s.claim(now < 32<<10, "%-38s table %8d bytes, scanned %8d", name, table, now)
		} else {
			s.claim(now > table*3/4, "%-38s table %8d bytes, scanned %8d", name, table, now)
		}
	}
	var local hushmap.Map[uint64, uint64]
	var localPointers hushmap.Map[uint64, pair]
	var localStrings hushmap.Map[string, uint64]
	escaped, escapedPointers := new(hushmap.Map[uint64, uint64]), new(hushmap.Map[uint64, pair])
	escapedBytes := new(hushmap.Bytes)
	sink = []any{escaped, escapedPointers, escapedBytes}
	measure("local, uint64 to uint64", true, func(i uint64) { local.Store(i, i) }, func() hushmap.Stats { return local.Stats() })
	measure("global, uint64 to uint64", true, func(i uint64) { global.Store(i, i) }, global.Stats)
	measure("escaped, uint64 to uint64", true, func(i uint64) { escaped.Store(i, i) }, escaped.Stats)
	measure("local, string to uint64", true, func(i uint64) { localStrings.Store(fmt.Sprint(i), i) }, func() hushmap.Stats { return localStrings.Stats() })
	measure("escaped, bytes to bytes", true, func(i uint64) { escapedBytes.Set(fmt.Sprint(i), []byte("value")) }, escapedBytes.Stats)
	measure("local, uint64 to two pointers", false, func(i uint64) { localPointers.Store(i, pair{n, n}) }, func() hushmap.Stats { return localPointers.Stats() })
	measure("global, uint64 to two pointers", false, func(i uint64) { globalPointers.Store(i, pair{n, n}) }, globalPointers.Stats)
	measure("escaped, uint64 to two pointers", false, func(i uint64) { escapedPointers.Store(i, pair{n, n}) }, escapedPointers.Stats)
	global.Clear()
	globalPointers.Clear()
	sink = nil
}

// pointers keeps what it got before growths and uses it afterwards.
func pointers(s *show) {
	s.step("Pointers and strings obtained before a growth")
	var m hushmap.Map[int, *object]
	var names hushmap.Map[string, int]
	for i := range 100 {
		m.Store(i, newObject(i))
		names.Store(fmt.Sprint("name ", i), i)
	}
	p, _ := m.Load(7)
	var kept []string
	for name := range names.Keys() {
		kept = append(kept, name)
	}
	m.Grow(100_000)
	names.Grow(100_000)
	runtime.GC()
	q, _ := m.Load(7)
	s.claim(p == q && p.check(7), "a pointer loaded before a growth is the one that is loaded after it, and what it points to is as it was")
	m.Clear()
	names.Clear()
	runtime.GC()
	s.claim(p.check(7), "so it is after Clear and a collection")
	right := 0
	for i := range 100 {
		for _, name := range kept {
			if name == fmt.Sprint("name ", i) {
				right++
			}
		}
	}
	s.claim(right == 100, "and a key string, whose bytes were in the map's own memory, is whole as well")
}

// ranging deletes while it ranges.
func ranging(s *show) {
	s.step("Deleting while ranging")
	const entries = 5000
	var m hushmap.Map[int, int]
	for i := range entries {
		m.Store(i, i)
	}
	seen, wrong := make(map[int]bool), 0
	for k := range m.All() {
		if seen[k] || seen[k^1] {
			wrong++ // twice, or deleted before
		}
		seen[k] = true
		m.Delete(k ^ 1)
	}
	s.claim(wrong == 0, "no key comes twice, and none that was deleted before its turn")
	s.claim(len(seen) == entries/2 && m.Len() == entries/2 && m.Verify() == nil, "all others come, and stay")
	for k := range m.All() {
		m.Delete(k)
	}
	s.claim(m.Len() == 0 && m.Verify() == nil, "a loop that deletes all it sees leaves an empty map")
}

// death watches values with weak pointers, which do not keep them alive.
func death(s *show) {
	s.step("Life and death of values")
	const entries = 1000
	var m hushmap.Map[int, *object]
	var stored, overwritten, deleted []weak.Pointer[object]
	for i := range entries {
		o := newObject(i)
		m.Store(i, o)
		switch i % 3 {
		case 0:
			deleted = append(deleted, weak.Make(o))
		case 1:
			overwritten = append(overwritten, weak.Make(o))
		case 2:
			stored = append(stored, weak.Make(o))
		}
	}
	for i := range entries {
		switch i % 3 {
		case 0:
			m.Delete(i)
		case 1:
			m.Store(i, nil)
		}
	}
	s.claim(eventually(func() bool { return alive(deleted) == 0 }), "deleted values die, all %d", len(deleted))
	s.claim(eventually(func() bool { return alive(overwritten) == 0 }), "overwritten values die, all %d", len(overwritten))
	s.claim(alive(stored) == len(stored), "stored values live, all %d", len(stored))
	m.Grow(100_000)
	runtime.GC()
	s.claim(alive(stored) == len(stored), "also after they have moved to another table, and the old one has died")
	m.Clear()
	s.claim(eventually(func() bool { return alive(stored) == 0 }), "after Clear they die as well")
	runtime.KeepAlive(&m)
}

// tortureInChild runs the torture in a process of its own, as its settings are for a whole process.
func tortureInChild(s *show) {
	s.step("Torture: GOGC=1, GODEBUG=gccheckmark=1,clobberfree=1, in a process of its own")
	self, err := os.Executable()
	if err != nil {
		s.claim(false, "the program finds itself: %v", err)
		return
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), underTorture+"=1", "GOGC=1", "GODEBUG=gccheckmark=1,clobberfree=1")
	out, err := child.CombinedOutput()
	fmt.Fprintf(s.out, "%s", out)
	s.claim(err == nil, "the collector saw every value at every step (checkptr: go run -gcflags=-d=checkptr ./examples/lifecycle)")
}
