package hushmap

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// byMethods are the methods of a Bytes that take a key: those for strings, or those for bytes. Whatever is given as
// bytes is overwritten as soon as the call is over, so that a map that keeps it shows.
type byMethods struct {
	m     *Bytes
	bytes bool
}

func (b byMethods) get(dst []byte, key string) ([]byte, bool) {
	if !b.bytes {
		return b.m.Get(dst, key)
	}
	k := []byte(key)
	defer byScramble(k)
	return b.m.GetB(dst, k)
}

func (b byMethods) has(key string) bool {
	if !b.bytes {
		return b.m.Has(key)
	}
	k := []byte(key)
	defer byScramble(k)
	return b.m.HasB(k)
}

func (b byMethods) set(key, value string) {
	k, v := []byte(key), []byte(value)
	defer byScramble(k, v)
	if b.bytes {
		b.m.SetB(k, v)
	} else {
		b.m.Set(key, v)
	}
}

func (b byMethods) loadOrStore(dst []byte, key, value string) (actual []byte, loaded bool) {
	k, v := []byte(key), []byte(value)
	defer byScramble(k, v)
	if b.bytes {
		return b.m.LoadOrStoreB(dst, k, v)
	}
	return b.m.LoadOrStore(dst, key, v)
}

func (b byMethods) compareAndSwap(key, old, new string) bool {
	k, o, n := []byte(key), []byte(old), []byte(new)
	defer byScramble(k, o, n)
	if b.bytes {
		return b.m.CompareAndSwapB(k, o, n)
	}
	return b.m.CompareAndSwap(key, o, n)
}

func (b byMethods) delete(key string) bool {
	if !b.bytes {
		return b.m.Delete(key)
	}
	k := []byte(key)
	defer byScramble(k)
	return b.m.DeleteB(k)
}

func byScramble(all ...[]byte) {
	for _, b := range all {
		for i := range b {
			b[i] ^= 0x5a
		}
	}
}

// byBoth runs a test on the methods for strings and on those for bytes.
func byBoth(t *testing.T, opts func() []Option, test func(t *testing.T, b byMethods)) {
	for name, asBytes := range map[string]bool{"string": false, "bytes": true} {
		t.Run(name, func(t *testing.T) { test(t, byMethods{NewBytes(opts()...), asBytes}) })
	}
}

func byNoOptions() []Option { return nil }

// byConfigs are ways to make a Bytes hostile to its engine, and the proof that they are, looked for after it was used.
var byConfigs = []struct {
	name string
	most int // keys
	opts func() []Option
	took func(t *testing.T, m *Bytes)
}{
	{"default", 3000, byNoOptions, func(t *testing.T, m *Bytes) { assert.Equal(t, hashRecord, m.core.settle().quick) }},
	{"constant hasher", 100, func() []Option { return []Option{WithHasher(func(string, uint64) uint64 { return 3 })} },
		func(t *testing.T, m *Bytes) { assert.Equal(t, m.core.settle().hash("a"), m.core.settle().hash("b")) }},
	{"stable", 3000, func() []Option { return []Option{WithStableHash()} },
		func(t *testing.T, m *Bytes) { assert.Equal(t, hashStable, m.core.settle().hashed) }},
	{"one bucket at a time", 3000, func() []Option { return []Option{withTuning(ftOneBucket)} },
		func(t *testing.T, m *Bytes) { assert.Zero(t, m.core.options().tuning.atOnce) }},
	{"arena rebuilt", 3000, func() []Option { return []Option{withTuning(func(tu *tuning) { ftOneBucket(tu); tu.waste = 0 })} },
		func(t *testing.T, m *Bytes) { assert.Zero(t, m.core.options().tuning.waste) }},
	{"tables mapped", 1000, func() []Option { return []Option{withTuning(func(tu *tuning) { ftOneBucket(tu); tu.mapFrom = 1 })} },
		func(t *testing.T, m *Bytes) { assert.NotNil(t, m.core.settle().memory) }},
	{"versions wrap", 1000, func() []Option {
		return []Option{withTuning(func(tu *tuning) { ftOneBucket(tu); tu.control = stNearWrap })}
	},
		func(t *testing.T, m *Bytes) { assert.Equal(t, stNearWrap, m.core.options().tuning.control) }},
	{"overflow counts saturated", 60, func() []Option {
		return []Option{withTuning(func(tu *tuning) { ftOneBucket(tu); tu.control = stSaturated })}
	},
		func(t *testing.T, m *Bytes) {
			assert.Equal(t, overflowMask, m.core.settle().bucket(0).observe()&overflowMask)
		}},
}

// What every method does to the zero value, which has no table yet, and to one that was cleared.
func TestBytesZeroValue(t *testing.T) {
	for name, m := range map[string]*Bytes{"zero value": new(Bytes), "NewBytes": NewBytes(), "cleared": func() *Bytes {
		m := new(Bytes)
		m.Set("k", []byte("v"))
		m.Clear()
		return m
	}()} {
		t.Run(name, func(t *testing.T) {
			for _, asBytes := range []bool{false, true} {
				b := byMethods{m, asBytes}
				v, ok := b.get([]byte("dst"), "k")
				assert.False(t, ok)
				assert.Equal(t, "dst", string(v))
				v, ok = b.get(nil, "")
				assert.True(t, v == nil && !ok)
				assert.False(t, b.has("k"))
				assert.False(t, b.delete("k"))
				assert.False(t, b.compareAndSwap("k", "", "new"))
				assert.False(t, b.has("k"))
			}
			for range m.All() {
				assert.Fail(t, "an entry")
			}
			assert.Zero(t, m.Len())
			m.Compact()
			m.Clear()
			assert.Equal(t, Stats{}, m.Stats(), "nothing is allocated before the first write")
			assert.NoError(t, m.Verify())
			m.Grow(100)
			b := byMethods{m, false}
			v, loaded := b.loadOrStore([]byte("dst"), "k", "v")
			assert.True(t, !loaded && string(v) == "dstv")
			assert.Equal(t, 1, m.Len())
			assert.GreaterOrEqual(t, m.Stats().Buckets, int(bucketsFor(100)))
			m.Clear()
			assert.False(t, b.has("k"))
			assert.Equal(t, 0, m.Stats().Entries)
		})
	}
	var m Bytes
	assert.Zero(t, mtAllocs(func() {}, func() {
		mtSinkBool = m.Has("k") || m.Delete("k")
		m.Compact()
	}))
}

// NewBytes refuses what New refuses.
func TestNewBytesPanics(t *testing.T) {
	for part, opts := range map[string][]Option{
		"WithHasher is for keys of type int": {WithHasher(func(int, uint64) uint64 { return 0 })},
		"exclude each other":                 {WithStableHash(), WithHasher(mtHashString)},
		"zero Option":                        {{}},
		"exceeds the address space":          {WithCapacity(int(^uint(0) >> 1))},
	} {
		assert.Contains(t, fmt.Sprint(ftPanic(func() { NewBytes(opts...) })), part)
	}
	m := NewBytes(WithCapacity(1000), WithoutShrink(), WithHasher(mtHashString))
	for i := range 1000 {
		m.Set(fmt.Sprint(i), nil)
	}
	assert.Zero(t, m.Stats().Growths)
	assert.Contains(t, fmt.Sprint(ftPanic(func() { m.Grow(-1) })), "negative")
	assert.Equal(t, 1000, m.Len())
}

// Values are appended to dst: what it holds stays, its memory is used if there is enough, and is not if there is not.
func TestBytesAppendToDst(t *testing.T) {
	byBoth(t, byNoOptions, func(t *testing.T, b byMethods) {
		b.set("k", "value")
		b.set("empty", "")
		for name, get := range map[string]func(dst []byte, key string) ([]byte, bool){
			"Get":                 b.get,
			"LoadOrStore present": func(dst []byte, key string) ([]byte, bool) { return b.loadOrStore(dst, key, "other") },
			"LoadOrStore absent": func(dst []byte, key string) ([]byte, bool) {
				b.delete(key)
				v, loaded := b.loadOrStore(dst, key, map[string]string{"k": "value"}[key])
				return v, !loaded
			},
		} {
			room := []byte("dst-------------")
			v, ok := get(room[:3], "k")
			require.True(t, ok, name)
			assert.Equal(t, "dstvalue", string(v), name)
			assert.Equal(t, "dstvalue--------", string(room), "%s: in place", name)
			assert.Same(t, &room[0], &v[0], name)

			full := []byte("dst")
			v, ok = get(full[:3:3], "k")
			assert.True(t, ok && string(v) == "dstvalue" && string(full) == "dst", name)
			byScramble(v)
			v, ok = get(nil, "k")
			assert.True(t, ok && string(v) == "value", "%s: the result of an earlier call is no part of the map", name)
			byScramble(v)
			v, ok = get(nil, "k")
			assert.True(t, ok && string(v) == "value", name)

			v, ok = get([]byte("dst"), "empty")
			assert.True(t, ok && string(v) == "dst", name)
			v, ok = get(nil, "empty")
			assert.True(t, ok && len(v) == 0, name)
			assert.NoError(t, b.m.Verify(), name)
		}
		dst := []byte("dst")
		v, ok := b.get(dst, "absent")
		assert.True(t, !ok && string(v) == "dst")
		assert.Same(t, &dst[0], &v[0])
	})
}

// dst may be the memory of the key or of the value: those have been read by the time it is written to.
func TestBytesDstMayOverlap(t *testing.T) {
	var m Bytes
	m.Set("key", []byte("a long value"))
	buffer := append(make([]byte, 0, 64), "key"...)
	v, ok := m.GetB(buffer[:0], buffer)
	assert.True(t, ok && string(v) == "a long value")
	buffer = append(buffer[:0], "newvalue"...)
	v, loaded := m.LoadOrStoreB(buffer[:0], buffer[:3], buffer[3:])
	assert.True(t, !loaded && string(v) == "value", "%q", v)
	v, ok = m.Get(nil, "new")
	assert.True(t, ok && string(v) == "value", "%q", v)
	assert.Equal(t, 2, m.Len())
}

// A nil key is the empty key, and a nil value the empty value.
func TestBytesNil(t *testing.T) {
	var m Bytes
	m.SetB(nil, nil)
	assert.Equal(t, 1, m.Len())
	assert.True(t, m.Has("") && m.HasB(nil) && m.HasB([]byte{}))
	v, ok := m.GetB(nil, nil)
	assert.True(t, ok && len(v) == 0)
	assert.True(t, m.CompareAndSwap("", nil, []byte("x")))
	assert.False(t, m.CompareAndSwapB(nil, []byte{}, nil), "the value is x")
	assert.True(t, m.CompareAndSwapB(nil, []byte("x"), []byte{}))
	assert.True(t, m.CompareAndSwapB(nil, nil, nil))
	v, loaded := m.LoadOrStore(nil, "", []byte("y"))
	assert.True(t, loaded && len(v) == 0)
	assert.True(t, m.DeleteB(nil))
	assert.False(t, m.DeleteB(nil))
	assert.Zero(t, m.Len())
}

// bySizes are the sizes of values at which the arena does something else: 0, the length field, words, chunks.
var bySizes = []int{
	0, 1, 2, 6, 7, 8, 9, 15, 16, 17, 30, 31, 32, 33, 63, 64, 65, 253, 254, 255, 256, 257, 511, 512, 1000, 4096,
	64<<10 - 1, 128<<10 - 16, 128<<10 - 1, 128 << 10, 256<<10 - 18, 256<<10 - 8, 256 << 10, 256<<10 + 1, 1<<20 - 1, 1 << 20, 1<<20 + 1,
}

// byValue returns a value of a size that is no other's, and that can be told from any part of another.
func byValue(size, salt int) string {
	b := make([]byte, size)
	r := rand.NewPCG(uint64(size), uint64(salt))
	for i := 0; i < size; i += 8 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], r.Uint64())
		copy(b[i:], word[:])
	}
	return string(b)
}

// Values and keys of every size come back as they went in, also when a value of one size replaces one of another, and
// when the records have moved to another arena.
func TestBytesSizes(t *testing.T) {
	sizes := bySizes
	if raceEnabled || testing.Short() {
		sizes = slices.DeleteFunc(slices.Clone(sizes), func(n int) bool { return n > 300 && n != 256<<10 && n != 1<<20+1 })
	}
	byBoth(t, byNoOptions, func(t *testing.T, b byMethods) {
		want := make(map[string]string)
		look := func(when string) {
			t.Helper()
			for k, v := range want {
				got, ok := b.get(nil, k)
				require.True(t, ok && string(got) == v, "%s: key of %d bytes, value of %d bytes: %d bytes", when, len(k), len(v), len(got))
			}
			require.Equal(t, len(want), b.m.Len())
			require.NoError(t, b.m.Verify())
		}
		set := func(k, v string) { b.set(k, v); want[k] = v }
		for i, n := range sizes {
			set(fmt.Sprint("key ", n), byValue(n, 1))
			set(byValue(n, 2), fmt.Sprint("value ", n))
			set(byValue(n, 3), byValue(sizes[len(sizes)-1-i], 3))
		}
		look("new")
		for i, n := range sizes {
			set(fmt.Sprint("key ", n), byValue(sizes[(i+1)%len(sizes)], 4))
			got, loaded := b.loadOrStore([]byte("<"), fmt.Sprint("key ", n), "no")
			require.True(t, loaded && string(got) == "<"+want[fmt.Sprint("key ", n)])
			old, now := want[byValue(n, 2)], byValue(n, 5)
			require.True(t, b.compareAndSwap(byValue(n, 2), old, now))
			require.False(t, b.compareAndSwap(byValue(n, 2), old, now))
			want[byValue(n, 2)] = now
		}
		look("overwritten")
		for i, n := range sizes {
			if i%2 == 0 {
				k := fmt.Sprint("key ", n)
				require.True(t, b.delete(k))
				delete(want, k)
			}
		}
		look("some deleted")
		b.m.Compact()
		look("compacted")
		assert.Zero(t, b.m.Stats().DeadBytes)
	})
}

// Values that differ in any one byte are different values.
func TestBytesCompareAndSwapComparesAll(t *testing.T) {
	var m Bytes
	for _, n := range []int{1, 8, 31, 32, 33, 254, 255, 300} {
		v := []byte(byValue(n, 0))
		m.Set("k", v)
		for i := range v {
			v[i] ^= 1
			require.False(t, m.CompareAndSwap("k", v, nil), "byte %d of %d", i, n)
			v[i] ^= 1
		}
		require.False(t, m.CompareAndSwap("k", v[:n-1], nil), "all but the last of %d", n)
		require.False(t, m.CompareAndSwap("k", append(v, 0), nil), "one more than %d", n)
		require.True(t, m.CompareAndSwap("k", v, v))
	}
}

// byPlayer plays a stream of operations to a Bytes and to a built-in map under a mutex. A stream that ends yields
// zeros.
type byPlayer struct {
	t      testing.TB
	stream []byte
	m      *Bytes
	mu     sync.Mutex
	want   map[string]string
	op     string
	steps  int
	most   int
	buffer []byte
}

// byPlay plays a stream whose first byte chooses the configuration.
func byPlay(t testing.TB, stream []byte) {
	p := &byPlayer{t: t, stream: stream, want: make(map[string]string)}
	c := byConfigs[int(p.byte())%len(byConfigs)]
	p.m, p.most = NewBytes(c.opts()...), c.most
	for len(p.stream) > 0 {
		op := byOps[int(p.byte())%len(byOps)]
		p.op = op.name
		p.steps++
		op.run(p)
	}
	p.op = "end"
	p.sameContents()
	require.NoError(t, p.m.Verify())
}

// byOps are the operations of the player.
var byOps = []struct {
	name string
	run  func(p *byPlayer)
}{
	{"Set", func(p *byPlayer) { b, k, v := p.methods(), p.key(), p.value(); b.set(k, v); p.store(k, v) }},
	{"Get", func(p *byPlayer) {
		b, k := p.methods(), p.key()
		v, ok := b.get(append(p.buffer[:0], "dst"...), k)
		want, present := p.load(k)
		p.check(ok == present && string(v) == "dst"+want)
		p.buffer = v
	}},
	{"Has", func(p *byPlayer) { b, k := p.methods(), p.key(); _, present := p.load(k); p.check(b.has(k) == present) }},
	{"LoadOrStore", func(p *byPlayer) {
		b, k, v := p.methods(), p.key(), p.value()
		want, present := p.load(k)
		if !present {
			want = v
			p.store(k, v)
		}
		got, loaded := b.loadOrStore([]byte("dst"), k, v)
		p.check(loaded == present && string(got) == "dst"+want)
	}},
	{"CompareAndSwap", func(p *byPlayer) {
		b, k, old, v := p.methods(), p.key(), p.value(), p.value()
		now, present := p.load(k)
		if p.byte()%2 == 0 {
			old = now
		}
		if present && now == old {
			p.store(k, v)
		}
		p.check(b.compareAndSwap(k, old, v) == (present && now == old))
	}},
	{"Delete", func(p *byPlayer) {
		b, k := p.methods(), p.key()
		_, present := p.load(k)
		p.delete(k)
		p.check(b.delete(k) == present)
	}},
	{"Range", (*byPlayer).sameContents},
	{"early break", func(p *byPlayer) {
		stop, n := int(p.byte()%8)+1, 0
		for range p.m.All() {
			if n++; n == stop {
				break
			}
		}
		p.check(n == min(stop, len(p.want)))
	}},
	{"Set many", func(p *byPlayer) {
		for base, n := p.word(), uint16(p.byte()); n > 0 && len(p.want) < p.most; n-- {
			k, v := byKey(base+n), byValue(int(n), int(base))
			p.m.Set(k, []byte(v))
			p.store(k, v)
		}
	}},
	{"Delete many", func(p *byPlayer) {
		for base, n := p.word(), uint16(p.byte())*4; n > 0; n-- {
			k := byKey(base + n)
			_, present := p.load(k)
			p.delete(k)
			p.check(p.m.Delete(k) == present)
		}
	}},
	{"overwrite all", func(p *byPlayer) {
		salt := int(p.byte())
		for _, k := range slices.Sorted(maps.Keys(p.want)) {
			v := byValue(salt+len(k), salt)
			p.m.Set(k, []byte(v))
			p.store(k, v)
		}
	}},
	{"Range that deletes", func(p *byPlayer) {
		odd := p.byte() % 2
		p.m.Range(func(k string, v []byte) bool {
			want, present := p.load(k)
			p.check(present && want == string(v))
			if byte(len(v))%2 == odd {
				p.delete(k)
				p.check(p.m.Delete(k))
			}
			return true
		})
	}},
	{"Len", func(p *byPlayer) { p.check(p.m.Len() == len(p.want)) }},
	{"Grow", func(p *byPlayer) { p.m.Grow(int(p.word() % 500)) }},
	{"Compact", func(p *byPlayer) { p.m.Compact() }},
	{"Verify", func(p *byPlayer) { require.NoError(p.t, p.m.Verify()) }},
	{"Clear", func(p *byPlayer) {
		if p.byte()%8 == 0 {
			p.m.Clear()
			clear(p.want)
		}
	}},
}

func (p *byPlayer) load(k string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.want[k]
	return v, ok
}

func (p *byPlayer) store(k, v string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want[k] = v
}

func (p *byPlayer) delete(k string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.want, k)
}

func (p *byPlayer) byte() byte {
	if len(p.stream) == 0 {
		return 0
	}
	b := p.stream[0]
	p.stream = p.stream[1:]
	return b
}

func (p *byPlayer) word() uint16 { return binary.LittleEndian.Uint16([]byte{p.byte(), p.byte()}) }

func (p *byPlayer) methods() byMethods { return byMethods{p.m, p.byte()%2 == 0} }

// key returns a key; small ones come often, so that operations meet.
func (p *byPlayer) key() string {
	if b := p.byte(); b < 224 {
		return byKey(uint16(b % 64))
	}
	return byKey(p.word())
}

// byKey returns the key of a number: many are short, some share prefixes, some are long.
func byKey(n uint16) string {
	switch {
	case n == 0:
		return ""
	case n%16 == 5:
		return strings.Repeat("\x00", int(n/16%300))
	default:
		return strings.Repeat("prefix ", int(n%5)) + fmt.Sprint(n)
	}
}

// value returns a value: mostly short ones, some that are longer than a chunk's first size, a few very long ones.
func (p *byPlayer) value() string {
	switch b := p.byte(); {
	case b < 200:
		return byValue(int(b%40), int(b/40))
	case b < 250:
		return byValue(int(p.byte())*4, int(b))
	default:
		return byValue(int(p.word())*4, int(b))
	}
}

func (p *byPlayer) check(ok bool) {
	if !ok {
		p.t.Helper()
		p.t.Fatalf("step %d, %s: the map and the reference disagree", p.steps, p.op)
	}
}

func (p *byPlayer) sameContents() {
	p.t.Helper()
	seen := make(map[string]bool)
	p.m.Range(func(k string, v []byte) bool {
		want, present := p.load(k)
		if !present || seen[k] || want != string(v) {
			p.t.Fatalf("step %d, %s: Range: key %.40q: present %v, seen before %v, %d bytes instead of %d",
				p.steps, p.op, k, present, seen[k], len(v), len(want))
		}
		seen[k] = true
		return true
	})
	if len(seen) != len(p.want) || p.m.Len() != len(p.want) {
		p.t.Fatalf("step %d, %s: Range visits %d, Len is %d, want %d", p.steps, p.op, len(seen), p.m.Len(), len(p.want))
	}
	for k, v := range p.want {
		if got, ok := p.m.Get(p.buffer[:0], k); !ok || string(got) != v {
			p.t.Fatalf("step %d, %s: Get(%.40q): %v, %d bytes instead of %d", p.steps, p.op, k, ok, len(got), len(v))
		}
	}
}

// Random streams, the same in every run, over all configurations.
func TestBytesModel(t *testing.T) {
	streams, length := uint64(3), 1500
	if testing.Short() || raceEnabled || invariants {
		streams, length = 1, 500
	}
	for c, config := range byConfigs {
		t.Run(config.name, func(t *testing.T) {
			for seed := range streams {
				byPlay(t, stStream(seed, c, length))
			}
			m := NewBytes(config.opts()...)
			for i := range min(config.most, 100) {
				m.Set(fmt.Sprint(i), []byte("v"))
			}
			config.took(t, m)
		})
	}
}

// FAILURES: Range repeats, misses or resurrects entries. The callback changes the map, and its own copy of the value,
// and makes the table grow and shrink; a key that stays is visited once, with its value.
func TestBytesRange(t *testing.T) {
	for _, c := range byConfigs {
		t.Run(c.name, func(t *testing.T) {
			m := NewBytes(c.opts()...)
			stable := min(c.most/2, 400)
			for i := range stable {
				m.Set(fmt.Sprint("stable ", i), fmt.Appendf(nil, "value of stable %d", i))
				m.Set(fmt.Sprint("goes ", i), []byte("value"))
			}
			seen := make(map[string]int)
			var more int
			m.Range(func(k string, v []byte) bool {
				seen[k]++
				if strings.HasPrefix(k, "stable") && string(v) != "value of "+k {
					t.Errorf("%s: %q", k, v)
				}
				byScramble(v)
				if i := len(seen) - 1; i < stable && more < c.most/2 {
					m.Delete(fmt.Sprint("goes ", i))
					m.Set(fmt.Sprint("comes ", i), v)
					m.Set(fmt.Sprint("comes too ", i), nil)
					more += 2
				}
				switch len(seen) % 100 {
				case 30:
					m.Grow(3 * stable)
				case 60:
					m.Compact()
				}
				return true
			})
			for i := range stable {
				require.Equal(t, 1, seen[fmt.Sprint("stable ", i)], "visits of stable %d", i)
				v, ok := m.Get(nil, fmt.Sprint("stable ", i))
				require.True(t, ok && string(v) == fmt.Sprint("value of stable ", i), "changes of the copy do not matter")
			}
			for k, n := range seen {
				require.Equal(t, 1, n, "%s", k)
			}
			require.NoError(t, m.Verify())
			c.took(t, m)
			transitions := m.Stats().Growths + m.Stats().Shrinks + m.Stats().Rebuilds
			require.NotZero(t, transitions)
		})
	}
}

// Range stops when it is told to, wherever that is, and the map can be written to afterwards.
func TestBytesRangeStops(t *testing.T) {
	var m Bytes
	for i := range 50 {
		m.Set(fmt.Sprint(i), nil)
	}
	for stop := 1; stop <= 50; stop++ {
		n := 0
		m.Range(func(k string, _ []byte) bool {
			n++
			return n < stop
		})
		require.Equal(t, stop, n)
		n = 0
		for k := range m.All() {
			m.Set(k, []byte("new"))
			if n++; n == stop {
				break
			}
		}
		require.Equal(t, stop, n)
	}
}

// byStorm replaces the tables and the arena of a Bytes for as long as f runs.
func byStorm(m *Bytes, most int, f func()) {
	ftWhile(f, func() {
		switch rand.IntN(4) {
		case 0:
			m.Grow(rand.IntN(4*most + 1))
		case 1:
			m.Compact()
		default:
			if rm := m.core.read.Load(); rm != nil {
				m.core.resizeAnd(rm, bucketsFor(most)<<rand.IntN(3), true)
			}
		}
	})
}

// FAILURES: update lost while the table is resized. Counters that are raised by CompareAndSwap lose nothing.
func TestBytesCompareAndSwapLosesNothing(t *testing.T) {
	for _, c := range byConfigs {
		t.Run(c.name, func(t *testing.T) {
			m := NewBytes(c.opts()...)
			const counters, goroutines = 3, 4
			each := max(ftN(6000), 100)
			for k := range counters {
				m.Set(fmt.Sprint("counter ", k), []byte("0"))
			}
			ftWatch(t, func() {
				byStorm(m, 20, func() {
					ftTogether(goroutines, func(g int) {
						var old, next []byte
						for i := range each {
							k := fmt.Sprint("counter ", i%counters)
							for {
								old, _ = m.Get(old[:0], k)
								var n int
								if _, err := fmt.Sscan(string(old), &n); err != nil {
									t.Errorf("%s: %q", k, old)
									return
								}
								next = fmt.Append(next[:0], n+1)
								if m.CompareAndSwap(k, old, next) {
									break
								}
							}
						}
					})
				})
			})
			sum := 0
			for k := range counters {
				v, _ := m.Get(nil, fmt.Sprint("counter ", k))
				var n int
				_, err := fmt.Sscan(string(v), &n)
				require.NoError(t, err)
				sum += n
			}
			assert.Equal(t, goroutines*each, sum)
			require.NoError(t, m.Verify())
		})
	}
}

// Of those who LoadOrStore a key at once exactly one stores, and all get its value.
func TestBytesLoadOrStoreRace(t *testing.T) {
	for _, c := range byConfigs {
		t.Run(c.name, func(t *testing.T) {
			m := NewBytes(c.opts()...)
			const goroutines, keys = 4, 25
			rounds := max(ftN(60), 3)
			ftWatch(t, func() {
				byStorm(m, keys, func() {
					for round := range rounds {
						var stored [keys]atomic.Int32
						var got [goroutines][keys]string
						ftTogether(goroutines, func(g int) {
							for i := range keys {
								k := (i + g) % keys
								v, loaded := byMethods{m, g%2 == 0}.loadOrStore(nil, fmt.Sprint("key ", k), fmt.Sprintf("round %d of %d", round, g))
								if got[g][k] = string(v); !loaded {
									stored[k].Add(1)
								}
							}
						})
						for k := range keys {
							require.EqualValues(t, 1, stored[k].Load(), "key %d, round %d: how many stored", k, round)
							for g := range goroutines {
								require.Equal(t, got[0][k], got[g][k], "key %d, round %d", k, round)
							}
							require.True(t, m.Delete(fmt.Sprint("key ", k)))
						}
					}
				})
			})
			require.Zero(t, m.Len())
			require.NoError(t, m.Verify())
		})
	}
}

// byOwner is the only one who writes certain keys, so he knows what every method must return for them.
type byOwner struct {
	m     *Bytes
	r     *rand.Rand
	id    int
	keys  int
	has   map[string]string
	dst   []byte
	steps int
}

func (o *byOwner) act() error {
	o.steps++
	k := fmt.Sprintf("owner %d key %d", o.id, o.r.IntN(o.keys))
	if o.r.IntN(8) == 0 {
		k += strings.Repeat("+", 300)
	}
	v := fmt.Sprintf("%s: %s", k, byValue(o.r.IntN(100), o.steps))
	b := byMethods{o.m, o.r.IntN(2) == 0}
	was, had := o.has[k]
	switch o.r.IntN(6) {
	case 0, 1:
		b.set(k, v)
		o.has[k] = v
	case 2:
		got, loaded := b.loadOrStore(o.dst[:0], k, v)
		if !had {
			o.has[k] = v
		}
		if loaded != had || string(got) != o.has[k] {
			return fmt.Errorf("LoadOrStore(%q): %q, %v instead of %q, %v", k, got, loaded, o.has[k], had)
		}
	case 3:
		if b.compareAndSwap(k, was, v) != had {
			return fmt.Errorf("CompareAndSwap(%q) is not %v", k, had)
		}
		if had {
			o.has[k] = v
		}
		if b.compareAndSwap(k, "another value", "never") {
			return fmt.Errorf("CompareAndSwap(%q) of another value", k)
		}
	case 4:
		if b.delete(k) != had {
			return fmt.Errorf("Delete(%q) is not %v", k, had)
		}
		delete(o.has, k)
	}
	want, present := o.has[k]
	got, ok := b.get(o.dst[:0], k)
	if o.dst = got; ok != present || string(got) != want || b.has(k) != present {
		return fmt.Errorf("Get(%q): %q, %v instead of %q, %v", k, got, ok, want, present)
	}
	return nil
}

// FAILURES: update lost while the table is resized; key invisible in mid-migration. Owners write keys of their own,
// others read and range, and the tables and the arena are replaced meanwhile; then the contents are exact.
func TestBytesConcurrentModel(t *testing.T) {
	for _, c := range byConfigs {
		t.Run(c.name, func(t *testing.T) {
			m := NewBytes(c.opts()...)
			const owners = 3
			keys := min(c.most/owners/2, 60)
			all := make([]*byOwner, owners)
			for id := range all {
				all[id] = &byOwner{m: m, r: rand.New(rand.NewPCG(uint64(id), 7)), id: id, keys: keys, has: make(map[string]string)}
			}
			read := func() { // what is read belongs to the key, whole, whoever wrote it
				k := fmt.Sprintf("owner %d key %d", rand.IntN(owners), rand.IntN(keys))
				if v, ok := m.Get(nil, k); ok && !strings.HasPrefix(string(v), k+": ") {
					t.Errorf("Get(%q): %q", k, v)
				}
				if rand.IntN(50) == 0 {
					seen := make(map[string]bool)
					for k, v := range m.All() {
						if seen[k] || !strings.HasPrefix(string(v), k+": ") {
							t.Errorf("Range: %q: %q, seen before: %v", k, v, seen[k])
						}
						seen[k] = true
					}
				}
			}
			ftWatch(t, func() {
				byStorm(m, owners*keys, func() {
					ftWhile(func() {
						ftTogether(owners, func(g int) {
							for range max(ftN(4000), 200) {
								if err := all[g].act(); err != nil {
									t.Error(err)
									return
								}
							}
						})
					}, read)
				})
			})
			want := make(map[string]string)
			for _, o := range all {
				maps.Copy(want, o.has)
			}
			got := make(map[string]string)
			for k, v := range m.All() {
				_, twice := got[k]
				require.False(t, twice, "%q twice", k)
				got[k] = string(v)
			}
			require.Equal(t, want, got)
			require.Equal(t, len(want), m.Len())
			require.NoError(t, m.Verify())
			require.NotZero(t, m.Stats().Growths+m.Stats().Shrinks+m.Stats().Rebuilds)
		})
	}
}

// FAILURES: Clear against writers. What is cleared does not come back, and the map goes on.
func TestBytesClearAgainstWriters(t *testing.T) {
	m := NewBytes(withTuning(func(tu *tuning) { ftOneBucket(tu); tu.waste = 0 }))
	ftWatch(t, func() {
		ftWhile(func() {
			for round := range max(ftN(400), 20) {
				k := fmt.Sprint("round ", round)
				m.Set(k, []byte(k))
				m.Clear()
				if v, ok := m.Get(nil, k); ok {
					t.Errorf("%s came back: %q", k, v)
					return
				}
			}
		}, func() {
			for i := range 100 {
				k := fmt.Sprint("other ", i)
				m.Set(k, []byte(k))
				if v, ok := m.Get(nil, k); ok && string(v) != k {
					t.Errorf("%s: %q", k, v)
				}
				m.Delete(k)
			}
		})
	})
	m.Clear()
	require.Zero(t, m.Len())
	require.NoError(t, m.Verify())
}

// Stats and Verify look at what is there: the bytes of keys and values, dead ones, and damage.
func TestBytesStatsAndVerify(t *testing.T) {
	m := NewBytes(WithCapacity(100))
	value := make([]byte, 1000)
	for i := range 100 {
		m.Set(fmt.Sprint("key ", i), value)
	}
	s := m.Stats()
	assert.Equal(t, 100, s.Entries)
	assert.GreaterOrEqual(t, s.ArenaBytes, uint64(100*1000))
	assert.Less(t, s.ArenaBytes, uint64(100*1000*5/2))
	assert.Equal(t, s.ArenaBytes+uint64(s.Buckets)*uint64(bucketSize[string, record]()), s.HeapBytes)
	assert.Less(t, bucketSize[string, record](), bucketSize[string, uint64](), "a slot is one word")
	assert.Zero(t, s.DeadBytes)
	for i := range 10 {
		m.Set(fmt.Sprint("key ", i), nil)
	}
	assert.InDelta(t, 10*1016, m.Stats().DeadBytes, 10*16)
	m.Compact()
	assert.Zero(t, m.Stats().DeadBytes)
	m.Clear()
	assert.Equal(t, Stats{}, func() Stats { s := m.Stats(); s.Growths, s.Shrinks, s.Rebuilds = 0, 0, 0; return s }())

	m.Set("key", []byte("value"))
	require.NoError(t, m.Verify())
	rm := m.core.settle()
	for i := range rm.buckets() {
		b := bucketAt[ref, nothing](rm.base, i)
		if b.observeTophash() != 0 {
			for s := range bucketSlots {
				if r := b.loadKey(rm.traits, s); r != 0 {
					b.storeRef(rm.traits, s, r^ref(1)<<40) // another hash
					assert.Error(t, m.Verify(), "the hash of a ref is not that of its key")
					b.storeRef(rm.traits, s, newRef(uint64(r), 1<<20))
					assert.Error(t, m.Verify(), "a ref that leads nowhere")
					b.storeRef(rm.traits, s, r)
				}
			}
		}
	}
	assert.NoError(t, m.Verify())
}

// The lookup of a Map goes by the distance between slots with values, which records do not have; it leaves them to the slow
// way, whatever hashes the keys.
func TestLookupOfMapsFindsRecords(t *testing.T) {
	for name, options := range map[string][]Option{
		"default": nil, "stable": {WithStableHash()},
		"custom": {WithHasher(func(k string, seed uint64) uint64 { return uint64(len(k)) * seed })},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewBytes(options...)
			for i := range 500 {
				m.Set(fmt.Sprint("key ", i), fmt.Append(nil, "value ", i))
			}
			for i := range 500 {
				v, ok := m.core.lookup(fmt.Sprint("key ", i))
				require.True(t, ok)
				require.Equal(t, fmt.Sprint("value ", i), string(v))
			}
			_, ok := m.core.lookup("absent")
			require.False(t, ok)
		})
	}
}
