// Command hushbench measures hushmap beside other maps and caches, and reports where it wins and where it loses.
//
// Without flags it measures the cells that matter most in about two minutes on two cores. It prints tables, and
// writes results.json and report/index.html below -out.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/hushmap/hushmap/bench/internal/report"
	"github.com/hushmap/hushmap/bench/internal/result"
	"github.com/hushmap/hushmap/bench/internal/run"
)

// Exit statuses.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as a shell reports SIGINT
)

func main() {
	if run.IsChild() {
		if err := run.Child(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "hushbench child:", err)
			os.Exit(exitFailed)
		}
		return
	}
	os.Exit(command(os.Args[1:], os.Stdout, os.Stderr))
}

// command is the program without the process: it returns the exit status.
func command(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case err == errHelp:
		return exitOK
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "hushbench:", err)
		_, _ = fmt.Fprintln(stderr, "Run hushbench -help for the flags.")
		return exitUsage
	case o.before != "":
		err = compare(o, stdout)
	default:
		return measure(o, stdout, stderr)
	}
	return failed(err, stderr)
}

func failed(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintln(stderr, "hushbench:", err)
	return exitFailed
}

func compare(o options, stdout io.Writer) error {
	before, err := result.Read(o.before)
	if err != nil {
		return err
	}
	after, err := result.Read(o.after)
	if err != nil {
		return err
	}
	return report.Comparison(stdout, before, after)
}

// measure runs until done or interrupted, and reports what there is in either case.
func measure(o options, stdout, stderr io.Writer) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	bar := newProgress(stderr)
	session, err := run.NewSession(o.Config, bar)
	if err != nil {
		return failed(err, stderr)
	}
	session.File.Meta.Flags = o.line
	bar.start(session.Seconds())
	session.Run(ctx)
	bar.finish()
	if err := write(o.out, session.File, stdout); err != nil {
		return failed(err, stderr)
	}
	if ctx.Err() != nil {
		return exitInterrupted
	}
	return exitOK
}

func write(dir string, f *result.File, stdout io.Writer) error {
	report.Terminal(stdout, f)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data := filepath.Join(dir, "results.json")
	if err := f.Write(data); err != nil {
		return err
	}
	page, err := report.HTML(filepath.Join(dir, "report"), f)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "\n%s\n%s\n", data, page)
	return err
}
