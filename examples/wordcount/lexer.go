package main

import (
	"iter"
	"unicode"
	"unicode/utf8"
)

// identifiers yields the identifiers of text, as slices of it.
//
// An identifier is a longest run of letters, digits and underscores that does not begin with a digit; letters and
// digits are those of Unicode (categories L and Nd). A run that begins with a digit, such as 0x1F or 10px, is a number
// and skipped as a whole. Bytes that are not UTF-8 separate. Nothing else is special: keywords, and words inside of
// comments and string literals, count as well.
func identifiers(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := 0; i < len(text); {
			c, width := classAt(text, i)
			if c == other {
				i += width
				continue
			}
			end := wordEnd(text, i+width)
			if c == letter && !yield(text[i:end]) {
				return
			}
			i = end
		}
	}
}

// wordEnd returns where the run of letters and digits ends that includes text[i-1].
func wordEnd(text []byte, i int) int {
	for i < len(text) {
		c, width := classAt(text, i)
		if c == other {
			break
		}
		i += width
	}
	return i
}

// class is what a character is to the lexer.
type class uint8

const (
	other  class = iota // separates
	letter              // may begin an identifier
	digit               // may continue one
	wide                // first byte of a longer UTF-8 sequence, or no UTF-8; only in asciiClass
)

// asciiClass is the class of the character that begins with the given byte.
var asciiClass = func() (classes [256]class) {
	for b := range classes {
		switch {
		case b >= utf8.RuneSelf:
			classes[b] = wide
		case b == '_' || unicode.IsLetter(rune(b)):
			classes[b] = letter
		case unicode.IsDigit(rune(b)):
			classes[b] = digit
		}
	}
	return classes
}()

// classAt returns the class of the character at text[i] and how many bytes it has.
func classAt(text []byte, i int) (class, int) {
	if c := asciiClass[text[i]]; c != wide {
		return c, 1
	}
	r, width := utf8.DecodeRune(text[i:])
	switch {
	case unicode.IsLetter(r):
		return letter, width
	case unicode.IsDigit(r):
		return digit, width
	}
	return other, width
}
