//go:build !amd64 || race || hushmap_atomic

package hushmap

import (
	"sync/atomic"
	"unsafe"
)

// wordAtomic says whether slots are read and written word by word with atomic instructions.
const wordAtomic = true

// cell is a local copy of a slot's key or value, padded so that whole words can be copied. It is no more aligned than
// that: a stack that is not aligned to 8 bytes would have it on the heap.
type cell[T any] struct {
	_ [0]uintptr
	v T
}

// storeWords writes a slot's key or value, one atomic store per word. Pointers are stored as pointers, with the
// GC's write barrier.
func storeWords[T any](dst *T, src T, tr *traits, p part) {
	l := tr.layout(p)
	c := cell[T]{v: src}
	from, to := unsafe.Pointer(&c.v), unsafe.Pointer(dst)
	for i, offset := 0, uintptr(0); offset < l.size; i, offset = i+1, offset+wordSize {
		if l.pointers != nil && l.pointers[i] {
			atomic.StorePointer((*unsafe.Pointer)(unsafe.Add(to, offset)), *(*unsafe.Pointer)(unsafe.Add(from, offset)))
		} else {
			atomic.StoreUintptr((*uintptr)(unsafe.Add(to, offset)), *(*uintptr)(unsafe.Add(from, offset)))
		}
	}
}

// loadWords reads a slot's key or value, one atomic load per word. A wider copy may be torn; the caller checks
// the version before it looks into it.
func loadWords[T any](src *T, tr *traits, p part) T {
	l := tr.layout(p)
	var c cell[T]
	from, to := unsafe.Pointer(src), unsafe.Pointer(&c.v)
	for i, offset := 0, uintptr(0); offset < l.size; i, offset = i+1, offset+wordSize {
		if l.pointers != nil && l.pointers[i] {
			*(*unsafe.Pointer)(unsafe.Add(to, offset)) = atomic.LoadPointer((*unsafe.Pointer)(unsafe.Add(from, offset)))
		} else {
			*(*uintptr)(unsafe.Add(to, offset)) = atomic.LoadUintptr((*uintptr)(unsafe.Add(from, offset)))
		}
	}
	return c.v
}

// storePointer writes one word of a slot, which is a pointer.
func storePointer(dst *unsafe.Pointer, p unsafe.Pointer) { atomic.StorePointer(dst, p) }

// storeRelease publishes a header word.
func storeRelease(p *atomic.Uint64, w uint64) {
	p.Store(w)
}

// storeKept publishes a header word that is overwritten again under the same lock.
func storeKept(p *atomic.Uint64, w uint64) {
	p.Store(w)
}
