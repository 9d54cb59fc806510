package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// tally is the result of a count, in the order of the words. It holds no pointers per word, so that the results of
// earlier ways, which are kept for comparison, are no work for the garbage collector while later ways run.
type tally struct {
	words  []byte // all words, one after the other
	ends   []int  // where each ends in words
	counts []int
}

// entry is a word with its count.
type entry struct {
	word  string
	count int
}

// newTally copies what c counted.
func newTally(c counter) *tally {
	var entries []entry
	c.each(func(word string, n int) { entries = append(entries, entry{word, n}) })
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.word, b.word) })
	t := &tally{}
	for _, e := range entries {
		t.words = append(t.words, e.word...)
		t.ends = append(t.ends, len(t.words))
		t.counts = append(t.counts, e.count)
	}
	return t
}

// word returns word i.
func (t *tally) word(i int) []byte {
	start := 0
	if i > 0 {
		start = t.ends[i-1]
	}
	return t.words[start:t.ends[i]]
}

// total returns the sum of the counts.
func (t *tally) total() (sum int) {
	for _, n := range t.counts {
		sum += n
	}
	return sum
}

// top returns the n most frequent words, those of equal count in the order of the words.
func (t *tally) top(n int) []entry {
	order := make([]int, len(t.counts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(t.counts[b], t.counts[a]) })
	var entries []entry
	for _, i := range order[:min(n, len(order))] {
		entries = append(entries, entry{string(t.word(i)), t.counts[i]})
	}
	return entries
}

// difference names the first word whose counts differ, or returns "" if there is none.
func (t *tally) difference(u *tally) string {
	for i := range max(len(t.counts), len(u.counts)) {
		switch {
		case i >= len(u.counts) || i < len(t.counts) && bytes.Compare(t.word(i), u.word(i)) < 0:
			return fmt.Sprintf("%q: %d against none", t.word(i), t.counts[i])
		case i >= len(t.counts) || bytes.Compare(t.word(i), u.word(i)) > 0:
			return fmt.Sprintf("%q: none against %d", u.word(i), u.counts[i])
		case t.counts[i] != u.counts[i]:
			return fmt.Sprintf("%q: %d against %d", t.word(i), t.counts[i], u.counts[i])
		}
	}
	return ""
}
