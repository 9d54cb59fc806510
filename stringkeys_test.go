package hushmap

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"unsafe"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// skName is a named string type, which is stored as a string is.
type skName string

// skKeys are strings that code for strings gets wrong: empty, with zeros, not UTF-8, prefixes of one another, different
// in one byte only, and of every length at which the arena stores or compares in another way.
func skKeys() (keys []string) {
	keys = append(keys, "", "\x00", "\x00\x00", "a", "a\x00", "a\x00b", "\xff", "\xff\xfe\xfd", "a\xc3", "\xed\xa0\x80", "世界", "世")
	const text = "the quick brown fox jumps over the lazy dog"
	for n := 1; n <= len(text); n += 3 {
		keys = append(keys, text[:n])
	}
	for _, n := range []int{7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 32, 33, 63, 64, 65, 127, 128, 253, 254, 255, 256, 257, 263, 264, 4095, 4096} {
		same := strings.Repeat("x", n)
		keys = append(keys, same, same[1:]+"y", "y"+same[1:], same[:n/2]+"y"+same[n/2+1:])
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// skLong are the keys that have chunks of their own.
func skLong() (keys []string) {
	for _, n := range []int{128<<10 - 9, 128 << 10, 256<<10 - 9, 256<<10 - 8, 256 << 10, 1 << 20, 1<<20 + 1} {
		same := strings.Repeat("x", n)
		keys = append(keys, same, same[1:]+"y", "y"+same[1:])
	}
	return keys
}

// skConfigs are ways to make maps of strings hostile, by name.
var skConfigs = map[string]func() []Option{
	"default":              func() []Option { return nil },
	"stable":               func() []Option { return []Option{WithStableHash()} },
	"one bucket at a time": func() []Option { return []Option{withTuning(ftOneBucket)} },
	"constant hasher": func() []Option {
		return []Option{WithHasher(func(skName, uint64) uint64 { return 7 }), withTuning(func(tu *tuning) { tu.rawHash = true })}
	},
	"arena rebuilt": func() []Option {
		return []Option{withTuning(func(tu *tuning) { ftOneBucket(tu); tu.waste = 0 })}
	},
}

// skTook fails the test unless the configuration has had its effect on a map that was used.
func skTook(t *testing.T, config string, m *Map[skName, int]) {
	t.Helper()
	rm := m.core.settle()
	switch config {
	case "default":
		assert.Equal(t, hashString, rm.hashed)
	case "stable":
		assert.Equal(t, hashStable, rm.hashed)
	case "constant hasher":
		assert.Equal(t, rm.hash("a"), rm.hash("b"))
	case "one bucket at a time":
		assert.Zero(t, m.core.options().tuning.atOnce)
	case "arena rebuilt":
		assert.NotZero(t, m.Stats().Rebuilds)
	}
	require.Equal(t, byRef, rm.stored)
}

// The functions for keys of bytes do what the methods do, and keep nothing of the key: the bytes change as soon as a
// call is over.
func TestByteKeysAreStringKeys(t *testing.T) {
	for config, options := range skConfigs {
		t.Run(config, func(t *testing.T) {
			keys, r := skKeys(), rand.New(rand.NewPCG(1, 2))
			m, want := New[skName, int](options()...), New[skName, int](options()...)
			var buffer []byte
			for n := range max(ftN(30_000), 4000) {
				k := keys[r.IntN(len(keys))]
				if n%2000 == 1999 {
					m.Compact()
					require.NoError(t, m.Verify())
				}
				buffer = append(buffer[:0], k...)
				var got, expected int
				var ok, wantOK bool
				op := r.IntN(6)
				switch op {
				case 0:
					got, ok = LoadBytes(m, buffer)
					expected, wantOK = want.Load(skName(k))
				case 1:
					StoreBytes(m, buffer, n)
					want.Store(skName(k), n)
				case 2:
					got, ok = LoadOrStoreBytes(m, buffer, n)
					expected, wantOK = want.LoadOrStore(skName(k), n)
				case 3:
					got, ok = SwapBytes(m, buffer, n)
					expected, wantOK = want.Swap(skName(k), n)
				case 4:
					DeleteBytes(m, buffer)
					want.Delete(skName(k))
				case 5:
					got, ok = LoadAndDeleteBytes(m, buffer)
					expected, wantOK = want.LoadAndDelete(skName(k))
				}
				for i := range buffer {
					buffer[i] ^= byte(n) | 1
				}
				if got != expected || ok != wantOK {
					t.Fatalf("step %d, operation %d, key %.40q: %d, %v instead of %d, %v", n, op, k, got, ok, expected, wantOK)
				}
			}
			require.Equal(t, skContents(t, want), skContents(t, m))
			require.NoError(t, m.Verify())
			skTook(t, config, m)
		})
	}
}

// skContents returns what a map holds, each key once.
func skContents[K ~string, V any](t *testing.T, m *Map[K, V]) map[string]V {
	t.Helper()
	all := make(map[string]V)
	for k, v := range m.All() {
		_, twice := all[string(k)]
		require.False(t, twice, "%.40q twice", string(k))
		all[string(k)] = v
	}
	require.Len(t, all, m.Len())
	return all
}

// A nil slice is the empty key.
func TestNilByteKey(t *testing.T) {
	var m Map[string, int]
	_, ok := LoadBytes(&m, nil)
	assert.False(t, ok)
	StoreBytes(&m, nil, 1)
	v, ok := m.Load("")
	assert.True(t, ok && v == 1)
	v, ok = LoadBytes(&m, []byte{})
	assert.True(t, ok && v == 1)
	v, ok = LoadAndDeleteBytes(&m, nil)
	assert.True(t, ok && v == 1)
	assert.Zero(t, m.Len())
}

func TestByteKeysAllocateNothing(t *testing.T) {
	t.Run("string", skTestAllocs[string])
	t.Run("named", skTestAllocs[skName])
}

func skTestAllocs[K ~string](t *testing.T) {
	const n = 300
	var present, absent [n][]byte
	for i := range n {
		present[i], absent[i] = fmt.Appendf(nil, "a key that has some length %d", i), fmt.Appendf(nil, "another key %d", i)
	}
	for config, opts := range map[string][]Option{
		"default": nil, "stable": {WithStableHash()},
		"hasher": {WithHasher(func(k K, seed uint64) uint64 { return mtHashString(string(k), seed) })},
	} {
		var m *Map[K, int]
		fill := func() {
			rare := withTuning(func(tu *tuning) { tu.waste = 1 << 30 }) // a rebuild would have explained allocations
			m = New[K, int](append(opts, WithCapacity(n), rare)...)
			for i, k := range present {
				StoreBytes(m, k, i)
			}
		}
		for name, op := range map[string]func(i int){
			"LoadBytes":                           func(i int) { _, mtSinkBool = LoadBytes(m, present[i]) },
			"LoadBytes of an absent key":          func(i int) { _, mtSinkBool = LoadBytes(m, absent[i]) },
			"StoreBytes of a present key":         func(i int) { StoreBytes(m, present[i], -i) },
			"SwapBytes of a present key":          func(i int) { _, mtSinkBool = SwapBytes(m, present[i], -i) },
			"LoadOrStoreBytes of a present key":   func(i int) { _, mtSinkBool = LoadOrStoreBytes(m, present[i], -i) },
			"DeleteBytes":                         func(i int) { DeleteBytes(m, present[i]) },
			"DeleteBytes of an absent key":        func(i int) { DeleteBytes(m, absent[i]) },
			"LoadAndDeleteBytes":                  func(i int) { _, mtSinkBool = LoadAndDeleteBytes(m, present[i]) },
			"LoadAndDeleteBytes of an absent key": func(i int) { _, mtSinkBool = LoadAndDeleteBytes(m, absent[i]) },
		} {
			assert.Zero(t, mtAllocs(fill, func() {
				for i := range n {
					op(i)
				}
			}), "%s, %s: objects for %d calls", config, name, n)
		}
	}
}

// A buffer in which the caller makes keys and values can stay on the caller's stack.
func TestByteKeysStayOnTheStack(t *testing.T) {
	var m Map[string, int]
	var b Bytes
	for name, op := range map[string]func(){
		"LoadBytes":          func() { key := [40]byte{1}; _, mtSinkBool = LoadBytes(&m, key[:]) },
		"StoreBytes":         func() { key := [40]byte{1}; StoreBytes(&m, key[:], 1) },
		"LoadOrStoreBytes":   func() { key := [40]byte{1}; _, mtSinkBool = LoadOrStoreBytes(&m, key[:], 1) },
		"SwapBytes":          func() { key := [40]byte{1}; _, mtSinkBool = SwapBytes(&m, key[:], 1) },
		"DeleteBytes":        func() { key := [40]byte{2}; DeleteBytes(&m, key[:]) },
		"LoadAndDeleteBytes": func() { key := [40]byte{2}; _, mtSinkBool = LoadAndDeleteBytes(&m, key[:]) },
		"SetB":               func() { key := [40]byte{1}; b.SetB(key[:], key[:]) },
		"LoadOrStoreB":       func() { key := [40]byte{1}; _, mtSinkBool = b.LoadOrStoreB(nil, key[:], key[:0]) },
		"CompareAndSwapB":    func() { key := [40]byte{1}; mtSinkBool = b.CompareAndSwapB(key[:], key[:1], key[:]) },
		"DeleteB":            func() { key := [40]byte{2}; mtSinkBool = b.DeleteB(key[:]) },
	} {
		key := [40]byte{1}
		m.Clear()
		b.Clear()
		StoreBytes(&m, key[:], 1)
		b.SetB(key[:], nil)
		assert.Zero(t, mtAllocs(func() {}, op), "%s", name)
	}
}

// The collector may stop a goroutine between any two instructions. Bytes that are borrowed just then, and that nothing
// else leads to, must be seen by it. Under -race and -d=checkptr, which add calls, the collector itself would report a
// pointer to what it has freed. -gcflags=-d=checkptr adds them to this package only, and to what is inlined into it.
func TestBorrowedBytesAreSeenByTheCollector(t *testing.T) {
	const goroutines, cycles = 2, 8
	var stop atomic.Bool
	died := make(chan int, goroutines)
	for range goroutines {
		go func() { died <- borrowForEver(&stop) }()
	}
	for range cycles {
		runtime.GC()
	}
	stop.Store(true)
	for range goroutines {
		if n := <-died; n > 0 {
			t.Errorf("%d slices were freed that were borrowed at the time", n)
		}
	}
}

// borrowForEver makes strings of slices and slices of strings, which are all on its stack, so that there is no write
// barrier to tell the collector of them. It returns how many of them have died.
func borrowForEver(stop *atomic.Bool) (died int) {
	var held [32][]byte
	var watched [len(held)]weak.Pointer[byte]
	for i := range held {
		held[i] = make([]byte, 64)
		watched[i] = weak.Make(&held[i][0])
	}
	for !stop.Load() {
		for i := range held {
			b := held[i]
			held[i] = nil
			s := borrowed[string](b)
			held[i] = unsafe.Slice(unsafe.StringData(s), len(s))
		}
	}
	for i := range held {
		if watched[i].Value() == nil {
			died++
		}
		runtime.KeepAlive(held[i])
	}
	return died
}

// The whole API over hard keys, under every configuration.
func TestSuiteHardStrings(t *testing.T) {
	keys := skKeys()
	if raceEnabled || testing.Short() {
		keys = slices.DeleteFunc(keys, func(k string) bool { return len(k) > 255 })
	}
	stSuite(t, len(keys), func(i int) skName { return skName(keys[i]) }, func(i int) int { return i })
}

// Strings that are longer than a chunk.
func TestLongStringKeys(t *testing.T) {
	for name, opts := range map[string][]Option{
		"default":         nil,
		"constant hasher": {WithHasher(func(string, uint64) uint64 { return 1 })},
		"arena rebuilt":   {withTuning(func(tu *tuning) { ftOneBucket(tu); tu.waste = 0 })},
	} {
		t.Run(name, func(t *testing.T) {
			keys := skLong()
			m := New[string, int](opts...)
			for i, k := range keys {
				StoreBytes(m, []byte(k), i)
			}
			look := func(except int) {
				t.Helper()
				for i, k := range keys {
					v, ok := m.Load(k)
					require.Equal(t, i%3 != except, ok, "%d bytes", len(k))
					require.True(t, !ok || v == i, "%d bytes: %d instead of %d", len(k), v, i)
				}
				require.NoError(t, m.Verify())
			}
			look(-1)
			for i, k := range keys {
				if i%3 == 1 {
					m.Delete(k)
				}
			}
			look(1)
			m.Compact()
			look(1)
			assert.Zero(t, m.Stats().DeadBytes)
			for k, v := range m.All() {
				require.True(t, keys[v] == k, "Range: %d bytes instead of %d", len(k), len(keys[v]))
			}
		})
	}
}

// A string that the map hands out stays as it is, whatever becomes of the map: in a child process whose collector
// overwrites what it frees.
func TestStringsStayValidForEver(t *testing.T) {
	const child = "HUSHMAP_TEST_STRINGS_CHILD"
	if os.Getenv(child) != "" {
		skStringsChild(t)
		return
	}
	executable, err := os.Executable()
	if err != nil {
		t.Skip("cannot find the test binary: ", err)
	}
	command := exec.Command(executable, "-test.run=^TestStringsStayValidForEver$", "-test.v", "-test.count=1")
	if testing.Short() {
		command.Args = append(command.Args, "-test.short")
	}
	command.Env = append(os.Environ(), child+"=1", "GOGC=1", "GODEBUG=clobberfree=1")
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", mtHead(string(out), 8000))
	assert.Contains(t, string(out), "--- PASS: TestStringsStayValidForEver")
}

// skKept is a string that a map gave, and what it must be.
type skKept struct {
	s         string
	round, id int
}

func skText(round, id int) string {
	return fmt.Sprintf("round %03d key %06d %s", round, id, strings.Repeat("*", id%50))
}

func skStringsChild(t *testing.T) {
	require.Equal(t, "1", os.Getenv("GOGC"), "took effect")
	require.Contains(t, os.Getenv("GODEBUG"), "clobberfree=1")
	const keys = 600
	m := New[string, int](withTuning(func(tu *tuning) { ftOneBucket(tu); tu.waste = 1 << 10 }))
	var b Bytes
	var kept []skKept
	for round := range max(ftN(40), 6) {
		for id := range keys {
			k := skText(round, id)
			m.Store(k, id)
			b.Set(k, []byte(k))
		}
		keep := func(s string) {
			var id int
			var r int
			if _, err := fmt.Sscanf(s, "round %d key %d", &r, &id); err != nil || r != round {
				t.Fatalf("round %d: the map hands out %q", round, s)
			}
			kept = append(kept, skKept{s, r, id})
		}
		m.Range(func(k string, id int) bool {
			if id%7 == 0 {
				keep(k)
			}
			if id%3 == 0 {
				m.Delete(k)
				m.Store(k, id) // another record of the same key
			}
			return true
		})
		n := 0
		for k := range m.Keys() {
			if n++; n%9 == 0 {
				keep(k)
			}
		}
		for k := range m.All() {
			if n++; n%11 == 0 {
				keep(k)
			}
		}
		b.Range(func(k string, _ []byte) bool {
			if n++; n%13 == 0 {
				keep(k)
			}
			return true
		})
		switch round % 3 {
		case 0:
			m.Clear()
			b.Clear()
		case 1:
			m.DeleteFunc(func(string, int) bool { return true })
			m.Compact()
			for id := range keys {
				b.Delete(skText(round, id))
			}
			b.Compact()
		default:
			for id := range keys { // rebuilds
				m.Delete(skText(round, id))
				m.Store("another key altogether", id)
				b.Set(skText(round, id), nil)
				b.Delete(skText(round, id))
			}
			m.Delete("another key altogether")
		}
		runtime.GC()
		for _, k := range kept {
			if k.s != skText(k.round, k.id) {
				t.Fatalf("round %d: a string of round %d has become %.60q", round, k.round, k.s)
			}
		}
	}
	require.NotZero(t, m.Stats().Rebuilds+m.Stats().Shrinks)
	require.NoError(t, m.Verify())
	require.NoError(t, b.Verify())
}

// Bytes that a caller lends may lie on its stack, and that may move at any call. Goroutines begin with a small stack; here each
// calls from another depth. With -asan the compiler keeps keys in heap variables, where no stack pointer may be.
func TestBorrowedBytesMoveWithTheStack(t *testing.T) {
	for name, opts := range map[string][]Option{
		"default": nil,
		"hasher":  {WithHasher(func(key string, _ uint64) uint64 { return uint64(key[0]) + uint64(key[1])<<60 })},
		"stable":  {WithStableHash()},
	} {
		t.Run(name, func(t *testing.T) {
			m, b := New[string, int](opts...), NewBytes(opts...)
			const depths = 400
			for depth := range depths {
				for op := range 4 {
					done := make(chan struct{})
					go func() {
						defer close(done)
						skDeep(depth, op, depth, m, b)
					}()
					<-done
				}
			}
			for depth := range depths {
				key := skStackKey(depth)
				v, ok := m.Load(string(key[:]))
				require.True(t, ok && v == depth, "depth %d: %d, %v", depth, v, ok)
				value, ok := b.Get(nil, string(key[:]))
				require.True(t, ok && string(value) == string(key[:]))
			}
			require.Equal(t, depths, m.Len())
			require.Equal(t, depths, b.Len())
		})
	}
}

func skStackKey(n int) (key [40]byte) {
	key[0], key[1] = byte(n), byte(n>>8)
	return key
}

// skDeep lends a key that is on the stack, so many calls down.
//
//go:noinline
func skDeep(depth, op, n int, m *Map[string, int], b *Bytes) int {
	if depth > 0 {
		return skDeep(depth-1, op, n, m, b) + 1
	}
	key := skStackKey(n)
	switch op {
	case 0:
		StoreBytes(m, key[:], n)
	case 1:
		b.SetB(key[:], key[:])
	case 2:
		if v, ok := LoadBytes(m, key[:]); !ok || v != n {
			panic("not found, or wrong")
		}
	case 3:
		if !b.HasB(key[:]) {
			panic("not found")
		}
	}
	return 0
}

// No byte of a key is taken for granted, whatever the length: what a table keeps of hashes are 40 bits. Here all of them are
// right, and one bit of the key in the arena, or of its length, is wrong.
func TestLookupsCompareAllBytes(t *testing.T) {
	text := strings.Repeat("a key of any length. ", 300/20)
	for n := range 300 {
		key := text[:n]
		m, b := New[string, int](), NewBytes()
		m.Store(key, n)
		b.Set(key, nil)
		var stored [2]string
		for stored[0] = range m.Keys() {
		}
		for stored[1] = range b.All() {
		}
		found := [2]func() bool{func() bool { _, ok := m.Load(key); return ok }, func() bool { return b.Has(key) }}
		for kind, found := range found {
			require.Equal(t, key, stored[kind])
			record := unsafe.Slice(unsafe.StringData(stored[kind]), n)
			require.True(t, found(), "%d bytes", n)
			for i := range record {
				record[i] ^= 1 << (i % 8)
				require.False(t, found(), "%d bytes, of which byte %d is another", n, i)
				record[i] ^= 1 << (i % 8)
			}
			if 0 < n && n < 255 {
				length := (*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(record)), -1))
				*length ^= 1
				require.False(t, found(), "%d bytes, in the place of %d", *length, n)
				*length ^= 1
			}
			require.True(t, found(), "%d bytes", n)
		}
	}
}
