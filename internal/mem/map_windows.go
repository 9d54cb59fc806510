// This file is responsible for mappings on Windows. Committed pages are
// zeroed on first touch, as elsewhere. Large pages need a privilege that
// hardly any process has.

package mem

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

const osMaps = true

func osMap(kind Kind, size uintptr) (region, error) {
	if kind != Plain {
		return region{}, errNoPages
	}
	size = roundUp(size, uintptr(windows.Getpagesize()))
	addr, err := windows.VirtualAlloc(0, size, windows.MEM_RESERVE|windows.MEM_COMMIT, windows.PAGE_READWRITE)
	if err != nil {
		return region{}, err
	}
	// Read as a pointer, rather than converted: vet takes a converted uintptr
	// for a Go object that may have moved.
	return region{*(*unsafe.Pointer)(unsafe.Pointer(&addr)), size}, nil
}

func osUnmap(r region) error {
	return windows.VirtualFree(uintptr(r.start), 0, windows.MEM_RELEASE)
}
