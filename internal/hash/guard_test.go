//go:build unix

package hash

import (
	"bytes"
	"syscall"
	"testing"
	"unsafe"
)

// guarded returns n bytes directly before (end) or behind a page without access.
func guarded(t *testing.T, n int, end bool) []byte {
	p := syscall.Getpagesize()
	m, err := syscall.Mmap(-1, 0, 3*p, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(m) })
	for _, part := range [][]byte{m[:p], m[2*p:]} {
		if err := syscall.Mprotect(part, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	if end {
		return m[2*p-n : 2*p]
	}
	return m[p : p+n]
}

// String looks at all bits of a string and at nothing beyond it.
func TestStringStaysInside(t *testing.T) {
	s := NewSeed()
	for n := 0; n <= 140; n++ {
		want := bytes.Repeat([]byte{1}, n)
		for i := range want {
			want[i] = byte(i*7 + 3)
		}
		h := String(string(want), &s)
		for _, end := range []bool{true, false} {
			b := guarded(t, n, end)
			copy(b, want)
			if g := String(unsafe.String(unsafe.SliceData(b), n), &s); g != h {
				t.Errorf("n=%d end=%v: %x %x", n, end, g, h)
			}
			str := unsafe.String(unsafe.SliceData(b), n)
			if Any(str, &s) != h {
				t.Errorf("any n=%d", n)
			}
		}
		for i := range n { // every byte counts, every bit
			for bit := range 8 {
				c := bytes.Clone(want)
				c[i] ^= 1 << bit
				if String(string(c), &s) == h {
					t.Errorf("n=%d byte %d bit %d does not count", n, i, bit)
				}
			}
		}
	}
}
