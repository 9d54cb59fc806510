package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree makes a directory with files of the given names and texts.
func tree(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// manyFiles has enough texts, words and repetitions that goroutines meet at the same word.
func manyFiles() map[string]string {
	files := make(map[string]string)
	for i := range 60 {
		var text strings.Builder
		for j := range 500 {
			fmt.Fprintf(&text, "common word%d only%d_%d\n", j%50, i, j)
		}
		files[fmt.Sprintf("dir%d/file%d.go", i%7, i)] = text.String()
	}
	return files
}

func TestRunAgrees(t *testing.T) {
	var out, errs bytes.Buffer
	status := run([]string{"-workers", "4", "-top", "2", tree(t, manyFiles())}, &out, &errs)
	if status != exitAgree {
		t.Fatalf("status %d, output:\n%s%s", status, &out, &errs)
	}
	for _, want := range []string{
		"90,000 identifiers, 30,051 of them different, in 60 files",
		"30,000  common\n", "600  word0\n",
		"hushmap.Map", "sync.Map", "mutex and map",
		"All 3 agree on every count.\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "word1\n") {
		t.Errorf("-top 2 printed more:\n%s", &out)
	}
	if strings.Contains(errs.String(), "\x1b") || !strings.Contains(errs.String(), "loading            60 files") {
		t.Errorf("progress away from a terminal is not in plain lines: %q", &errs)
	}
}

func TestRunReadsOnlySources(t *testing.T) {
	dir := tree(t, map[string]string{"a.go": "alpha", "sub/B.PY": "beta", "c.txt": "gamma", "go": "delta", "x.go/y": "eps"})
	if err := os.Symlink(filepath.Join(dir, "a.go"), filepath.Join(dir, "link.go")); err != nil {
		t.Log("no symbolic links here:", err)
	}
	var out, errs bytes.Buffer
	if status := run([]string{dir}, &out, &errs); status != exitAgree {
		t.Fatalf("status %d: %s", status, &errs)
	}
	if want := "2 identifiers, 2 of them different, in 2 files"; !strings.Contains(out.String(), want) {
		t.Errorf("output lacks %q:\n%s", want, &out)
	}
}

func TestRunFollowsTheLinkItIsGiven(t *testing.T) {
	dir := tree(t, map[string]string{"a.go": "alpha"})
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	var out, errs bytes.Buffer
	if status := run([]string{link}, &out, &errs); status != exitAgree {
		t.Fatalf("status %d: %s", status, &errs)
	}
}

func TestRunBadArguments(t *testing.T) {
	dir := tree(t, map[string]string{"readme.txt": "no source"})
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"-nonsense"}, "-nonsense"},
		{"not a number", []string{"-top", "many"}, "-top"},
		{"negative top", []string{"-top", "-1", dir}, "-top -1"},
		{"no workers", []string{"-workers", "0", dir}, "-workers 0"},
		{"two directories", []string{dir, dir}, "one directory at most"},
		{"no such directory", []string{filepath.Join(dir, "missing")}, "missing"},
		{"a file", []string{filepath.Join(dir, "readme.txt")}, "not a directory"},
		{"no source files", []string{dir}, "no source files"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			if status := run(c.args, &out, &errs); status != exitUsage {
				t.Errorf("status %d, want %d", status, exitUsage)
			}
			if !strings.Contains(errs.String(), c.want) || !strings.Contains(errs.String(), "wordcount: ") {
				t.Errorf("error output lacks %q: %q", c.want, &errs)
			}
			if out.Len() > 0 {
				t.Errorf("printed results: %q", &out)
			}
		})
	}
}

func TestRunHelp(t *testing.T) {
	var out, errs bytes.Buffer
	if status := run([]string{"-h"}, &out, &errs); status != exitAgree || !strings.Contains(out.String(), "usage: wordcount") {
		t.Errorf("status %d, output %q, errors %q", status, &out, &errs)
	}
}

// forgetful counts like the counter it embeds, but loses the word "lost".
type forgetful struct{ counter }

func (c forgetful) count(word []byte) {
	if string(word) != "lost" {
		c.counter.count(word)
	}
}

func TestRunDisagrees(t *testing.T) {
	right := way{"right", allWays()[2].make}
	wrong := way{"wrong", func() counter { return forgetful{right.make()} }}
	dir := tree(t, map[string]string{"a.go": "kept lost kept lost"})
	for _, c := range []struct {
		name string
		ways []way
		want string
	}{
		{"a later way", []way{right, wrong}, `right and wrong, first at "lost": 2 against none`},
		{"the first way", []way{wrong, right}, `wrong and right, first at "lost": none against 2`},
		{"all alike", []way{wrong, wrong}, "add up to 2, but there are 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			if status := runWays(c.ways, []string{dir}, &out, &errs); status != exitDisagree {
				t.Errorf("status %d, want %d", status, exitDisagree)
			}
			if !strings.Contains(out.String(), c.want) || strings.Contains(out.String(), "agree on every count") {
				t.Errorf("output lacks %q:\n%s", c.want, &out)
			}
		})
	}
}
