// Package copied copies maps in every way that `go vet` must report. It is only ever looked at by a test.
package copied

import "github.com/hushmap/hushmap"

type holder struct {
	m hushmap.Map[string, int]
}

func byValue(m hushmap.Map[string, int]) int { return m.Len() } // want

func assigned() int {
	var m hushmap.Map[string, int]
	m.Store("k", 1)
	n := m // want
	return n.Len()
}

func inStruct(h *holder) int {
	c := *h // want
	return c.m.Len()
}

func anyMap(m *hushmap.AnyMap) int {
	n := *m // want
	return n.Len()
}

func ranged(ms []hushmap.AnyMap) (n int) {
	for _, m := range ms { // want
		n += m.Len()
	}
	return n
}

func bytesMap(m *hushmap.Bytes) int {
	n := *m // want
	return n.Len()
}

func bytesByValue(m hushmap.Bytes) int { return m.Len() } // want

func fine(m *hushmap.AnyMap) *hushmap.AnyMap { return m }
