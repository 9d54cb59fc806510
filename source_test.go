//go:build !race && !hushmap_atomic && !hushmap_invariants

// This file looks at the sources and documents of all builds, so one of the builds has it.

package hushmap

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const mtModule = "github.com/hushmap/hushmap"

// mtOrder is the order of the root package's files: each uses only those before it, and itself. Files in one string
// are alternatives, of which a build has one, or parts of one whole.
var mtOrder = []string{
	"options.go", "layout.go", "steps.go steps_on.go steps_off.go", "barrier.go barrier_tso.go barrier_atomic.go",
	"bucket.go", "table.go", "crowd.go", "grow.go", "watch.go", "readmap.go", "flood.go", "write.go", "sweep.go", "compute.go",
	"flight.go", "map.go", "stats.go", "verify.go", "batch.go", "stringkeys.go", "bytes.go",
}

// mtInternalOrder is the order of the internal packages.
var mtInternalOrder = []string{"cacheline", "stripe", "swar", "hash", "stackmark", "mem", "prefetch", "arena"}

func mtRank(file string) int {
	return slices.IndexFunc(mtOrder, func(s string) bool { return slices.Contains(strings.Fields(s), file) })
}

// mtGo runs the go command, or skips the test if that is impossible.
func mtGo(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	path, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go command is missing: ", err)
	}
	if _, err := os.Stat("map.go"); err != nil {
		t.Skip("the source is missing: ", err)
	}
	command := exec.Command(path, args...)
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	err = command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Skip("the go command does not run: ", err)
	}
	if err != nil {
		return stdout.String() + stderr.String(), err
	}
	return stdout.String(), nil
}

// mtSource is a type-checked build of the root package.
type mtSource struct {
	fset  *token.FileSet
	files map[string]*ast.File
	info  types.Info
	pkg   *types.Package
}

// mtLoaded are the results of mtLoad, by tags.
var mtLoaded = struct {
	sync.Mutex
	builds map[string]*mtSource
}{builds: make(map[string]*mtSource)}

// mtLoad type-checks the root package under the given build tags, once.
func mtLoad(t *testing.T, tags string) *mtSource {
	t.Helper()
	mtLoaded.Lock()
	defer mtLoaded.Unlock()
	if s := mtLoaded.builds[tags]; s != nil {
		return s
	}
	out, err := mtGo(t, "list", "-tags="+tags, "-deps", "-export", "-json=ImportPath,Export,GoFiles", ".")
	require.NoError(t, err, out)
	exports := make(map[string]string)
	var names []string
	for d := json.NewDecoder(strings.NewReader(out)); ; {
		var p struct {
			ImportPath, Export string
			GoFiles            []string
		}
		if err := d.Decode(&p); err == io.EOF {
			break
		} else {
			require.NoError(t, err)
		}
		exports[p.ImportPath] = p.Export
		if p.ImportPath == mtModule {
			names = p.GoFiles
		}
	}
	s := &mtSource{fset: token.NewFileSet(), files: make(map[string]*ast.File)}
	s.info = types.Info{
		Uses: make(map[*ast.Ident]types.Object), Defs: make(map[*ast.Ident]types.Object),
		Selections: make(map[*ast.SelectorExpr]*types.Selection), Types: make(map[ast.Expr]types.TypeAndValue),
	}
	var files []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(s.fset, name, nil, 0)
		require.NoError(t, err)
		s.files[name] = f
		files = append(files, f)
	}
	require.NotEmpty(t, files)
	config := types.Config{
		Importer: importer.ForCompiler(s.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }),
		Sizes:    types.SizesFor("gc", runtime.GOARCH),
	}
	s.pkg, err = config.Check(mtModule, s.fset, files, &s.info)
	require.NoError(t, err)
	mtLoaded.builds[tags] = s
	return s
}

func (s *mtSource) file(p token.Pos) string { return filepath.Base(s.fset.Position(p).Filename) }

// at is a position for messages.
func (s *mtSource) at(p token.Pos) string {
	pos := s.fset.Position(p)
	return fmt.Sprintf("%s:%d", filepath.Base(pos.Filename), pos.Line)
}

// mtShared reports whether obj is declared at package level: also methods and fields, but not variables of functions.
func (s *mtSource) shared(obj types.Object) bool {
	if obj == nil || obj.Pkg() != s.pkg {
		return false
	}
	switch o := obj.(type) {
	case *types.Var:
		return o.IsField() || o.Parent() == s.pkg.Scope()
	case *types.Func:
		return true
	case *types.TypeName, *types.Const:
		return obj.Parent() == s.pkg.Scope()
	}
	return false
}

var mtBuilds = []string{"", "hushmap_atomic", "hushmap_invariants"}

// A reader who follows the order of mtOrder never meets a name that comes later.
func TestFilesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	for _, tags := range mtBuilds {
		t.Run("tags "+tags, func(t *testing.T) {
			s := mtLoad(t, tags)
			for name := range s.files {
				require.GreaterOrEqual(t, mtRank(name), 0, "%s has no place in the order", name)
			}
			late := make(map[string][]string)
			for id, obj := range s.info.Uses {
				if !s.shared(obj) {
					continue
				}
				if from, to := s.file(id.Pos()), s.file(obj.Pos()); mtRank(from) < mtRank(to) {
					what := fmt.Sprintf("%s uses %s of %s", from, obj.Name(), to)
					late[what] = append(late[what], s.at(id.Pos()))
				}
			}
			for what, where := range late {
				slices.Sort(where)
				t.Error(what, where)
			}
			// What runs this check must see something.
			assert.NotNil(t, s.pkg.Scope().Lookup("Map"))
			assert.Greater(t, len(s.info.Uses), 1000)
		})
	}
}

// Only barrier.go and its companions look into buckets: nobody else selects a field of slot or bucket, uses atomics
// on their words, or makes pointers into them.
func TestOnlyBarriersTouchBuckets(t *testing.T) {
	t.Parallel()
	isBarrier := func(file string) bool { return strings.HasPrefix(file, "barrier") }
	for _, tags := range mtBuilds {
		t.Run("tags "+tags, func(t *testing.T) {
			s := mtLoad(t, tags)
			owner := make(map[types.Object]string) // fields of bucket and slot
			for _, name := range []string{"bucket", "slot"} {
				st := s.pkg.Scope().Lookup(name).Type().Underlying().(*types.Struct)
				for i := range st.NumFields() {
					owner[st.Field(i)] = name
				}
			}
			inBarriers := 0
			for id, obj := range s.info.Uses {
				if v, ok := obj.(*types.Var); ok && v.IsField() {
					obj = v.Origin()
				}
				if name, ok := owner[obj]; ok {
					if isBarrier(s.file(id.Pos())) {
						inBarriers++
					} else {
						t.Errorf("%s: selects %s.%s", s.at(id.Pos()), name, obj.Name())
					}
				}
			}
			assert.Greater(t, inBarriers, 10, "the test sees what it looks for")
			for name, f := range s.files {
				if isBarrier(name) {
					continue
				}
				ast.Inspect(f, func(n ast.Node) bool {
					call, ok := n.(*ast.CallExpr)
					if !ok {
						return true
					}
					if what := s.wordAccess(call); what != "" {
						t.Errorf("%s: %s", s.at(call.Pos()), what)
					}
					return true
				})
			}
		})
	}
}

// wordAccess says what a call has to do with the words of a bucket: a function of sync/atomic, pointer arithmetic, or
// a pointer made from another that is no local variable's.
func (s *mtSource) wordAccess(call *ast.CallExpr) string {
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	obj := s.info.Uses[sel.Sel]
	if obj == nil || obj.Pkg() == nil {
		if b, ok := obj.(*types.Builtin); ok && b.Name() == "Add" && s.file(call.Pos()) != "layout.go" {
			return "unsafe.Add"
		}
		return ""
	}
	if fn, ok := obj.(*types.Func); ok && fn.Pkg().Path() == "sync/atomic" && fn.Signature().Recv() == nil {
		return "atomic." + fn.Name()
	}
	if b, ok := obj.(*types.Builtin); ok && b.Name() == "Add" && s.file(call.Pos()) != "layout.go" {
		return "unsafe.Add"
	}
	return ""
}

func TestInternalPackagesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	out, err := mtGo(t, "list", "-f", "{{.ImportPath}}: {{join .Imports \" \"}}", "./internal/...")
	require.NoError(t, err, out)
	rank := func(path string) int {
		return slices.Index(mtInternalOrder, strings.TrimPrefix(path, mtModule+"/internal/"))
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	assert.GreaterOrEqual(t, len(lines), 5)
	for _, line := range lines {
		path, imports, _ := strings.Cut(line, ":")
		require.GreaterOrEqual(t, rank(path), 0, "%s has no place in the order", path)
		for _, i := range strings.Fields(imports) {
			if i == mtModule {
				t.Errorf("%s imports the root package", path)
			} else if strings.HasPrefix(i, mtModule) && rank(i) >= rank(path) {
				t.Errorf("%s imports %s, which comes later", path, i)
			}
		}
	}
}

// The root module depends on three modules, and on what testify needs. The library itself, and what users get with it,
// on two.
func TestDependencies(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Skip("the source is missing: ", err)
	}
	direct := regexp.MustCompile(`(?m)^(?:require)?\s+(\S+) (v\S+)$`).FindAllStringSubmatch(string(mod), -1)
	var modules []string
	for _, m := range direct {
		modules = append(modules, m[1])
	}
	slices.Sort(modules)
	assert.Equal(t, []string{"github.com/cespare/xxhash/v2", "github.com/stretchr/testify", "golang.org/x/sys"}, modules)
	assert.Regexp(t, `(?m)^go 1\.24(\.0)?$`, string(mod))
	assert.NotContains(t, string(mod), "replace")

	out, err := mtGo(t, "list", "-deps", "-f", "{{if .Module}}{{.Module.Path}}{{end}}", ".")
	require.NoError(t, err, out)
	modules = strings.Fields(out)
	slices.Sort(modules)
	assert.Equal(t, []string{"github.com/cespare/xxhash/v2", mtModule, "golang.org/x/sys"}, slices.Compact(modules))
}

// FAILURES: copied map. `go vet` reports every line of the fixture that says so, and no other.
func TestVetReportsCopiedMap(t *testing.T) {
	t.Parallel()
	const fixture = "testdata/copied/copied.go"
	src, err := os.ReadFile(fixture)
	if err != nil {
		t.Skip("the source is missing: ", err)
	}
	out, err := mtGo(t, "vet", "./testdata/copied")
	require.Error(t, err, "go vet reported nothing: %s", out)
	var want, got []string
	for i, line := range strings.Split(string(src), "\n") {
		if strings.HasSuffix(line, "// want") {
			want = append(want, fmt.Sprint(i+1))
		}
	}
	for _, m := range regexp.MustCompile(`copied\.go:(\d+):\d+: .*hushmap\.\S*noCopy`).FindAllStringSubmatch(out, -1) {
		if len(got) == 0 || got[len(got)-1] != m[1] {
			got = append(got, m[1])
		}
	}
	require.NotEmpty(t, want)
	assert.Equal(t, want, got, out)
}

// docTests are the tests of this module and of verify/, by name: the files that declare them.
func docTests(t *testing.T) map[string][]string {
	files := make(map[string][]string)
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	err := filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(src, -1) {
			files[string(m[1])] = append(files[string(m[1])], filepath.ToSlash(path))
		}
		return err
	})
	require.NoError(t, err)
	if len(files[t.Name()]) == 0 {
		t.Skip("the source is missing")
	}
	return files
}

var docName = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w*)`")

// Tests that the docs name exist, in this module or in verify/: what a reader is told to run must be there.
func TestDocsNameTestsThatExist(t *testing.T) {
	t.Parallel()
	exists := docTests(t)
	docs, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	named := 0
	for _, doc := range append(docs, "README.md") {
		text, err := os.ReadFile(doc)
		require.NoError(t, err)
		for _, m := range docName.FindAllSubmatch(text, -1) {
			named++
			assert.NotEmpty(t, exists[string(m[1])], "%s: there is no %s", doc, m[1])
		}
	}
	assert.Greater(t, named, 80, "the test sees what it looks for")
}

// The commands of a promise in docs/testing.md run the tests of that promise.
func TestDocsCommandsRunTheirTests(t *testing.T) {
	t.Parallel()
	files := docTests(t)
	text, err := os.ReadFile("docs/testing.md")
	require.NoError(t, err)
	_, table, ok := strings.Cut(string(text), "| promise | tests | command |\n|---|---|---|\n")
	require.True(t, ok)
	table, _, _ = strings.Cut(table, "\n\n")
	command := regexp.MustCompile("`((?:\\w+=\\S+ )*go test [^`]*)`")
	tests := 0
	for row := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(strings.ReplaceAll(row, `\|`, "\x00"), "|")
		require.Len(t, cells, 5, row)
		commands := command.FindAllStringSubmatch(strings.ReplaceAll(cells[3], "\x00", "|"), -1)
		assert.NotEmpty(t, commands, row)
		for _, m := range docName.FindAllStringSubmatch(cells[2], -1) {
			tests++
			assert.True(t, slices.ContainsFunc(commands, func(c []string) bool {
				return slices.ContainsFunc(files[m[1]], func(file string) bool { return docRuns(t, c[1], file, m[1]) })
			}), "no command of this row runs %s:\n%s", m[1], row)
		}
	}
	assert.Greater(t, tests, 80, "the test sees what it looks for")
}

// docRuns reports whether a command runs the test of a name in a file.
func docRuns(t *testing.T, command, file, name string) bool {
	src, err := os.ReadFile(file)
	require.NoError(t, err)
	if line := regexp.MustCompile(`(?m)^//go:build .*$`).Find(src); line != nil {
		build, err := constraint.Parse(string(line))
		require.NoError(t, err, file)
		if !build.Eval(func(tag string) bool {
			ours := tag == "race" || tag == "386" || strings.HasPrefix(tag, "hushmap_") // as opposed to systems
			return !ours || strings.Contains(command, tag)
		}) {
			return false
		}
	}
	dir := filepath.ToSlash(filepath.Dir(file))
	in, ofVerify := strings.CutPrefix(dir, "verify")
	if ofVerify {
		dir = "." + in
	}
	if strings.Contains(command, "-C verify ") != ofVerify {
		return false
	}
	words := regexp.MustCompile(`'[^']*'|\S+`).FindAllString(command, -1)
	if !slices.ContainsFunc(words, func(w string) bool { return w == "./..." || filepath.ToSlash(filepath.Clean(w)) == dir }) {
		return false
	}
	flag := "-run"
	if strings.HasPrefix(name, "Fuzz") && strings.Contains(command, "-fuzz") {
		flag = "-fuzz"
	}
	i := slices.Index(words, flag)
	return i < 0 || regexp.MustCompile(strings.Trim(words[i+1], "'")).MatchString(name)
}
