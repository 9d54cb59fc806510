//go:build hushmap_types || !(race || hushmap_invariants || hushmap_atomic || 386)

// This file counts what operations allocate over many types. It is left out where suite_types_test.go is, and where
// words are stored with atomic instructions or have 32 bits, unless the tag hushmap_types asks for it.

package hushmap

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// No operation on a map that need not grow allocates, whatever K and V. Where keys are copied, new ones need a chunk now
// and then; see TestNewStringKeysAllocateOnlyChunks.
func TestOperationsAllocateNothing(t *testing.T) {
	mtTestAllocs(t, func(i int) uint64 { return uint64(i) }, func(i int) uint64 { return uint64(i) })
	mtTestAllocs(t, func(i int) string { return fmt.Sprint("key ", i) }, func(i int) string { return fmt.Sprint(i) })
	mtTestAllocs(t, func(i int) any { return i }, func(i int) any { return fmt.Sprint(i) })
	mtTestAllocs(t, func(i int) mtTriple { return mtTriple{uint64(i), fmt.Sprint(i)} }, func(i int) mtPair { return mtPair{1, uint64(i)} })
	mtTestAllocs(t, func(i int) float64 { return float64(i) / 3 }, func(i int) int { return i })
	mtTestAllocs(t, func(i int) *int { return &i }, func(i int) *int { return &i })
	mtTestAllocs(t, func(i int) mtPadded { return mtPadded{uint8(i), uint64(i), 3} }, func(i int) struct{} { return struct{}{} })
	mtTestAllocs(t, func(i int) [2]uint64 { return [2]uint64{1, uint64(i)} }, func(i int) [3]uint64 { return [3]uint64{uint64(i)} })
}

// mtTestAllocs measures every operation on prepared keys and values.
func mtTestAllocs[K, V comparable](t *testing.T, key func(int) K, value func(int) V, opts ...Option) {
	t.Run(fmt.Sprintf("%T,%T", key(0), value(0)), func(t *testing.T) {
		var keys [2 * mtAllocKeys]K // the second half is not stored by fill
		var values [2 * mtAllocKeys]V
		for i := range keys {
			keys[i], values[i] = key(i), value(i)
		}
		stored := keys[:mtAllocKeys]
		var m *Map[K, V]
		var chunks int
		fill := func() {
			m = New[K, V](append(opts, WithCapacity(len(keys)))...)
			for i, k := range stored {
				m.Store(k, values[i])
			}
			chunks = mtChunks(&m.core)
		}
		var update, remove, cancel func(V, bool) (V, Op) // what they return does not depend on variables outside
		update = func(old V, _ bool) (V, Op) { return old, UpdateOp }
		remove = func(old V, _ bool) (V, Op) { return old, DeleteOp }
		cancel = func(old V, _ bool) (V, Op) { return old, CancelOp }
		for _, c := range []struct {
			name string
			op   func(i int, k K)
		}{
			{"Load hit", func(_ int, k K) { _, mtSinkBool = m.Load(k) }},
			{"Load miss", func(i int, _ K) { _, mtSinkBool = m.Load(keys[mtAllocKeys+i]) }},
			{"Store of an existing key", func(i int, k K) { m.Store(k, values[mtAllocKeys+i]) }},
			{"Store of a new key", func(i int, _ K) { m.Store(keys[mtAllocKeys+i], values[i]) }},
			{"LoadOrStore hit", func(i int, k K) { _, mtSinkBool = m.LoadOrStore(k, values[i]) }},
			{"LoadOrStore of a new key", func(i int, _ K) { _, mtSinkBool = m.LoadOrStore(keys[mtAllocKeys+i], values[i]) }},
			{"Swap", func(i int, k K) { _, mtSinkBool = m.Swap(k, values[mtAllocKeys+i]) }},
			{"Delete", func(_ int, k K) { m.Delete(k) }},
			{"Delete and Store", func(i int, k K) { m.Delete(k); m.Store(k, values[i]) }},
			{"LoadAndDelete", func(_ int, k K) { _, mtSinkBool = m.LoadAndDelete(k) }},
			{"CompareAndSwap", func(i int, k K) { mtSinkBool = m.CompareAndSwap(k, values[i], values[mtAllocKeys+i]) }},
			{"CompareAndSwap in vain", func(i int, k K) { mtSinkBool = m.CompareAndSwap(k, values[mtAllocKeys+i], values[i]) }},
			{"CompareAndDelete", func(i int, k K) { mtSinkBool = m.CompareAndDelete(k, values[i]) }},
			{"Compute update", func(_ int, k K) { _, mtSinkBool = m.Compute(k, update) }},
			{"Compute update of a new key", func(i int, _ K) { _, mtSinkBool = m.Compute(keys[mtAllocKeys+i], update) }},
			{"Compute delete", func(_ int, k K) { _, mtSinkBool = m.Compute(k, remove) }},
			{"Compute cancel", func(_ int, k K) { _, mtSinkBool = m.Compute(k, cancel) }},
			{"LoadOrCompute hit", func(_ int, k K) { _, mtSinkBool, _ = m.LoadOrCompute(k, nil) }},
			{"Len", func(int, K) { mtSinkInt = m.Len() }},
		} {
			allocs := mtAllocs(fill, func() {
				for i, k := range stored {
					c.op(i, k)
				}
			})
			if strings.Contains(c.name, "new key") || c.name == "Delete and Store" {
				chunks = mtChunks(&m.core) - chunks
				require.LessOrEqual(t, chunks, 16, "chunks for %d keys as many bytes as there are already", mtAllocKeys)
				assert.LessOrEqual(t, allocs, uint64(mtObjectsPerChunk*chunks), "objects allocated by %d times %s", mtAllocKeys, c.name)
				continue
			}
			assert.Zero(t, allocs, "objects allocated by %d times %s", mtAllocKeys, c.name)
		}
		require.Zero(t, m.Stats().Growths, "a growth would have explained allocations")
	})
}

// Keys hashed by the other hashers allocate nothing either.
func TestOperationsAllocateNothingWithOptions(t *testing.T) {
	str := func(i int) string { return fmt.Sprint("key ", i) }
	boxed := func(i int) any { return i }
	triple := func(i int) mtTriple { return mtTriple{uint64(i), fmt.Sprint(i)} }
	pair := func(i int) mtPair { return mtPair{1, uint64(i)} }
	mtTestAllocs(t, str, str, WithStableHash())
	mtTestAllocs(t, boxed, boxed, WithStableHash())
	mtTestAllocs(t, triple, pair, WithStableHash())
	mtTestAllocs(t, str, str, WithHasher(mtHashString))
	mtTestAllocs(t, boxed, boxed, WithHasher(func(k any, seed uint64) uint64 { return uint64(k.(int)) ^ seed }))
}

// Reads allocate nothing if dst has room; a write allocates nothing but chunks.
func TestBytesAllocateOnlyChunks(t *testing.T) {
	const n = 20_000
	keys := make([]string, 2*n)
	for i := range keys {
		keys[i] = fmt.Sprintf("key %08d", i)
	}
	asBytes, key := []byte("key 00000007"), make([]byte, 0, 64)
	value, dst := bytes.Repeat([]byte("v"), 50), make([]byte, 0, 64)
	for name, opts := range map[string][]Option{"default": nil, "stable": {WithStableHash()}, "hasher": {WithHasher(mtHashString)}} {
		m := NewBytes(append(opts, WithCapacity(2*n))...)
		for _, k := range keys[:n] {
			m.Set(k, value)
		}
		for what, op := range map[string]func(i int){
			"Get":               func(i int) { _, mtSinkBool = m.Get(dst, keys[i]) },
			"Get absent":        func(i int) { _, mtSinkBool = m.Get(dst, keys[n+i]) },
			"GetB":              func(int) { _, mtSinkBool = m.GetB(dst, asBytes) },
			"Has":               func(i int) { mtSinkBool = m.Has(keys[i]) },
			"HasB":              func(int) { mtSinkBool = m.HasB(asBytes) },
			"LoadOrStore":       func(i int) { _, mtSinkBool = m.LoadOrStore(dst, keys[i], value) },
			"LoadOrStoreB":      func(int) { _, mtSinkBool = m.LoadOrStoreB(dst, asBytes, value) },
			"Delete absent":     func(i int) { mtSinkBool = m.Delete(keys[n+i]) },
			"CompareAndSwap no": func(i int) { mtSinkBool = m.CompareAndSwap(keys[i], dst, value) },
		} {
			assert.Zero(t, mtAllocs(func() {}, func() {
				for i := range 1000 {
					op(i)
				}
			}), "%s, %s: objects for 1000 calls", name, what)
		}
		// A record is 1 byte and a key of 12, 1 byte and a value of 50: 64 bytes. What was overwritten is left behind
		// by a rebuild, which copies the living half and makes a table.
		require.Zero(t, m.Stats().Rebuilds)
		before := mtChunks(&m.core)
		objects, allocated := mtAllocated(func() {
			for _, k := range keys[n:] {
				m.SetB(append(key[:0], k...), value)
			}
		})
		assert.LessOrEqual(t, objects, uint64(mtObjectsPerChunk*(mtChunks(&m.core)-before)+10), "%s: Set of new keys", name)
		assert.Less(t, allocated, uint64(n*64*5/4+512<<10), "%s: Set of new keys", name)
		objects, _ = mtAllocated(func() {
			for _, k := range keys {
				m.Set(k, value)
			}
		})
		assert.Less(t, objects, uint64(n/50), "%s: overwriting %d values", name, 2*n)
		objects, _ = mtAllocated(func() {
			for _, k := range keys {
				mtSinkBool = m.Delete(k)
			}
		})
		assert.Less(t, objects, uint64(n/25), "%s: deleting %d keys, which shrinks the table", name, 2*n)
		runtime.KeepAlive(m)
	}
}
