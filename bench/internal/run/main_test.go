package run

import (
	"fmt"
	"os"
	"testing"

	"github.com/hushmap/hushmap/bench/internal/peer"
)

// TestMain makes the test program serve as the child as well, so that the fakes exist there too.
func TestMain(m *testing.M) {
	registerFakes()
	if IsChild() {
		if err := Child(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// fake is a correct map, built on sync.Map, that can be made to misbehave.
type fake struct {
	peer.Map[uint64, uint64]
	before func()              // runs before each operation
	store  func(k uint64) bool // says whether to store the key
	load   func(v uint64) uint64
}

func (f fake) Load(k uint64) (uint64, bool) {
	f.before()
	v, ok := f.Map.Load(k)
	return f.load(v), ok
}

func (f fake) Store(k, v uint64) {
	f.before()
	if f.store(k) {
		f.Map.Store(k, v)
	}
}

func (f fake) Delete(k uint64) {
	f.before()
	f.Map.Delete(k)
}

func registerFake(name string, f fake) {
	fill := func() peer.Instance[uint64, uint64] {
		f := f
		inner, _ := peer.Find("sync.Map")
		f.Map = inner.Uint64().Map
		same := func(v uint64) uint64 { return v }
		return peer.Instance[uint64, uint64]{Map: f, Run: func(b peer.Block[uint64, uint64]) peer.Tally {
			return peer.RunDynamic(f, b, same, same)
		}}
	}
	peer.RegisterForTest(peer.Impl{Name: name, Concurrent: true, Uint64: fill})
}
