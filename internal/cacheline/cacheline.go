// Package cacheline knows how far apart two words must lie so that cores
// writing them do not slow each other down.
package cacheline

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// Size is the distance in bytes that keeps two words on different cache
// lines: the line size of the architecture, and at least 64. The lower bound
// matters where golang.org/x/sys/cpu says less: 0 on wasm, whose host has
// lines all the same, and 32 on 32-bit ARM and MIPS, some of whose cores have
// lines of 64.
const Size = max(unsafe.Sizeof(cpu.CacheLinePad{}), 64)

// Pad, as a blank field, keeps the field before it and the field after it on
// different cache lines.
type Pad [Size]byte
