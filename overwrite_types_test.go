//go:build !race && !hushmap_invariants && (!hushmap_atomic || hushmap_types)

package hushmap

import (
	"errors"
	"fmt"
	"testing"
)

// TestOverwritesByOneStore for interfaces with methods, and for what has as many words as an interface, a string or a slice, or
// has one of these in it.
func TestOverwritesOfOtherTypes(t *testing.T) {
	testOverwrites(t, []overwrite[error]{
		{errors.New("a"), errors.New("b"), true}, {errors.New("a"), fmt.Errorf("%w", errors.ErrUnsupported), false}, {errors.New("a"), nil, false},
	})
	testOverwrites(t, []overwrite[complex128]{{1, 2, false}, {1, 1, false}})
	testOverwrites(t, []overwrite[[2]uint64]{{[2]uint64{1, 2}, [2]uint64{1, 3}, false}})
	testOverwrites(t, []overwrite[[3]*int]{{[3]*int{}, [3]*int{}, false}})
	testOverwrites(t, []overwrite[struct{ v any }]{{struct{ v any }{1}, struct{ v any }{2}, false}})
	testOverwrites(t, []overwrite[struct{ v string }]{{struct{ v string }{"a"}, struct{ v string }{"b"}, false}})
}
