// Wordcount counts the identifiers in all source files under a directory, from all cores, into one shared map: once
// into a hushmap.Map, once into a sync.Map, and once into a built-in map behind a mutex. It prints the most frequent
// ones, what each way cost in time, memory and garbage collection, and whether all three agree on every count.
//
//	go run ./examples/wordcount [-top n] [-workers n] [dir]
//
// Without dir it takes the src directory of the Go installation, some ten thousand files.
//
// What counts as an identifier is said at [identifiers], which files are read at [sourceExtensions]. All files are
// loaded into memory first, so that the way that runs first does not pay for reading the disk.
//
// The exit status is 0 if all agree, 1 if they do not, and 2 if there is nothing to count: wrong arguments, no such
// directory, no source files in it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// The exit statuses.
const (
	exitAgree    = 0
	exitDisagree = 1
	exitUsage    = 2
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process around it. It returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	return runWays(allWays(), args, stdout, stderr)
}

// runWays is run for the given ways of counting, the first of which the others are compared with.
func runWays(ways []way, args []string, stdout, stderr io.Writer) int {
	o, err := parseArgs(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitAgree
	}
	if err != nil {
		fmt.Fprintln(stderr, "wordcount:", err)
		return exitUsage
	}
	show := newProgress(stderr)
	files, err := loadSources(o.dir, show)
	if err != nil {
		fmt.Fprintln(stderr, "wordcount:", err)
		return exitUsage
	}
	runs := measureAll(ways, files, o.workers, show)
	return report(stdout, o, files, runs)
}

// options is what the command line says.
type options struct {
	dir     string
	top     int
	workers int
}

// parseArgs reads the command line and finds the directory. Asked for help, it gives it and returns flag.ErrHelp.
func parseArgs(args []string, help io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("wordcount", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&o.top, "top", 20, "print the `n` most frequent identifiers")
	flags.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "count with `n` goroutines")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(help, "usage: wordcount [-top n] [-workers n] [dir]")
			flags.SetOutput(help)
			flags.PrintDefaults()
		}
		return o, err
	}
	switch {
	case flags.NArg() > 1:
		return o, fmt.Errorf("one directory at most, but there are %d: %q", flags.NArg(), flags.Args())
	case o.top < 0:
		return o, fmt.Errorf("-top %d: must not be negative", o.top)
	case o.workers < 1:
		return o, fmt.Errorf("-workers %d: must be at least 1", o.workers)
	case flags.NArg() == 1:
		o.dir, err = directory(flags.Arg(0))
	default:
		o.dir, err = goSource()
	}
	return o, err
}

// directory returns dir with symbolic links resolved, because filepath.WalkDir does not follow the one it starts
// at. It fails if dir is not a directory.
func directory(dir string) (string, error) {
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(resolved)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s is not a directory", dir)
	}
	return resolved, nil
}

// goSource returns the src directory of the Go installation.
func goSource() (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	root := strings.TrimSpace(string(out))
	if err != nil || root == "" {
		return "", errors.New("`go env GOROOT` names no Go installation; give a directory to count in")
	}
	return directory(filepath.Join(root, "src"))
}
