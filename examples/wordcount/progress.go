package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	terminalInterval = 100 * time.Millisecond // between updates of a line
	lineInterval     = 5 * time.Second        // between lines, where a line cannot be updated
)

// progress shows how far the work is: on a terminal in one line that it keeps updating, elsewhere in a line per
// phase and a further one now and then.
type progress struct {
	out      io.Writer // written to by one goroutine at a time: the ticker's between begin and end
	terminal bool
	done     atomic.Int64 // files done in this phase; counted by whoever does them

	phase string
	total int // files to do, 0 if unknown
	stop  chan struct{}
	over  sync.WaitGroup
}

// newProgress shows progress on out.
func newProgress(out io.Writer) *progress {
	return &progress{out: out, terminal: isTerminal(out)}
}

// isTerminal reports whether out is a character device, which a terminal is.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// begin starts a phase of total files, 0 if it is not known how many.
func (p *progress) begin(phase string, total int) {
	p.phase, p.total = phase, total
	p.done.Store(0)
	p.stop = make(chan struct{})
	p.over.Add(1)
	go p.tick()
}

// end ends the phase with a line that says what came of it.
func (p *progress) end(result string) {
	close(p.stop)
	p.over.Wait()
	p.line(result)
	fmt.Fprintln(p.out)
}

// tick shows the state at intervals until the phase ends.
func (p *progress) tick() {
	defer p.over.Done()
	interval := lineInterval
	if p.terminal {
		interval = terminalInterval
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
			p.line(p.state())
			if !p.terminal {
				fmt.Fprintln(p.out)
			}
		}
	}
}

// state says how many files are done.
func (p *progress) state() string {
	done := int(p.done.Load())
	if p.total == 0 {
		return thousands(done) + " files"
	}
	return fmt.Sprintf("%s of %s files, %d %%", thousands(done), thousands(p.total), 100*done/p.total)
}

// line writes a line without its end, over the present one on a terminal.
func (p *progress) line(text string) {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	fmt.Fprintf(p.out, "%-18s %s", p.phase, text)
}
