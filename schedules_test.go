//go:build go1.25 && hushmap_invariants

// This file explores schedules: which operations another can meet between any two of its steps.
//
// One operation runs until it takes its nth step of the protocol, and stays there, with whatever it has locked. Others
// run meanwhile, to their end or until they wait for the first; then it goes on. All of that for every n, for every pair
// of operations, and for maps in every state in which keys of one home bucket can be. At the end the results of all
// operations must be those of some order, and so must what is left in the map.
//
// Nothing depends on time. It all runs in a bubble of testing/synctest: who waits for a lock ends up asleep (pause), and
// synctest knows when everyone is asleep, and lets time pass only then.

package hushmap

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hushmap/hushmap/internal/hash"
)

// scKeys is how many keys there are; scState is what a map holds: by key, the value, or 0 for none.
const scKeys = 30

type scState [scKeys]int32

// scKind is a kind of operation.
type scKind uint8

const (
	scLoad scKind = iota
	scStore
	scLoadOrStore
	scLoadAndDelete
	scDelete // Bytes only: says whether there was an entry
	scSwap
	scCompareAndSwap
	scCompareAndDelete
	scUpdate // Compute that adds
	scRemove // Compute that deletes
	scCancel // Compute that leaves all as it is
	scLoadOrCompute
	scFail       // LoadOrCompute whose function returns an error
	scDeleteFunc // of all that has this key
	scRange
	scLen // counts the entries as well, and says if Len is ahead of what can be found (I11)
	scClear
	scGrow
	scCompact
	scDouble  // start to move everything into a table of twice the size
	scRebuild // start to move everything into a table with another seed and another arena
	scMove    // start to move everything into a table of the same size and seed, and another arena

	// Of all keys, see scBatch; in schedules_batch_test.go only.
	scLoadBatch
	scStoreBatch
	scDeleteBatch
)

var scNames = [...]string{"Load", "Store", "LoadOrStore", "LoadAndDelete", "Delete", "Swap", "CompareAndSwap", "CompareAndDelete",
	"Compute to update", "Compute to delete", "Compute to cancel", "LoadOrCompute", "LoadOrCompute to fail", "DeleteFunc", "Range", "Len", "Clear", "Grow", "Compact", "double", "rebuild", "move",
	"LoadBatch", "StoreBatch", "DeleteBatch"}

// scOp is an operation on a key.
type scOp struct {
	kind     scKind
	key, arg int // what it writes, or adds
	old      int // what it compares with
}

func (o scOp) String() string {
	switch {
	case o.kind >= scRange:
		return scNames[o.kind]
	case o.old != 0:
		return fmt.Sprintf("%s(%d, %d, %d)", scNames[o.kind], o.key, o.old, o.arg)
	default:
		return fmt.Sprintf("%s(%d, %d)", scNames[o.kind], o.key, o.arg)
	}
}

// scJoined is the result of a LoadOrCompute that has waited for another, whose function failed with errWanted.
const scJoined = -2

var errWanted = errors.New("wanted")

// scResult is what an operation returned; visits is Range's, each a batch's, by key.
type scResult struct {
	value  int
	ok     bool
	visits *scState
	each   *[scKeys]scResult
}

// apply is the operation on what a map should be.
func (o scOp) apply(s *scState) (r scResult) {
	was := int(s[o.key])
	write := func(v int) { s[o.key] = int32(v) }
	switch o.kind {
	case scLoad, scCancel, scFail:
		return scResult{value: was, ok: was != 0}
	case scStore:
		write(o.arg)
	case scSwap:
		write(o.arg)
		return scResult{value: was, ok: was != 0}
	case scLoadAndDelete:
		write(0)
		return scResult{value: was, ok: was != 0}
	case scDelete, scDeleteFunc:
		write(0)
		return scResult{ok: was != 0}
	case scLoadOrStore, scLoadOrCompute:
		if was == 0 {
			write(o.arg)
			return scResult{value: o.arg}
		}
		return scResult{value: was, ok: true}
	case scCompareAndSwap:
		if was == o.old {
			write(o.arg)
		}
		return scResult{ok: was == o.old}
	case scCompareAndDelete:
		if was == o.old {
			write(0)
		}
		return scResult{ok: was == o.old}
	case scUpdate:
		write(was + o.arg)
		return scResult{value: was + o.arg, ok: true}
	case scRemove:
		write(0)
	case scClear:
		*s = scState{}
	}
	return r
}

// scMap is a map under test.
type scMap interface {
	do(o scOp) scResult
	load(key int) (value int, ok bool)
	free() bool // nobody holds one of its mutexes
	Len() int
	Verify() error
}

// scTyped is a Map with any types of keys and values.
type scTyped[K, V comparable] struct {
	*Map[K, V]
	key    func(int) K
	index  func(K) int
	value  func(int) V
	number func(V) int // -1 for what value did not make
}

func (m *scTyped[K, V]) load(key int) (int, bool) { return m.result(m.Load(m.key(key))) }

func (m *scTyped[K, V]) result(v V, ok bool) (int, bool) {
	var zero V
	switch {
	case ok:
		return m.number(v), true
	case v != zero:
		return -1, false
	default:
		return 0, false
	}
}

func (m *scTyped[K, V]) free() bool { return scFree(&m.flights.mu) && scFree(&m.core.mu) }

func scFree(mu *sync.Mutex) bool {
	if !mu.TryLock() {
		return false
	}
	mu.Unlock()
	return true
}

func (m *scTyped[K, V]) do(o scOp) (r scResult) {
	key, arg := m.key(o.key), m.value(o.arg)
	switch o.kind {
	case scLoad:
		r.value, r.ok = m.load(o.key)
	case scStore:
		m.Store(key, arg)
	case scLoadOrStore:
		v, loaded := m.LoadOrStore(key, arg)
		r.value, r.ok = m.number(v), loaded
	case scLoadAndDelete:
		r.value, r.ok = m.result(m.LoadAndDelete(key))
	case scSwap:
		r.value, r.ok = m.result(m.Swap(key, arg))
	case scCompareAndSwap:
		r.ok = m.CompareAndSwap(key, m.value(o.old), arg)
	case scCompareAndDelete:
		r.ok = m.CompareAndDelete(key, m.value(o.old))
	case scUpdate:
		r.value, r.ok = m.result(m.Compute(key, func(old V, loaded bool) (V, Op) {
			was, _ := m.result(old, loaded)
			return m.value(was + o.arg), UpdateOp
		}))
	case scRemove:
		r.value, r.ok = m.result(m.Compute(key, func(old V, loaded bool) (V, Op) { return old, DeleteOp }))
	case scCancel:
		r.value, r.ok = m.result(m.Compute(key, func(old V, loaded bool) (V, Op) { return arg, CancelOp }))
	case scLoadOrCompute:
		v, loaded, err := m.LoadOrCompute(key, func() (V, error) { return arg, nil })
		switch r.value, r.ok = m.number(v), loaded; {
		case err == errWanted && !loaded:
			r.value = scJoined
		case err != nil:
			r.value = -1
		}
	case scFail:
		v, loaded, err := m.LoadOrCompute(key, func() (V, error) { return arg, errWanted })
		if r.value, r.ok = m.result(v, loaded); loaded == (err != nil) {
			r.value = -1
		}
	case scDeleteFunc:
		r.ok = m.DeleteFunc(func(k K, _ V) bool { return k == key }) == 1
	case scRange:
		r.visits = new(scState)
		m.Range(func(k K, v V) bool {
			if was := &r.visits[m.index(k)]; *was != 0 {
				*was = -1 // twice
			} else {
				*was = int32(m.number(v))
			}
			return true
		})
	case scLen:
		r.ok = scAhead(m)
	case scLoadBatch, scStoreBatch, scDeleteBatch:
		r = m.batch(o)
	default:
		scTransition(&m.core, o)
	}
	return r
}

// scAhead reports whether Len counts more entries than there are, where nobody changes the map meanwhile.
func scAhead(m scMap) bool {
	n := m.Len()
	for k := range scKeys {
		if _, ok := m.load(k); ok {
			n--
		}
	}
	return n > 0
}

// scTransition does what is not about one key.
func scTransition[K comparable, V any](c *core[K, V], o scOp) {
	switch o.kind {
	case scClear:
		c.clear()
	case scGrow:
		c.grow(o.arg)
	case scCompact:
		c.compact()
	case scDouble:
		if rm := c.read.Load(); rm != nil && c.mu.TryLock() {
			defer c.mu.Unlock()
			c.resizeLocked(rm, 2*rm.buckets(), rm.seed, rm.traits)
		}
	case scRebuild:
		if rm := c.read.Load(); rm != nil && c.mu.TryLock() {
			defer c.mu.Unlock()
			c.resizeLocked(rm, rm.buckets(), hash.NewSeed(), c.traits.withArena())
		}
	case scMove:
		if rm := c.read.Load(); rm != nil {
			c.resizeAnd(rm, rm.buckets(), true)
		}
	default:
		panic(o.String())
	}
}

// scBytes is a Bytes; see scNamesOf for its keys.
type scBytes struct {
	*Bytes
	names [scKeys]string
}

func (m *scBytes) number(v []byte, ok bool) (int, bool) {
	if !ok {
		return len(v), false
	}
	return scNumber(string(v)), true
}

func (m *scBytes) load(key int) (int, bool) { return m.number(m.Get(nil, m.names[key])) }

func (m *scBytes) free() bool { return scFree(&m.core.mu) }

func (m *scBytes) do(o scOp) (r scResult) {
	key, arg := m.names[o.key], []byte(scValue(o.arg))
	switch o.kind {
	case scLoad:
		r.value, r.ok = m.load(o.key)
	case scStore:
		m.Set(key, arg)
	case scLoadOrStore:
		v, loaded := m.LoadOrStore(nil, key, arg)
		r.value, r.ok = scNumber(string(v)), loaded
	case scDelete:
		r.ok = m.Delete(key)
	case scCompareAndSwap:
		r.ok = m.CompareAndSwap(key, []byte(scValue(o.old)), arg)
	case scRange:
		r.visits = new(scState)
		m.Range(func(k string, v []byte) bool {
			if was := &r.visits[slices.Index(m.names[:], k)]; *was != 0 {
				*was = -1
			} else {
				*was = int32(scNumber(string(v)))
			}
			return true
		})
	case scLen:
		r.ok = scAhead(m)
	default:
		scTransition(&m.core, o)
	}
	return r
}

// scValue is a value of more than one word, and scNumber what it was made of: -1 if nothing that scValue makes. Some have the
// same length, and take each other's place by one store, some have not.
func scValue(n int) string { return fmt.Sprintf("value %d%s", n, strings.Repeat(" ", n%3)) }

func scNumber(s string) int {
	digits, ok := strings.CutPrefix(s, "value ")
	n, err := strconv.Atoi(strings.TrimRight(digits, " "))
	if !ok || err != nil {
		return -1
	}
	return n
}

// scBoxed is an interface of either of two types.
func scBoxed(n int) any {
	if n%2 == 0 {
		return scValue(n)
	}
	return n
}

func scBoxedNumber(v any) int {
	if s, ok := v.(string); ok {
		return scNumber(s)
	}
	n, ok := v.(int)
	if !ok {
		return -1
	}
	return n
}

// scPlace is a state of a map in which keys of one home are: where that is, how many keys it has, and what happens to
// the table before anything else does.
type scPlace struct {
	name    string
	home    int    // of the keys below 20, in a table of four buckets; others are spread over all
	keys    int    // 0 to keys-1 are in the map
	a, b    int    // two of them
	buckets int    // of the first table
	before  scKind // scLoad: nothing
}

var scPlaces = []scPlace{
	{"room in the bucket", 0, 4, 1, 2, 4, scLoad},
	{"full bucket", 0, 8, 1, 7, 4, scLoad},
	{"displaced", 1, 10, 9, 1, 4, scLoad},
	{"wrapped around", 3, 10, 9, 1, 4, scLoad},
	{"growing", 1, 10, 9, 1, 4, scDouble},
	{"shrinking", 1, 4, 3, 1, 16, scCompact},
	{"rebuilding", 3, 10, 9, 1, 4, scRebuild},
	{"moving", 3, 10, 9, 1, 4, scMove},
	{"at its limit", 1, 24, 9, 21, 4, scLoad},
}

const scAbsent, scAbsentToo = 18, 29 // keys that are in none of them: one of the same home, one that may be elsewhere

// homeOf is the home of a key among four buckets.
func (p *scPlace) homeOf(key int) uint64 {
	if key < 20 {
		return uint64(p.home)
	}
	return uint64(key) & 3
}

// hash gives keys their home, and few tophash bytes, so that searches have candidates that do not match; but a key that may
// be displaced and one that is absent have bytes of their own, so that searches have none at home.
func (p *scPlace) hash(key int) uint64 {
	th := uint64(key%3 + 2)
	if key == 9 || key == scAbsent {
		th = uint64(key)
	}
	return p.homeOf(key)<<62 | uint64(key&3)<<60 | th
}

func (p *scPlace) options() []Option {
	return []Option{withTuning(func(tu *tuning) { ftOneBucket(tu); tu.rawHash, tu.waste, tu.farFrom = true, 1, 1 }),
		WithCapacity(p.buckets*slotLimit - 1)}
}

func (p *scPlace) fill(m scMap) (s scState) {
	for k := range p.keys {
		m.do(scOp{kind: scStore, key: k, arg: k + 1})
		s[k] = int32(k + 1)
	}
	return s
}

// start begins the transition that the place is about, and leaves it there.
func scStart[K comparable, V any](p *scPlace, c *core[K, V]) {
	rm := c.read.Load()
	switch p.before {
	case scDouble, scRebuild, scMove:
		scTransition(c, scOp{kind: p.before})
	case scCompact:
		c.mu.Lock()
		c.resizeLocked(rm, uint64(p.buckets)/4, rm.seed, rm.traits)
		c.mu.Unlock()
	default:
		return
	}
	if c.read.Load().old == nil {
		panic("nothing was started")
	}
}

func scMake[K, V comparable](key func(int) K, index func(K) int, value func(int) V, number func(V) int) func(p *scPlace) (scMap, scState) {
	return func(p *scPlace) (scMap, scState) {
		hasher := WithHasher(func(k K, _ uint64) uint64 { return p.hash(index(k)) })
		m := &scTyped[K, V]{New[K, V](append(p.options(), hasher)...), key, index, value, number}
		s := p.fill(m)
		scStart(p, &m.core)
		return m, s
	}
}

// scNamesOf finds names for the keys of a place that lead to the homes they should have, under the hash that users get, with
// one format after another.
func scNamesOf(p *scPlace, hash func(name string) uint64, formats ...string) (names [scKeys]string) {
	for k, tries := 0, 0; k < scKeys; tries++ {
		name := fmt.Sprintf(formats[k%len(formats)], tries)
		if hash(name)>>62 == p.homeOf(k) {
			names[k] = name
			k++
		}
	}
	return names
}

func scMakeBytes(p *scPlace) (scMap, scState) {
	m := &scBytes{Bytes: NewBytes(p.options()...)}
	m.names = scNamesOf(p, m.core.writable().hash, "key %d")
	s := p.fill(m)
	scStart(p, &m.core)
	return m, s
}

// scMakeNamed makes a map of strings with the lengths that formats have.
func scMakeNamed(formats ...string) func(p *scPlace) (scMap, scState) {
	return func(p *scPlace) (scMap, scState) {
		m := &scTyped[string, string]{Map: New[string, string](p.options()...), value: scValue, number: scNumber}
		names := scNamesOf(p, m.core.writable().hash, formats...)
		m.key = func(k int) string { return names[k] }
		m.index = func(k string) int { return slices.Index(names[:], k) }
		s := p.fill(m)
		scStart(p, &m.core)
		return m, s
	}
}

// scTypes are the types of keys and values: in one word; overwritten by one store, relocation or between two marks; refs; keys
// that must not be compared when torn; records.
var scTypes = []struct {
	name string
	make func(p *scPlace) (scMap, scState)
}{
	{"uint64 uint64", scMake(func(k int) uint64 { return uint64(k) }, func(k uint64) int { return int(k) },
		func(n int) uint64 { return uint64(n) }, func(v uint64) int { return int(v) })},
	{"uint64 string", scMake(func(k int) uint64 { return uint64(k) }, func(k uint64) int { return int(k) }, scValue, scNumber)},
	{"string string", scMake(scName, scIndex, scValue, scNumber)},
	{"any any", scMake(func(k int) any {
		if k%2 == 0 {
			return k
		}
		return scName(k)
	}, func(k any) int {
		if n, ok := k.(int); ok {
			return n
		}
		return scIndex(k.(string))
	}, scBoxed, scBoxedNumber)},
	// Under a hasher of the map's own, strings of up to 32 bytes are looked up in other loops.
	{"medium string", scMakeNamed("a key of medium length %d")},
	{"short string", scMakeNamed("a key %d", "%x")},
	{"Bytes", scMakeBytes},
}

func scName(k int) string  { return fmt.Sprintf("the key %d", k) }
func scIndex(k string) int { n, _ := strconv.Atoi(strings.TrimPrefix(k, "the key ")); return n }

// operations are those that a schedule is made of. Values differ, so that results tell them apart; the first operation
// has other values than those that come while it stands still.
func (p *scPlace) operations(bytes bool, salt int) []scOp {
	a, b, was := p.a, p.b, p.a+1
	both := []scOp{
		{kind: scLoad, key: a}, {kind: scLoad, key: scAbsent}, {kind: scLoad, key: b},
		{kind: scStore, key: a, arg: salt}, {kind: scStore, key: scAbsent, arg: salt}, {kind: scStore, key: b, arg: salt},
		{kind: scStore, key: scAbsentToo, arg: salt},
		{kind: scLoadOrStore, key: a, arg: salt}, {kind: scLoadOrStore, key: scAbsent, arg: salt},
		{kind: scCompareAndSwap, key: a, old: was, arg: salt}, {kind: scCompareAndSwap, key: a, old: 1100, arg: salt},
		{kind: scRange}, {kind: scLen}, {kind: scClear}, {kind: scGrow, arg: 60}, {kind: scCompact}, {kind: scDouble}, {kind: scRebuild}, {kind: scMove},
	}
	if bytes {
		return append(both, scOp{kind: scDelete, key: a}, scOp{kind: scDelete, key: b}, scOp{kind: scDelete, key: scAbsent})
	}
	return append(both,
		scOp{kind: scLoadAndDelete, key: a}, scOp{kind: scLoadAndDelete, key: b}, scOp{kind: scLoadAndDelete, key: scAbsent},
		scOp{kind: scSwap, key: a, arg: salt}, scOp{kind: scSwap, key: scAbsent, arg: salt},
		scOp{kind: scCompareAndDelete, key: a, old: was},
		scOp{kind: scUpdate, key: a, arg: salt}, scOp{kind: scUpdate, key: scAbsent, arg: salt}, scOp{kind: scRemove, key: a},
		scOp{kind: scCancel, key: a, arg: salt}, scOp{kind: scLoadOrCompute, key: scAbsent, arg: salt},
		scOp{kind: scFail, key: scAbsent, arg: salt}, scOp{kind: scDeleteFunc, key: a})
}

// scActor is an operation under way.
type scActor struct {
	op        scOp
	stop      int  // it stands still when it takes this step, counted from 0; -1: never
	steps     int  // that it has taken while it was to be stopped
	waited    bool // for one who stood still; then others may have run beside it
	parked    atomic.Bool
	stopped   atomic.Bool   // it was parked once
	holds     atomic.Bool   // a mutex, while parked
	at        atomic.Uint32 // the step at which it was parked
	goOn      chan struct{}
	done      atomic.Bool
	result    scResult
	call, end int64
}

// scSchedule is one run of several operations on one map. One of them runs at a time, unless one that was parked has
// waited for another.
type scSchedule struct {
	m      scMap
	first  scState
	clock  atomic.Int64
	active atomic.Pointer[scActor] // is to be stopped
	actors []*scActor
	waited bool // somebody did, for one who stood still
}

// hook parks the active operation at the step where it should be.
func (s *scSchedule) hook(at protocolStep) {
	a := s.active.Load()
	if a == nil {
		return
	}
	if a.steps == a.stop {
		s.active.Store(nil)
		a.at.Store(uint32(at))
		a.holds.Store(!s.m.free())
		a.stopped.Store(true)
		a.parked.Store(true)
		<-a.goOn
		return
	}
	a.steps++
}

// start runs an operation until it has ended, stands still, or waits for one that does.
func (s *scSchedule) start(op scOp, stop int) *scActor {
	a := &scActor{op: op, stop: stop, goOn: make(chan struct{})}
	s.actors = append(s.actors, a)
	if stop >= 0 {
		s.active.Store(a)
	}
	go func() {
		a.call = s.clock.Add(1)
		a.result = s.m.do(op)
		a.end = s.clock.Add(1)
		a.done.Store(true)
	}()
	s.settle()
	s.active.Store(nil)
	a.waited = !a.parked.Load() && !a.done.Load()
	s.waited = s.waited || a.waited
	return a
}

// goOn lets an operation go on, as start does.
func (s *scSchedule) goOn(a *scActor) {
	if a.parked.Load() {
		a.parked.Store(false)
		a.holds.Store(false)
		a.goOn <- struct{}{}
	}
	s.settle()
}

// settle waits until nobody can go on. A mutex is nothing that synctest knows how to wait for; whether somebody waits
// for one that a parked operation holds is in the list of goroutines.
func (s *scSchedule) settle() {
	if !slices.ContainsFunc(s.actors, func(a *scActor) bool { return a.holds.Load() }) {
		synctest.Wait()
		return
	}
	for {
		idle := true
		for goroutine := range strings.SplitSeq(scGoroutines(), "\n\n") {
			// In sync.Pool.Get, for one, an actor is in no bubble.
			if head, _, _ := strings.Cut(goroutine, "\n"); strings.Contains(head, "synctest bubble") || strings.Contains(goroutine, "scSchedule).start in") {
				waits := strings.Contains(head, "[sync.Mutex.Lock") || strings.Contains(head, "durable")
				idle = idle && (waits || strings.Contains(head, "[running"))
			}
		}
		if idle {
			return
		}
		runtime.Gosched()
	}
}

// scGoroutines lists all goroutines, each with its state and its stack: none may be cut off, however many other tests
// have left behind.
func scGoroutines() string {
	for list := make([]byte, 1<<14); ; list = make([]byte, 2*len(list)) {
		if n := runtime.Stack(list, true); n < len(list) {
			return string(list[:n])
		}
	}
}

// finish lets everybody go on, in the given order, and reports whether all came to their end.
func (s *scSchedule) finish(order ...*scActor) bool {
	for _, a := range order {
		s.goOn(a)
	}
	for range 1000 {
		if !slices.ContainsFunc(s.actors, func(a *scActor) bool { return !a.done.Load() }) {
			return true
		}
		time.Sleep(time.Millisecond) // those who wait sleep shorter
	}
	return false
}

// check reports what is wrong after the end.
func (s *scSchedule) check() error {
	if err := s.m.Verify(); err != nil {
		return err
	}
	var last scState
	entries := 0
	for k := range last {
		v, ok := s.m.load(k)
		if last[k] = int32(v); ok != (v != 0) {
			return fmt.Errorf("key %d: Load returned %d, %v", k, v, ok)
		}
		if ok {
			entries++
		}
	}
	if n := s.m.Len(); n != entries {
		return fmt.Errorf("Len returned %d of %d entries", n, entries)
	}
	for _, a := range s.actors {
		switch {
		case a.op.kind == scRange:
			if err := s.checkRange(a.result.visits); err != nil {
				return err
			}
		case a.op.kind == scDeleteFunc && !a.result.ok && s.first[a.op.key] != 0 && !s.writtenBeside(a):
			return fmt.Errorf("DeleteFunc did not visit key %d, which was there all the time", a.op.key)
		case a.result.value == scJoined && !slices.ContainsFunc(s.actors, func(b *scActor) bool {
			return b.op.kind == scFail && b.op.key == a.op.key && b.call < a.end && a.call < b.end
		}):
			return fmt.Errorf("LoadOrCompute of key %d returned the error of nobody", a.op.key)
		}
	}
	if i := slices.IndexFunc(s.actors, func(a *scActor) bool { return a.op.kind >= scLoadBatch }); i >= 0 {
		return s.checkBatch(s.actors[i], &last)
	}
	if !scExplains(s.first, s.actors, &last) {
		return fmt.Errorf("no order explains the results and what is left: %v of %v", last, s.first)
	}
	return nil
}

// writtenBeside reports whether any operation but a may have changed a's key.
func (s *scSchedule) writtenBeside(a *scActor) bool {
	return slices.ContainsFunc(s.actors, func(b *scActor) bool {
		return b != a && (b.op.kind == scClear || b.op.kind < scRange && b.op.kind != scLoad && b.op.key == a.op.key)
	})
}

// checkRange: a key that nobody has written is visited once, and none twice.
func (s *scSchedule) checkRange(visits *scState) error {
	cleared := slices.ContainsFunc(s.actors, func(a *scActor) bool { return a.op.kind == scClear })
	for k, v := range visits {
		if v < 0 {
			return fmt.Errorf("Range visited key %d twice, or a value that nobody has stored", k)
		}
		written := slices.ContainsFunc(s.actors, func(a *scActor) bool { return a.op.kind < scRange && a.op.key == k })
		if !written && v != s.first[k] && !(cleared && v == 0) {
			return fmt.Errorf("Range visited key %d with %d instead of %d", k, v, s.first[k])
		}
	}
	return nil
}

// scExplains reports whether some order of the operations has their results and leads from one state to another. None
// comes before one that had ended before it began.
func scExplains(state scState, left []*scActor, last *scState) bool {
	if len(left) == 0 {
		return state == *last
	}
	for i, a := range left {
		if slices.ContainsFunc(left, func(b *scActor) bool { return b.end < a.call }) {
			continue
		}
		next := state
		r := a.op.apply(&next)
		switch {
		case a.op.kind == scLen && a.waited:
			r = a.result // it is sure of something only while nobody runs
		case a.op.kind == scDeleteFunc && !a.result.ok:
			next, r = state, a.result // it may have looked before the key was stored
		case a.result.value == scJoined:
			next, r = state, a.result // it stores nothing
		}
		if r.value == a.result.value && r.ok == a.result.ok && scExplains(next, slices.Delete(slices.Clone(left), i, i+1), last) {
			return true
		}
	}
	return false
}

// describe says what a schedule was in which something went wrong.
func (s *scSchedule) describe(err any) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n", err)
	for _, a := range s.actors {
		fmt.Fprintf(&b, "  %v", a.op)
		if a.stop >= 0 {
			fmt.Fprintf(&b, ", stopped at its step %d, of kind %d", a.stop, a.at.Load())
		}
		fmt.Fprintf(&b, ": %d, %v, ended %v, from %d to %d\n", a.result.value, a.result.ok, a.done.Load(), a.call, a.end)
	}
	return b.String()
}

// scExplorer explores the schedules of one type of map in one place.
type scExplorer struct {
	types     string
	make      func(*scPlace) (scMap, scState)
	p         *scPlace
	bytes     bool
	turn      int // of the type
	schedules int
	waited    int                // schedules in which an operation waited for one that stood still
	at        [protocolSteps]int // how often one stood still there
	failures  []string
}

// sitsOut reports whether schedule n is left to other types: each is for every other one, and in a soak for all.
func (x *scExplorer) sitsOut(n int) bool { return (n+x.turn)%2 == 1 && !scSoak }

// run plays one schedule on a new map.
func (x *scExplorer) run(play func(s *scSchedule) (ended bool)) {
	m, first := x.make(x.p)
	s := &scSchedule{m: m, first: first}
	hook := s.hook
	stepHook.Store(&hook)
	ended := play(s)
	stepHook.Store(nil)
	x.schedules++
	if s.waited {
		x.waited++
	}
	for _, a := range s.actors {
		if a.stopped.Load() {
			x.at[a.at.Load()]++
		}
	}
	if !ended {
		panic(s.describe("an operation does not end")) // what it holds cannot be let go
	}
	if err := s.check(); err != nil {
		x.failures = append(x.failures, s.describe(err))
	}
}

// steps returns how many steps an operation takes when it is alone.
func (x *scExplorer) steps(op scOp) (n int) {
	m, _ := x.make(x.p)
	hook := func(protocolStep) { n++ }
	stepHook.Store(&hook)
	defer stepHook.Store(nil)
	m.do(op)
	return n
}

var scSoak = os.Getenv("HUSHMAP_SOAK") != ""

// stops returns the steps at which an operation is stopped: all of few, some of many.
func (x *scExplorer) stops(op scOp, most int) (stops []int) {
	n := x.steps(op)
	if scSoak {
		most = n
	} else if raceEnabled || testing.Short() {
		most = max(most/3, 2)
	}
	for i := range min(n, most) {
		stops = append(stops, i*n/min(n, most))
	}
	return stops
}

// scEach runs an exploration for all types and places.
func scEach(t *testing.T, explore func(t *testing.T, x *scExplorer)) {
	var at [protocolSteps]int
	all := 0
	for turn, types := range scTypes {
		t.Run(types.name, func(t *testing.T) {
			schedules, waited := 0, 0
			for i := range scPlaces {
				t.Run(scPlaces[i].name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						x := &scExplorer{types: types.name, make: types.make, p: &scPlaces[i], bytes: types.name == "Bytes", turn: turn}
						explore(t, x)
						for _, f := range x.failures[:min(3, len(x.failures))] {
							t.Error(f)
						}
						schedules, waited = schedules+x.schedules, waited+x.waited
						for s := range at {
							at[s] += x.at[s]
						}
					})
				})
			}
			require.True(t, waited > 0 || schedules == 0, "nobody ever waited for one who stood still")
			t.Logf("%d schedules, in %d of them somebody waited for one who stood still", schedules, waited)
			all += schedules
		})
	}
	t.Logf("counts: %d schedules; stood still at each kind of step: %v", all, at)
}

// Every operation is stopped at every step that it takes, and meets every other.
func TestSchedulesOfTwo(t *testing.T) {
	scEach(t, func(t *testing.T, x *scExplorer) {
		for i, a := range x.p.operations(x.bytes, 1000) {
			if a.kind == scLen {
				continue // it is sure of something only while nobody runs
			}
			for _, stop := range x.stops(a, 6) {
				for j, b := range x.p.operations(x.bytes, 1100) {
					if x.p.before != scLoad && scComputes(a, b) > 1 {
						continue
					}
					if x.sitsOut(i + stop + j) {
						continue
					}
					x.run(func(s *scSchedule) bool {
						first := s.start(a, stop)
						s.start(b, -1)
						return s.finish(first)
					})
				}
			}
		}
	})
}

// Two operations are stopped, each at any of its steps, and go on in both orders. All that would take a quarter of an hour, so
// a soak takes a quarter of it, another one each time.
func TestSchedulesOfTwoStopped(t *testing.T) {
	ftSoak(t)
	scEach(t, func(t *testing.T, x *scExplorer) {
		if x.types != scTypes[0].name && !x.bytes {
			t.Skip("one type without an arena and one with it take minutes")
		}
		operations := x.p.operations(x.bytes, 1100)
		for i, a := range x.p.operations(x.bytes, 1000) {
			for _, b := range operations[i:] {
				if scComputes(a, b) > 1 || a.kind == scLen || b.kind == scLen {
					continue
				}
				stops := x.stops(b, 0)
				for _, stopA := range x.stops(a, 0) {
					for _, stopB := range stops {
						for turn := range 2 {
							if rand.IntN(4) != 0 {
								continue
							}
							x.run(func(s *scSchedule) bool {
								both := [2]*scActor{s.start(a, stopA), s.start(b, stopB)}
								return s.finish(both[turn], both[1-turn])
							})
						}
					}
				}
			}
		}
	})
}

// Two operations are stopped at any of their steps, and a third meets one or both. Then one of the two goes on to its end,
// then the other. There are more such schedules than anybody can wait for; each run takes the same part of them, a soak another one each time.
func TestSchedulesOfThree(t *testing.T) {
	seed, n := uint64(1), 200
	if scSoak {
		seed, n = rand.Uint64(), 5_000
		t.Log("seed", seed)
	} else if raceEnabled || testing.Short() {
		n = 50
	}
	scEach(t, func(t *testing.T, x *scExplorer) {
		r := rand.New(rand.NewPCG(seed, 0))
		choose := func(salt int) (scOp, int) {
			operations := x.p.operations(x.bytes, salt)
			op := operations[r.IntN(len(operations))]
			return op, r.IntN(max(x.steps(op), 1))
		}
		for range n {
			a, stopA := choose(1000)
			b, stopB := choose(1100)
			c, _ := choose(1200)
			if scComputes(a, b, c) > 1 || a.kind == scLen || b.kind == scLen {
				continue
			}
			look, order := scOp{kind: scLoad, key: x.p.a}, r.IntN(4)
			x.run(func(s *scSchedule) bool {
				first := s.start(a, stopA)
				if order&1 == 0 {
					s.start(c, -1)
				}
				second := s.start(b, stopB)
				if order&1 == 1 {
					s.start(c, -1)
				}
				if order&2 == 2 {
					first, second = second, first
				}
				s.goOn(first)
				s.start(look, -1) // what the one has seen of the other is there to stay
				return s.finish(second)
			})
		}
	})
}

// scComputes counts LoadOrComputes. One that waits for a bucket's lock holds the mutex of the register. Another that
// waits for that mutex counts as working for synctest, so that time, and with it the first, would never go on.
func scComputes(operations ...scOp) (n int) {
	for _, o := range operations {
		if o.kind == scLoadOrCompute || o.kind == scFail {
			n++
		}
	}
	return n
}

// sequences stops each operation at each of its steps, lets all others run to their end one after the other, and then
// the first go on.
func (x *scExplorer) sequences(operations []scOp, most int, sequences ...[]scOp) {
	for _, a := range operations {
		for _, stop := range x.stops(a, most) {
			for _, others := range sequences {
				x.run(func(s *scSchedule) bool {
					first := s.start(a, stop)
					for _, b := range others {
						s.start(b, -1)
					}
					return s.finish(first)
				})
			}
		}
	}
}

// drop deletes a key, by the method that the type has.
func (x *scExplorer) drop(key int) scOp {
	if x.bytes {
		return scOp{kind: scDelete, key: key}
	}
	return scOp{kind: scLoadAndDelete, key: key}
}

// A reader sleeps, at any of its steps, while its key is overwritten, deleted and stored again, the table grows twice and
// is compacted, and the map is cleared and used again. It returns something that the key had meanwhile, whole.
func TestReaderAsleepAcrossTwoGrowthsAndAClear(t *testing.T) {
	scEach(t, func(t *testing.T, x *scExplorer) {
		a := x.p.a
		grown := []scOp{{kind: scStore, key: a, arg: 2001}, {kind: scGrow, arg: 60}, x.drop(a), {kind: scStore, key: a, arg: 2002},
			{kind: scGrow, arg: 300}, {kind: scStore, key: a, arg: 2003}}
		cleared := append(slices.Clone(grown), scOp{kind: scClear})
		used := append(slices.Clone(cleared), scOp{kind: scStore, key: x.p.b, arg: 2004}, scOp{kind: scStore, key: a, arg: 2005},
			scOp{kind: scRebuild}, scOp{kind: scCompact})
		readers := []scOp{{kind: scLoad, key: a}, {kind: scLoad, key: scAbsent}, {kind: scRange},
			{kind: scCompareAndSwap, key: a, old: 77, arg: 1000}, {kind: scLoadOrStore, key: a, arg: 1000}}
		x.sequences(readers, 12, grown, cleared, used)
		x.run(func(s *scSchedule) bool { // a Store for which everybody waits, so that scEach sees that somebody can
			first := s.start(scOp{kind: scStore, key: scAbsent, arg: 1000}, 1)
			s.start(scOp{kind: scStore, key: scAbsent, arg: 1001}, -1)
			return s.finish(first)
		})
	})
}

// A reader sleeps, at any of its steps, while its key goes to another slot and an absent one takes the slot that it was in, in
// a bucket that others have probed past. It does not take that for a bucket without the key, and look on behind it.
func TestReaderAsleepWhileASlotIsReused(t *testing.T) {
	scEach(t, func(t *testing.T, x *scExplorer) {
		if x.p.keys < 10 {
			t.Skip("nobody has probed past the bucket")
		}
		b := x.p.b
		var readers []scOp
		for _, o := range x.p.operations(x.bytes, 1000) {
			if o.key == b && o.kind < scRange && o.kind != scStore {
				readers = append(readers, o)
			}
		}
		readers = append(readers, scOp{kind: scLoadOrStore, key: b, arg: 1000})
		reused := []scOp{x.drop(2), {kind: scStore, key: b, arg: 2001}, {kind: scStore, key: scAbsent, arg: 2002}}
		x.sequences(readers, 12, reused, append([]scOp{{kind: scLoad, key: b}}, reused...))
		x.run(func(s *scSchedule) bool { // see TestReaderAsleepAcrossTwoGrowthsAndAClear
			first := s.start(scOp{kind: scStore, key: scAbsent, arg: 1000}, 1)
			s.start(scOp{kind: scStore, key: scAbsent, arg: 1001}, -1)
			return s.finish(first)
		})
	})
}

// A writer sleeps after it has moved its key's old bucket, before it has locked the key's new one; and at all its other
// steps. Meanwhile the growth ends, others write the key, and the table that the writer knows is itself replaced.
func TestWriterAsleepBetweenEvacuationAndStore(t *testing.T) {
	frozen := 0
	scEach(t, func(t *testing.T, x *scExplorer) {
		for _, key := range []int{x.p.a, scAbsent} {
			var writers []scOp
			for _, o := range x.p.operations(x.bytes, 1000) {
				if o.kind < scRange && o.kind != scLoad && o.key == key {
					writers = append(writers, o)
				}
			}
			store := scOp{kind: scStore, key: key, arg: 2001}
			x.sequences(writers, 4,
				[]scOp{store, x.drop(key)},
				[]scOp{{kind: scGrow, arg: 60}, store, {kind: scGrow, arg: 300}, x.drop(key)},
				[]scOp{store, {kind: scCompact}, {kind: scRebuild}, {kind: scLoad, key: key}},
				[]scOp{x.drop(key), {kind: scClear}, store, {kind: scDouble}})
		}
		frozen += x.at[stepFrozen]
	})
	require.True(t, frozen > 0 || raceEnabled || testing.Short(), "no writer was ever stopped there")
}

// The holder of a bucket's lock has lost its thread. Who reads, also in that bucket, does not notice, unless a value is
// just being written over another word by word; who writes elsewhere does not notice at all; and who has to wait gets
// through in the end.
func TestLockHolderAsleep(t *testing.T) {
	scEach(t, func(t *testing.T, x *scExplorer) {
		if x.p.before != scLoad || x.p.keys == 24 {
			t.Skip("writers help a growth, which waits for locks")
		}
		elsewhere := scOp{kind: scStore, key: 20 + (x.p.home+2)&3, arg: 2000}
		for _, a := range x.p.operations(x.bytes, 1000) {
			if a.kind >= scRange || a.key == scAbsentToo || a.kind == scDeleteFunc {
				continue
			}
			for _, stop := range x.stops(a, 12) {
				x.run(func(s *scSchedule) bool {
					first := s.start(a, stop)
					for key := range scKeys {
						if reader := s.start(scOp{kind: scLoad, key: key}, -1); !reader.done.Load() {
							assert.Equal(t, uint32(stepWriting), first.at.Load(), "%v waits for %v", reader.op, first.op)
							break
						}
					}
					writer := s.start(elsewhere, -1)
					assert.True(t, writer.done.Load(), "%v waits for %v", writer.op, first.op)
					s.start(scOp{kind: scStore, key: x.p.b, arg: 2001}, -1)
					return s.finish(first)
				})
			}
		}
	})
}

// A table is being made, for a move to another arena, and its memory is long in coming. Insertions and all else that is
// about one key go on meanwhile (I10).
func TestInsertionsGoOnWhileATableIsMade(t *testing.T) {
	scEach(t, func(t *testing.T, x *scExplorer) {
		if x.p.before != scLoad {
			t.Skip("a growth is under way, so none begins")
		}
		x.run(func(s *scSchedule) bool {
			mover := s.start(scOp{kind: scMove}, 0)
			require.Equal(t, stepTableMade, protocolStep(mover.at.Load()))
			for _, o := range x.p.operations(x.bytes, 1100) {
				if o.kind < scRange && (o.kind != scStore || o.key != scAbsentToo) && scComputes(o) == 0 {
					other := s.start(o, -1)
					assert.True(t, other.done.Load(), "%v waits for a table", other.op)
					if len(s.actors) == 7 {
						break // all orders of more would be too many to look at
					}
				}
			}
			return s.finish(mover)
		})
		x.run(func(s *scSchedule) bool { // a Store for which another waits, so that scEach sees that somebody can
			first := s.start(scOp{kind: scStore, key: scAbsent, arg: 1000}, 1)
			s.start(scOp{kind: scStore, key: scAbsent, arg: 1001}, -1)
			return s.finish(first)
		})
	})
}

// scHasty is a map with mistakes that only others can see: what it does in two steps should be one.
type scHasty struct{ scMap }

func (m scHasty) do(o scOp) (r scResult) {
	switch o.kind {
	case scSwap:
		r.value, r.ok = m.load(o.key)
		m.scMap.do(scOp{kind: scStore, key: o.key, arg: o.arg})
		return r
	case scLoad:
		if v, ok := m.load(o.key); ok {
			return scResult{value: v, ok: ok}
		}
		r.value, r.ok = m.load(o.key + 1)
		return r
	}
	return m.scMap.do(o)
}

// The exploration must find such mistakes, and must not find any where there are none.
func TestSchedulesFindMistakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		explore := func(make func(*scPlace) (scMap, scState), a, b scOp) int {
			x := &scExplorer{make: make, p: &scPlaces[0]}
			x.sequences([]scOp{a}, 100, []scOp{b})
			assert.NotZero(t, x.schedules)
			return len(x.failures)
		}
		right := scTypes[0].make
		hasty := func(p *scPlace) (scMap, scState) { m, s := right(p); return scHasty{m}, s }
		swap, load := scOp{kind: scSwap, key: 1, arg: 1000}, scOp{kind: scLoad, key: scAbsent}
		store := scOp{kind: scStore, key: 1, arg: 1100}
		assert.Zero(t, explore(right, swap, store))
		assert.NotZero(t, explore(hasty, swap, store), "a Store that is lost between the parts of a Swap")
		assert.Zero(t, explore(right, load, scOp{kind: scStore, key: scAbsent + 1, arg: 1100}))
		assert.NotZero(t, explore(hasty, load, scOp{kind: scStore, key: scAbsent + 1, arg: 1100}), "another key's value")
	})
}
