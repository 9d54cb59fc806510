package peer

import (
	"unsafe"

	"github.com/coocood/freecache"
)

var freecacheImpl = Impl{
	Name:       "freecache",
	Module:     "github.com/coocood/freecache",
	Concurrent: true,
	Lossy:      true,
	Remark:     "a ring of fixed size: evicts when a segment is full; room for twice the bytes",
	Bytes:      newFreecache,
}

type freeCache struct{ c *freecache.Cache }

// newFreecache leaves room for twice the bytes, since segments fill unevenly. An entry has a header of 24 bytes.
func newFreecache(n, entryBytes int) Bytes {
	return freeCache{freecache.NewCache(max(512<<10, 2*n*(entryBytes+24)))}
}

// viewBytes reads a string as bytes without a copy; the callee must not write them.
func viewBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

func (f freeCache) Get(key string, dst []byte) ([]byte, bool) {
	v, err := f.c.GetWithBuf(viewBytes(key), dst)
	return v, err == nil
}

func (f freeCache) Set(key string, value []byte) error { return f.c.Set(viewBytes(key), value, 0) }
func (f freeCache) Delete(key string)                  { f.c.Del(viewBytes(key)) }
func (f freeCache) Len() int                           { return int(f.c.EntryCount()) }
func (f freeCache) Close()                             {}
