package hushmap

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/internal/swar"
)

// mtVerifyLimit is far above what Verify may take where no lock is stuck; a longer call counts as a hang.
const mtVerifyLimit = 30 * time.Second

// mtVerify is Verify with a watchdog. A panic is reported as an error of its own kind.
func mtVerify[K comparable, V any](t *testing.T, m *Map[K, V]) error {
	t.Helper()
	result := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				result <- mtCrash{fmt.Sprint(p)}
			}
		}()
		result <- m.Verify()
	}()
	select {
	case err := <-result:
		if crash, ok := err.(mtCrash); ok {
			t.Fatalf("Verify panicked: %s", crash.what)
		}
		return err
	case <-time.After(mtVerifyLimit):
		t.Fatal("Verify hangs")
		return nil
	}
}

type mtCrash struct{ what string }

func (c mtCrash) Error() string { return c.what }

// mtNames asserts that err is of Verify and names an invariant, and all of the given parts.
func mtNames(t *testing.T, err error, parts ...string) bool {
	t.Helper()
	if !assert.Error(t, err, "Verify kept silent") {
		return false
	}
	ok := assert.Regexp(t, regexp.MustCompile(`^hushmap: .*\(I\d+\)`), err.Error())
	for _, p := range parts {
		ok = assert.Contains(t, err.Error(), p) && ok
	}
	return ok
}

func mtAt(i uint64, s int) string { return fmt.Sprintf("bucket %d slot %d:", i, s) }

// mtCrowded returns a map of n entries at rest in which some entries are away from home: the hasher knows few homes.
func mtCrowded[K comparable](n int, key func(int) K, hash func(K) uint64, opts ...Option) *Map[K, string] {
	opts = append(opts, WithHasher(func(k K, _ uint64) uint64 { return hash(k) }), mtTuning(func(u *tuning) { u.rawHash = true }))
	m := New[K, string](opts...)
	for i := range n {
		m.Store(key(i), fmt.Sprint("value ", i))
	}
	m.core.settle()
	return m
}

// mtTuning changes the tuning of a map.
func mtTuning(change func(*tuning)) Option {
	return Option{func(s *settings) { change(&s.tuning) }}
}

// mtSpread is a hash with good low bits and top bits that send half of all keys to a quarter of the homes.
func mtSpread(i uint64) uint64 {
	h := i*0x9e3779b97f4a7c15 ^ i<<17
	if i%2 == 0 {
		h &^= 3 << 62
	}
	return h
}

// mtCrowdedUint64 and mtCrowdedAny are the maps most corruptions are tried on: one without pointers in keys, one with.
func mtCrowdedUint64() *Map[uint64, string] {
	return mtCrowded(80, func(i int) uint64 { return uint64(i) }, mtSpread)
}

func mtCrowdedAny() *Map[any, string] {
	return mtCrowded(80, func(i int) any {
		if i%2 == 0 {
			return i
		}
		return fmt.Sprint(i)
	}, func(k any) uint64 {
		if i, ok := k.(int); ok {
			return mtSpread(uint64(i))
		}
		str, _ := k.(string) // nil where a free slot is marked as living
		h := uint64(14695981039346656037)
		for _, c := range []byte(str) {
			h = (h ^ uint64(c)) * 1099511628211
		}
		return h * 0x9e3779b97f4a7c15
	})
}

// mtEachSlot calls f for every slot of m's table.
func mtEachSlot[K comparable, V any](m *Map[K, V], f func(b *bucket[K, V], i uint64, s int)) {
	rm := m.core.settle()
	for i := range rm.buckets() {
		for s := range bucketSlots {
			f(rm.bucket(i), i, s)
		}
	}
}

func TestVerifyAcceptsSoundMaps(t *testing.T) {
	t.Parallel()
	assert.NoError(t, new(AnyMap).Verify(), "zero value")
	assert.NoError(t, New[int, int](WithCapacity(1000)).Verify(), "no write yet")

	var one Map[string, int]
	one.Store("k", 1)
	assert.NoError(t, one.Verify(), "one entry")
	one.Delete("k")
	assert.NoError(t, one.Verify(), "one entry deleted")
	one.Clear()
	assert.NoError(t, one.Verify(), "cleared")

	var nan Map[float64, int]
	for i := range 1000 {
		nan.Store(math.NaN(), i)
		nan.Store(float64(i), i)
		if i%97 == 0 {
			require.NoError(t, mtVerify(t, &nan), "with %d NaN", i+1)
		}
	}
	require.NoError(t, mtVerify(t, &nan))
	require.Equal(t, 1000, nan.DeleteFunc(func(k float64, _ int) bool { return k != k }))
	require.NoError(t, mtVerify(t, &nan))

	var set Map[uint64, struct{}]
	for i := range uint64(500) {
		set.Store(i, struct{}{})
		require.NoError(t, mtVerify(t, &set))
	}
	require.NoError(t, mtVerify(t, mtCrowdedUint64()))
	require.NoError(t, mtVerify(t, mtCrowdedAny()))

	constant := mtCrowded(60, func(i int) int { return i }, func(int) uint64 { return 0 })
	require.NoError(t, mtVerify(t, constant), "constant hasher")
	wrapped := mtCrowded(60, func(i int) int { return i }, func(int) uint64 { return math.MaxUint64 })
	require.NoError(t, mtVerify(t, wrapped), "constant hasher, last bucket")
}

// Verify looks at both tables of a growth and leaves it as it is, however far it has come.
func TestVerifyWhileGrowing(t *testing.T) {
	t.Parallel()
	for frozen := 0; ; frozen++ {
		m := mtGrowing(frozen)
		if !m.Stats().Growing {
			break
		}
		require.NoError(t, mtVerify(t, m), "%d buckets frozen", frozen)
		require.True(t, m.Stats().Growing)
		require.Equal(t, mtGrowingEntries, m.Len())
	}
}

const mtGrowingEntries = 8*slotLimit + 1

// mtGrowing returns a map that is on its way from 8 buckets to 16, of which a few are frozen.
func mtGrowing(frozen int) *Map[uint64, string] {
	return mtGrowingMap(frozen, func(i int) uint64 { return uint64(i) }, mtSpread)
}

func mtGrowingMap[K comparable](frozen int, key func(int) K, hash func(K) uint64) *Map[K, string] {
	m := mtCrowded(mtGrowingEntries, key, hash,
		mtTuning(func(u *tuning) { u.atOnce, u.chunk = 0, 0 }))
	rm := m.core.settle()
	if rm.buckets() != 8 { // the last Store started a growth, settle ended it: go back to where it began
		mtResize(m, 8)
		m.core.settle()
	}
	mtResize(m, 16)
	rm = m.core.read.Load()
	if frozen >= int(rm.old.buckets()) {
		m.core.settle()
		return m
	}
	for i := range frozen {
		rm.old.evacuate(uint64(i*3)&rm.old.mask, true)
	}
	return m
}

// mtResize starts to move the entries of a map at rest to a table of n buckets, and moves none.
func mtResize[K comparable, V any](m *Map[K, V], n uint64) {
	rm := m.core.settle()
	m.core.mu.Lock()
	defer m.core.mu.Unlock()
	m.core.resizeLocked(rm, n, rm.seed, rm.traits)
}

func TestVerifyUnderConcurrentWriters(t *testing.T) {
	t.Parallel()
	m := New[any, string](mtTuning(func(u *tuning) { u.atOnce, u.chunk = 0, 1 }))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for g := range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for {
				for range 50 {
					k, v := r.IntN(2000), fmt.Sprint(r.IntN(10))
					switch r.IntN(8) {
					case 0:
						m.LoadAndDelete(k)
					case 1:
						m.Compute(k, func(old string, _ bool) (string, Op) { return old + v, Op(r.IntN(3)) })
					case 2:
						m.CompareAndSwap(k, v, v+v)
					case 3:
						m.Delete(k + 1)
					default:
						m.Store(k, v)
					}
				}
				switch r.IntN(40) {
				case 0:
					m.DeleteFunc(func(k any, _ string) bool { return k.(int)%8 != 0 })
				case 1:
					m.Compact()
				case 2:
					m.Clear()
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		}()
	}
	end, calls := time.Now().Add(time.Second), 0
	for ; calls < 4 || time.Now().Before(end); calls++ {
		if err := mtVerify(t, m); !assert.NoError(t, err, "call %d", calls) {
			break
		}
	}
	close(stop)
	wg.Wait()
	assert.NoError(t, mtVerify(t, m))
}

func TestVerifyReportsTophash(t *testing.T) {
	t.Parallel()
	t.Run("uint64", func(t *testing.T) { mtTestTophash(t, mtCrowdedUint64()) })
	t.Run("any", func(t *testing.T) { mtTestTophash(t, mtCrowdedAny()) })
	t.Run("no pointers", func(t *testing.T) {
		m := New[uint64, uint64](WithStableHash())
		for i := range uint64(40) {
			m.Store(i*7+1, i)
		}
		mtTestTophash(t, m)
	})
}

// mtTestTophash damages each tophash byte of a sound map in many ways, one at a time.
func mtTestTophash[K comparable, V any](t *testing.T, m *Map[K, V]) {
	require.NoError(t, mtVerify(t, m))
	mtEachSlot(m, func(b *bucket[K, V], i uint64, s int) {
		w := b.tophash.Load()
		now := swar.Byte(w, s)
		for _, th := range []uint8{0, now ^ 1, now ^ 0x80, ^now, now + 1, 1, 0xff} {
			if th == now {
				continue
			}
			b.tophash.Store(swar.With(w, s, th))
			err := mtVerify(t, m)
			switch {
			case now != 0 && th != 0: // flipped
				mtNames(t, err, mtAt(i, s), "(I3)")
			case now != 0 && m.core.traits.hasPointers: // zeroed
				mtNames(t, err, mtAt(i, s), "(I4)")
			default: // zeroed, or set on a free slot whose old words may even be those of a key of that home
				mtNames(t, err)
			}
			b.tophash.Store(w)
		}
	})
	require.NoError(t, mtVerify(t, m), "everything is as it was")
}

// A NaN key has its distance from home in the place of the tophash byte; every other value is wrong.
func TestVerifyReportsTophashOfNaN(t *testing.T) {
	t.Parallel()
	var m Map[float64, int]
	for i := range 20 {
		m.Store(math.NaN(), i)
		m.Store(float64(i), i)
	}
	require.NoError(t, mtVerify(t, &m))
	mtEachSlot(&m, func(b *bucket[float64, int], i uint64, s int) {
		key, w := b.loadKey(m.core.traits, s), b.tophash.Load()
		if key == key || swar.Byte(w, s) == 0 {
			return
		}
		for th := range 256 {
			if uint8(th) == swar.Byte(w, s) {
				continue
			}
			b.tophash.Store(swar.With(w, s, uint8(th)))
			if !mtNames(t, mtVerify(t, &m)) {
				t.Errorf("bucket %d slot %d: NaN's tophash byte %d instead of %d", i, s, th, swar.Byte(w, s))
			}
			b.tophash.Store(w)
			if t.Failed() {
				t.FailNow()
			}
		}
	})
	require.NoError(t, mtVerify(t, &m), "everything is as it was")
}

func TestVerifyReportsControl(t *testing.T) {
	t.Parallel()
	t.Run("uint64", func(t *testing.T) { mtTestControl(t, mtCrowdedUint64()) })
	t.Run("any", func(t *testing.T) { mtTestControl(t, mtCrowdedAny()) })
}

// mtTestControl damages each control word of a sound map in many ways, one at a time.
func mtTestControl[K comparable, V any](t *testing.T, m *Map[K, V]) {
	rm := m.core.settle()
	overflown := 0
	for i := range rm.buckets() {
		b, in := rm.bucket(i), fmt.Sprintf("bucket %d:", i)
		sound := control(b.control.Load())
		try := func(c control, parts ...string) {
			t.Helper()
			b.control.Store(uint64(c))
			mtNames(t, mtVerify(t, m), parts...)
			b.control.Store(uint64(sound))
		}
		try(sound|controlMoved, in, "(I8)")
		try(sound|controlMoved|controlWriting, in, "(I8)")
		try(sound|controlWriting, in, "(I5)")
		try(sound+overflowOne, in, "(I3)")
		try(sound+1000*overflowOne, in, "(I3)")
		try(sound&^overflowMask|(overflowMask-overflowOne), in, "(I3)")
		if sound.overflow() > 0 {
			overflown++
			try(sound-overflowOne, "(I3)")
			try(sound&^overflowMask, "(I3)")
		}
		for _, v := range []control{0, versionOne, sound ^ 1<<63, ^(versionOne - 1)} { // a version means nothing
			b.control.Store(uint64(v&^(versionOne-1) | sound&(versionOne-1)))
			assert.NoError(t, mtVerify(t, m), "version %#x", v)
		}
		b.control.Store(uint64(sound))
	}
	require.Positive(t, overflown, "no bucket had an overflow count to lower")
	require.NoError(t, mtVerify(t, m), "everything is as it was")
}

// Verify waits for a lock, but not for ever.
func TestVerifyReportsStuckLock(t *testing.T) {
	for name, bits := range map[string]control{"lock": controlLock, "writing": controlLock | controlWriting} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mtCrowdedUint64()
			b := m.core.settle().bucket(3)
			sound := b.control.Load()
			b.control.Store(sound | uint64(bits))
			start := time.Now()
			mtNames(t, mtVerify(t, m), "bucket 3:", "locked", "(I1)")
			assert.Greater(t, time.Since(start), verifyPatience/2)
			b.control.Store(sound)
			require.NoError(t, mtVerify(t, m))

			b.control.Store(sound | uint64(bits))
			time.AfterFunc(50*time.Millisecond, func() { b.control.Store(sound) })
			assert.NoError(t, mtVerify(t, m), "the lock was released")
		})
	}
	t.Run("of the old table", func(t *testing.T) {
		t.Parallel()
		m := mtGrowing(2)
		b := m.core.read.Load().old.bucket(1)
		b.control.Store(b.control.Load() | uint64(controlLock))
		mtNames(t, mtVerify(t, m), "bucket 1:", "locked", "(I1)")
	})
}

// A free slot that is marked as living makes Verify hash a key that nobody stored: the zero value. A user's function
// need not be able to do that.
func TestVerifyReportsTophashAlsoIfTheHasherPanics(t *testing.T) {
	t.Parallel()
	type object struct{ id uint64 }
	m := mtCrowded(80, func(i int) *object { return &object{uint64(i)} }, func(k *object) uint64 { return mtSpread(k.id) })
	mtEachSlot(m, func(b *bucket[*object, string], i uint64, s int) {
		if w := b.tophash.Load(); swar.Byte(w, s) == 0 {
			b.tophash.Store(swar.With(w, s, 77))
			mtNames(t, mtVerify(t, m), mtAt(i, s))
			b.tophash.Store(w)
		}
	})
	require.NoError(t, mtVerify(t, m), "everything is as it was, and unlocked")

	for s := range uint64(20) { // the same in the old table, which Verify empties first
		m := mtGrowingMap(1, func(i int) *object { return &object{uint64(i)} }, func(k *object) uint64 { return mtSpread(k.id) })
		e := m.core.read.Load().old
		b := e.bucket(s & e.mask)
		if w := b.tophash.Load(); !b.observe().moved() && swar.Empty(w) != 0 {
			b.tophash.Store(swar.With(w, swar.First(swar.Empty(w)), 77))
			mtNames(t, mtVerify(t, m))
		}
	}
}

func TestVerifyReportsDuplicateKey(t *testing.T) {
	t.Parallel()
	m := mtCrowdedUint64()
	rm, tr := m.core.settle(), m.core.traits
	mtEachSlot(m, func(b *bucket[uint64, string], i uint64, s int) {
		th := swar.Byte(b.tophash.Load(), s)
		if th == 0 {
			return
		}
		key, value := b.loadKey(tr, s), b.loadValue(tr, s)
		for j := range rm.buckets() {
			other := rm.bucket(j)
			w := other.tophash.Load()
			free := swar.Empty(w)
			if free == 0 {
				continue
			}
			to := swar.First(free)
			other.storeSlot(tr, to, key, value)
			other.tophash.Store(swar.With(w, to, th))
			mtNames(t, mtVerify(t, m), "the same key is in bucket", "(I1)")
			other.tophash.Store(w)
			other.clearSlot(tr, to)
		}
	})
	require.NoError(t, mtVerify(t, m), "everything is as it was")
}

// An entry where no search would find it.
func TestVerifyReportsMisplacedEntry(t *testing.T) {
	t.Parallel()
	m := mtCrowdedUint64()
	rm, tr := m.core.settle(), m.core.traits
	mtEachSlot(m, func(b *bucket[uint64, string], i uint64, s int) {
		w := b.tophash.Load()
		if swar.Byte(w, s) == 0 || rm.home(rm.hash(b.loadKey(tr, s))) != i || b.observe().overflow() != 0 {
			return
		}
		for j := range rm.buckets() {
			other := rm.bucket(j)
			ow := other.tophash.Load()
			if free := swar.Empty(ow); j != i && free != 0 {
				to := swar.First(free)
				key, value := b.loadKey(tr, s), b.loadValue(tr, s)
				other.storeSlot(tr, to, key, value)
				other.tophash.Store(swar.With(ow, to, swar.Byte(w, s)))
				b.tophash.Store(swar.With(w, s, 0))
				b.clearSlot(tr, s)
				mtNames(t, mtVerify(t, m), mtAt(j, to), "hidden", fmt.Sprintf("bucket %d", i), "(I3)")
				other.tophash.Store(ow)
				other.clearSlot(tr, to)
				b.storeSlot(tr, s, key, value)
				b.tophash.Store(w)
			}
		}
	})
	require.NoError(t, mtVerify(t, m), "everything is as it was")
}

func TestVerifyReportsUnclearedSlot(t *testing.T) {
	t.Parallel()
	m := mtCrowdedAny()
	tr, tried := m.core.traits, 0
	mtEachSlot(m, func(b *bucket[any, string], i uint64, s int) {
		if swar.Byte(b.tophash.Load(), s) != 0 {
			return
		}
		tried++
		b.storeSlot(tr, s, "key", "")
		mtNames(t, mtVerify(t, m), mtAt(i, s), "(I4)")
		b.storeSlot(tr, s, nil, "value")
		mtNames(t, mtVerify(t, m), mtAt(i, s), "(I4)")
		b.clearSlot(tr, s)
	})
	require.Positive(t, tried)
	require.NoError(t, mtVerify(t, m), "everything is as it was")
}

func TestVerifyReportsWrongLength(t *testing.T) {
	t.Parallel()
	for _, entries := range []int{0, 1, 80, 5000} {
		var m Map[int, int]
		for i := range entries {
			m.Store(i, i)
		}
		if entries == 0 {
			m.Store(1, 1)
			m.Delete(1)
		}
		rm := m.core.settle()
		require.NoError(t, mtVerify(t, &m))
		rm.length.Inserted(12345)
		mtNames(t, mtVerify(t, &m), fmt.Sprint(entries+1), fmt.Sprint(entries), "(I11)")
		rm.length.Removed(12345)
		require.NoError(t, mtVerify(t, &m))
		if entries > 0 {
			rm.length.Removed(54321)
			mtNames(t, mtVerify(t, &m), "(I11)")
		}
	}
}

// Nonsense in one or many headers of a map at rest. The lock bit is left alone, see TestVerifyReportsStuckLock.
func TestVerifyReportsGarbage(t *testing.T) {
	t.Parallel()
	m := mtCrowdedUint64()
	rm := m.core.settle()
	require.NoError(t, mtVerify(t, m))
	for seed := range uint64(mtScale(3000)) {
		r := rand.New(rand.NewPCG(seed, 2))
		saved := mtSaveHeaders(&rm.table)
		broken := 0
		for range 1 + r.IntN(int(rm.buckets())) {
			b := rm.bucket(r.Uint64N(rm.buckets()))
			switch r.IntN(3) {
			case 0:
				b.tophash.Store(mtGarbage(r, b.tophash.Load()))
			case 1:
				b.control.Store(mtGarbage(r, b.control.Load()) &^ uint64(controlLock))
			case 2:
				b.tophash.Store(mtGarbage(r, b.tophash.Load()))
				b.control.Store(mtGarbage(r, b.control.Load()) &^ uint64(controlLock))
			}
		}
		for i := range rm.buckets() {
			if mtBroken(saved[i], mtHeaderOf(rm.bucket(i))) {
				broken++
			}
		}
		if err := mtVerify(t, m); broken > 0 {
			require.True(t, mtNames(t, err), "seed %d, %d broken headers", seed, broken)
		} else {
			require.NoError(t, err, "seed %d", seed)
		}
		mtRestoreHeaders(&rm.table, saved)
	}
	require.NoError(t, mtVerify(t, m), "everything is as it was")
}

// The same, while a growth is under way.
func TestVerifyReportsGarbageWhileGrowing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(mtScale(1000)) {
		r := rand.New(rand.NewPCG(seed, 3))
		m := mtGrowing(r.IntN(8))
		rm := m.core.read.Load()
		what, broken := mtDamageWhileGrowing(r, rm)
		err := mtVerify(t, m)
		if broken {
			require.True(t, mtNames(t, err), "seed %d: %s", seed, what)
		}
	}
}

// mtDamageWhileGrowing damages one header of the old or the new table. It reports whether that breaks an invariant.
func mtDamageWhileGrowing(r *rand.Rand, rm *readMap[uint64, string]) (what string, broken bool) {
	tab, name := &rm.table, "new"
	if r.IntN(2) == 0 {
		tab, name = &rm.old.table, "old"
	}
	i := r.Uint64N(tab.buckets())
	b := tab.bucket(i)
	before := mtHeaderOf(b)
	if r.IntN(2) == 0 {
		b.tophash.Store(mtGarbage(r, before.tophash))
	} else {
		b.control.Store(mtGarbage(r, uint64(before.control)) &^ uint64(controlLock))
	}
	after := mtHeaderOf(b)
	what = fmt.Sprintf("%s table, bucket %d: tophash %#x -> %#x, control %#x -> %#x",
		name, i, before.tophash, after.tophash, uint64(before.control), uint64(after.control))
	if before.control.moved() {
		// Nobody looks at the slots and counts of a frozen bucket any more. If it is not marked as frozen any more,
		// and has entries, they turn up twice.
		return what, after.control.writing() || !after.control.moved() && after.tophash != 0
	}
	if name == "old" && after.control.moved() && before.tophash == 0 {
		return what, after.control.writing() // an empty bucket that was never frozen loses nothing
	}
	return what, mtBroken(before, after)
}

// A whole new table of nonsense leaves no room for what is still in the old one.
func TestVerifyReportsFullTableWhileGrowing(t *testing.T) {
	t.Parallel()
	m := mtGrowing(1)
	rm := m.core.read.Load()
	for i := range rm.buckets() {
		rm.bucket(i).tophash.Store(0x0101010101010101 * 7)
	}
	mtNames(t, mtVerify(t, m))
}

// mtHeader is what a bucket's header says.
type mtHeader struct {
	tophash uint64
	control control
}

func mtHeaderOf[K comparable, V any](b *bucket[K, V]) mtHeader {
	return mtHeader{b.tophash.Load(), control(b.control.Load())}
}

func mtSaveHeaders[K comparable, V any](t *table[K, V]) (saved []mtHeader) {
	for i := range t.buckets() {
		saved = append(saved, mtHeaderOf(t.bucket(i)))
	}
	return saved
}

func mtRestoreHeaders[K comparable, V any](t *table[K, V], saved []mtHeader) {
	for i, h := range saved {
		t.bucket(uint64(i)).tophash.Store(h.tophash)
		t.bucket(uint64(i)).control.Store(uint64(h.control))
	}
}

// mtBroken reports whether changing a sound header breaks an invariant. Another version does not, and a saturated
// overflow count means "unknown, at least one".
func mtBroken(before, after mtHeader) bool {
	c := after.control
	return after.tophash != before.tophash || c.moved() != before.control.moved() || c.writing() ||
		c.overflow() != before.control.overflow() && c&overflowMask != overflowMask
}

// mtGarbage returns w with some bits, bytes or all of it replaced.
func mtGarbage(r *rand.Rand, w uint64) uint64 {
	switch r.IntN(6) {
	case 0:
		return w ^ 1<<r.IntN(64)
	case 1:
		return w ^ 1<<r.IntN(32)
	case 2:
		return swar.With(w, r.IntN(8), uint8(r.Uint32()))
	case 3:
		return 0
	case 4:
		return ^w
	default:
		return r.Uint64()
	}
}

// mtScale returns a number of iterations: n, or fewer in builds that are many times slower.
func mtScale(n int) int {
	if mtRace || testing.Short() {
		return max(n/10, 1)
	}
	return n
}

// Verify's errors join where several tables are damaged, and say which invariant each breaks.
func TestVerifyNamesEveryTable(t *testing.T) {
	t.Parallel()
	m := mtGrowing(0)
	rm := m.core.read.Load()
	for _, b := range []*bucket[uint64, string]{rm.old.bucket(2), rm.bucket(5)} {
		b.control.Store(b.control.Load() | uint64(controlWriting))
	}
	err := mtVerify(t, m)
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 2)
	slices.Sort(lines)
	assert.Contains(t, lines[0], "bucket 2:")
	assert.Contains(t, lines[1], "bucket 5:")
}

// Verify holds all locks for as long as it looks, and another one that comes meanwhile waits for that, however long it takes.
func TestTwoVerifiesAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("slow: waits for longer than Verify waits for a lock")
	}
	t.Parallel()
	var slow atomic.Bool
	looking, goOn := make(chan struct{}), make(chan struct{})
	m := New[int, int](WithHasher(func(k int, _ uint64) uint64 {
		if slow.CompareAndSwap(true, false) {
			close(looking)
			<-goOn
		}
		return uint64(k)
	}))
	m.Store(1, 1)
	slow.Store(true)
	results := make(chan error, 2)
	go func() { results <- m.Verify() }()
	<-looking
	go func() { results <- m.Verify() }()
	select {
	case err := <-results:
		t.Error("did not wait: ", err)
	case <-time.After(verifyPatience + time.Second):
	}
	close(goOn)
	require.NoError(t, <-results)
	require.NoError(t, <-results)
}
