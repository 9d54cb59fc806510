package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/run"
	"github.com/hushmap/hushmap/bench/internal/work"
)

// errHelp says that the usage was asked for and has been printed.
var errHelp = errors.New("help")

// Limits of -n: keys are numbered in 28 bits, a universe has up to 2.5 keys per entry.
const (
	minEntries = 32
	maxEntries = peer.MaxID / 3
	maxProcs   = 8
)

type options struct {
	run.Config
	out, before, after string
	line               string // the flags given, but for -out: where does not matter
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{line: withoutOut(args)}
	fs := flag.NewFlagSet("hushbench", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	names := func(dst *[]string, flagName, usage string, known []string) {
		fs.Func(flagName, usage+": "+strings.Join(known, ", "), func(s string) (err error) {
			*dst, err = chosen(s, known)
			return err
		})
	}
	numbers := func(dst *[]int, flagName, usage string, low, high int) {
		fs.Func(flagName, usage, func(s string) (err error) {
			*dst, err = parseNumbers(s, low, high)
			return err
		})
	}
	names(&o.Works, "work", "`list` of works; batch only if it or a mix of it is named, or with -all", work.Works)
	names(&o.Impls, "impl", "`list` of implementations", implNames())
	names(&o.Keys, "keys", "`list` of kinds of key", peer.Kinds)
	names(&o.Mixes, "mix", "`list` of mixes of throughput and, the last two, of batch", mixNames())
	numbers(&o.Sizes, "n", "`list` of numbers of entries, such as 1k,1M", minEntries, maxEntries)
	numbers(&o.Procs, "procs", "`list` of numbers of goroutines", 1, maxProcs)
	fs.IntVar(&o.Rounds, "rounds", 6, "rounds of throughput and batch; a third as many of the other works")
	fs.DurationVar(&o.Time, "time", 40*time.Millisecond, "length of one round of throughput and batch, and of timed parts of gc and embed if 100ms or more")
	fs.StringVar(&o.out, "out", "out", "`directory` for results.json and report/index.html")
	fs.BoolVar(&o.All, "all", false, "everything: all keys, mixes, sizes and numbers of goroutines; takes hours")
	fs.StringVar(&o.before, "json", "", "compare this earlier results.json `file` with -against; measure nothing")
	fs.StringVar(&o.after, "against", "", "the later results.json `file` for -json")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(stderr)
		fs.Usage()
		return o, errHelp
	} else if err != nil {
		return o, err
	}
	return o, o.validate(fs.Args())
}

// withoutOut joins the flags for the report, which no place of files belongs in.
func withoutOut(args []string) string {
	var kept []string
	for i := 0; i < len(args); i++ {
		name, _, inOne := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if name != "out" {
			kept = append(kept, args[i])
		} else if !inOne {
			i++
		}
	}
	return strings.Join(kept, " ")
}

func (o options) validate(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case o.Rounds < 1 || o.Rounds > 1000:
		return fmt.Errorf("-rounds must be from 1 to 1000, not %d", o.Rounds)
	case o.Time < time.Millisecond || o.Time > time.Minute:
		return fmt.Errorf("-time must be from 1ms to 1m, not %v", o.Time)
	case (o.before == "") != (o.after == ""):
		return errors.New("-json and -against go together: -json old.json -against new.json")
	case o.out == "":
		return errors.New("-out must name a directory")
	}
	if o.before != "" {
		return nil
	}
	return o.Validate()
}

// chosen splits a list and checks each name.
func chosen(s string, known []string) ([]string, error) {
	var out []string
	for _, name := range strings.Split(s, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("unknown name %q, known are %s", name, strings.Join(known, ", "))
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, nil
}

func parseNumbers(s string, low, high int) ([]int, error) {
	var out []int
	for _, field := range strings.Split(s, ",") {
		n, err := parseNumber(strings.TrimSpace(field))
		if err != nil {
			return nil, err
		}
		if n < low || n > high {
			return nil, fmt.Errorf("%d is not from %d to %d", n, low, high)
		}
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// parseNumber reads a whole number, with k or M for thousands or millions.
func parseNumber(s string) (int, error) {
	scale, digits := 1, s
	if d, ok := strings.CutSuffix(s, "k"); ok {
		scale, digits = 1_000, d
	} else if d, ok := strings.CutSuffix(s, "M"); ok {
		scale, digits = 1_000_000, d
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n > maxEntries {
		return 0, fmt.Errorf("%q is not a number of this kind: 1000, 100k, 10M", s)
	}
	return n * scale, nil
}

func implNames() []string {
	var names []string
	for _, impl := range peer.All() {
		names = append(names, impl.Name)
	}
	return names
}

func mixNames() []string {
	var names []string
	for _, m := range work.Mixes {
		names = append(names, m.Name)
	}
	return names
}
