package peer

import (
	"bytes"
	"strings"
)

// Bytes is a store of string keys and byte values, as a cache author embeds it. Keys and values are views of the
// caller's buffers, which are used again: who keeps them copies them. An operation takes long enough here that the
// interface call, the same for all, does not matter.
type Bytes interface {
	// Get returns the value, in dst if the store copies it out, or the stored bytes themselves.
	Get(key string, dst []byte) ([]byte, bool)
	Set(key string, value []byte) error
	Delete(key string)
	Len() int
	Close()
}

// mapBytes is the store built on a map that keeps what it is given.
type mapBytes[M Map[string, []byte]] struct{ m M }

func (b mapBytes[M]) Get(key string, _ []byte) ([]byte, bool) { return b.m.Load(key) }
func (b mapBytes[M]) Delete(key string)                       { b.m.Delete(key) }
func (b mapBytes[M]) Len() int                                { return b.m.Len() }
func (b mapBytes[M]) Close()                                  {}

func (b mapBytes[M]) Set(key string, value []byte) error {
	b.m.Store(strings.Clone(key), bytes.Clone(value))
	return nil
}

// MappedBytes passes the question on, and is 0 for maps on the Go heap.
func (b mapBytes[M]) MappedBytes() uint64 {
	if m, ok := any(b.m).(Mapper); ok {
		return m.MappedBytes()
	}
	return 0
}
