package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// barUnits is the resolution of the bar: it advances by estimated milliseconds.
const barUnits = 1000

// plainEvery is how often a line is written where there is no terminal to draw a bar on. A test sets it to 0 and sees every
// step.
var plainEvery = 15 * time.Second

// progress shows how far the run is and how long it will still take.
type progress struct {
	w     io.Writer
	bar   *progressbar.ProgressBar // nil without a terminal
	carry float64                  // the fraction of a unit not shown yet

	total, done   float64 // estimated seconds
	begin, spoken time.Time
}

func newProgress(w io.Writer) *progress { return &progress{w: w} }

func (p *progress) start(seconds float64) {
	p.total, p.begin, p.spoken = seconds, time.Now(), time.Now()
	p.say("about %v", rounded(seconds))
	if f, ok := p.w.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return
	}
	p.bar = progressbar.NewOptions(int(seconds*barUnits)+1,
		progressbar.OptionSetWriter(p.w),
		progressbar.OptionSetWidth(24),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
}

func (p *progress) say(format string, args ...any) { _, _ = fmt.Fprintf(p.w, format+"\n", args...) }

func rounded(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second)
}

// Step says what comes next.
func (p *progress) Step(what string) {
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("%-52.52s", what))
		return
	}
	if time.Since(p.spoken) < plainEvery || p.done == 0 {
		return
	}
	p.spoken = time.Now()
	left := time.Since(p.begin).Seconds() * (p.total/p.done - 1)
	p.say("%3.0f %%, %v left: %s", 100*p.done/p.total, rounded(max(left, 0)), what)
}

// Done adds seconds of estimated work that are over.
func (p *progress) Done(seconds float64) {
	p.done += seconds
	if p.bar == nil {
		return
	}
	p.carry += seconds * barUnits
	whole := int(p.carry)
	p.carry -= float64(whole)
	_ = p.bar.Add(whole) // it can only fail to write to the terminal
}

func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
