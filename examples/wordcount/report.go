package main

import (
	"fmt"
	"io"
	"runtime"
	"strconv"
	"text/tabwriter"
	"time"
)

// report prints the most frequent identifiers, what each way cost, and whether all agree. runs[0] is the pass
// without a map. It returns the exit status.
func report(out io.Writer, o options, s *sources, runs []measurement) int {
	first := runs[1]
	fmt.Fprintf(out, "\n%s identifiers, %s of them different, in %v\n", thousands(first.found),
		thousands(len(first.tally.counts)), s)
	fmt.Fprintf(out, "%s %s/%s, %d goroutines on %d cores\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		o.workers, runtime.GOMAXPROCS(0))
	for _, e := range first.tally.top(o.top) {
		fmt.Fprintf(out, "%12s  %s\n", thousands(e.count), e.word)
	}
	printCosts(out, runs)
	return printVerdict(out, runs)
}

// printCosts prints a table with a line per way.
func printCosts(out io.Writer, runs []measurement) {
	fmt.Fprintln(out)
	t := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\ttime\tCPU\tallocated\tGC cycles\tGC CPU\theap held\tGC CPU of one more cycle\t")
	for _, m := range runs {
		c := m.costs
		fmt.Fprintf(t, "%s\t%v\t%v\t%s\t%d\t%v\t%s\t%v\t\n", m.name, round(c.wall), round(c.cpu),
			mebibytes(c.allocated), c.cycles, round(c.gcCPU), mebibytes(c.held), round(c.cycleCPU))
	}
	t.Flush()
	fmt.Fprintln(out)
}

// printVerdict compares the results of all ways with that of the first, and its sum with the number of words
// found without a map. It returns the exit status.
func printVerdict(out io.Writer, runs []measurement) int {
	scan, ways := runs[0], runs[1:]
	first := ways[0]
	agree := true
	if sum := first.tally.total(); sum != scan.found {
		fmt.Fprintf(out, "DISAGREE: the counts of %s add up to %d, but there are %d identifiers\n", first.name, sum, scan.found)
		agree = false
	}
	for _, m := range ways[1:] {
		if d := first.tally.difference(m.tally); d != "" {
			fmt.Fprintf(out, "DISAGREE: %s and %s, first at %s\n", first.name, m.name, d)
			agree = false
		}
	}
	if !agree {
		return exitDisagree
	}
	fmt.Fprintf(out, "All %d agree on every count.\n", len(ways))
	return exitAgree
}

// thousands writes n with commas.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// mebibytes writes a number of bytes in MiB.
func mebibytes(n int64) string {
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// round rounds a time to what is worth showing.
func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Millisecond)
}
