package hushmap

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mtObject is what entries point to: with a pointer, so that it is not one of several in a shared block, and a check
// value.
type mtObject struct {
	self *mtObject
	id   int
	pad  [6]uint64
}

func mtNewObject(id int) *mtObject {
	o := &mtObject{id: id}
	o.self = o
	return o
}

// mtWatched tells which objects are alive without keeping them alive.
type mtWatched []weak.Pointer[mtObject]

func (w *mtWatched) object(id int) *mtObject {
	o := mtNewObject(id)
	*w = append(*w, weak.Make(o))
	return o
}

// alive returns how many of the objects are alive.
func (w mtWatched) alive() (n int) {
	for _, p := range w {
		if p.Value() != nil {
			n++
		}
	}
	return n
}

// allDie runs the collector until no object is alive, or gives up.
func (w mtWatched) allDie() bool {
	for range 8 {
		runtime.GC()
		if w.alive() == 0 {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

// mtBytes is a string or slice content that only w can tell to be alive: as large as an object, and one.
func (w *mtWatched) bytes(id int) *[unsafe.Sizeof(mtObject{})]byte {
	return (*[unsafe.Sizeof(mtObject{})]byte)(unsafe.Pointer(w.object(id)))
}

// mtHolder has pointers in its first and last word.
type mtHolder struct {
	o  *mtObject
	id int
	s  any
}

// mtKeyClass and mtValueClass make keys and values that hold an object of w.
type (
	mtKeyClass[K comparable] func(w *mtWatched, id int) K
	mtValueClass[V any]      func(w *mtWatched, id int) V
)

var (
	mtPointerKey mtKeyClass[*mtObject] = func(w *mtWatched, id int) *mtObject { return w.object(id) }
	mtAnyKey     mtKeyClass[any]       = func(w *mtWatched, id int) any { return w.object(id) }
	mtStringKey  mtKeyClass[string]    = func(w *mtWatched, id int) string {
		b := w.bytes(id)
		return unsafe.String(&b[0], len(b))
	}

	// mtCopiedKey is a key that the map copies, so that nothing of it is to be watched.
	mtCopiedKey mtKeyClass[string] = func(_ *mtWatched, id int) string { return fmt.Sprint("key ", id) }

	mtPointerValue mtValueClass[*mtObject]          = func(w *mtWatched, id int) *mtObject { return w.object(id) }
	mtStructValue  mtValueClass[mtHolder]           = func(w *mtWatched, id int) mtHolder { return mtHolder{w.object(id), id, w.object(id)} }
	mtAnyValue     mtValueClass[any]                = func(w *mtWatched, id int) any { return w.object(id) }
	mtStringValue  mtValueClass[struct{ s string }] = func(w *mtWatched, id int) struct{ s string } {
		return struct{ s string }{mtStringKey(w, id)}
	}
	mtBytesValue mtValueClass[[]byte] = func(w *mtWatched, id int) []byte { return w.bytes(id)[:] }
	mtFuncValue  mtValueClass[func()] = func(w *mtWatched, id int) func() {
		o := w.object(id)
		return func() { runtime.KeepAlive(o) }
	}
)

// FAILURES: deleted keys and values stay alive.
func TestDeletedEntriesDie(t *testing.T) {
	t.Run("pointer,pointer", func(t *testing.T) { mtTestDeath(t, mtPointerKey, mtPointerValue) })
	t.Run("any,any", func(t *testing.T) { mtTestDeath(t, mtAnyKey, mtAnyValue) })
	t.Run("string,struct", func(t *testing.T) { mtTestDeath(t, mtCopiedKey, mtStructValue) })
	t.Run("any,bytes", func(t *testing.T) { mtTestDeath(t, mtAnyKey, mtBytesValue) })
}

// mtTestDeath runs every way in which entries go, over every way in which tables go.
func mtTestDeath[K comparable, V any](t *testing.T, key mtKeyClass[K], value mtValueClass[V]) {
	for way, leave := range mtWaysToLeave[K, V]() {
		for when, move := range mtWaysToMove[K, V]() {
			t.Run(way+", "+when, func(t *testing.T) { mtTestDeathBy(t, key, value, leave, move) })
		}
	}
}

// mtWaysToLeave are functions that make the entries with the given keys disappear.
func mtWaysToLeave[K comparable, V any]() map[string]func(m *Map[K, V], keys []K) {
	each := func(f func(m *Map[K, V], k K)) func(m *Map[K, V], keys []K) {
		return func(m *Map[K, V], keys []K) {
			for _, k := range keys {
				f(m, k)
			}
		}
	}
	return map[string]func(m *Map[K, V], keys []K){
		"Delete":        each(func(m *Map[K, V], k K) { m.Delete(k) }),
		"LoadAndDelete": each(func(m *Map[K, V], k K) { m.LoadAndDelete(k) }),
		"Compute": each(func(m *Map[K, V], k K) {
			m.Compute(k, func(old V, _ bool) (V, Op) { return old, DeleteOp })
		}),
		"DeleteFunc": func(m *Map[K, V], keys []K) {
			gone := make(map[K]bool)
			for _, k := range keys {
				gone[k] = true
			}
			m.DeleteFunc(func(k K, _ V) bool { return gone[k] })
		},
	}
}

// mtWaysToMove are functions that move all entries of a map to other tables, to the end.
func mtWaysToMove[K comparable, V any]() map[string]func(m *Map[K, V]) {
	to := func(size func(now uint64) uint64) func(m *Map[K, V]) {
		return func(m *Map[K, V]) {
			mtResize(m, size(m.core.settle().buckets()))
			m.core.settle()
		}
	}
	return map[string]func(m *Map[K, V]){
		"not moved": func(*Map[K, V]) {},
		"grown":     to(func(now uint64) uint64 { return now * 4 }),
		"shrunk":    to(func(now uint64) uint64 { return now / 2 }),
		"rebuilt":   to(func(now uint64) uint64 { return now }),
		"compacted": func(m *Map[K, V]) { m.Compact() },
	}
}

// mtTestDeathBy lets half of all entries leave, before and after the others move.
func mtTestDeathBy[K comparable, V any](t *testing.T, key mtKeyClass[K], value mtValueClass[V],
	leave func(*Map[K, V], []K), move func(*Map[K, V])) {
	const entries = 60
	m := New[K, V](WithoutShrink(), WithCapacity(4*entries))
	var stay, early, late mtWatched
	func() { // in a frame of its own, which is gone when the collector runs
		var earlyKeys, lateKeys []K
		for id := range entries {
			switch id % 4 {
			case 0:
				k := key(&early, id)
				m.Store(k, value(&early, id))
				earlyKeys = append(earlyKeys, k)
			case 1:
				k := key(&late, id)
				m.Store(k, value(&late, id))
				lateKeys = append(lateKeys, k)
			default:
				m.Store(key(&stay, id), value(&stay, id))
			}
		}
		leave(m, earlyKeys)
		move(m)
		leave(m, lateKeys)
	}()
	assert.True(t, early.allDie(), "%d of %d that left before the move are alive", early.alive(), len(early))
	assert.True(t, late.allDie(), "%d of %d that left after the move are alive", late.alive(), len(late))
	assert.Equal(t, len(stay), stay.alive(), "stored keys and values are alive")
	require.NoError(t, m.Verify())
	require.Equal(t, entries/2, m.Len())
	m.Clear()
	assert.True(t, stay.allDie(), "%d of %d are alive after Clear", stay.alive(), len(stay))
	runtime.KeepAlive(m)
}

// FAILURES: deleted keys and values stay alive. Values that were overwritten, in buckets with a free slot and in full
// ones, and the keys that were given with them.
func TestOverwrittenValuesDie(t *testing.T) {
	t.Run("pointer", func(t *testing.T) { mtTestOverwritten(t, mtPointerValue) })
	t.Run("struct", func(t *testing.T) { mtTestOverwritten(t, mtStructValue) })
	t.Run("any", func(t *testing.T) { mtTestOverwritten(t, mtAnyValue) })
	t.Run("string", func(t *testing.T) { mtTestOverwritten(t, mtStringValue) })
	t.Run("bytes", func(t *testing.T) { mtTestOverwritten(t, mtBytesValue) })
	t.Run("func", func(t *testing.T) { mtTestOverwritten(t, mtFuncValue) })
}

func mtTestOverwritten[V any](t *testing.T, value mtValueClass[V]) {
	const entries = 24 // one hash: three full buckets
	for name, opts := range map[string][]Option{
		"spread":  nil,
		"crowded": {WithHasher(func(int, uint64) uint64 { return 0 }), WithCapacity(entries)},
	} {
		t.Run(name, func(t *testing.T) {
			m := New[int, V](opts...)
			var old, now mtWatched
			func() {
				for id := range entries {
					m.Store(id, value(&old, id))
				}
				for id := range entries {
					switch id % 3 {
					case 0:
						m.Store(id, value(&now, id))
					case 1:
						m.Swap(id, value(&now, id))
					case 2:
						m.Compute(id, func(V, bool) (V, Op) { return value(&now, id), UpdateOp })
					}
				}
			}()
			assert.True(t, old.allDie(), "%d of %d overwritten values are alive", old.alive(), len(old))
			assert.Equal(t, len(now), now.alive())
			require.NoError(t, m.Verify())
			runtime.KeepAlive(m)
		})
	}
}

// The map keeps the key that came first and does not keep equal ones that came later.
func TestKeysOfOverwritesDie(t *testing.T) {
	type key = struct{ s string }
	m := New[key, int]()
	var first, later mtWatched
	for id := range 50 {
		m.Store(mtStringValue(&first, id), id)
	}
	content := func(id int) key { // equal to the first key, elsewhere
		k := mtStringValue(&later, id)
		*later[len(later)-1].Value() = *first[id].Value()
		return k
	}
	for id := range 50 {
		m.Store(content(id), -id)
		m.Swap(content(id), -id)
		m.LoadOrStore(content(id), 7)
	}
	require.Equal(t, 50, m.Len())
	assert.True(t, later.allDie(), "%d of %d are alive", later.alive(), len(later))
	assert.Equal(t, len(first), first.alive())
	runtime.KeepAlive(m)
}

// A string key is copied: the map does not keep the caller's bytes, and later changes of them do it no harm.
func TestStringKeysAreCopied(t *testing.T) {
	type name string
	m := New[name, int]()
	var given mtWatched
	for id := range 50 {
		m.Store(name(mtStringKey(&given, id)), id)
	}
	assert.True(t, given.allDie(), "%d of %d are alive", given.alive(), len(given))
	require.NoError(t, m.Verify())

	content := []byte("mutable")
	m.Store(name(unsafe.String(&content[0], len(content))), 1)
	content[0] = 'x'
	_, ok := m.Load("mutable")
	assert.True(t, ok)
	require.NoError(t, m.Verify())
}

// An old table keeps its entries until the growth has ended (I8). Ordinary further use ends it, on other keys and by
// reading as well; so do Compact, Range, Verify, and Grow if it makes room.
func TestFurtherUseLetsOldTableGo(t *testing.T) {
	const entries = 400
	for name, use := range map[string]func(m *Map[int, *mtObject]){
		"Store":    func(m *Map[int, *mtObject]) { mtTimes(100, func(i int) { m.Store(1<<20+i, nil) }) },
		"Delete":   func(m *Map[int, *mtObject]) { mtTimes(100, func(i int) { m.Delete(1<<20 + i) }) },
		"Load":     func(m *Map[int, *mtObject]) { mtTimes(40_000, func(i int) { m.Load(i % entries) }) },
		"Range":    func(m *Map[int, *mtObject]) { m.Range(func(int, *mtObject) bool { return true }) },
		"Compact":  func(m *Map[int, *mtObject]) { m.Compact() },
		"Grow":     func(m *Map[int, *mtObject]) { m.Grow(100 * entries) },
		"Clear":    func(m *Map[int, *mtObject]) { m.Clear() },
		"Compute":  func(m *Map[int, *mtObject]) { mtTimes(100, func(i int) { m.Compute(i, mtKeep) }) },
		"Deletion": func(m *Map[int, *mtObject]) { m.DeleteFunc(func(int, *mtObject) bool { return true }) },
	} {
		t.Run(name, func(t *testing.T) {
			m := New[int, *mtObject](WithoutShrink(), mtTuning(func(u *tuning) { u.atOnce = 0 }))
			var gone mtWatched
			func() {
				for id := range entries {
					m.Store(id, gone.object(id))
				}
				n := m.core.settle().buckets()
				mtResize(m, 2*n)
				e := m.core.read.Load().old
				for i := range n / 2 {
					e.evacuate(i, true)
				}
				for id := range entries {
					if rm := m.core.read.Load(); rm.old != nil && rm.old.bucket(rm.old.home(rm.old.hash(id))).observe().moved() {
						// As a writer would, but without its help for other buckets, which would end the growth here.
						var p place[int, *mtObject]
						if rm.table.lockKey(id, rm.hash(id), &p) && p.slot >= 0 {
							rm.overwriteLocked(&p, nil)
							rm.unlock(&p)
						} else {
							rm.unlock(&p)
						}
					}
				}
				require.True(t, m.Stats().Growing)
				runtime.GC()
				require.Positive(t, gone.alive(), "the frozen buckets keep them")
			}()
			use(m)
			require.False(t, m.Stats().Growing)
			var rest mtWatched
			for id, w := range gone {
				if v, ok := m.Load(id); !ok || v == nil {
					rest = append(rest, w)
				}
			}
			assert.GreaterOrEqual(t, len(rest), entries/4)
			assert.True(t, rest.allDie(), "%d of %d are alive", rest.alive(), len(rest))
			runtime.KeepAlive(m)
		})
	}
}

func mtKeep(old *mtObject, _ bool) (*mtObject, Op) { return old, UpdateOp }

func mtTimes(n int, f func(int)) {
	for i := range n {
		f(i)
	}
}

// FAILURES: torn words meet the GC. The collector runs all the time, checks its own marking, and fills what it frees
// with garbage; keys and values are several words with pointers in them, and carry a check. This needs settings that
// only a process of its own can have.
func TestTornWordsMeetTheGC(t *testing.T) {
	const child = "HUSHMAP_TEST_GC_CHILD"
	if os.Getenv(child) != "" {
		mtTornWordsChild(t)
		return
	}
	t.Parallel()
	executable, err := os.Executable()
	if err != nil {
		t.Skip("cannot run this test program again: ", err)
	}
	command := exec.Command(executable, "-test.run=^TestTornWordsMeetTheGC$", "-test.v", "-test.count=1")
	command.Env = append(os.Environ(), child+"=1", "GOGC=1", "GODEBUG=gccheckmark=1,clobberfree=1")
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", mtHead(string(out), 4000))
	assert.Contains(t, string(out), "wordAtomic: "+fmt.Sprint(wordAtomic), "it is the same build")
	t.Log(mtHead(string(out), 600))
}

func mtHead(s string, n int) string { return s[:min(n, len(s))] }

// mtChecked is a value or key of several words that all say the same.
type mtChecked struct {
	o    *mtObject
	id   uint64
	name string
	box  any
}

func mtNewChecked(id int) mtChecked {
	o := mtNewObject(id)
	return mtChecked{o, uint64(id), mtName(id), o}
}

// mtName is long enough to be an object of its own.
func mtName(id int) string { return fmt.Sprintf("object with the number %08d", id) }

func (c mtChecked) check() error {
	if c.o == nil {
		return fmt.Errorf("nil pointer in %d", c.id)
	}
	if c.o.self != c.o || uint64(c.o.id) != c.id || c.box != any(c.o) || c.name != mtName(int(c.id)) {
		return fmt.Errorf("id %d: object %p %+v, name %q, box %p", c.id, c.o, *c.o, c.name, c.box)
	}
	return nil
}

// mtTornWordsChild stores, overwrites, deletes and grows for a while and checks everything that it reads.
func mtTornWordsChild(t *testing.T) {
	t.Log("wordAtomic:", wordAtomic, "GOGC:", os.Getenv("GOGC"), "GODEBUG:", os.Getenv("GODEBUG"))
	require.Equal(t, "1", os.Getenv("GOGC"), "took effect")
	require.Contains(t, os.Getenv("GODEBUG"), "clobberfree=1")
	var operations, transitions atomic.Int64
	for _, keys := range []int{20, 1000} {
		var values Map[any, mtChecked]
		m := New[mtKeyed, any](mtTuning(func(u *tuning) { u.atOnce = 0; u.chunk = 1 }))
		mtStorm(t, 700*time.Millisecond, func(r *rand.Rand) error {
			operations.Add(1)
			id := r.IntN(keys)
			key := mtKeyed{mtName(id), id}
			switch r.IntN(12) {
			case 0:
				values.Delete(id)
				m.Delete(key)
			case 1:
				values.LoadAndDelete(mtName(id))
				m.LoadAndDelete(key)
			case 2, 3, 4:
				values.Store(id, mtNewChecked(id))
				m.Store(key, mtNewChecked(id))
			case 5:
				values.Store(mtName(id), mtNewChecked(id))
			case 6:
				m.Compute(key, func(any, bool) (any, Op) { return mtNewChecked(id), UpdateOp })
			default:
				if v, ok := values.Load(id); ok {
					return v.check()
				}
				if v, ok := m.Load(key); ok {
					return v.(mtChecked).check()
				}
				if v, ok := values.Load(mtName(id)); ok {
					return v.check()
				}
			}
			if r.IntN(300) == 0 {
				return mtCheckAll(&values, m, r.IntN(4))
			}
			return nil
		})
		assert.NoError(t, values.Verify())
		assert.NoError(t, m.Verify())
		for _, s := range []Stats{values.Stats(), m.Stats()} {
			transitions.Add(int64(s.Growths + s.Shrinks + s.Rebuilds))
		}
	}
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	t.Logf("counts: %d operations, %d tables replaced, %d GC cycles", operations.Load(), transitions.Load(), s.NumGC)
	require.Greater(t, s.NumGC, uint32(5))
}

type mtKeyed struct {
	name string
	id   any
}

// mtCheckAll looks at every entry of both maps and then makes tables come and go.
func mtCheckAll(values *Map[any, mtChecked], m *Map[mtKeyed, any], what int) (err error) {
	for k, v := range values.All() {
		if err := v.check(); err != nil {
			return err
		}
		if id, ok := k.(int); ok && uint64(id) != v.id {
			return fmt.Errorf("key %d, value %d", id, v.id)
		}
	}
	for k, v := range m.All() {
		if c := v.(mtChecked); k.name != c.name || uint64(k.id.(int)) != c.id {
			return fmt.Errorf("key %v, value %v", k, c)
		}
	}
	switch what {
	case 0:
		values.Grow(values.Len() * 2)
	case 1:
		m.Compact()
	case 2:
		values.DeleteFunc(func(any, mtChecked) bool { return true })
	case 3:
		m.Clear()
	}
	return nil
}

// mtStorm runs f on several goroutines until the time is over or one returns an error or panics.
func mtStorm(t *testing.T, d time.Duration, f func(r *rand.Rand) error) {
	t.Helper()
	var wg sync.WaitGroup
	var stop atomic.Bool
	end := time.Now().Add(d)
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := rand.New(rand.NewPCG(uint64(g), uint64(os.Getpid())))
			for !stop.Load() && time.Now().Before(end) {
				for range 20 {
					if err := f(r); err != nil {
						t.Error(err)
						stop.Store(true)
						return
					}
				}
			}
		}()
	}
	wg.Wait()
}

// Values and keys of several words are always those of one write, however often they are overwritten, deleted and
// moved meanwhile. On TSO machines this is about plain loads and stores.
func TestWideValuesAreNeverTorn(t *testing.T) {
	mtTestTorn(t, func(k int, n uint64) mtFour { return mtFour{uint64(k), n, n, ^n} }, func(k int, v mtFour) bool {
		return v == mtFour{uint64(k), v.b, v.b, ^v.b}
	})
	mtTestTorn(t, func(k int, n uint64) (v [16]uint64) {
		for i := range v {
			v[i] = n + uint64(k*i)
		}
		return v
	}, func(k int, v [16]uint64) bool {
		for i := range v {
			if v[i] != v[0]+uint64(k*i) {
				return false
			}
		}
		return true
	})
	mtTestTorn(t, func(k int, n uint64) string { return strings.Repeat(string(rune('a'+k%26)), int(n%40)+1) }, func(k int, v string) bool {
		return len(v) > 0 && strings.Trim(v, string(rune('a'+k%26))) == ""
	})
	mtTestTorn(t, func(k int, n uint64) any { // the type word and the data word must fit
		switch n % 4 {
		case 0:
			return uint64(k)
		case 1:
			return fmt.Sprint(k)
		case 2:
			return [2]int{k, -k}
		default:
			return nil
		}
	}, func(k int, v any) bool {
		return v == nil || v == any(uint64(k)) || v == any(fmt.Sprint(k)) || v == any([2]int{k, -k})
	})
	mtTestTorn(t, func(k int, n uint64) complex128 { return complex(float64(n>>16), float64(n>>16)+float64(k)) }, func(k int, v complex128) bool {
		return imag(v)-real(v) == float64(k)
	})
	mtTestTorn(t, func(k int, n uint64) []byte { return make([]byte, n%9, 8+n%9) }, func(k int, v []byte) bool { return cap(v) == len(v)+8 })
}

type (
	mtFour  struct{ a, b, c, d uint64 }
	mtEight struct{ a, b, c, d, e, f, g, h uint64 }
)

func mtTestTorn[V any](t *testing.T, value func(k int, n uint64) V, sound func(k int, v V) bool) {
	t.Run(reflect.TypeFor[V]().String(), func(t *testing.T) {
		t.Parallel()
		// Few keys of few homes: full buckets (overwrite in place) and free slots (relocation) by turns.
		m := New[int, V](WithHasher(func(k int, _ uint64) uint64 { return uint64(k%3) << 62 }), mtTuning(func(u *tuning) {
			u.rawHash, u.atOnce, u.chunk = true, 0, 1
		}))
		mtStorm(t, 250*time.Millisecond, func(r *rand.Rand) error {
			k := r.IntN(25)
			switch r.IntN(16) {
			case 0:
				m.Delete(k)
			case 1:
				if v, ok := m.LoadAndDelete(k); ok && !sound(k, v) {
					return fmt.Errorf("LoadAndDelete(%d): %v", k, v)
				}
			case 2, 3, 4, 5, 6:
				m.Store(k, value(k, r.Uint64()))
			case 7:
				if v, ok := m.Swap(k, value(k, r.Uint64())); ok && !sound(k, v) {
					return fmt.Errorf("Swap(%d): %v", k, v)
				}
			default:
				if v, ok := m.Load(k); ok && !sound(k, v) {
					return fmt.Errorf("Load(%d): %v", k, v)
				}
			}
			switch r.IntN(2000) {
			case 0:
				m.Compact()
			case 1:
				m.Grow(100)
			case 2:
				for k, v := range m.All() {
					if !sound(k, v) {
						return fmt.Errorf("Range: %d: %v", k, v)
					}
				}
			}
			return nil
		})
		assert.NoError(t, m.Verify())
	})
}

func TestWideKeysAreNeverTorn(t *testing.T) {
	mtTestTornKeys(t, func(i int) mtEight { n := uint64(i); return mtEight{n, n, n, n, n, n, n, n} })
	mtTestTornKeys(t, func(i int) string { return strings.Repeat(string(rune('a'+i%26)), i+1) })
	mtTestTornKeys(t, func(i int) any {
		switch i % 3 {
		case 0:
			return i
		case 1:
			return strings.Repeat("x", i)
		default:
			return [2]string{fmt.Sprint(i), fmt.Sprint(i)}
		}
	})
	mtTestTornKeys(t, func(i int) [2]any { return [2]any{i, fmt.Sprint(i)} })
}

// mtTestTornKeys has keys with one hash come and go in the same slots. The value says which key it belongs to.
func mtTestTornKeys[K comparable](t *testing.T, key func(int) K) {
	t.Run(reflect.TypeFor[K]().String(), func(t *testing.T) {
		t.Parallel()
		const n = 12
		var keys [n]K
		for i := range keys {
			keys[i] = key(i)
		}
		m := New[K, uint64](WithHasher(func(K, uint64) uint64 { return 7 }), mtTuning(func(u *tuning) { u.rawHash, u.atOnce, u.chunk = true, 0, 1 }))
		for i := range 3 { // never deleted
			m.Store(keys[i], uint64(i))
		}
		mtStorm(t, 250*time.Millisecond, func(r *rand.Rand) error {
			i := r.IntN(n)
			switch r.IntN(6) {
			case 0:
				if i >= 3 {
					m.Delete(keys[i])
				}
			case 1, 2:
				m.Store(keys[i], r.Uint64()/n*n+uint64(i))
			default:
				v, ok := m.Load(keys[i])
				if ok && v%n != uint64(i) || !ok && i < 3 {
					return fmt.Errorf("Load(%v) = %d, %v", keys[i], v, ok)
				}
			}
			switch r.IntN(1000) {
			case 0:
				m.Compact()
			case 1:
				m.Grow(50)
			case 2:
				seen := 0
				for k, v := range m.All() {
					if v%n >= n || keys[v%n] != k {
						return fmt.Errorf("Range: %v = %d", k, v)
					}
					if v%n < 3 {
						seen++
					}
				}
				if seen != 3 {
					return fmt.Errorf("Range: %d of 3 permanent keys", seen)
				}
			}
			return nil
		})
		assert.NoError(t, m.Verify())
	})
}
