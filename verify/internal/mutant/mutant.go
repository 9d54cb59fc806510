// Package mutant makes copies of the engine in which one thing is wrong, or nothing, builds cmd/prey against them and
// tells what it found.
//
// A copy that is built with stalls lets goroutines run at random between any two steps of the protocol, and moves tables
// bucket by bucket, however small they are. So a gap of a few instructions, which a processor would meet once in a
// million operations, is met in every other history.
package mutant

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Edit is a change of one file of the root module: Old, which must be there exactly once, becomes New.
type Edit struct{ File, Old, New string }

// Mutant is a change of the engine's source that breaks an invariant.
type Mutant struct {
	Invariant   string // of docs/design.md, or what else is broken
	Description string
	File        string // as in Edit
	Old, New    string
	More        []Edit // where one place is not enough
	On          string // types of the map that show it, as prey names them; empty: most do
	Words       bool   // build with slots that are written word by word, and stalls between the words
	NoStalls    bool   // build as users do: stalls would hide it
	Race        bool   // build with the race detector: it is what must see it
	Ordinary    bool   // cheap and sure to be caught: part of the ordinary run
}

// wordStalls are stalls that the engine has no steps for: after each word of a key or value that is stored or loaded.
var wordStalls = []Edit{
	after("atomic.StorePointer((*unsafe.Pointer)(unsafe.Add(to, offset)), *(*unsafe.Pointer)(unsafe.Add(from, offset)))\n"),
	after("atomic.StoreUintptr((*uintptr)(unsafe.Add(to, offset)), *(*uintptr)(unsafe.Add(from, offset)))\n"),
	after("= atomic.LoadPointer((*unsafe.Pointer)(unsafe.Add(from, offset)))\n"),
	after("= atomic.LoadUintptr((*uintptr)(unsafe.Add(from, offset)))\n"),
}

// haste goes with stalls: whatever waits for a table or an arena to be of some size happens from the first key on.
var haste = []Edit{
	{"internal/arena/arena.go", "freeStep = 16 << 10 / granule", "freeStep = 64 / granule"},
	{"options.go", "farFrom: 8 << 20", "farFrom: 1"},
}

func after(line string) Edit {
	return Edit{File: "barrier_atomic.go", Old: line, New: line + "step(stepCopied)\n"}
}

// Name is the mutant's name as a test.
func (m Mutant) Name() string { return m.Invariant + " " + m.Description }

const (
	// CaughtMark precedes the name of the check in what prey prints, CaughtStatus is its exit status then.
	CaughtMark   = "CAUGHT: "
	CaughtStatus = 3
)

//go:embed stalls.go.txt
var stalls []byte

// Copy copies what the root module is built from.
func Copy(root, dir string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && name != "internal" && !strings.HasPrefix(name, "internal"+string(filepath.Separator)) {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(dir, name), 0o755)
		}
		if !source(name) {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), content, 0o644)
	})
}

func source(name string) bool {
	switch {
	case name == "go.mod", name == "go.sum":
		return true
	case strings.HasSuffix(name, "_test.go"):
		return false
	}
	return strings.HasSuffix(name, ".go") || strings.HasSuffix(name, ".s")
}

// Apply changes a copy. A mutant whose text is not there exactly once is outdated: the engine has changed, and it has to
// be looked at again what the invariant rests on.
func (m Mutant) Apply(dir string) error {
	var edits []Edit
	if m.File != "" {
		edits = append(edits, Edit{m.File, m.Old, m.New})
	}
	edits = append(edits, m.More...)
	if !m.NoStalls {
		edits = append(edits, haste...)
	}
	if m.Words {
		edits = append(edits, wordStalls...)
	}
	for _, e := range edits {
		if err := e.apply(dir); err != nil {
			return fmt.Errorf("mutant %q is outdated: %w", m.Name(), err)
		}
	}
	return nil
}

func (e Edit) apply(dir string) error {
	path := filepath.Join(dir, filepath.FromSlash(e.File))
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if n := strings.Count(string(content), e.Old); n != 1 {
		return fmt.Errorf("its text is %d times in %s, not once:\n%s", n, e.File, e.Old)
	}
	return os.WriteFile(path, []byte(strings.Replace(string(content), e.Old, e.New, 1)), 0o644)
}

// Build copies the engine at root into dir, applies the mutant and builds prey against the result, from the module at
// verify. It returns the program.
func (m Mutant) Build(root, verify, dir string) (program string, err error) {
	engine := filepath.Join(dir, "engine")
	if err := errors.Join(Copy(root, engine), m.Apply(engine)); err != nil {
		return "", err
	}
	args := []string{"build", "-ldflags=-s -w", "-tags", strings.Join(m.tags(), ",")}
	if m.Race {
		args = append(args, "-race")
	}
	if !m.NoStalls {
		if err := os.WriteFile(filepath.Join(engine, "zz_stalls.go"), stalls, 0o644); err != nil {
			return "", err
		}
	}
	modfile, err := redirect(verify, dir, engine)
	if err != nil {
		return "", err
	}
	program = filepath.Join(dir, "prey.exe")
	cmd := exec.Command("go", append(args, "-modfile", modfile, "-o", program, "./cmd/prey")...)
	cmd.Dir = verify
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("mutant %q does not compile: %w\n%s", m.Name(), err, out)
	}
	return program, nil
}

func (m Mutant) tags() (tags []string) {
	if !m.NoStalls {
		tags = append(tags, "hushmap_invariants")
	}
	if m.Words {
		tags = append(tags, "hushmap_atomic")
	}
	return tags
}

// redirect writes a go.mod for the module at verify that takes the engine from another directory.
func redirect(verify, dir, engine string) (modfile string, err error) {
	mod, err := os.ReadFile(filepath.Join(verify, "go.mod"))
	if err != nil {
		return "", err
	}
	sum, err := os.ReadFile(filepath.Join(verify, "go.sum"))
	if err != nil {
		return "", err
	}
	const ours = "replace github.com/hushmap/hushmap => ../"
	if strings.Count(string(mod), ours) != 1 {
		return "", fmt.Errorf("go.mod does not have the line %q", ours)
	}
	theirs := fmt.Sprintf("replace github.com/hushmap/hushmap => %q", engine)
	modfile = filepath.Join(dir, "prey.mod")
	return modfile, errors.Join(
		os.WriteFile(modfile, []byte(strings.Replace(string(mod), ours, theirs, 1)), 0o644),
		os.WriteFile(filepath.Join(dir, "prey.sum"), sum, 0o644))
}

// Outcome is what a run of prey came to.
type Outcome struct {
	By     string // what caught the mutant; empty if nothing did
	Output string
}

// Hunt runs prey for a while.
func (m Mutant) Hunt(program string, length time.Duration) (Outcome, error) {
	grace := 2 * time.Minute // the watchdog in prey comes first, if the process is alive at all
	ctx, cancel := context.WithTimeout(context.Background(), length+grace)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-time", length.String(), "-on", m.On)
	cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return Outcome{By: "hang of the whole process", Output: string(out)}, nil
	case err == nil:
		return Outcome{Output: string(out)}, nil
	case !errors.As(err, &exit):
		return Outcome{}, err
	}
	return Outcome{By: classify(string(out)), Output: string(out)}, nil
}

// crashes are what the output says of a program that the Go runtime ended, most telling first.
var crashes = []struct{ pattern, by string }{
	{"WARNING: DATA RACE", "race detector"},
	{"fatal error: checkptr", "checkptr"},
	{"fatal error: ", "crash"},
	{"panic: ", "panic outside the session"},
}

// broken matches what the engine says about itself, with the number of the invariant.
var broken = regexp.MustCompile(`hushmap: .*\((I[0-9, I]+)\)`)

// classify says what caught the mutant: prey's check, with the invariant if the engine named it; or the Go runtime.
func classify(output string) string {
	for line := range strings.Lines(output) {
		if by, ok := strings.CutPrefix(strings.TrimSpace(line), CaughtMark); ok {
			if numbers := broken.FindStringSubmatch(output); numbers != nil && (by == "panic" || by == "Verify") {
				return fmt.Sprintf("%s (%s)", by, numbers[1])
			}
			return by
		}
	}
	for _, c := range crashes {
		if strings.Contains(output, c.pattern) {
			return c.by
		}
	}
	return "an exit nobody explains"
}
