//go:build unix && !linux

// This file is responsible for mappings on Unix systems that have no call to
// ask for huge pages; FreeBSD gives them unasked.

package mem

import "golang.org/x/sys/unix"

const osMaps = true

func osMap(kind Kind, size uintptr) (region, error) {
	if kind != Plain {
		return region{}, errNoPages
	}
	size = roundUp(size, uintptr(unix.Getpagesize()))
	start, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return region{}, err
	}
	return region{start, size}, nil
}

func osUnmap(r region) error { return unix.MunmapPtr(r.start, r.size) }
