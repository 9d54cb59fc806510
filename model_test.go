package hushmap

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// stReference is the map that hushmap is compared with: a built-in map under a mutex. NaN keys, which a built-in map
// cannot delete, are in a list beside it.
type stReference struct {
	mu   sync.Mutex
	m    map[any]any
	nans []stKeyValue
}

type stKeyValue struct{ k, v any }

func (r *stReference) load(k any) (v any, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok = r.m[k]
	return v, ok
}

func (r *stReference) store(k, v any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k != k {
		r.nans = append(r.nans, stKeyValue{k, v})
		return
	}
	if r.m == nil {
		r.m = make(map[any]any)
	}
	r.m[k] = v
}

func (r *stReference) delete(k any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.m, k)
}

func (r *stReference) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.m)
	r.nans = nil
}

func (r *stReference) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.m) + len(r.nans)
}

// deleteValue deletes all entries with the value v and returns how many there were.
func (r *stReference) deleteValue(v any) int {
	before := r.len()
	r.mu.Lock()
	maps.DeleteFunc(r.m, func(_, now any) bool { return now == v })
	r.nans = slices.DeleteFunc(r.nans, func(e stKeyValue) bool { return e.v == v })
	r.mu.Unlock()
	return before - r.len()
}

// entries counts the entries by their text.
func (r *stReference) entries() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	count := make(map[string]int)
	for k, v := range r.m {
		count[stEntry(k, v)]++
	}
	for _, e := range r.nans {
		count[stEntry(e.k, e.v)]++
	}
	return count
}

// stEntry is one key and value as text that tells entries apart, NaN keys included.
func stEntry(k, v any) string { return fmt.Sprintf("%T %v: %v", k, stPositiveZero(k), v) }

// stPositiveZero replaces -0 by +0, which is the same key.
func stPositiveZero(k any) any {
	if f, ok := k.(float64); ok && f == 0 {
		return 0.0
	}
	return k
}

// stModel is one type of map with a way to make keys and values of bytes.
type stModel struct {
	types stTypes
	key   func(b uint16) any
	value func(b byte) any
}

var stModels = map[string]stModel{
	"uint64": {stTypesOf[uint64, stWide](), func(b uint16) any { return uint64(b) << 40 >> (b % 40) },
		func(b byte) any { return stWide{nil, strconv.Itoa(int(b))} }},
	"string": {stTypesOf[string, int](), func(b uint16) any { return strconv.Itoa(int(b)) + "-key"[:b%5%4] }, stModelInt},
	"any":    {stTypesOf[any, int](), func(b uint16) any { return stMixed(int(b)) }, stModelInt},
	"float":  {stTypesOf[float64, int](), stModelFloat, stModelInt},
	"struct": {stTypesOf[stNested, int](), func(b uint16) any {
		k := stNested{name: strconv.Itoa(int(b / 16))}
		k.inner.any, k.inner.point.X = stMixed(int(b%16)), int(b%3)
		return k
	}, stModelInt},
	"tiny": {stTypesOf[int8, int](), func(b uint16) any { return int8(b) }, stModelInt},
}

func stModelInt(b byte) any { return int(b % 8) }

func stModelFloat(b uint16) any {
	switch b % 16 {
	case 0:
		return math.NaN()
	case 1:
		return 0.0
	case 2:
		return math.Copysign(0, -1)
	case 3:
		return math.Inf(1 - 2*int(b>>4%2))
	}
	return float64(b) / 7
}

// stOps are the operations of the interpreter. Each takes its operands from the stream, applies itself to the map
// and to the reference, and compares.
var stOps = []struct {
	name string
	run  func(p *stPlayer)
}{
	{"Store", func(p *stPlayer) { k, v := p.key(), p.value(); p.m.Store(k, v); p.ref.store(k, v) }},
	{"Load", func(p *stPlayer) {
		k := p.key()
		want, loaded := p.ref.load(k)
		v, ok := p.m.Load(k)
		p.same(v, ok, want, loaded)
	}},
	{"LoadOrStore", func(p *stPlayer) {
		k, v := p.key(), p.value()
		want, loaded := p.ref.load(k)
		if !loaded {
			want = v
			p.ref.store(k, v)
		}
		v, ok := p.m.LoadOrStore(k, v)
		p.same(v, ok, want, loaded)
	}},
	{"LoadAndDelete", func(p *stPlayer) {
		k := p.key()
		want, loaded := p.ref.load(k)
		p.ref.delete(k)
		v, ok := p.m.LoadAndDelete(k)
		p.same(v, ok, want, loaded)
	}},
	{"Delete", func(p *stPlayer) { k := p.key(); p.ref.delete(k); p.m.Delete(k) }},
	{"Swap", func(p *stPlayer) {
		k, v := p.key(), p.value()
		want, loaded := p.ref.load(k)
		p.ref.store(k, v)
		v, ok := p.m.Swap(k, v)
		p.same(v, ok, want, loaded)
	}},
	{"CompareAndSwap", func(p *stPlayer) {
		k, old, v := p.key(), p.value(), p.value()
		now, loaded := p.ref.load(k)
		if loaded && p.byte()%2 == 0 {
			old = now
		}
		want := loaded && now == old
		if want {
			p.ref.store(k, v)
		}
		p.check(want == p.m.CompareAndSwap(k, old, v))
	}},
	{"CompareAndDelete", func(p *stPlayer) {
		k, old := p.key(), p.value()
		now, loaded := p.ref.load(k)
		if loaded && p.byte()%2 == 0 {
			old = now
		}
		want := loaded && now == old
		if want {
			p.ref.delete(k)
		}
		p.check(want == p.m.CompareAndDelete(k, old))
	}},
	{"Compute", (*stPlayer).compute},
	{"LoadOrCompute", (*stPlayer).loadOrCompute},
	{"DeleteFunc", func(p *stPlayer) {
		v := p.value()
		p.check(p.ref.deleteValue(v) == p.m.DeleteFunc(func(_, now any) bool { return now == v }))
	}},
	{"batches", (*stPlayer).batches},
	{"byte keys", (*stPlayer).byteKeys},
	{"Len", func(p *stPlayer) { p.check(p.m.Len() == p.ref.len()) }},
	{"Range", (*stPlayer).sameContents},
	{"early break", func(p *stPlayer) {
		stop, n := int(p.byte()%8)+1, 0
		p.m.Range(func(k, v any) bool { n++; return n < stop })
		p.check(n == min(stop, p.ref.len()))
	}},
	{"Store many", func(p *stPlayer) { // grows
		for base, n := p.word(), uint16(p.byte()); n > 0 && p.ref.len() < p.most; n-- {
			k, v := p.model.key(base+n), p.model.value(byte(n))
			p.m.Store(k, v)
			p.ref.store(k, v)
		}
	}},
	{"Delete many", func(p *stPlayer) { // shrinks
		for base, n := p.word(), uint16(p.byte())*4; n > 0; n-- {
			k := p.model.key(base + n)
			p.m.Delete(k)
			p.ref.delete(k)
		}
	}},
	{"Grow", func(p *stPlayer) { p.m.Grow(int(p.word() % 500)) }},
	{"Compact", func(p *stPlayer) { p.m.Compact() }},
	{"Verify", func(p *stPlayer) { require.NoError(p.t, p.m.Verify()) }},
	{"Clear", func(p *stPlayer) {
		if p.byte()%8 == 0 {
			p.m.Clear()
			p.ref.clear()
		}
	}},
}

// stPlayer reads a stream of bytes and plays it to a map and to the reference. A stream that ends yields zeros.
type stPlayer struct {
	t      testing.TB
	model  stModel
	stream []byte
	m      stView
	ref    stReference
	op     string
	steps  int
	most   int // entries up to which Store many goes on
}

// stPlay plays a stream whose first byte chooses the configuration.
func stPlay(t testing.TB, model stModel, stream []byte) {
	p := &stPlayer{t: t, model: model, stream: stream}
	var opts []Option
	for ok := false; !ok; {
		c := stConfigs[int(p.byte())%len(stConfigs)]
		opts, ok = c.opts(model.types)
		p.most = c.most
	}
	p.m = model.types.new(opts...)
	for len(p.stream) > 0 {
		op := stOps[int(p.byte())%len(stOps)]
		p.op = op.name
		p.steps++
		op.run(p)
	}
	p.op = "end"
	p.sameContents()
	require.NoError(t, p.m.Verify())
}

func (p *stPlayer) byte() byte {
	if len(p.stream) == 0 {
		return 0
	}
	b := p.stream[0]
	p.stream = p.stream[1:]
	return b
}

func (p *stPlayer) word() uint16 { return binary.LittleEndian.Uint16([]byte{p.byte(), p.byte()}) }
func (p *stPlayer) value() any   { return p.model.value(p.byte()) }

// key returns a key; small ones come often, so that operations meet.
func (p *stPlayer) key() any {
	if b := p.byte(); b < 224 {
		return p.model.key(uint16(b % 64))
	}
	return p.model.key(p.word())
}

func (p *stPlayer) check(ok bool) {
	if !ok {
		p.t.Helper()
		p.t.Fatalf("step %d, %s: the map and the reference disagree", p.steps, p.op)
	}
}

func (p *stPlayer) same(v any, ok bool, want any, wantOK bool) {
	if !wantOK && p.op != "LoadOrStore" && p.op != "LoadOrCompute" {
		want = p.model.types.zero
	}
	if ok != wantOK || v != want {
		p.t.Helper()
		p.t.Fatalf("step %d, %s: got %v, %v, want %v, %v", p.steps, p.op, v, ok, want, wantOK)
	}
}

func (p *stPlayer) compute() {
	k, v, op := p.key(), p.value(), Op(p.byte()%3)
	now, loaded := p.ref.load(k)
	want, wantOK := now, loaded
	switch {
	case op == UpdateOp:
		want, wantOK = v, true
		p.ref.store(k, v)
	case op == DeleteOp:
		want, wantOK = nil, false
		p.ref.delete(k)
	}
	got, ok := p.m.Compute(k, func(old any, present bool) (any, Op) {
		p.same(old, present, now, loaded)
		return v, op
	})
	p.same(got, ok, want, wantOK)
}

func (p *stPlayer) loadOrCompute() {
	k, v, fails := p.key(), p.value(), p.byte()%4 == 0
	want, loaded := p.ref.load(k)
	calls := 0
	got, ok, err := p.m.LoadOrCompute(k, func() (any, error) {
		if calls++; fails {
			return v, errStModel
		}
		return v, nil
	})
	p.check((calls == 0) == loaded && calls <= 1)
	switch {
	case loaded:
		p.check(err == nil)
	case fails:
		p.check(err == errStModel && !ok)
		return
	default:
		p.check(err == nil)
		p.ref.store(k, v)
		want = v
	}
	p.same(got, ok, want, loaded)
}

// batches loads, stores or deletes up to 40 keys at once: more than a group.
func (p *stPlayer) batches() {
	kind, keys := p.byte(), make([]any, p.byte()%40)
	values, found := make([]any, len(keys)), make([]bool, len(keys))
	for i := range keys {
		keys[i] = p.key()
	}
	n := 0
	switch kind % 3 {
	case 0:
		hits := p.m.LoadBatch(keys, values, found)
		for i, k := range keys {
			want, loaded := p.ref.load(k)
			if p.same(values[i], found[i], want, loaded); loaded {
				n++
			}
		}
		p.check(hits == n)
	case 1:
		for i, k := range keys {
			values[i] = p.value()
			p.ref.store(k, values[i])
		}
		p.m.StoreBatch(keys, values)
	default:
		before := p.ref.len()
		for _, k := range keys {
			p.ref.delete(k)
		}
		p.check(p.m.DeleteBatch(keys) == before-p.ref.len())
	}
}

// byteKeys calls a function for keys of bytes, and then changes the bytes, if keys are strings.
func (p *stPlayer) byteKeys() {
	m, ok := p.m.(*stTyped[string, int])
	if !ok {
		return
	}
	k, v := p.key().(string), p.value().(int)
	b := []byte(k)
	now, loaded := p.ref.load(k)
	want, _ := now.(int)
	got, present := want, loaded
	switch p.byte() % 6 {
	case 0:
		got, present = LoadBytes(m.m, b)
	case 1:
		StoreBytes(m.m, b, v)
		p.ref.store(k, v)
	case 2:
		if got, present = LoadOrStoreBytes(m.m, b, v); !loaded {
			want = v
			p.ref.store(k, v)
		}
	case 3:
		got, present = SwapBytes(m.m, b, v)
		p.ref.store(k, v)
	case 4:
		DeleteBytes(m.m, b)
		p.ref.delete(k)
	default:
		got, present = LoadAndDeleteBytes(m.m, b)
		p.ref.delete(k)
	}
	clear(b)
	p.check(got == want && present == loaded)
}

var errStModel = fmt.Errorf("the function failed")

func (p *stPlayer) sameContents() {
	p.t.Helper()
	left := p.ref.entries()
	p.m.Range(func(k, v any) bool {
		e := stEntry(k, v)
		if left[e]--; left[e] < 0 {
			p.t.Fatalf("step %d, %s: Range visits %s once too often", p.steps, p.op, e)
		}
		return true
	})
	for e, n := range left {
		if n != 0 {
			p.t.Fatalf("step %d, %s: Range misses %s", p.steps, p.op, e)
		}
	}
	if n := p.ref.len(); p.m.Len() != n {
		p.t.Fatalf("step %d, %s: Len is %d, want %d", p.steps, p.op, p.m.Len(), n)
	}
}

// stStream returns a random stream that begins with the given configuration.
func stStream(seed uint64, config, n int) []byte {
	r := rand.New(rand.NewPCG(seed, uint64(config)))
	stream := []byte{byte(config)}
	for range n {
		stream = append(stream, byte(r.Uint32()))
	}
	return stream
}

// Random streams, the same in every run, over key types and configurations.
func TestModel(t *testing.T) {
	streams, length := uint64(3), 1500
	if testing.Short() || raceEnabled {
		streams, length = 1, 200
	}
	for name, model := range stModels {
		for c, config := range stConfigs {
			t.Run(name+"/"+config.name, func(t *testing.T) {
				for seed := range streams {
					stPlay(t, model, stStream(seed, c, length))
				}
			})
		}
	}
}
