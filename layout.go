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

package hushmap

import (
	"fmt"
	"reflect"
	"sync/atomic"
	"unsafe"

	"github.com/hushmap/hushmap/internal/hash"
)

const bucketSlots = 8

// slot is one key and one value. The zero-length arrays force 8-byte alignment, also on 32-bit machines. The key
// comes last because a zero-size last field would cost eight bytes, and maps used as sets have zero-size values.
type slot[K comparable, V any] struct {
	_ [0]atomic.Uint64
	v V
	_ [0]atomic.Uint64
	k K
}

type bucket[K comparable, V any] struct {
	tophash atomic.Uint64 // written under the lock; read by anyone
	control atomic.Uint64 // see control; written under the lock, except for the lock bit; read by anyone
	slots   [bucketSlots]slot[K, V]
}

// bucketSize returns the bytes of a bucket.
func bucketSize[K comparable, V any]() uintptr { return unsafe.Sizeof(bucket[K, V]{}) }

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

// traits is what the engine knows of a Map's types and options. It is derived once, before the first table is
// published, and immutable but for lowering.
type traits[K comparable] struct {
	key, value wordLayout

	// inPlace: a value is one machine word or nothing, and is overwritten by one store (I5).
	inPlace bool
	// comparable: values can be compared, though doing so may panic.
	comparable bool
	// hasPointers: removed slots must be cleared, or what they point to never dies (I4).
	hasPointers bool
	// irreflexive: some keys differ from themselves (NaN); they are placed apart, see table.placeIrreflexive.
	irreflexive bool
	// mayPanic: hashing or comparing a key may panic, because it holds an interface.
	mayPanic bool

	// lowering counts the operations that have released their locks and are lowering overflow counts; see table.lower.
	lowering atomic.Int32

	hashing hashing
	custom  func(key K, seed uint64) uint64 // hashCustom only
	stable  hash.StableFunc                 // hashStable only
	rawHash bool                            // hashCustom only; see tuning
}

// hashing says how keys are hashed.
type hashing uint8

const (
	hashWord       hashing = iota // integers, pointers, channels: hash.Word
	hashComparable                // everything else: hash.Comparable
	hashStable                    // WithStableHash
	hashCustom                    // WithHasher
)

// newTraits derives the traits of K and V. It panics if the options do not fit K.
func newTraits[K comparable, V any](s *settings) *traits[K] {
	kt, vt := reflect.TypeFor[K](), reflect.TypeFor[V]()
	tr := &traits[K]{
		key: layoutOf(kt), value: layoutOf(vt),
		inPlace:     scalar(vt),
		comparable:  vt.Comparable(),
		irreflexive: hash.MayBeIrreflexive(kt),
		mayPanic:    hash.MayPanic(kt),
		hashing:     hashComparable,
		rawHash:     s.tuning.rawHash,
	}
	tr.hasPointers = tr.key.pointers != nil || tr.value.pointers != nil
	if hash.KindOf(kt) == hash.WordKind {
		tr.hashing = hashWord
	}
	if s.hasher != nil {
		custom, ok := s.hasher.(func(K, uint64) uint64)
		if !ok {
			panic(fmt.Sprintf("hushmap: New: WithHasher is for keys of type %v, the map's are %v", s.hasherKey, kt))
		}
		tr.hashing, tr.custom = hashCustom, custom
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
