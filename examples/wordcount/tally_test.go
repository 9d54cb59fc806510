package main

import (
	"slices"
	"testing"
)

// listed is a counter that has counted what it lists.
type listed []entry

func (listed) count([]byte) {}

func (l listed) each(f func(string, int)) {
	for _, e := range l {
		f(e.word, e.count)
	}
}

func TestTallyTop(t *testing.T) {
	c := newTally(listed{{"c", 2}, {"a", 2}, {"d", 3}, {"b", 1}})
	if got, want := c.top(3), []entry{{"d", 3}, {"a", 2}, {"c", 2}}; !slices.Equal(got, want) {
		t.Errorf("top(3) = %v, want %v", got, want)
	}
	if got := c.top(9); len(got) != 4 {
		t.Errorf("top(9) = %v, want all four", got)
	}
	if got := c.total(); got != 8 {
		t.Errorf("total() = %d, want 8", got)
	}
}

func TestTallyDifference(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b listed
		want string
	}{
		{"both empty", nil, nil, ""},
		{"order does not matter", listed{{"a", 1}, {"b", 2}}, listed{{"b", 2}, {"a", 1}}, ""},
		{"another count", listed{{"a", 1}, {"b", 2}}, listed{{"a", 1}, {"b", 3}}, `"b": 2 against 3`},
		{"first lacks one", listed{{"b", 2}}, listed{{"a", 1}, {"b", 2}}, `"a": none against 1`},
		{"second lacks one", listed{{"a", 1}, {"b", 2}}, listed{{"b", 2}}, `"a": 1 against none`},
		{"first ends early", listed{{"a", 1}}, listed{{"a", 1}, {"b", 2}}, `"b": none against 2`},
		{"second ends early", listed{{"a", 1}, {"b", 2}}, listed{{"a", 1}}, `"b": 2 against none`},
		{"a word split otherwise", listed{{"a", 1}, {"bc", 1}}, listed{{"ab", 1}, {"c", 1}}, `"a": 1 against none`},
		{"a word twice", listed{{"a", 1}, {"a", 1}}, listed{{"a", 1}}, `"a": 1 against none`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := newTally(c.a).difference(newTally(c.b)); got != c.want {
				t.Errorf("difference = %q, want %q", got, c.want)
			}
		})
	}
}
