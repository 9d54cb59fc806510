package hash

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func must[T any](tb testing.TB) StableFunc {
	tb.Helper()
	f, err := StableOf(typeOf[T]())
	require.NoError(tb, err)
	return f
}

// stable hashes v by the hasher of T, under the stable seed.
func stable[T any](tb testing.TB, v T) uint64 {
	tb.Helper()
	s := StableSeed()
	return must[T](tb).Sum(unsafe.Pointer(&v), &s)
}

type point struct {
	X, Y int32
	_    string
	Name string
}

// These numbers are a promise: data that was partitioned by them must be found again by
// the next version, on any machine.
func TestStableGolden(t *testing.T) {
	for name, c := range map[string]struct{ got, want uint64 }{
		"int 0":        {stable(t, 0), 0xabac2619e7be3d4d},
		"int -1":       {stable(t, -1), 0x7c43438dc9d2fb2},
		"uint8 200":    {stable(t, uint8(200)), 0x108d88c64f85e05a},
		"true":         {stable(t, true), 0x4ba5a1a0dd868c67},
		"empty string": {stable(t, ""), 0xdaf0a198710d8dbb},
		"hushmap":      {stable(t, "hushmap"), 0x2f0410cbe50bf0b2},
		"40 bytes":     {stable(t, strings.Repeat("hush", 10)), 0x9fab5b006c07af8},
		"float 0.1":    {stable(t, 0.1), 0x580d12b7cb6d1e5b},
		"float32 0.1":  {stable(t, float32(0.1)), 0x4faa0281549fd7c9},
		"NaN":          {stable(t, math.NaN()), 0xd3dc7ac2949661a8},
		"complex":      {stable(t, complex(1, -2)), 0x4de74251f2cb65c4},
		"complex64":    {stable(t, complex64(complex(1, -2))), 0x4de74251f2cb65c4},
		"array":        {stable(t, [3]int16{1, 2, 3}), 0xeeee17a3f4fbdce3},
		"empty array":  {stable(t, [0]int{}), 0x0},
		"struct":       {stable(t, point{1, -2, "", "n"}), 0x4340a7912420b2d1},
		"empty struct": {stable(t, struct{}{}), 0x0},
		"nil":          {stable[any](t, nil), 0xabac2619e7be3d4d},
		"any int":      {stable[any](t, 5), 0x8a1fe5fe98996044},
		"any string":   {stable[any](t, "hushmap"), 0xa823be3c60657f97},
		"any struct":   {stable[any](t, point{1, -2, "", "n"}), 0x36fcaaba1bd39f96},
		"any array":    {stable[any](t, [2]any{1, "x"}), 0xe48c504eee615753},
		"stringer":     {stable[fmt.Stringer](t, stringer(5)), 0xb02cb017a62656bc},
	} {
		assert.Equal(t, c.want, c.got, name)
	}
}

func TestStableIntegersOfAllWidthsAgree(t *testing.T) {
	s := StableSeed()
	for _, v := range []int64{0, 1, -1, 5, -128, 127} {
		want := Word(uint64(v), &s)
		assert.Equal(t, want, stable(t, int8(v)))
		assert.Equal(t, want, stable(t, int16(v)))
		assert.Equal(t, want, stable(t, int32(v)))
		assert.Equal(t, want, stable(t, v))
		assert.Equal(t, want, stable(t, int(v)))
		assert.Equal(t, want, stable(t, namedInt(v)))
	}
	for _, v := range []uint64{0, 1, 200, 255} {
		want := Word(v, &s)
		assert.Equal(t, want, stable(t, uint8(v)))
		assert.Equal(t, want, stable(t, uint16(v)))
		assert.Equal(t, want, stable(t, uint32(v)))
		assert.Equal(t, want, stable(t, v))
		assert.Equal(t, want, stable(t, uint(v)))
		assert.Equal(t, want, stable(t, uintptr(v)))
	}
	assert.Equal(t, Word(1, &s), stable(t, true))
	assert.Equal(t, Word(0, &s), stable(t, false))
}

func TestStableAgreesWithEquality(t *testing.T) {
	negative := math.Copysign(0, -1)
	assert.Equal(t, stable(t, 0.0), stable(t, negative))
	assert.Equal(t, stable(t, float32(0)), stable(t, float32(negative)))
	assert.Equal(t, stable(t, complex(0, 0)), stable(t, complex(negative, negative)))
	assert.Equal(t, stable(t, complex64(0)), stable(t, complex64(complex(negative, negative))))
	assert.Equal(t, stable(t, [2]float64{0, 1}), stable(t, [2]float64{negative, 1}))
	assert.Equal(t, stable[any](t, 0.0), stable[any](t, negative))
	assert.Equal(t, stable(t, float32(0.1)), stable(t, float64(float32(0.1))))
	assert.Equal(t, stable(t, math.NaN()), stable(t, math.Float64frombits(math.Float64bits(math.NaN())^1)))
	assert.Equal(t, stable(t, "key"), stable(t, clone("key")))
	assert.Equal(t, stable(t, "key"), stable(t, namedString("key")))
	assert.Equal(t, stable[any](t, "key"), stable[any](t, clone("key")))
	assert.Equal(t, stable[any](t, point{1, 2, "", "n"}), stable[any](t, point{1, 2, "", clone("n")}))
	assert.Equal(t, stable[fmt.Stringer](t, stringer(3)), stable[fmt.Stringer](t, stringer(3)))
}

// Neither padding nor blank fields are part of a value.
func TestStableSkipsWhatEqualitySkips(t *testing.T) {
	type padded struct {
		a uint8
		b uint64
		_ uint32
		c uint8
	}
	size := unsafe.Sizeof(padded{})
	f, s := must[padded](t), StableSeed()
	var hashes [256]uint64
	for fill := range hashes {
		var x padded
		bytes := unsafe.Slice((*byte)(unsafe.Pointer(&x)), size)
		for i := range bytes {
			bytes[i] = byte(fill)
		}
		x.a, x.b, x.c = 1, 2, 3
		hashes[fill] = f.Sum(unsafe.Pointer(&x), &s)
		require.Equal(t, hashes[0], hashes[fill])
	}
	assert.NotEqual(t, stable(t, padded{a: 1, b: 2, c: 3}), stable(t, padded{a: 1, b: 2, c: 4}))
}

func TestStableTellsDifferentValuesApart(t *testing.T) {
	type pair struct{ a, b int }
	type single struct{ p *int }
	n := 5
	hashes := map[uint64]string{}
	add := func(what string, h uint64) {
		if other, ok := hashes[h]; ok {
			t.Errorf("%s and %s have the same hash", what, other)
		}
		hashes[h] = what
	}
	for i := range 20 {
		for j := range 20 {
			add(fmt.Sprint("pair", i, j), stable(t, pair{i, j}))
		}
		add(fmt.Sprint("array", i), stable(t, [3]int{i, i, i}))
		add(fmt.Sprint("bytes", i), stable(t, [5]byte{byte(i)}))
		add(fmt.Sprint("float", i), stable(t, float64(i)+0.5))
		add(fmt.Sprint("complex", i), stable(t, complex(float64(i), 1)))
		add(fmt.Sprint("imaginary", i), stable(t, complex(-1, float64(i))))
		add(fmt.Sprint("string", i), stable(t, fmt.Sprint(i)))
		add(fmt.Sprint("any int", i), stable[any](t, i))
		add(fmt.Sprint("any int8", i), stable[any](t, int8(i)))
		add(fmt.Sprint("any named", i), stable[any](t, namedInt(i)))
		add(fmt.Sprint("any string", i), stable[any](t, fmt.Sprint(i)))
		add(fmt.Sprint("any pair", i), stable[any](t, pair{i, i}))
		add(fmt.Sprint("any any", i), stable(t, [2]any{i, "x"}))
		add(fmt.Sprint("stringer", i), stable[fmt.Stringer](t, stringer(i)))
	}
	add("nil", stable[any](t, nil))
	// Values that are one pointer lie in the interface itself.
	add("pointer", stable[any](t, &n))
	add("pointer in struct", stable[any](t, single{&n}))
	add("pointer in array", stable[any](t, [1]*int{&n}))
	add("channel", stable[any](t, make(chan int)))
	add("unsafe pointer", stable[any](t, unsafe.Pointer(&n)))
	add("empty struct", stable[any](t, struct{}{}))
	assert.Equal(t, stable[any](t, single{&n}), stable[any](t, single{&n}))
	assert.NotEqual(t, stable[any](t, single{&n}), stable[any](t, single{new(int)}))
}

// What a map finds under an interface must not depend on how the value got
// there.
func TestStableInterfacesInsideOthers(t *testing.T) {
	type key struct {
		a any
		b fmt.Stringer
	}
	assert.Equal(t, stable(t, key{1, stringer(2)}), stable(t, key{1, stringer(2)}))
	assert.NotEqual(t, stable(t, key{1, stringer(2)}), stable(t, key{1, stringer(3)}))
	assert.NotEqual(t, stable(t, key{1, nil}), stable(t, key{nil, nil}))
	assert.Equal(t, stable[any](t, key{1, nil}), stable[any](t, key{1, nil}))
}

func TestStableRefusesAddresses(t *testing.T) {
	for want, err := range map[string]error{
		"*int":                  errOf[*int](),
		"chan int":              errOf[chan int](),
		"unsafe.Pointer":        errOf[unsafe.Pointer](),
		"struct { p *int }":     errOf[struct{ p *int }](),
		"[2]chan bool":          errOf[[2]chan bool](),
		"[]int":                 errOf[[]int](),
		"struct { f func() }":   errOf[struct{ f func() }](),
		"[1]struct { p **int }": errOf[[1]struct{ p **int }](),
	} {
		if assert.Error(t, err, want) {
			assert.Contains(t, err.Error(), want)
		}
	}
	assert.NoError(t, errOf[[0]*int](), "an array of no addresses")
	assert.NoError(t, errOf[struct {
		_ *int
		a any
	}](), "a blank field is not compared, an interface is allowed")
}

func errOf[T any]() error {
	_, err := StableOf(typeOf[T]())
	return err
}
