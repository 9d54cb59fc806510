//go:build (amd64 || arm64) && !purego

package prefetch

import "unsafe"

//go:noescape
func words(p []unsafe.Pointer)

func hints(p []unsafe.Pointer) { words(p) }
