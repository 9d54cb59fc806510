package run

import (
	"bytes"
	"encoding/binary"
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
	made   func()              // runs when the map is made, if not nil
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
		f.init()
		inner, _ := peer.Find("sync.Map")
		f.Map = inner.Uint64().Map
		same := func(v uint64) uint64 { return v }
		return peer.Instance[uint64, uint64]{Map: f, Run: func(b peer.Block[uint64, uint64]) peer.Tally {
			return peer.RunDynamic(f, b, same, same)
		}}
	}
	store := func(n, entryBytes int) peer.Bytes {
		f.init()
		inner, _ := peer.Find("sync.Map")
		return fakeBytes{inner.Bytes(n, entryBytes), f}
	}
	peer.RegisterForTest(peer.Impl{Name: name, Concurrent: true, Uint64: fill, Bytes: store})
}

func (f fake) init() {
	if f.made != nil {
		f.made()
	}
}

// fakeBytes is the same for values that begin with their id.
type fakeBytes struct {
	peer.Bytes
	f fake
}

func (b fakeBytes) Get(key string, dst []byte) ([]byte, bool) {
	b.f.before()
	v, ok := b.Bytes.Get(key, dst)
	if !ok {
		return nil, false
	}
	v = bytes.Clone(v)
	binary.LittleEndian.PutUint64(v, b.f.load(binary.LittleEndian.Uint64(v)))
	return v, true
}

func (b fakeBytes) Set(key string, value []byte) error {
	b.f.before()
	if b.f.store(binary.LittleEndian.Uint64(value)) {
		return b.Bytes.Set(key, value)
	}
	return nil
}
