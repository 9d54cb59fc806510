//go:build amd64 && !race && !hushmap_atomic

package hushmap

import (
	"sync/atomic"
	"unsafe"
)

// wordAtomic says whether slots are read and written word by word with atomic instructions.
const wordAtomic = false

// storeWords writes a slot's key or value. On a machine with total store order a plain typed assignment suffices:
// stores become visible in program order, a scalar is one MOV, and the compiler adds the GC's write barriers.
func storeWords[T any](dst *T, src T, _ *traits, _ part) {
	*dst = src
}

// loadWords reads a slot's key or value: loads happen in program order, and a scalar is one MOV. A wider copy may
// be torn; the caller checks the version before it looks into it.
func loadWords[T any](src *T, _ *traits, _ part) T {
	return *src
}

// storePointer writes one word of a slot, which is a pointer.
func storePointer(dst *unsafe.Pointer, p unsafe.Pointer) { *dst = p }

// storeRelease publishes a header word: a plain store is a release store here, and no locked instruction.
func storeRelease(p *atomic.Uint64, w uint64) {
	*(*uint64)(unsafe.Pointer(p)) = w
}

// storeKept publishes a header word that is overwritten again under the same lock. The load stands between the two
// stores: without it the compiler may drop the first one as dead.
func storeKept(p *atomic.Uint64, w uint64) {
	*(*uint64)(unsafe.Pointer(p)) = w
	p.Load()
}
