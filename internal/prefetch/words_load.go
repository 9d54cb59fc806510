//go:build !(amd64 || arm64) || purego

package prefetch

import (
	"sync/atomic"
	"unsafe"
)

func words(p []unsafe.Pointer) {
	for _, word := range p {
		atomic.LoadUint32((*uint32)(word)) // the compiler drops a plain load whose result nobody uses
	}
}

func hints([]unsafe.Pointer) {} // a load could fault
