package main

import (
	"cmp"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The standard library's tests compare sync.Map with the map it is made of, which other modules cannot import. Here
// sync.Map itself takes its place, in a file that is never rewritten: after the replacement the tests compare
// hushmap.AnyMap with sync.Map.
const (
	oracleFile   = "oracle_test.go"
	oracleSource = "package sync_test\n\nimport \"sync\"\n\ntype oracleMap = sync.Map\n"
)

// edit replaces the bytes from to to.
type edit struct {
	from, to int
	text     string
}

// source is a parsed file and the changes to be made to its text. Changing the text leaves comments and line
// numbers where they are.
type source struct {
	text  []byte
	set   *token.FileSet
	file  *ast.File
	edits []edit
}

func parse(text []byte) (*source, error) {
	s := &source{text: text, set: token.NewFileSet()}
	var err error
	s.file, err = parser.ParseFile(s.set, "", text, parser.ParseComments)
	return s, err
}

func (s *source) offset(p token.Pos) int { return s.set.Position(p).Offset }

func (s *source) replace(n ast.Node, text string) {
	s.edits = append(s.edits, edit{s.offset(n.Pos()), s.offset(n.End()), text})
}

// result returns the changed text.
func (s *source) result() []byte {
	slices.SortFunc(s.edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	var out []byte
	done := 0
	for _, e := range s.edits {
		out = append(append(out, s.text[done:e.from]...), e.text...)
		done = e.to
	}
	return append(out, s.text[done:]...)
}

// importOf returns the declaration and the name of an import, or nil.
func (s *source) importOf(path string) (decl *ast.GenDecl, spec *ast.ImportSpec, name string) {
	for _, d := range s.file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.IMPORT {
			continue
		}
		for _, is := range g.Specs {
			is := is.(*ast.ImportSpec)
			if got, err := strconv.Unquote(is.Path.Value); err != nil || got != path {
				continue
			}
			if is.Name != nil {
				return g, is, is.Name.Name
			}
			return g, is, path[strings.LastIndexByte(path, '/')+1:]
		}
	}
	return nil, nil, ""
}

// removeImport removes an import that nothing uses any more.
func (s *source) removeImport(decl *ast.GenDecl, spec *ast.ImportSpec) {
	if decl.Lparen.IsValid() {
		s.replace(spec, "")
	} else {
		s.replace(decl, "")
	}
}

// isUse reports whether n is name.something, where name is the package and not a variable of that name.
func isUse(n ast.Node, name string) (*ast.SelectorExpr, bool) {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok {
		return nil, false
	}
	x, ok := sel.X.(*ast.Ident)
	return sel, ok && x.Name == name && x.Obj == nil
}

// replaceSyncMap replaces sync.Map by hushmap.AnyMap in a file and returns how often it did. An embedded sync.Map
// becomes hushmap.Map[any, any], the same type, so that the field is still called Map.
func replaceSyncMap(text []byte) ([]byte, int, error) {
	s, err := parse(text)
	if err != nil {
		return nil, 0, err
	}
	decl, spec, name := s.importOf("sync")
	if spec == nil {
		return text, 0, nil
	}
	embedded := make(map[ast.Expr]bool)
	replaced, others := 0, 0
	ast.Inspect(s.file, func(n ast.Node) bool {
		if f, ok := n.(*ast.Field); ok && len(f.Names) == 0 {
			t := f.Type
			if star, ok := t.(*ast.StarExpr); ok {
				t = star.X
			}
			embedded[t] = true
		}
		if st, ok := n.(*ast.FuncType); ok { // its unnamed parameters and results are no embedded fields
			for _, list := range []*ast.FieldList{st.Params, st.Results} {
				unname(list)
			}
		}
		sel, ok := isUse(n, name)
		switch {
		case !ok:
		case sel.Sel.Name != "Map":
			others++
		case embedded[sel]:
			replaced++
			s.replace(sel, "hushmap.Map[any, any]")
		default:
			replaced++
			s.replace(sel, "hushmap.AnyMap")
		}
		return true
	})
	if replaced == 0 {
		return text, 0, nil
	}
	if others == 0 {
		s.removeImport(decl, spec)
	}
	end := s.offset(s.file.Name.End())
	s.edits = append(s.edits, edit{end, end, "; import " + strconv.Quote(hushmapPath)})
	return s.result(), replaced, nil
}

// unname gives unnamed parameters a name, so that they differ from embedded fields.
func unname(list *ast.FieldList) {
	if list == nil {
		return
	}
	for _, f := range list.List {
		if len(f.Names) == 0 {
			f.Names = []*ast.Ident{ast.NewIdent("_")}
		}
	}
}

// detachFromStandard removes from a test of the standard library what only the standard library may import.
func detachFromStandard(text []byte) ([]byte, error) {
	s, err := parse(text)
	if err != nil {
		return nil, err
	}
	for _, path := range []string{"internal/sync", "internal/testenv"} {
		if decl, spec, _ := s.importOf(path); spec != nil {
			s.removeImport(decl, spec)
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ExprStmt: // testenv.SkipIfOptimizationOff(t)
			if call, ok := n.X.(*ast.CallExpr); ok {
				if _, ok := isUse(call.Fun, "testenv"); ok {
					s.replace(n, "")
				}
			}
		case *ast.IndexListExpr: // isync.HashTrieMap[any, any]
			if _, ok := isUse(n.X, "isync"); ok {
				s.replace(n, "oracleMap")
			}
		}
		return true
	})
	return s.result(), nil
}

// rewriteTree replaces sync.Map in all Go files under dir and returns how often it did.
func rewriteTree(dir string) (replaced int, err error) {
	err = eachFile(dir, func(text []byte) ([]byte, error) {
		out, n, err := replaceSyncMap(text)
		replaced += n
		return out, err
	})
	return replaced, err
}

// formatTree formats all Go files under dir, which adds a go:build line to those that have the older form only.
func formatTree(dir string) error { return eachFile(dir, format.Source) }

// eachFile passes every Go file under dir through change.
func eachFile(dir string, change func([]byte) ([]byte, error)) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go" || d.Name() == oracleFile:
			return nil
		}
		before, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		after, err := change(before)
		if err != nil {
			return err
		}
		return os.WriteFile(path, after, 0o666)
	})
}
