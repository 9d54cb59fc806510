// Package prefetch asks the processor for many cache lines at once.
//
//	loads      | load a ..... stall | load b ..... stall | use a | use b |
//
//	prefetch   | ask a | ask b | something else that takes a while | use a | use b |
//
// A load that misses the cache lets the instructions behind it begin, but none of them end: after a few hundred the
// processor has to wait, whether anybody needs the loaded word or not. A prefetch instruction ends at once. Go offers
// none, so there is a loop of them in assembly for amd64 and arm64, and for others, or with the build tag purego, a loop
// of loads.
package prefetch

import "unsafe"

// Words asks for the lines that the words at p are in, each at least four readable bytes, and aligned so. The words may
// be written by others meanwhile.
//
// Complexity: linear; a call that is not inlined, a few instructions per word.
// Blocking: never, and without assembly as long as the lines take to come.
// Source: AMD64 Architecture Programmer's Manual, PREFETCHlevel; Arm Architecture Reference Manual, PRFM.
func Words(p []unsafe.Pointer) { words(p) }

// Hints is Words for any addresses, aligned or not, readable or not. Without assembly it does nothing.
//
// Complexity: linear; a call that is not inlined, a few instructions per word.
// Blocking: never.
// Source: AMD64 Architecture Programmer's Manual, PREFETCHlevel; Arm Architecture Reference Manual, PRFM.
func Hints(p []unsafe.Pointer) { hints(p) }
