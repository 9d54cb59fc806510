// This file is responsible for how things lie in memory: the bucket, and what has to be known of the words of a type.
//
//	bucket[K, V]                                  K = V = uint64: 16 + 8*16 = 144 bytes
//	+----------------+----------------+
//	| tophash        | control        |           one tophash byte per slot, 0 = free
//	+----------------+----------------+
//	| value 0        | key 0          |           8 slots, value beside key, each starting
//	| ...            | ...            |           on an 8-byte boundary
//	| value 7        | key 7          |
//	+----------------+----------------+
//
// A key of kind string lies in an arena, and its slot holds a ref to it in the place of the key: eight bytes without
// a pointer. In a Bytes the value lies behind the key, and the slot holds nothing but the ref.

package hushmap

import (
	"fmt"
	"reflect"
	"sync/atomic"
	"unsafe"

	"github.com/hushmap/hushmap/internal/arena"
	"github.com/hushmap/hushmap/internal/hash"
)

const bucketSlots = 8

// slot is one stored key (the key itself, or a ref) and one value. The zero-length arrays force 8-byte alignment, also
// on 32-bit machines. The key comes last because a zero-size last field would cost eight bytes, and maps used as sets
// have zero-size values.
type slot[S comparable, V any] struct {
	_ [0]atomic.Uint64
	v V
	_ [0]atomic.Uint64
	k S
}

type bucket[S comparable, V any] struct {
	tophash atomic.Uint64 // written under the lock; read by anyone
	control atomic.Uint64 // see control; changed under the lock, except for the lock bit; read by anyone
	slots   [bucketSlots]slot[S, V]
}

// bucketSize returns the bytes of a bucket in a map with keys of type K.
func bucketSize[K comparable, V any]() uintptr {
	switch storageOf[K, V]() {
	case byRecord:
		return unsafe.Sizeof(bucket[ref, nothing]{})
	case byRef:
		return unsafe.Sizeof(bucket[ref, V]{})
	default:
		return unsafe.Sizeof(bucket[K, V]{})
	}
}

// storage says what the slots of a map hold.
type storage uint8

const (
	inSlot   storage = iota // slot[K, V]
	byRef                   // slot[ref, V]: the key is in an arena
	byRecord                // slot[ref, nothing]: the value is there as well
)

// record is the type of values that lie behind their key in the arena. As a string it aliases its chunk, which never
// changes.
type record string

type nothing struct{}

// storageOf returns how keys K and values V are stored.
func storageOf[K comparable, V any]() storage {
	switch {
	case !stringSized[K]() || hash.KindOf(reflect.TypeFor[K]()) != hash.StringKind:
		return inSlot
	case stringSized[V]() && reflect.TypeFor[V]() == reflect.TypeFor[record]():
		return byRecord
	default:
		return byRef
	}
}

const stringSize = unsafe.Sizeof("")

// stringSized reports whether T is as large as a string. For most types it lets the compiler leave out what is for
// strings. Where every instruction counts stringSize does the same without a call: the compiler loads the type arguments of
// calls it has inlined, though it has no use for them.
func stringSized[T any]() bool {
	var t T
	return unsafe.Sizeof(t) == stringSize
}

// ref is the stored key of a string: the upper half of its hash, and where its bytes are.
//
//	63               32 31                0
//	+------------------+-------------------+
//	| hash, upper half | arena.Ref         |
//	+------------------+-------------------+
//
// With the tophash byte it holds all of the hash that a table looks at, so an entry moves to another table without a
// look at its bytes. A ref has no pointer; the arena keeps the bytes for as long as anyone can have a ref to them.
type ref uint64

const refHash ref = 0xffff_ffff << 32

func newRef(h uint64, at arena.Ref) ref { return ref(h)&refHash | ref(at) }

// at returns where the string's bytes are.
func (r ref) at() arena.Ref { return arena.Ref(r) }

// mayBe reports whether the hash h does not rule out that the string is the same.
func (r ref) mayBe(h uint64) bool { return (r^ref(h))&refHash == 0 }

// hash returns the hash of a string in a slot with the tophash byte th, but for bits that no table looks at.
func (r ref) hash(th uint8) uint64 { return uint64(r&refHash) | uint64(th) }

const wordSize = unsafe.Sizeof(uintptr(0))

// wordLayout says which words of a type hold pointers and which of its bytes count. It is derived once per Map and
// immutable.
type wordLayout struct {
	size     uintptr
	pointers []bool // per word: the GC must see it as a pointer; nil if none is
	spans    []span // the bytes that are not padding, in ascending order
}

// span is the half-open byte range [from, to) of a type.
type span struct{ from, to uintptr }

func layoutOf(t reflect.Type) wordLayout {
	l := wordLayout{size: t.Size()}
	pointers := make([]bool, (l.size+wordSize-1)/wordSize)
	l.walk(t, 0, pointers)
	for _, p := range pointers {
		if p {
			l.pointers = pointers
			break
		}
	}
	return l
}

// walk visits the parts of t, which lies at the given offset, in ascending order.
func (l *wordLayout) walk(t reflect.Type, offset uintptr, pointers []bool) {
	word := offset / wordSize
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Name == "_" { // copied or not as the compiler likes: its pointers count, its bytes do not
				new(wordLayout).walk(f.Type, offset+f.Offset, pointers)
				continue
			}
			l.walk(f.Type, offset+f.Offset, pointers)
		}
		return
	case reflect.Array:
		for i := range uintptr(t.Len()) {
			l.walk(t.Elem(), offset+i*t.Elem().Size(), pointers)
		}
		return
	case reflect.Pointer, reflect.Chan, reflect.Map, reflect.Func, reflect.UnsafePointer,
		reflect.String, reflect.Slice:
		pointers[word] = true
	case reflect.Interface:
		pointers[word], pointers[word+1] = true, true
	}
	l.add(span{offset, offset + t.Size()})
}

func (l *wordLayout) add(s span) {
	if s.from == s.to {
		return
	}
	if n := len(l.spans); n > 0 && l.spans[n-1].to == s.from {
		l.spans[n-1].to = s.to
		return
	}
	l.spans = append(l.spans, s)
}

// scalar reports whether values of t are loaded and stored by one machine instruction, whatever compiles them: one
// part of at most a word, however deeply wrapped.
func scalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		if t.NumField() == 0 {
			return true
		}
		return t.NumField() == 1 && scalar(t.Field(0).Type)
	case reflect.Array:
		return t.Len() == 0 || t.Len() == 1 && scalar(t.Elem())
	case reflect.String, reflect.Slice, reflect.Interface, reflect.Complex64, reflect.Complex128:
		return false
	default:
		return t.Size() <= wordSize
	}
}

// dataWord says where a value has the pointer to its data. See storeData, which is for those of more words than that.
type dataWord uint8

const (
	noData   dataWord = iota
	inFirst           // strings and slices: before the length and the capacity; pointers, maps, channels: all there is
	inSecond          // interfaces: behind the type
)

func dataWordOf(t reflect.Type) dataWord {
	switch t.Kind() {
	case reflect.String, reflect.Slice, reflect.Pointer, reflect.UnsafePointer, reflect.Map, reflect.Chan:
		return inFirst
	case reflect.Interface:
		return inSecond
	default:
		return noData
	}
}

// traits is what the engine knows of a Map's types and options. It is derived once, before the first table is
// published, and immutable but for what lowering points to. Tables with different arenas have different copies.
type traits struct {
	key, value wordLayout // of what a slot holds
	whole      wordLayout // of a value, whether or not it is in the slot

	stored storage
	arena  *arena.Arena // has the bytes, unless stored is inSlot; nil in the traits that tables' traits are made from

	// inPlace: a value is one machine word or nothing, and is overwritten by one store (I5).
	inPlace bool
	// data says which word of a value is a pointer: of a wide one it may change alone, by one store (I5).
	data dataWord
	// comparable: values can be compared, though doing so may panic.
	comparable bool
	// hasPointers: removed slots must be cleared, or what they point to never dies (I4).
	hasPointers bool
	// irreflexive: some keys differ from themselves (NaN); they are placed apart, see table.homeOf.
	irreflexive bool
	// mayPanic: hashing or comparing a key may panic, because it holds an interface.
	mayPanic bool

	// lowering counts the operations that have released their locks and are lowering overflow counts; see table.lower.
	lowering *atomic.Int32

	hashing hashing
	custom  any             // hashCustom only: func(key K, seed uint64) uint64
	stable  hash.StableFunc // hashStable only
	rawHash bool            // hashCustom only; see tuning
}

// part is one of the two parts of a slot.
type part uint8

const (
	keyPart part = iota
	valuePart
)

// layout returns the layout of the stored key or the value.
func (tr *traits) layout(p part) *wordLayout {
	if p == keyPart {
		return &tr.key
	}
	return &tr.value
}

// hashing says how keys are hashed.
type hashing uint8

const (
	hashNone       hashing = iota // see readMap.quick
	hashRecord                    // hash.String, for Bytes.lookup
	hashWord                      // integers, pointers, channels: hash.Word
	hashString                    // strings: hash.String
	hashInterface                 // interfaces without methods: hash.Any
	hashComparable                // everything else: hash.Comparable
	hashStable                    // WithStableHash
	hashCustom                    // WithHasher
)

// newTraits derives the traits of K and V. It panics if the options do not fit K.
func newTraits[K comparable, V any](s *settings) *traits {
	kt, vt := reflect.TypeFor[K](), reflect.TypeFor[V]()
	tr := &traits{
		key: layoutOf(kt), value: layoutOf(vt), whole: layoutOf(vt),
		stored:      storageOf[K, V](),
		inPlace:     scalar(vt),
		data:        dataWordOf(vt),
		lowering:    new(atomic.Int32),
		comparable:  vt.Comparable(),
		irreflexive: hash.MayBeIrreflexive(kt),
		mayPanic:    hash.MayPanic(kt),
		hashing:     hashComparable,
		rawHash:     s.tuning.rawHash,
	}
	switch hash.KindOf(kt) {
	case hash.WordKind:
		tr.hashing = hashWord
	case hash.StringKind:
		tr.hashing = hashString
	case hash.AnyKind:
		tr.hashing = hashInterface
	}
	if tr.stored != inSlot {
		tr.key = layoutOf(reflect.TypeFor[ref]())
	}
	if tr.stored == byRecord {
		tr.value, tr.data = layoutOf(reflect.TypeFor[nothing]()), noData
	}
	tr.hasPointers = tr.key.pointers != nil || tr.value.pointers != nil
	if s.hasher != nil {
		if _, ok := s.hasher.(func(K, uint64) uint64); !ok {
			panic(fmt.Sprintf("hushmap: New: WithHasher is for keys of type %v, the map's are %v", s.hasherKey, kt))
		}
		tr.hashing, tr.custom = hashCustom, s.hasher
	}
	if s.stable {
		stable, err := hash.StableOf(kt)
		if err != nil {
			panic("hushmap: New: WithStableHash: " + err.Error())
		}
		tr.hashing, tr.stable = hashStable, stable
	}
	return tr
}

// withArena returns traits for tables that use an arena of their own, if they use one.
func (tr *traits) withArena() *traits {
	if tr.stored == inSlot {
		return tr
	}
	next := *tr
	next.arena = arena.New(tr.stored == byRecord)
	return &next
}

// same reports whether a and b agree in every byte of a value that is not padding.
func (l *wordLayout) same(a, b unsafe.Pointer) bool {
	for _, s := range l.spans {
		n := int(s.to - s.from)
		if string(unsafe.Slice((*byte)(unsafe.Add(a, s.from)), n)) !=
			string(unsafe.Slice((*byte)(unsafe.Add(b, s.from)), n)) {
			return false
		}
	}
	return true
}
