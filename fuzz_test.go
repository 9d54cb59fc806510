package hushmap

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The fuzz targets play streams of operations; see stPlay in model_test.go. Run one with
//
//	go test -run='^$' -fuzz=FuzzString -fuzztime=1m -fuzzminimizetime=1x .
func FuzzUint64(f *testing.F) { stFuzz(f, "uint64") }
func FuzzString(f *testing.F) { stFuzz(f, "string") }
func FuzzAny(f *testing.F)    { stFuzz(f, "any") }
func FuzzFloat(f *testing.F)  { stFuzz(f, "float") }
func FuzzStruct(f *testing.F) { stFuzz(f, "struct") }

func stFuzz(f *testing.F, model string) {
	for c := range stConfigs {
		f.Add(stStream(1, c, 60))
		f.Add(stStream(2, c, 400))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		if len(stream) > 1<<12 {
			t.Skip("long streams are slow and tell no more")
		}
		stPlay(t, stModels[model], stream)
	})
}

// FuzzBytes plays streams of operations to a Bytes; see byPlay in bytes_test.go.
func FuzzBytes(f *testing.F) {
	for c := range byConfigs {
		f.Add(stStream(1, c, 60))
		f.Add(stStream(2, c, 400))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		if len(stream) > 1<<12 {
			t.Skip("long streams are slow and tell no more")
		}
		byPlay(t, stream)
	})
}

// FuzzOptions gives New and NewBytes any options in any order. Either they panic, and say why, and then one of the options
// is wrong; or the map works.
func FuzzOptions(f *testing.F) {
	for kind := range byte(6) {
		f.Add([]byte{kind})
		f.Add([]byte{kind, 0, 200, 3, 6, 0, 4, 1})
		f.Add([]byte{kind, 1, 0, 2, 0})
		f.Add([]byte{kind, 2, 0, 3, 0, 5, 0})
		f.Add([]byte{kind, 5, 0, 0, 255})
		f.Add([]byte{kind, 6, 0})
		f.Add([]byte{kind, 0, 250, 0, 1, 7, 0})
	}
	f.Fuzz(func(t *testing.T, options []byte) {
		if len(options) == 0 || len(options) > 40 {
			t.Skip("nothing, or the same again")
		}
		switch kind, options := options[0]%6, options[1:]; kind {
		case 0:
			opFuzz(t, options, true, func(i int) uint64 { return uint64(i) })
		case 1:
			opFuzz(t, options, true, func(i int) string { return fmt.Sprint(i) })
		case 2:
			opFuzz(t, options, true, func(i int) any { return stMixed(i) })
		case 3:
			opFuzz(t, options, false, func(i int) *int { return &opInts[i] })
		case 4:
			opFuzz(t, options, true, func(i int) float64 { return float64(i) })
		default:
			opts, wrong := opOptions[string](options, true)
			var m *Bytes
			if p := ftPanic(func() { m = NewBytes(opts...) }); opClear(t, p, wrong) {
				return
			}
			for i := range len(opInts) {
				m.Set(fmt.Sprint(i), fmt.Append(nil, i))
			}
			for i := range len(opInts) {
				v, ok := m.Get(nil, fmt.Sprint(i))
				require.True(t, ok && string(v) == fmt.Sprint(i))
				require.True(t, i%2 == 0 || m.Delete(fmt.Sprint(i)))
			}
			require.Equal(t, len(opInts)/2, m.Len())
			require.NoError(t, m.Verify())
		}
	})
}

var opInts [200]int

// opOptions makes options of bytes, two for each, and reports whether one of them is wrong.
func opOptions[K comparable](b []byte, stable bool) (opts []Option, wrong bool) {
	var hasStable, hasHasher bool
	var tooLarge, otherKeys bool // until another such option takes its place
	for ; len(b) >= 2; b = b[2:] {
		n := int(b[1])
		switch b[0] % 8 {
		case 0:
			n = (n - 20) * 10
			if n > 2200 {
				n = math.MaxInt
			}
			opts = append(opts, WithCapacity(n))
			wrong = wrong || n < 0
			tooLarge = n == math.MaxInt
		case 1:
			opts = append(opts, WithHasher(func(_ K, seed uint64) uint64 { return uint64(n) << 56 * seed }))
			hasHasher, otherKeys = true, false
		case 2:
			opts = append(opts, WithStableHash())
			hasStable = true
		case 3:
			opts = append(opts, WithoutShrink())
		case 4:
			opts = append(opts, WithHugePages(HugePages(n)))
			wrong = wrong || n > 1
		case 5:
			opts = append(opts, WithHasher[K](nil))
			wrong = true
		case 6:
			opts = append(opts, WithHasher(func(opOther, uint64) uint64 { return 0 }))
			hasHasher, otherKeys = true, true
		default:
			opts = append(opts, Option{})
			wrong = true
		}
	}
	return opts, wrong || tooLarge || otherKeys || hasStable && (hasHasher || !stable)
}

// opOther is the key type of no map.
type opOther struct{}

// opClear requires that New panicked, saying why, if and only if an option is wrong, and returns that.
func opClear(t *testing.T, p any, wrong bool) bool {
	t.Helper()
	require.Equal(t, wrong, p != nil, "New panics: %v", p)
	if wrong {
		message, ok := p.(string)
		require.True(t, ok && strings.HasPrefix(message, "hushmap: ") && len(message) > 25, "%T: %v", p, p)
	}
	return wrong
}

func opFuzz[K comparable](t *testing.T, options []byte, stable bool, key func(i int) K) {
	opts, wrong := opOptions[K](options, stable)
	var m *Map[K, int]
	if p := ftPanic(func() { m = New[K, int](opts...) }); opClear(t, p, wrong) {
		return
	}
	for i := range len(opInts) {
		m.Store(key(i), i)
	}
	for i := range len(opInts) {
		v, ok := m.Load(key(i))
		require.True(t, ok && v == i)
		if i%2 == 1 {
			m.Delete(key(i))
		}
	}
	require.Equal(t, len(opInts)/2, m.Len())
	require.NoError(t, m.Verify())
}
