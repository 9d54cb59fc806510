package drive

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/hushmap/hushmap/verify/internal/history"
)

// TestCodecs: values are told apart, 0 is the zero value, and words of two values are not taken for one.
func TestCodecs(t *testing.T) {
	for _, id := range []int32{0, 1, 2, 37, 1000, 30000} {
		assert.Equal(t, id, Words.Decode(Words.Encode(id)))
		assert.Equal(t, id, Strung.Decode(Strung.Encode(id)))
		assert.Equal(t, id, Lines.Decode(Lines.Encode(id)))
		assert.Equal(t, id, Triples.Decode(Triples.Encode(id)))
	}
	assert.Zero(t, Words.Encode(0))
	assert.Zero(t, Strung.Encode(0))
	assert.Zero(t, Triples.Encode(0))
	a, b := Triples.Encode(1000), Triples.Encode(1001)
	assert.Equal(t, history.Torn, Triples.Decode([3]uint64{a[0], b[1], a[2]}))
	assert.Equal(t, history.Torn, Triples.Decode([3]uint64{a[0], a[1], 0}))
	assert.Equal(t, history.Torn, Strung.Decode(Strung.Encode(30)[:20]))
	assert.Equal(t, history.Torn, Words.Decode(1))
}

// TestKeysDiffer: no two numbers make the same key.
func TestKeysDiffer(t *testing.T) {
	differ(t, Ints)
	differ(t, Strings)
	differ(t, Structs)
	differ(t, Boxed)
	differ(t, Pointers)
}

func differ[K comparable](t *testing.T, keys KeyCodec[K]) {
	seen := make(map[K]bool)
	for n := range 1000 {
		assert.Equal(t, keys.Encode(n), keys.Encode(n))
		seen[keys.Encode(n)] = true
	}
	assert.Len(t, seen, 1000, keys.Name)
}

// TestPlans: seeds reach every hasher and every switch, and the same seed makes the same plan.
func TestPlans(t *testing.T) {
	hashers, clears, storms := make(map[Hasher]bool), make(map[bool]bool), make(map[bool]bool)
	for seed := range uint64(200) {
		p := PlanFor(seed)
		assert.Equal(t, p, PlanFor(seed))
		hashers[p.Hasher], clears[p.Clear], storms[p.Storm] = true, true, true
	}
	assert.Len(t, hashers, len(hasherNames))
	assert.Len(t, clears, 2)
	assert.Len(t, storms, 2)
}
