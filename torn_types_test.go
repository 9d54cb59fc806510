//go:build !race && !hushmap_invariants && (!hushmap_atomic || hushmap_types)

// This file lets readers look at values and keys of many types while they change. It is left out where one type is as good as
// another: the race detector sees the same words stored for types that other tests have. Words that are stored one by one are
// torn on 386, and elsewhere if the tag hushmap_types asks for it.

package hushmap

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

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
	mtTestTorn(t, func(k int, n uint64) []byte { // the data says which length and capacity fit
		b := make([]byte, 32)
		b[0], b[1] = byte(n%3), byte(8+n/3%3)
		return b[:b[0]:b[1]]
	}, func(k int, v []byte) bool {
		return cap(v) >= 8 && len(v) == int(v[:8][0]) && cap(v) == int(v[:8][1])
	})
}

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

// Every size and kind of value that is overwritten in place comes and goes as a whole, though no reader ever retries for it.
func TestInPlaceValuesAreNeverTorn(t *testing.T) {
	mtTestInPlace(t, func(i uint64) uint8 { return uint8(i * 0x55) })
	mtTestInPlace(t, func(i uint64) uint16 { return uint16(i) * 0x5555 })
	mtTestInPlace(t, func(i uint64) float32 { return float32(i) * 1.0000001 })
	mtTestInPlace(t, func(i uint64) [1]struct{ u uint32 } { return [1]struct{ u uint32 }{{uint32(i) * 0x55555555}} })
	pool := [4]*int{new(int), new(int), new(int), nil}
	mtTestInPlace(t, func(i uint64) *int { return pool[i] })
	mtTestInPlace(t, func(i uint64) struct{ p [1]*int } { return struct{ p [1]*int }{[1]*int{pool[i]}} })
	mtTestInPlace(t, func(i uint64) any { return [2]uint64{i, ^i} }) // where the type stays
	mtTestInPlace(t, func(i uint64) string { return fmt.Sprint("value ", i) })
	// These are not in place on 32-bit machines, but must not be torn there either.
	mtTestInPlace(t, func(i uint64) uint64 { return i * 0x5555555555555555 })
	mtTestInPlace(t, func(i uint64) struct{ f [1]float64 } {
		return struct{ f [1]float64 }{[1]float64{float64(i) * 1.000000001}}
	})
}

// mtTestInPlace lets readers look at a few entries while a writer stores four values in turn.
func mtTestInPlace[V comparable](t *testing.T, value func(uint64) V) {
	t.Run(fmt.Sprintf("%T", value(0)), func(t *testing.T) {
		var valid [4]V
		for i := range valid {
			valid[i] = value(uint64(i))
		}
		const keys = 3
		var m Map[int, V]
		for k := range keys {
			m.Store(k, valid[0])
		}
		var stop atomic.Bool
		var wg sync.WaitGroup
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; !stop.Load(); i++ {
				m.Store(i%keys, valid[i&3])
			}
		}()
		for i := range mtScale(200_000) {
			v, ok := m.Load(i % keys)
			if !ok || v != valid[0] && v != valid[1] && v != valid[2] && v != valid[3] {
				t.Errorf("loaded %v, %v", v, ok)
				break
			}
		}
		stop.Store(true)
		wg.Wait()
		assert.NoError(t, m.Verify())
	})
}
