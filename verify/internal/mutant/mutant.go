// Package mutant builds cmd/prey against engines in which one thing is wrong, or nothing, and tells what it found. Nothing
// is copied: the go command is given other contents for the files that change.
//
// An engine that is built with stalls lets goroutines run at random between any two steps of the protocol, and moves tables
// bucket by bucket, however small they are. So a gap of a few instructions, which a processor would meet once in a
// million operations, is met in every other history.
package mutant

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/hushmap/hushmap/verify/internal/drive"
)

// Edit is a change of one file of the root module: Old, which must be there exactly once, becomes New.
type Edit struct{ File, Old, New string }

// Mutant is a change of the engine's source that breaks an invariant.
type Mutant struct {
	Invariant   string // of docs/design.md, or what else is broken
	Description string
	File        string // as in Edit
	Old, New    string
	More        []Edit        // where one place is not enough
	By          []drive.Check // what may catch it; any other check would by accident
	On          string        // types of the map that show it, as prey names them; empty: most do
	Words       bool          // build with slots that are written word by word, and stalls between the words
	NoStalls    bool          // build as users do: stalls would hide it
	Race        bool          // build with the race detector: it is what must see it
	Ordinary    bool          // cheap and sure to be caught: part of the ordinary run
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
	{"internal/arena/arena.go", "minFreeStep = 1 << 10 / granule", "minFreeStep = 64 / granule"},
	{"readmap.go", "> 1.35*living+0.5*float64(table)", "> 1.375*living+0*float64(table)+float64(next)"},
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
var stalls string

// Apply returns what the files of the engine at root become that are not as they are, by name. A mutant whose text is not
// there exactly once is outdated: the engine has changed, and it has to be looked at again what the invariant rests on.
func (m Mutant) Apply(root string) (files map[string]string, err error) {
	var edits []Edit
	if m.File != "" {
		edits = append(edits, Edit{m.File, m.Old, m.New})
	}
	edits = append(edits, m.More...)
	files = make(map[string]string)
	if !m.NoStalls {
		edits = append(edits, haste...)
		files["zz_stalls.go"] = stalls
	}
	if m.Words {
		edits = append(edits, wordStalls...)
	}
	for _, e := range edits {
		if err := e.apply(root, files); err != nil {
			return nil, fmt.Errorf("mutant %q is outdated: %w", m.Name(), err)
		}
	}
	return files, nil
}

func (e Edit) apply(root string, files map[string]string) error {
	content, changed := files[e.File]
	if !changed {
		original, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.File)))
		if err != nil {
			return err
		}
		content = string(original)
	}
	if n := strings.Count(content, e.Old); n != 1 {
		return fmt.Errorf("its text is %d times in %s, not once:\n%s", n, e.File, e.Old)
	}
	files[e.File] = strings.Replace(content, e.Old, e.New, 1)
	return nil
}

// Build builds prey from the module at verify with the mutant in the place of the engine at root, and returns the program,
// which is in dir. Packages that the mutant leaves alone are built once for all.
func (m Mutant) Build(root, verify, dir string) (program string, err error) {
	files, err := m.Apply(root)
	if err != nil {
		return "", err
	}
	overlay, err := overlay(root, dir, files)
	if err != nil {
		return "", err
	}
	program = filepath.Join(dir, "prey.exe")
	args := []string{"build", "-overlay", overlay, "-ldflags=-s -w", "-tags", strings.Join(m.tags(), ","), "-o", program}
	if m.Race {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./cmd/prey")...)
	cmd.Dir = verify
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("mutant %q does not compile: %w\n%s", m.Name(), err, out)
	}
	return program, nil
}

// overlay writes the files to dir, and what the go command is to be told for it to read them instead of those at root.
func overlay(root, dir string, files map[string]string) (name string, err error) {
	root, err = filepath.Abs(root)
	if err != nil {
		return "", err
	}
	replace := make(map[string]string)
	for file, content := range files {
		there := filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(there, []byte(content), 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(root, filepath.FromSlash(file))] = there
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name = filepath.Join(dir, "overlay.json")
	return name, os.WriteFile(name, list, 0o644)
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

// What ends a hunt beside the checks of prey: the Go runtime, which ends the program, and Hunt itself. The last four say
// nothing about a mutant.
const (
	CheckRace   drive.Check = "race detector"
	CheckFault  drive.Check = "runtime error" // a panic too, but not one of the engine's own
	CheckCrash  drive.Check = "crash"
	CheckPtr    drive.Check = "checkptr"
	CheckStray  drive.Check = "panic outside the session"
	CheckMemory drive.Check = "out of memory"
	CheckStuck  drive.Check = "hang of the whole process"
)

// Outcome is what a run of prey came to.
type Outcome struct {
	By     drive.Check // what caught the mutant; empty if nothing did
	Output string
}

// Hunt runs prey for a while.
func (m Mutant) Hunt(program string, length time.Duration) (Outcome, error) {
	// The watchdog in prey comes first, if the process is alive at all. Prey looks at the clock after each round, and one
	// under the race detector has taken more than two minutes on a busy machine.
	const grace = 10 * time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), length+grace)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-time", length.String(), "-on", m.On)
	cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return Outcome{By: CheckStuck, Output: string(out)}, nil
	case err == nil:
		return Outcome{Output: string(out)}, nil
	case !errors.As(err, &exit):
		return Outcome{}, err
	}
	by := classify(string(out))
	if by == "" { // killed by somebody, or called in a wrong way
		return Outcome{}, fmt.Errorf("mutant %q ended without a finding: %w\n%s", m.Name(), err, out)
	}
	return Outcome{By: by, Output: string(out)}, nil
}

// crashes are what the output says of a program that the Go runtime ended, most telling first.
var crashes = []struct {
	pattern string
	by      drive.Check
}{
	{"WARNING: DATA RACE", CheckRace},
	{"fatal error: checkptr", CheckPtr},
	{"out of memory", CheckMemory},
	{"cannot allocate memory", CheckMemory},
	{"fatal error: ", CheckCrash},
	{"panic: ", CheckStray},
}

// broken matches what the engine says about itself, with the number of the invariant.
var broken = regexp.MustCompile(`hushmap: .*\((I[0-9, I]+)\)`)

// classify says what caught the mutant: prey's check, with the invariant if the engine named it; or the Go runtime. It
// returns "" for an exit that neither explains.
func classify(output string) drive.Check {
	for line := range strings.Lines(output) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), CaughtMark); ok {
			by := drive.Check(name)
			if by != drive.CheckPanic && by != drive.CheckVerify {
				return by
			}
			if numbers := broken.FindStringSubmatch(output); numbers != nil {
				return numbered(by, numbers[1])
			}
			if by == drive.CheckPanic && strings.Contains(output, "\nruntime error: ") {
				return CheckFault
			}
			return by
		}
	}
	for _, c := range crashes {
		if strings.Contains(output, c.pattern) {
			return c.by
		}
	}
	return ""
}

// numbered is what the engine says about itself, in a panic or by Verify, with the number of the invariant.
func numbered(by drive.Check, invariant string) drive.Check {
	return drive.Check(fmt.Sprintf("%s (%s)", by, invariant))
}
