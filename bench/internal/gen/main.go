// Command gen writes the measuring loops of package peer: loops.tmpl once per adapter, for each kind of key the
// adapter can hold; batches.tmpl for the one that works in batches.
package main

import (
	"bytes"
	_ "embed"
	"flag"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

var (
	//go:embed loops.tmpl
	loops string
	//go:embed batches.tmpl
	batches string
)

// kind is one instantiation: how a value is made for an operation and turned back into the id it stands for.
type kind struct {
	Name, Key, Value string
	ID, Make         string
}

var (
	uint64Kind = kind{"Uint64", "uint64", "uint64", "v", "o.ID()"}
	stringKind = kind{"String", "string", "uint64", "v", "o.ID()"}
	anyKind    = kind{"Any", "any", "any", "v.(uint64)", "vals[j]"}
)

// calls is what the loops write in front of the arguments of an operation.
type calls struct{ Load, Store, Delete, LoadOrStore string }

// The loops call a library's map directly where its methods are those of the adapter: an adapter's method that the compiler does
// not inline would cost one library a call more than another.
var (
	viaAdapter = calls{"m.Load", "m.Store", "m.Delete", "m.LoadOrStore"}
	direct     = calls{"m.m.Load", "m.m.Store", "m.m.Delete", "m.m.LoadOrStore"}
)

// adapter names a generic adapter type of package peer and its constructor.
type adapter struct {
	Name, Type, New string
	Kinds           []kind
	Call            calls
}

// ID turns the value v into its id. What sync.Map returns is boxed whatever the kind.
func (a adapter) ID(k kind) string {
	if a.Name == "SyncMap" {
		return anyKind.ID
	}
	return k.ID
}

// Template returns what to write the loops by.
func (a adapter) Template() string {
	if a.Name == "HushBatch" {
		return batches
	}
	return loops
}

var (
	allKinds = []kind{uint64Kind, stringKind, anyKind}
	adapters = []adapter{
		{"Hushmap", "hushMap", "newHushmap", allKinds, direct},
		{"HushBatch", "hushMap", "newHushmap", allKinds, direct},
		{"Xsync", "xsyncMap", "newXsync", allKinds, direct},
		{"SyncMap", "syncMap", "newSyncMap", allKinds, direct},
		{"RWMutex", "rwMutexMap", "newRWMutex", allKinds, viaAdapter},
		{"Sharded", "shardedMap", "newSharded", allKinds, viaAdapter},
		{"Cmap", "cmapMap", "newCmap", allKinds, calls{"m.m.Get", "m.m.Set", "m.m.Remove", "m.LoadOrStore"}},
		{
			"Haxmap", "haxMap", "newHaxmap", []kind{uint64Kind, stringKind},
			calls{"m.m.Get", "m.m.Set", "m.m.Del", "m.m.GetOrSet"},
		},
		{"Builtin", "builtinMap", "newBuiltin", allKinds, viaAdapter},
	}
)

func main() {
	out := flag.String("out", ".", "directory to write loops_*.go to")
	flag.Parse()
	if err := write(*out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	for _, a := range adapters {
		src, err := render(a)
		if err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, fileName(a)), src, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func fileName(a adapter) string { return "loops_" + strings.ToLower(a.Name) + ".go" }

func render(a adapter) ([]byte, error) {
	t, err := template.New("loops").Parse(a.Template())
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, a); err != nil {
		return nil, err
	}
	return format.Source(b.Bytes())
}
