// This file is responsible for mappings on Linux, huge pages included.

package mem

import (
	"math/bits"
	"os"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

const osMaps = true

func osMap(kind Kind, size uintptr) (region, error) {
	switch kind {
	case HugeTLB:
		return mapHugeTLB(size)
	case Advised:
		return mapAdvised(size)
	default:
		return mapPages(size, 0)
	}
}

func osUnmap(r region) error {
	if r.size == 0 {
		return nil
	}
	return unix.MunmapPtr(r.start, r.size)
}

func mapPages(size uintptr, flags int) (region, error) {
	size = roundUp(size, uintptr(unix.Getpagesize()))
	start, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|flags)
	if err != nil {
		return region{}, err
	}
	return region{start, size}, nil
}

// mapAdvised maps one huge page more than needed, cuts off what lies before
// the first and behind the last page needed, and asks for huge pages. The
// end is rounded to small pages only: a block of 9 MiB occupies 9 MiB, the
// last of them in small pages.
func mapAdvised(size uintptr) (region, error) {
	huge := hugePageSize()
	if size < huge {
		return region{}, errNoFit
	}
	size = roundUp(size, uintptr(unix.Getpagesize()))
	whole, err := mapPages(size+huge, 0)
	if err != nil {
		return region{}, err
	}
	before := -uintptr(whole.start) & (huge - 1)
	r := region{unsafe.Add(whole.start, before), size}
	after := region{unsafe.Add(r.start, size), whole.size - before - size}
	if err := osUnmap(after); err != nil {
		_ = osUnmap(whole)
		return region{}, err
	}
	if err := osUnmap(region{whole.start, before}); err != nil {
		_ = osUnmap(region{whole.start, before + size})
		return region{}, err
	}
	if err := osAdvise(r, unix.MADV_HUGEPAGE); err != nil {
		_ = osUnmap(r)
		return region{}, err
	}
	return r, nil
}

func osAdvise(r region, advice int) error { return unix.Madvise(r.bytes(), advice) }

// mapHugeTLB maps reserved huge pages, if that wastes at most an eighth.
//
// It touches all of them at once. A reservation does not promise that the
// pages can be had: a control group with a lower limit, as container systems
// set it, lets the mapping succeed and kills the process with SIGBUS on
// first touch. MADV_POPULATE_WRITE (Linux 5.14) reports that as an error.
func mapHugeTLB(size uintptr) (region, error) {
	huge := hugePageSize()
	rounded := roundUp(size, huge)
	if rounded-size > size/8 {
		return region{}, errNoFit
	}
	r, err := mapPages(rounded, unix.MAP_HUGETLB|bits.TrailingZeros64(uint64(huge))<<unix.MAP_HUGE_SHIFT)
	if err != nil {
		return region{}, err
	}
	if err := osAdvise(r, unix.MADV_POPULATE_WRITE); err != nil {
		_ = osUnmap(r)
		return region{}, err
	}
	return r, nil
}

func (r region) bytes() []byte { return unsafe.Slice((*byte)(r.start), r.size) }

// hugePageSize returns the size of the huge pages that MADV_HUGEPAGE gives:
// 2 MiB on amd64 and most others, up to 512 MiB on arm64.
var hugePageSize = sync.OnceValue(func() uintptr {
	const usual = 2 << 20
	text, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size")
	if err != nil {
		return usual
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n&(n-1) != 0 || n < uint64(unix.Getpagesize()) || n > 1<<30 {
		return usual
	}
	return uintptr(n)
})
