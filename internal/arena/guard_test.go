//go:build unix

package arena

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

// Equal looks at all bytes of a key and at none beyond it.
func TestEqualStaysInside(t *testing.T) {
	a := New(false)
	for n := 0; n <= 300; n++ {
		for _, end := range []bool{true, false} {
			q := guarded(t, n, end)
			for i := range q {
				q[i] = byte(i*7 + 3)
			}
			r := a.Add(0, string(q))
			eq := func() bool { return a.Equal(r, unsafe.String(unsafe.SliceData(q), n)) }
			if !eq() {
				t.Errorf("n=%d: not equal", n)
			}
			for i := range n {
				for bit := range 8 {
					q[i] ^= 1 << bit
					if eq() {
						t.Errorf("n=%d byte %d bit %d ignored", n, i, bit)
					}
					q[i] ^= 1 << bit
				}
			}
		}
	}
	// prefixes and lengths
	all := bytes.Repeat([]byte("x"), 300)
	for n := range 300 {
		r := a.Add(0, string(all[:n]))
		for m := range 300 {
			if a.Equal(r, string(all[:m])) != (n == m) {
				t.Errorf("%d %d", n, m)
			}
		}
	}
}
