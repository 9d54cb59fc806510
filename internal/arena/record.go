package arena

// The format of a record: one field for the key and, in an Arena with values,
// one for the value.
//
//	field of 3 bytes:     | 3 | 'a' 'b' 'c' |
//	field of 300 bytes:   | 255 | 300 as 8 bytes, little endian | 300 bytes |
//
// An empty last field can end exactly where its chunk ends. The address behind
// it is someone else's, and the collector would keep that alive instead. So the
// address of a field's content is only made where there is content.

import (
	"encoding/binary"
	"math"
	"unsafe"
)

const (
	long        = math.MaxUint8 // first byte of a field whose length follows
	shortHeader = 1             // bytes before the content of a field
	longHeader  = 1 + 8         // of a long field
)

// granulesOf returns n bytes in granules, rounded up.
func granulesOf(n uint64) uint64 { return (n + granule - 1) / granule }

// fieldSize returns the bytes that s takes as a field.
func fieldSize(s string) uint64 {
	if len(s) < long {
		return shortHeader + uint64(len(s))
	}
	return longHeader + uint64(len(s))
}

// putField writes s as a field into b and returns what is left of b.
func putField(b []byte, s string) []byte {
	if len(s) < long {
		b[0] = byte(len(s))
		b = b[shortHeader:]
	} else {
		b[0] = long
		binary.LittleEndian.PutUint64(b[shortHeader:], uint64(len(s)))
		b = b[longHeader:]
	}
	return b[copy(b, s):]
}

// header decodes the header of the field at p: its own size, and that of the
// content behind it.
func header(p unsafe.Pointer) (size, content int) {
	if n := *(*uint8)(p); n != long {
		return shortHeader, int(n)
	}
	n := (*[8]byte)(unsafe.Add(p, shortHeader))
	return longHeader, int(binary.LittleEndian.Uint64(n[:]))
}

// fieldLen returns the bytes of the field at p.
func fieldLen(p unsafe.Pointer) uint64 {
	size, content := header(p)
	return uint64(size) + uint64(content)
}

// field returns the content of the field at p, in place.
func field(p unsafe.Pointer) string {
	size, content := header(p)
	if content == 0 {
		return ""
	}
	return unsafe.String((*byte)(unsafe.Add(p, size)), content)
}

// second returns the address of the second field of the record at p, which
// has one.
func second(p unsafe.Pointer) unsafe.Pointer {
	size, content := header(p)
	return unsafe.Add(p, size+content)
}

// fits reports whether b starts with a record. Unlike the functions above it
// believes nothing that the bytes say.
func fits(b []byte, values bool) bool {
	b, ok := skip(b)
	if ok && values {
		_, ok = skip(b)
	}
	return ok
}

// skip returns what follows the field that b starts with, if b has all of it.
func skip(b []byte) (rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, false
	}
	size, content := uint64(shortHeader), uint64(b[0])
	if content == long {
		if len(b) < longHeader {
			return nil, false
		}
		size, content = longHeader, binary.LittleEndian.Uint64(b[shortHeader:])
	}
	if uint64(len(b))-size < content {
		return nil, false
	}
	return b[size+content:], true
}
