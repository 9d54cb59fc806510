// Attacks on evacuation: a bucket moves into its two targets under two locks, and everything that hashes a key must agree
// where that is.

package hushmap

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type evStr string

// Keys that cannot be hashed panic in tables of any size and state, and nothing is lost.
func TestUnhashableKeysInTablesOfAnySize(t *testing.T) {
	for n := range 200 {
		m := New[any, int]()
		for i := range n {
			m.Store(i, i)
		}
		for name, f := range map[string]func(){
			"load": func() { m.Load([]int{1}) }, "store": func() { m.Store([]int{1}, 1) },
			"delete": func() { m.Delete(func() {}) }, "batch": func() {
				m.LoadBatch([]any{map[int]int{}, 1, 2, 3, 4, 5, 6, 7, 8, 9}, make([]int, 10), make([]bool, 10))
			},
		} {
			func() {
				defer func() {
					if _, ok := recover().(runtime.Error); !ok {
						t.Fatal(name)
					}
				}()
				f()
			}()
		}
		if err := m.Verify(); err != nil || m.Len() != n {
			t.Fatal(err)
		}
	}
}

// evFor is how long a storm lasts.
func evFor(d time.Duration) time.Duration {
	if os.Getenv("HUSHMAP_SOAK") != "" {
		return 20 * d
	}
	return d
}

// evWatch fails the test if f hangs.
func evWatch(t *testing.T, d time.Duration, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(d):
		buf := make([]byte, 1<<18)
		t.Fatalf("hang\n%s", buf[:runtime.Stack(buf, true)])
	}
}

// evStorm has owners check every result against a model of their own, over keys whose homes crowd (wrap-around, displaced
// entries), while doublings, halvings, rebuilds, sweeps and Verify go on.
func evStorm[K comparable, V comparable](t *testing.T, name string, key func(g, i int) K, val func(n int) V, opts ...Option) {
	o := append([]Option{withTuning(func(tu *tuning) { tu.chunk, tu.atOnce, tu.farFrom, tu.waste = 1, 0, 1, 256 })}, opts...)
	m := New[K, V](o...)
	const owners = 6
	keys := 40
	if name == "tiny" {
		keys = 3
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	var fails atomic.Int32
	fail := func(f string, a ...any) {
		if fails.Add(1) < 5 {
			t.Errorf(name+": "+f, a...)
		}
		stop.Store(true)
	}
	end := time.Now().Add(evFor(150 * time.Millisecond))
	for g := range owners {
		wg.Add(1)
		go func() {
			defer wg.Done()
			model := map[int]V{}
			r := rand.New(rand.NewPCG(uint64(g), 5))
			for n := 0; !stop.Load(); n++ {
				if n%64 == 0 && time.Now().After(end) {
					break
				}
				if n%700 == 699 { // grow and shrink
					for i := range keys {
						if n/700%2 == 0 {
							m.Delete(key(g, i))
							delete(model, i)
						} else {
							m.Store(key(g, i), val(n))
							model[i] = val(n)
						}
					}
				}
				i := r.IntN(keys)
				k := key(g, i)
				want, has := model[i]
				switch r.IntN(8) {
				case 0, 1:
					m.Store(k, val(n))
					model[i] = val(n)
				case 2:
					if v, ok := m.LoadAndDelete(k); ok != has || ok && v != want {
						fail("g%d LoadAndDelete %v: %v %v, want %v %v", g, k, v, ok, want, has)
					}
					delete(model, i)
				case 3:
					if v, ok := m.LoadOrStore(k, val(n)); ok != has || ok && v != want {
						fail("g%d LoadOrStore %v: %v %v, want %v %v", g, k, v, ok, want, has)
					}
					if !has {
						model[i] = val(n)
					}
				case 4:
					ks := make([]K, keys)
					for i := range ks {
						ks[i] = key(g, i)
					}
					vs, fs := make([]V, keys), make([]bool, keys)
					m.LoadBatch(ks, vs, fs)
					for i := range ks {
						if w, h := model[i]; h != fs[i] || h && w != vs[i] {
							fail("g%d batch %v: %v %v, want %v %v", g, ks[i], vs[i], fs[i], w, h)
						}
					}
				default:
					if v, ok := m.Load(k); ok != has || ok && v != want {
						fail("g%d Load %v: %v %v, want %v %v", g, k, v, ok, want, has)
					}
				}
			}
			for i := range keys {
				want, has := model[i]
				if v, ok := m.Load(key(g, i)); ok != has || ok && v != want {
					fail("g%d end Load %v: %v %v, want %v %v", g, i, v, ok, want, has)
				}
			}
		}()
	}
	bg := make(chan struct{})
	var bgs sync.WaitGroup
	back := func(f func()) {
		bgs.Add(1)
		go func() {
			defer bgs.Done()
			for {
				select {
				case <-bg:
					return
				default:
					f()
					time.Sleep(100 * time.Microsecond)
				}
			}
		}()
	}
	back(func() { // doublings and halvings with the same seed, rebuilds under another, fresh arenas
		rm := m.core.settle()
		if rm == nil {
			return
		}
		tr := rm.traits
		if rand.IntN(2) == 0 {
			tr = m.core.traits.withArena()
		}
		n := rm.buckets()
		switch rand.IntN(4) {
		case 0, 1:
			if n < 512 {
				n *= 2
			}
		case 2:
			n = max(n/2, minBuckets)
		}
		seed := rm.seed
		if rand.IntN(3) == 0 && !m.core.options().stable {
			seed = m.core.newSeed()
		}
		m.core.mu.Lock()
		m.core.resizeLocked(rm, n, seed, tr)
		m.core.mu.Unlock()
	})
	back(func() {
		seen := map[K]int{}
		m.Range(func(k K, v V) bool { seen[k]++; return true })
		for k, n := range seen {
			if n > 1 && k == k {
				// may be deleted and stored again meanwhile: only once per sweep all the same
				fail("Range saw %v %d times", k, n)
			}
		}
	})
	back(func() {
		if err := m.Verify(); err != nil {
			fail("%v", err)
		}
	})
	wg.Wait()
	close(bg)
	bgs.Wait()
	if err := m.Verify(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	s := m.Stats()
	t.Logf("%s: %+v", name, s)
}

// Keys that are the same number in several types share a hash. A map full of them works, and does not give up its seed for it.
func TestNumbersOfSeveralTypes(t *testing.T) {
	m := New[any, int]()
	n := ftN(20_000)
	for i := range n {
		for j, k := range []any{i, int64(i), uint64(i), int32(i), uint32(i)} {
			m.Store(k, i*5+j)
		}
	}
	for i := range n {
		for j, k := range []any{i, int64(i), uint64(i), int32(i), uint32(i)} {
			if v, ok := m.Load(k); !ok || v != i*5+j {
				t.Fatalf("%T %v: %v %v", k, k, v, ok)
			}
		}
	}
	if s := m.Stats(); s.Rebuilds != 0 || s.Entries != 5*n {
		t.Errorf("%+v", s)
	}
	if err := m.Verify(); err != nil {
		t.Error(err)
	}
}

// No update is lost while tables double, halve and change seed and arena all the time. With the tag hushmap_invariants
// goroutines also stop at random between the steps of the protocol.
func TestEvacuationStorm(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(6))
	evStall()
	defer evRun()
	raw := withTuning(func(tu *tuning) { tu.rawHash = true })
	narrow := func(n int) int { return n }
	wide := func(n int) atWide { return atWide{uint64(n), uint64(-n), uint64(7 * n)} }
	u64 := func(g, i int) uint64 { return uint64(g)<<32 | uint64(i) }
	str := func(g, i int) string { return fmt.Sprintf("%*d", 1+(g*41+i)%70, g*1000+i) }
	anyk := func(g, i int) any {
		switch i % 6 {
		case 0:
			return g*1000 + i
		case 1:
			return uint64(g*1000 + i - 1)
		case 2:
			return fmt.Sprint(g*1000 + i)
		case 3:
			return evStr(fmt.Sprint(g*1000 + i - 1))
		case 4:
			return [2]int{g, i}
		}
		return float64(g*1000 + i)
	}
	last := func(k, _ uint64) uint64 { return 0xffffffffffffff00 | k*0x9e3779b97f4a7c15>>56 } // all in the last bucket: wraps
	few := func(k, _ uint64) uint64 {
		x := k * 0x9e3779b97f4a7c15
		return x>>62<<62 | x>>40&0xff // four homes, at the start of each quarter
	}
	one := func(k, _ uint64) uint64 { return k*0x9e3779b97f4a7c15>>63<<60 | 0x0800<<48 | 7 }
	strLast := func(k string, _ uint64) uint64 { return 0xffffffffffffff00 | uint64(len(k)) }
	evWatch(t, 4*time.Minute, func() {
		evStorm(t, "u64", u64, narrow)
		evStorm(t, "u64 wide", u64, wide)
		evStorm(t, "u64 last", u64, narrow, WithHasher(last), raw)
		evStorm(t, "u64 few wide", u64, wide, WithHasher(few), raw)
		evStorm(t, "u64 one", u64, narrow, WithHasher(one), raw)
		evStorm(t, "string", str, narrow)
		evStorm(t, "string wide", str, wide)
		evStorm(t, "string strings", str, func(n int) string { return fmt.Sprint(n) })
		evStorm(t, "string last", str, narrow, WithHasher(strLast), raw)
		evStorm(t, "string stable", str, narrow, WithStableHash())
		evStorm(t, "any", anyk, narrow)
		evStorm(t, "any wide", anyk, wide)
		evStorm(t, "any any", anyk, func(n int) any { return n })
		evStorm(t, "set", str, func(int) struct{} { return struct{}{} })
		evStorm(t, "tiny", func(g, i int) uint64 { return u64(g, i%3) }, narrow, WithHasher(last), raw)
	})
}

// The same for Bytes.
func TestBytesEvacuationStorm(t *testing.T) {
	evStall()
	defer evRun()
	m := NewBytes(withTuning(func(tu *tuning) { tu.chunk, tu.atOnce, tu.waste = 1, 0, 256 }))
	var wg sync.WaitGroup
	evWatch(t, 2*time.Minute, func() {
		for g := range 5 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				model := map[string]string{}
				end := time.Now().Add(evFor(300 * time.Millisecond))
				for n := 0; time.Now().Before(end); n++ {
					i := rand.IntN(60)
					if n%3000 > 1500 {
						i = rand.IntN(600)
					}
					k := fmt.Sprintf("%*d", 1+i%70, g*1000+i)
					want, has := model[k]
					switch rand.IntN(4) {
					case 0, 1:
						v := strings.Repeat(fmt.Sprint(n, ","), n%7)
						m.SetB([]byte(k), []byte(v))
						model[k] = v
					case 2:
						if ok := m.Delete(k); ok != has {
							t.Error("delete", k, ok, has)
						}
						delete(model, k)
					case 3:
						if v, ok := m.GetB(nil, []byte(k)); ok != has || string(v) != want {
							t.Error("get", k, ok, has)
						}
					}
				}
			}()
		}
		wg.Wait()
	})
	if err := m.Verify(); err != nil {
		t.Error(err)
	}
}

// Hashers that panic at random, and inconsistent ones, while a table doubles: nothing
// stays locked, no entry is lost to the counters, Range sees all; and after Clear the map is as good as new.
func TestHashersThatFailWhileDoubling(t *testing.T) {
	var panics, random atomic.Bool
	m := New[int, int](withTuning(func(tu *tuning) { tu.chunk, tu.atOnce = 1, 0 }), WithHasher(func(k int, s uint64) uint64 {
		if panics.Load() && rand.IntN(40) == 0 {
			panic("hasher")
		}
		if random.Load() && rand.IntN(10) == 0 {
			return rand.Uint64()
		}
		return uint64(k) * 0x9e3779b97f4a7c15
	}))
	evWatch(t, time.Minute, func() {
		stored := 0
		panics.Store(true)
		for i := range 3000 {
			for ok := false; !ok; {
				func() {
					defer func() { _ = recover() }()
					m.Store(i, i)
					ok = true
				}()
			}
			stored++
		}
		panics.Store(false)
		if m.Len() != stored {
			t.Errorf("len %d of %d", m.Len(), stored)
		}
		for i := range stored {
			if v, ok := m.Load(i); !ok || v != i {
				t.Fatalf("%d lost", i)
			}
		}
		if err := m.Verify(); err != nil {
			t.Error(err)
		}
		if invariants {
			return // checkLocked reports a key that is there twice
		}
		random.Store(true)
		for i := range 20000 {
			m.Store(i%6000, i)
			if i%5 == 0 {
				m.Delete(rand.IntN(6000))
			}
		}
		random.Store(false)
		n := m.Len()
		for i := range 6000 {
			m.Store(i, 1)
			m.Load(i)
		}
		m.Compact()
		m.Len()
		t.Log("inconsistent", n, m.Len())
		for range 3 {
			m.DeleteFunc(func(int, int) bool { return true })
			for i := range 6000 {
				m.Delete(i)
			}
		}
		t.Log("left", m.Len())
		m.Clear()
		flUsable(t, "after it was inconsistent", m)
	})
}

// NaN keys that fill homes, through doublings at same seed with concurrent writers.
func TestNaNKeysWhileDoubling(t *testing.T) {
	evStall()
	defer evRun()
	for _, custom := range []bool{false, true} {
		opts := []Option{withTuning(func(tu *tuning) { tu.chunk, tu.atOnce = 1, 0 })}
		if custom {
			opts = append(opts, WithHasher(func(k any, s uint64) uint64 { return ^uint64(0) }))
		}
		m := New[any, int](opts...)
		evWatch(t, time.Minute, func() {
			var wg sync.WaitGroup
			const per = 700
			for g := range 4 {
				wg.Add(1)
				go func() {
					defer wg.Done()
					for i := range per {
						m.Store(math.NaN(), i)
						m.Store([1]any{math.NaN()}, i)
						if i%8 == 0 {
							m.Store(g*100000+i, i)
							if _, ok := m.Load(g*100000 + i); !ok {
								t.Error("lost")
							}
						}
					}
				}()
			}
			wg.Wait()
			want := 4 * (2*per + (per+7)/8)
			n := 0
			m.Range(func(any, int) bool { n++; return true })
			if n != want || m.Len() != want {
				t.Errorf("custom %v: %d, len %d, want %d", custom, n, m.Len(), want)
			}
			if err := m.Verify(); err != nil {
				t.Error(err)
			}
			if d := m.DeleteFunc(func(any, int) bool { return true }); d != want || m.Len() != 0 {
				t.Errorf("deleted %d", d)
			}
		})
	}
}
