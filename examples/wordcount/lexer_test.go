package main

import (
	"slices"
	"strings"
	"testing"
)

func TestIdentifiers(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", ""},
		{"only separators", " \t\n{}();", ""},
		{"whole text", "word", "word"},
		{"operators separate", "a+b=c.d(e)", "a b c d e"},
		{"digits inside and at the end", "x1 u2v3", "x1 u2v3"},
		{"underscores", "_ __a a_b", "_ __a a_b"},
		{"keywords count", "if x { return }", "if x return"},
		{"comments and strings count", "// see \"below\"\n'c'", "see below c"},
		{"numbers do not", "42 0x1F 1e9 10px 3_000", ""},
		{"a number ends at a separator", "1.e9 2.foo", "e9 foo"},
		{"escapes are letters", `"\x00\n"`, "x00 n"},
		{"letters of Unicode", "größe δx 変数=1", "größe δx 変数"},
		{"digits of Unicode", "x٣ ٣x", "x٣"},
		{"other characters of Unicode separate", "a→b a\u00a0b a😀b", "a b a b a b"},
		{"bytes that are not UTF-8 separate", "a\xffb \xe2\x82 c\xc3", "a b c"},
		{"NUL separates", "a\x00b", "a b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for word := range identifiers([]byte(c.text)) {
				got = append(got, string(word))
			}
			if want := strings.Fields(c.want); !slices.Equal(got, want) {
				t.Errorf("identifiers(%q) = %q, want %q", c.text, got, want)
			}
		})
	}
}

func TestIdentifiersStops(t *testing.T) {
	for word := range identifiers([]byte("a b c")) {
		if string(word) == "b" {
			break
		}
		if string(word) == "c" {
			t.Fatal("went on after break")
		}
	}
}
