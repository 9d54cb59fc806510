package peer

import (
	"bytes"

	"github.com/hushmap/hushmap"
)

var hushmapBytesImpl = Impl{
	Name:       SubjectBytes,
	Module:     "github.com/hushmap/hushmap",
	Concurrent: true,
	Remark:     "keys and values copied into the map's own memory, and values out of it",
	Bytes:      func(n, _ int) Bytes { return hushBytes{hushmap.NewBytes(hushmap.WithCapacity(n))} },
}

type hushBytes struct{ m *hushmap.Bytes }

func (b hushBytes) Get(key string, dst []byte) ([]byte, bool) { return b.m.Get(dst, key) }
func (b hushBytes) Delete(key string)                         { b.m.Delete(key) }
func (b hushBytes) Len() int                                  { return b.m.Len() }
func (b hushBytes) Close()                                    {}
func (b hushBytes) MappedBytes() uint64                       { return b.m.Stats().MappedBytes }

func (b hushBytes) Set(key string, value []byte) error {
	b.m.Set(key, value)
	return nil
}

// hushMapBytes is Map[string, []byte], which copies keys by itself.
type hushMapBytes struct {
	mapBytes[hushMap[string, []byte]]
}

func (b hushMapBytes) Set(key string, value []byte) error {
	b.m.Store(key, bytes.Clone(value))
	return nil
}
