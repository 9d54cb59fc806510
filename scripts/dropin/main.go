// Command dropin checks that hushmap.AnyMap can take the place of sync.Map in programs that were written for
// sync.Map: the standard library's own tests of it, and open-source packages with theirs.
//
//	go run ./scripts/dropin [-race] [-keep]
//
// It copies each into a temporary module, runs its tests, replaces sync.Map by hushmap.AnyMap, runs them again and
// compares the outcome of every test. It prints one line per experiment and exits with status 1 if any differ.
// It needs the module proxy, or a module cache that holds the packages already.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const hushmapPath = "github.com/hushmap/hushmap"

// subject is a body of code that uses sync.Map and has tests.
type subject struct {
	module  string // path@version; empty: the standard library's tests of sync.Map
	tests   []string
	withRun []string // further arguments of go test
	without []string // files that do not compile under every Go release
	race    bool     // run under the race detector as well
}

var subjects = []subject{
	{tests: []string{"."}, withRun: []string{"-bench=.", "-benchtime=100x"}, race: true},
	// A map per histogram, shared by all goroutines that observe; ranged over while they do.
	{
		module: "github.com/prometheus/client_golang@v1.22.0", tests: []string{"./prometheus"},
		// Its table of runtime metrics exists for the releases of Go that it knew only.
		without: []string{"prometheus/go_collector_latest_test.go"},
	},
	// Caches of types, under LoadOrStore.
	{module: "google.golang.org/protobuf@v1.36.6", tests: []string{"./internal/impl/...", "./proto/...", "./types/..."}},
	// A struct that embeds sync.Map.
	{module: "github.com/modern-go/concurrent@v0.0.0-20180306012644-bacd9c7ef1dd", tests: []string{"./..."}},
}

func main() {
	race := flag.Bool("race", false, "run the packages under the race detector as well")
	keep := flag.Bool("keep", false, "keep the temporary directory and print its name")
	flag.Parse()
	dir, err := os.MkdirTemp("", "dropin")
	if err != nil {
		fmt.Fprintln(os.Stderr, "dropin:", err)
		os.Exit(1)
	}
	ok := true
	for i, s := range subjects {
		s.race = s.race || *race
		ok = s.run(filepath.Join(dir, fmt.Sprint(i))) && ok
	}
	if *keep {
		fmt.Fprintln(os.Stderr, "dropin: kept", dir)
	} else if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "dropin:", err)
	}
	if !ok {
		os.Exit(1)
	}
}

func (s *subject) name() string {
	if s.module == "" {
		return "standard library, sync.Map tests"
	}
	return s.module
}

// run does the experiment in dir, prints its lines and reports whether hushmap behaved like sync.Map.
func (s *subject) run(dir string) bool {
	if err := s.prepare(dir); err != nil {
		fmt.Printf("FAIL %s: %v\n", s.name(), err)
		return false
	}
	modes := [][]string{nil}
	if s.race {
		modes = append(modes, []string{"-race"})
	}
	before := make([]outcome, len(modes))
	for i, mode := range modes {
		before[i] = s.test(dir, mode)
	}
	replaced, err := rewriteTree(dir)
	if err != nil || replaced == 0 {
		fmt.Printf("FAIL %s: %d uses of sync.Map replaced, %v\n", s.name(), replaced, err)
		return false
	}
	ok := true
	for i, mode := range modes {
		after := s.test(dir, mode)
		what := strings.Join(append([]string{s.name()}, mode...), " ")
		if faults := before[i].compare(&after); len(faults) > 0 {
			ok = false
			fmt.Printf("FAIL %s: %d uses of sync.Map replaced\n\t%s\n", what, replaced, strings.Join(faults, "\n\t"))
			continue
		}
		fmt.Printf("PASS %s: %d uses of sync.Map replaced, %s\n", what, replaced, after.summary())
	}
	return ok
}

// prepare makes dir a module of its own that can import hushmap.
func (s *subject) prepare(dir string) error {
	var err error
	if s.module == "" {
		err = copyStandardTests(dir)
	} else {
		err = copyModule(dir, s.module)
	}
	if err != nil {
		return err
	}
	for _, name := range s.without {
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	root, err := output("", "go", "list", "-m", "-f", "{{.Dir}}", hushmapPath)
	if err != nil {
		return err
	}
	// Both runs get the same go.mod, so that they differ in the map and in nothing else.
	_, err = output(dir, "go", "mod", "edit", "-go=1.24.0", "-toolchain=none",
		"-require="+hushmapPath+"@v0.0.0", "-replace="+hushmapPath+"="+root)
	return err
}

// copyStandardTests copies the tests and benchmarks of sync.Map out of GOROOT.
func copyStandardTests(dir string) error {
	root, err := output("", "go", "env", "GOROOT")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, name := range []string{"map_test.go", "map_reference_test.go", "map_bench_test.go"} {
		src, err := os.ReadFile(filepath.Join(root, "src", "sync", name))
		if err != nil {
			return err
		}
		if src, err = detachFromStandard(src); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), src, 0o666); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, oracleFile), []byte(oracleSource), 0o666); err != nil {
		return err
	}
	_, err = output(dir, "go", "mod", "init", "synctest")
	return err
}

// copyModule downloads a module and copies its source.
func copyModule(dir, module string) error {
	// An empty directory: the version asked for must not depend on the go.mod of this module.
	text, err := output(os.TempDir(), "go", "mod", "download", "-json", module)
	if err != nil {
		return err
	}
	var got struct{ Dir, Path, Error string }
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		return err
	}
	if got.Error != "" {
		return errors.New(got.Error)
	}
	if err := os.CopyFS(dir, os.DirFS(got.Dir)); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		return makeWritable(dir)
	}
	if err := makeWritable(dir); err != nil {
		return err
	}
	if err := formatTree(dir); err != nil { // its build constraints are of a form that modules ignore
		return err
	}
	_, err = output(dir, "go", "mod", "init", got.Path)
	return err
}

// makeWritable undoes the write protection of the module cache.
func makeWritable(dir string) error {
	return filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chmod(path, info.Mode()|0o200)
	})
}

// outcome is what happened to each test of a run.
type outcome struct {
	actions map[string]string // by package and test: pass, fail or skip
	output  []string          // the last lines of what was printed
}

// test runs the tests in dir.
func (s *subject) test(dir string, mode []string) outcome {
	args := slices.Concat([]string{"test", "-json", "-count=1", "-vet=off", "-timeout=10m"}, mode, s.withRun, s.tests)
	cmd := command(dir, "go", args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	o := outcome{actions: make(map[string]string)}
	for d := json.NewDecoder(&stdout); ; {
		var event struct{ Action, Package, Test, Output string }
		if derr := d.Decode(&event); derr != nil {
			if derr != io.EOF {
				err = errors.Join(err, derr)
			}
			break
		}
		switch event.Action {
		case "pass", "fail", "skip":
			o.actions[strings.TrimSpace(event.Package+" "+event.Test)] = event.Action
		case "output", "build-output":
			o.output = append(o.output, strings.TrimRight(event.Output, "\n"))
		}
	}
	if err != nil && stderr.Len() > 0 {
		o.output = append(o.output, stderr.String())
	}
	if err != nil && !slices.Contains(slices.Collect(maps.Values(o.actions)), "fail") {
		o.actions["go test"] = "fail"
	}
	return o
}

// compare lists where after differs, and the end of its output if anything does.
func (o *outcome) compare(after *outcome) (faults []string) {
	if len(o.actions) == 0 {
		return []string{"no test ran before the replacement"}
	}
	for _, name := range slices.Sorted(maps.Keys(o.actions)) {
		if o.actions[name] == "fail" {
			faults = append(faults, name+": failed before the replacement")
		}
	}
	if len(faults) > 0 {
		return append(faults, o.tail()...)
	}
	names := maps.Clone(o.actions)
	maps.Copy(names, after.actions)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if b, a := o.actions[name], after.actions[name]; a != b {
			faults = append(faults, fmt.Sprintf("%s: %q before, %q after", name, b, a))
		}
	}
	if len(faults) > 0 {
		faults = append(faults, after.tail()...)
	}
	return faults
}

// tail returns the end of the output.
func (o *outcome) tail() []string { return o.output[max(0, len(o.output)-40):] }

func (o *outcome) summary() string {
	n := make(map[string]int)
	for _, action := range o.actions {
		n[action]++
	}
	return fmt.Sprintf("the same before and after: %d tests passed, %d skipped", n["pass"], n["skip"])
}

// command prepares a command in dir.
func command(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if dir != "" {
		cmd.Env = append(cmd.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	}
	return cmd
}

// output runs a command and returns what it prints, without the last newline.
func output(dir, name string, args ...string) (string, error) {
	cmd := command(dir, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
