package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// sourceExtensions are the file name extensions of what is taken for source text, lower case, by language.
var sourceExtensions = extensionSet(
	".go .mod .tmpl",
	".c .h .cc .cpp .cxx .hh .hpp .hxx .m .mm", // the C family
	".s .asm .inc",
	".rs .zig .d .nim .swift",
	".java .kt .scala .groovy .clj .cs .fs .vb",
	".js .mjs .cjs .jsx .ts .tsx .vue",
	".py .pyi .rb .pl .pm .php .lua .tcl .r .jl",
	".hs .ml .mli .ex .exs .erl .hrl .lisp .el .scm",
	".sh .bash .zsh .fish .bat .ps1 .awk",
	".sql .proto .y .l .f .f90 .pas .adb .ads .v .sv .vhd",
)

// extensionSet returns the set of the words in lines.
func extensionSet(lines ...string) map[string]bool {
	set := make(map[string]bool)
	for _, ext := range strings.Fields(strings.Join(lines, " ")) {
		set[ext] = true
	}
	return set
}

// sources is the text of all files that are counted.
type sources struct {
	texts   [][]byte
	bytes   int64
	skipped int   // files and directories that could not be read
	problem error // why the first of them could not
}

// skip notes that something could not be read.
func (s *sources) skip(err error) {
	if s.skipped++; s.problem == nil {
		s.problem = err
	}
}

// loadSources reads the source files under dir into memory. It leaves out whatever is not a regular file, follows no
// symbolic links, and fails if there is nothing to count.
func loadSources(dir string, show *progress) (*sources, error) {
	s := &sources{}
	show.begin("loading", 0)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			s.skip(err)
			return nil // goes on with the next directory
		}
		if !entry.Type().IsRegular() || !sourceExtensions[strings.ToLower(filepath.Ext(path))] {
			return nil
		}
		s.load(path)
		show.done.Add(1)
		return nil
	})
	show.end(s.String())
	if err != nil {
		return nil, err
	}
	if len(s.texts) == 0 {
		return nil, fmt.Errorf("no source files under %s: %v", dir, s)
	}
	return s, nil
}

// load reads one file.
func (s *sources) load(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		s.skip(err)
		return
	}
	s.texts = append(s.texts, text)
	s.bytes += int64(len(text))
}

// String says how much was loaded, and how much could not be.
func (s *sources) String() string {
	text := fmt.Sprintf("%s files, %s", thousands(len(s.texts)), mebibytes(s.bytes))
	if s.skipped > 0 {
		text += fmt.Sprintf(" (%s could not be read; the first: %v)", thousands(s.skipped), s.problem)
	}
	return text
}
