package hushmap

import (
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBucketSizes(t *testing.T) {
	assert.EqualValues(t, 144, unsafe.Sizeof(bucket[uint64, uint64]{}))
	assert.EqualValues(t, 144, unsafe.Sizeof(bucket[uint8, bool]{}), "each part takes a multiple of 8 bytes")
	assert.EqualValues(t, 80, unsafe.Sizeof(bucket[uint64, struct{}]{}), "a zero-size value adds nothing")
	assert.EqualValues(t, 80, unsafe.Sizeof(bucket[uint64, [0]string]{}), "a zero-size value adds nothing")
	assert.EqualValues(t, 16+8*8*17, unsafe.Sizeof(bucket[uint64, [16]uint64]{}))
	word := unsafe.Sizeof(uintptr(0))
	assert.EqualValues(t, 16+8*2*(2*word), unsafe.Sizeof(bucket[string, any]{}))
	assert.EqualValues(t, 16+8*2*8, unsafe.Sizeof(bucket[*int, *int]{}))
	assert.EqualValues(t, 144, bucketSize[uint64, uint64]())

	var b bucket[uint64, uint64]
	assert.EqualValues(t, 0, unsafe.Offsetof(b.tophash))
	assert.EqualValues(t, 8, unsafe.Offsetof(b.control))
	assert.EqualValues(t, 16, unsafe.Offsetof(b.slots), "the header comes first")
	assert.EqualValues(t, 0, unsafe.Offsetof(b.slots[0].v), "value beside key")
	assert.EqualValues(t, 8, unsafe.Offsetof(b.slots[0].k))
}

// An empty Map is small. It allocates nothing before the first write, see TestEmptyMapAllocatesNothing.
func TestMapSize(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(Map[uint64, uint64]{}), uintptr(128))
	assert.LessOrEqual(t, unsafe.Sizeof(AnyMap{}), uintptr(128))
	assert.LessOrEqual(t, unsafe.Sizeof(Map[[64]uint64, [64]any]{}), uintptr(128))
}

type (
	mtBlank struct {
		a uint8
		_ [7]uint8
		b *int
		_ *int
		c uint16
	}
	mtNested struct {
		a mtPadded
		b [2]struct {
			x uint16
			y any
		}
		c []string
		d struct{}
	}
	mtOnlyBlank struct{ _ uint64 }
	mtNode      struct {
		left, right *mtNode
		name        string
		f           func()
		m           map[int]int
		c           chan int
		p           unsafe.Pointer
		i           fmt.Stringer
		u           uintptr
	}
	mtMixed [3]struct {
		a bool
		b *byte
		c [0]*byte
		d float32
	}
)

// mtTypes are the types whose layout is checked.
var mtTypes = []reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[int32](),
	reflect.TypeFor[int64](), reflect.TypeFor[uintptr](), reflect.TypeFor[float32](), reflect.TypeFor[float64](),
	reflect.TypeFor[complex64](), reflect.TypeFor[complex128](), reflect.TypeFor[string](), reflect.TypeFor[any](),
	reflect.TypeFor[fmt.Stringer](), reflect.TypeFor[*int](), reflect.TypeFor[unsafe.Pointer](), reflect.TypeFor[chan int](),
	reflect.TypeFor[map[int]int](), reflect.TypeFor[func()](), reflect.TypeFor[[]byte](), reflect.TypeFor[struct{}](),
	reflect.TypeFor[[0]*int](), reflect.TypeFor[[1]*int](), reflect.TypeFor[[3]uint8](), reflect.TypeFor[[9]uint8](),
	reflect.TypeFor[[5]any](), reflect.TypeFor[[4][3]string](), reflect.TypeFor[mtPadded](), reflect.TypeFor[mtBlank](),
	reflect.TypeFor[mtNested](), reflect.TypeFor[mtOnlyBlank](), reflect.TypeFor[mtNode](), reflect.TypeFor[mtMixed](),
	reflect.TypeFor[time.Time](), reflect.TypeFor[reflect.Value](), reflect.TypeFor[sync.Mutex](), reflect.TypeFor[atomic.Uint64](),
	reflect.TypeFor[atomic.Pointer[int]](), reflect.TypeFor[struct {
		a uint32
		b struct{ s string }
		_ []int
		c uint8
	}](), reflect.TypeFor[[100]struct {
		p *int
		n uintptr
	}](),
}

// mtLeaf returns the non-composite part of t that the byte at offset belongs to, and where in that part it is. ok is
// false if it is padding. blank is set if the part is, or is in, a field named _.
func mtLeaf(t reflect.Type, offset uintptr) (leaf reflect.Type, at uintptr, blank, ok bool) {
	switch t.Kind() {
	case reflect.Struct:
		for i := t.NumField() - 1; i >= 0; i-- { // from the back: the first that does not begin behind offset
			f := t.Field(i)
			if f.Offset <= offset && offset < f.Offset+f.Type.Size() {
				leaf, at, blank, ok = mtLeaf(f.Type, offset-f.Offset)
				return leaf, at, blank || f.Name == "_", ok
			}
		}
		return nil, 0, false, false
	case reflect.Array:
		return mtLeaf(t.Elem(), offset%t.Elem().Size())
	}
	return t, offset, false, true
}

// mtIsPointerWord reports whether the word at offset at of a non-composite type is a pointer. The first word of an
// interface points to a type, which the collector finds by other ways.
func mtIsPointerWord(leaf reflect.Type, at uintptr) (is, typeWord bool) {
	switch leaf.Kind() {
	case reflect.Interface:
		return true, at < wordSize
	case reflect.String, reflect.Slice:
		return at < wordSize, false
	case reflect.Pointer, reflect.Chan, reflect.Map, reflect.Func, reflect.UnsafePointer:
		return true, false
	}
	return false, false
}

func TestLayoutAgainstReflection(t *testing.T) {
	for _, typ := range mtTypes {
		l := layoutOf(typ)
		assert.Equal(t, typ.Size(), l.size, "%v", typ)
		any := false
		for offset := range typ.Size() {
			leaf, at, blank, ok := mtLeaf(typ, offset)
			if offset%wordSize == 0 {
				want := false
				if ok {
					want, _ = mtIsPointerWord(leaf, at)
				}
				any = any || want
				got := l.pointers != nil && l.pointers[offset/wordSize]
				assert.Equal(t, want, got, "%v: word at offset %d", typ, offset)
			}
			counts := false
			for i, s := range l.spans {
				assert.Less(t, s.from, s.to, "%v", typ)
				if i > 0 {
					assert.Less(t, l.spans[i-1].to, s.from, "%v: spans ascend and are as long as possible", typ)
				}
				counts = counts || s.from <= offset && offset < s.to
			}
			assert.Equal(t, ok && !blank, counts, "%v: byte at offset %d", typ, offset)
		}
		assert.Equal(t, any, l.pointers != nil, "%v", typ)
	}
}

// mtType begins as the runtime's type descriptor does.
type mtType struct {
	size, pointerBytes uintptr
	hash               uint32
	flags              uint8
	_                  [3]uint8
	equal              func(unsafe.Pointer, unsafe.Pointer) bool
	mask               *uint8
}

// mtMaskOnDemand marks types whose mask the runtime builds later.
const mtMaskOnDemand = 1 << 4

// The words that layoutOf calls pointers are those that the collector looks for in objects of the type. The only
// others are the type words of interfaces.
func TestLayoutAgainstCollector(t *testing.T) {
	compared := 0
	for _, typ := range mtTypes {
		descriptor := (*mtType)((*[2]unsafe.Pointer)(unsafe.Pointer(&typ))[1])
		require.Equal(t, typ.Size(), descriptor.size, "the runtime's type descriptor has another layout than this test knows")
		l := layoutOf(typ)
		if descriptor.flags&mtMaskOnDemand != 0 {
			continue
		}
		compared++
		if l.pointers == nil {
			assert.Zero(t, descriptor.pointerBytes, "%v", typ)
		}
		for word := range typ.Size() / wordSize {
			collector := word < descriptor.pointerBytes/wordSize &&
				*(*uint8)(unsafe.Add(unsafe.Pointer(descriptor.mask), word/8))>>(word%8)&1 != 0
			ours := l.pointers != nil && l.pointers[word]
			if leaf, at, _, ok := mtLeaf(typ, word*wordSize); ok && !collector {
				if _, typeWord := mtIsPointerWord(leaf, at); typeWord {
					continue
				}
			}
			assert.Equal(t, collector, ours, "%v: word %d", typ, word)
		}
	}
	assert.Greater(t, compared, len(mtTypes)/2)
}

// same looks at every byte that counts, and at no other.
func TestLayoutSame(t *testing.T) {
	for _, typ := range mtTypes {
		l := layoutOf(typ)
		a, b := make([]byte, typ.Size()+1), make([]byte, typ.Size()+1)
		for offset := range typ.Size() {
			for _, flip := range []byte{1, 0x80} {
				b[offset] ^= flip
				_, _, blank, counts := mtLeaf(typ, offset)
				assert.Equal(t, !counts || blank, l.same(unsafe.Pointer(&a[0]), unsafe.Pointer(&b[0])), "%v: byte at offset %d", typ, offset)
				b[offset] = 0
			}
		}
		assert.True(t, l.same(unsafe.Pointer(&a[0]), unsafe.Pointer(&b[0])), "%v", typ)
	}
}

func TestScalar(t *testing.T) {
	type wrapped struct{ a [1]struct{ p *int } }
	is64 := wordSize == 8
	for typ, want := range map[reflect.Type]bool{
		reflect.TypeFor[bool]():                    true,
		reflect.TypeFor[uint8]():                   true,
		reflect.TypeFor[int16]():                   true,
		reflect.TypeFor[float32]():                 true,
		reflect.TypeFor[uint32]():                  true,
		reflect.TypeFor[uint64]():                  is64,
		reflect.TypeFor[float64]():                 is64,
		reflect.TypeFor[uintptr]():                 true,
		reflect.TypeFor[*int]():                    true,
		reflect.TypeFor[chan int]():                true,
		reflect.TypeFor[map[int]int]():             true,
		reflect.TypeFor[func()]():                  true,
		reflect.TypeFor[unsafe.Pointer]():          true,
		reflect.TypeFor[struct{}]():                true,
		reflect.TypeFor[[0]string]():               true,
		reflect.TypeFor[wrapped]():                 true,
		reflect.TypeFor[[1][1]uint32]():            true,
		reflect.TypeFor[complex64]():               false, // two loads
		reflect.TypeFor[complex128]():              false,
		reflect.TypeFor[string]():                  false,
		reflect.TypeFor[any]():                     false,
		reflect.TypeFor[[]byte]():                  false,
		reflect.TypeFor[struct{ a, b uint8 }]():    false, // the compiler may use one access per field
		reflect.TypeFor[[2]uint8]():                false,
		reflect.TypeFor[[4]uint16]():               false,
		reflect.TypeFor[struct{ a, b int32 }]():    false,
		reflect.TypeFor[struct{ s string }]():      false,
		reflect.TypeFor[[1]complex64]():            false,
		reflect.TypeFor[struct{ a [2]uint16 }]():   false,
		reflect.TypeFor[[1]struct{ a, b uint8 }](): false,
	} {
		assert.Equal(t, want, scalar(typ), "%v", typ)
	}
	for _, typ := range mtTypes {
		if scalar(typ) {
			assert.LessOrEqual(t, typ.Size(), wordSize, "%v", typ)
			assert.LessOrEqual(t, len(layoutOf(typ).spans), 1, "%v", typ)
		}
	}
}
