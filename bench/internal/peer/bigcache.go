package peer

import (
	"context"
	"math/bits"
	"time"

	"github.com/allegro/bigcache/v3"
)

var bigcacheImpl = Impl{
	Name:       "bigcache",
	Module:     "github.com/allegro/bigcache/v3",
	Concurrent: true,
	Lossy:      true,
	Remark:     "keys with equal 64-bit hashes replace each other; room for twice the bytes",
	Bytes:      newBigcache,
}

type bigCache struct{ c *bigcache.BigCache }

// newBigcache asks for no expiry, and leaves room for twice the bytes, since shards fill unevenly and one that is full copies
// itself to one of twice the size. An entry has a header of some 20 bytes.
func newBigcache(n, entryBytes int) Bytes {
	config := bigcache.DefaultConfig(24 * time.Hour)
	config.CleanWindow = 0
	config.MaxEntriesInWindow = n
	config.MaxEntrySize = 2 * entryBytes
	config.Shards = max(1, min(1024, 1<<bits.Len(uint(n/64))))
	config.Verbose = false
	c, err := bigcache.New(context.Background(), config)
	if err != nil {
		panic(err) // only a wrong configuration fails
	}
	return bigCache{c}
}

func (b bigCache) Get(key string, _ []byte) ([]byte, bool) {
	v, err := b.c.Get(key)
	return v, err == nil
}

func (b bigCache) Set(key string, value []byte) error { return b.c.Set(key, value) }
func (b bigCache) Delete(key string)                  { _ = b.c.Delete(key) } // the error says absent
func (b bigCache) Len() int                           { return b.c.Len() }
func (b bigCache) Close()                             { _ = b.c.Close() }
