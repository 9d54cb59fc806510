//go:build hushmap_types || !(race || hushmap_invariants || hushmap_atomic || 386)

// This file compares all that hashes keys, over many types. It is left out where suite_types_test.go is, and where
// words are stored with atomic instructions or have 32 bits, unless the tag hushmap_types asks for it.

package hushmap

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

type (
	evNamedAny any
	evInt      int
	evPair     struct {
		a string
		b any
	}
)

// evKeys has keys stored, found in every way, moved under another seed and to another arena, and deleted.
func evKeys[K comparable](t *testing.T, name string, keys []K, opts ...Option) {
	for _, small := range []bool{false, true} {
		o := append([]Option{withTuning(func(tu *tuning) {
			tu.farFrom = 1
			if small {
				tu.chunk, tu.atOnce = 1, 0
			}
		})}, opts...)
		m := New[K, int](o...)
		nan := 0
		for i, k := range keys {
			m.Store(k, i)
			if k != k {
				nan++
			}
			if i%97 == 0 {
				for j, k := range keys[:i+1] {
					if v, ok := m.Load(k); k == k && (!ok || v != j) {
						t.Fatalf("%s: %v lost at %d: %v %v", name, k, i, v, ok)
					}
				}
				if err := m.Verify(); err != nil {
					t.Fatalf("%s %v: %v", name, small, err)
				}
			}
		}
		check := func() {
			t.Helper()
			if m.Len() != len(keys) {
				t.Fatalf("%s: len %d of %d", name, m.Len(), len(keys))
			}
			vals, found := make([]int, len(keys)), make([]bool, len(keys))
			if n := m.LoadBatch(keys, vals, found); n != len(keys)-nan {
				t.Fatalf("%s: batch found %d of %d, %d nan", name, n, len(keys), nan)
			}
			rm := m.core.read.Load()
			for i, k := range keys {
				v, ok := m.Load(k)
				if k != k {
					continue
				}
				if !ok || v != i || vals[i] != i || !found[i] {
					t.Fatalf("%s: %v: %v %v", name, k, v, ok)
				}
				if rm.hash(k) != rm.hashAny(k) {
					t.Fatalf("%s: %v: two hashes", name, k)
				}
				if _, loaded := m.core.loadOrStore(k, -1); !loaded {
					t.Fatalf("%s: %v: loadOrStore", name, k)
				}
			}
			seen := 0
			m.Range(func(k K, v int) bool { seen++; return true })
			if seen != len(keys) {
				t.Fatalf("%s: range %d of %d", name, seen, len(keys))
			}
			if err := m.Verify(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		check()
		// new seed
		rm := m.core.settle()
		if rm.hashed != hashStable {
			m.core.mu.Lock()
			m.core.resizeLocked(rm, rm.buckets(), m.core.newSeed(), rm.traits)
			m.core.mu.Unlock()
			check()
		}
		rm = m.core.settle()
		m.core.mu.Lock()
		m.core.resizeLocked(rm, rm.buckets()*2, rm.seed, m.core.traits.withArena())
		m.core.mu.Unlock()
		check()
		m.Compact()
		check()
		if n := m.DeleteBatch(keys); n != len(keys)-nan {
			t.Fatalf("%s: deleted %d", name, n)
		}
		if m.Len() != nan {
			t.Fatalf("%s: len %d, nan %d", name, m.Len(), nan)
		}
		if n := m.DeleteFunc(func(K, int) bool { return true }); n != nan || m.Len() != 0 {
			t.Fatalf("%s: deletefunc %d of %d", name, n, nan)
		}
	}
}

// All that hashes keys agrees: hash, hashAny, lookups, batches with their pipeline, writes, sweeps and evacuation, for every
// class of key and every option, in tables that are being evacuated and in others.
func TestHashAgreement(t *testing.T) {
	var strs []string
	var named []evStr
	seen := map[string]bool{}
	for n := range 75 {
		for v := range 9 {
			s := strings.Repeat("\x00", n)
			if v > 0 && n > 0 {
				b := []byte(s)
				for i := range b {
					b[i] = byte(rand.Uint32N(3) * 127)
				}
				s = string(b)
			}
			if !seen[s] {
				seen[s] = true
				strs = append(strs, s)
				named = append(named, evStr(s))
			}
		}
	}
	var anys []any
	var nameds []evNamedAny
	ptr := func() any { return new(int) }
	for i := range 60 {
		f := float64(i) + 0.5
		for _, k := range []any{i, int8(i), int16(i), int32(-i), int64(i), uint(i), uint8(i), uint16(i), uint32(i), uint64(i),
			uintptr(i), evInt(i), evStr(fmt.Sprint(i)), fmt.Sprint(i), strings.Repeat("y", 60+i), f, float32(f), complex(f, 1),
			[2]int{i, 1}, struct{ a, b any }{i, "x"}, ptr(), make(chan int), math.NaN(), [1]any{math.NaN()}, evPair{"a", i}} {
			anys = append(anys, k)
			nameds = append(nameds, k)
		}
	}
	for _, k := range []any{nil, true, false, struct{}{}, "", error(errors.New("x")), (*int)(nil), 0.0} {
		anys = append(anys, k)
		nameds = append(nameds, k)
	}
	var errs []error
	for i := range 300 {
		errs = append(errs, fmt.Errorf("%d", i))
	}
	errs = append(errs, nil)
	var floats []float64
	for i := range 500 {
		floats = append(floats, float64(i))
		if i%2 == 0 {
			floats = append(floats, math.NaN())
		}
	}
	var i32 []int32
	var arr0 = [][0]int{{}}
	var arr3 [][3]byte
	var pairs []evPair
	var two [][2]float64
	for i := range 500 {
		i32 = append(i32, int32(-i))
		arr3 = append(arr3, [3]byte{byte(i), 1, byte(i >> 8)})
		pairs = append(pairs, evPair{fmt.Sprint(i), i})
		two = append(two, [2]float64{float64(i), 1})
	}
	evKeys(t, "string", strs)
	evKeys(t, "string stable", strs, WithStableHash())
	evKeys(t, "string custom", strs, WithHasher(func(k string, s uint64) uint64 { return uint64(len(k)) * s }))
	evKeys(t, "named string", named)
	evKeys(t, "any", anys)
	evKeys(t, "any custom", anys, WithHasher(func(k any, s uint64) uint64 { return uint64(len(fmt.Sprintf("%T", k))) * s }))
	evKeys(t, "named any", nameds)
	evKeys(t, "errors", errs)
	evKeys(t, "floats", floats)
	evKeys(t, "floats stable", floats, WithStableHash())
	evKeys(t, "floats custom", floats, WithHasher(func(k float64, s uint64) uint64 { return uint64(k) }))
	evKeys(t, "int32", i32)
	evKeys(t, "zero", arr0)
	evKeys(t, "arr3", arr3)
	evKeys(t, "pairs", pairs)
	evKeys(t, "two", two)
	evKeys(t, "empty", []struct{}{{}})
}
