package peer

import "github.com/VictoriaMetrics/fastcache"

var fastcacheImpl = Impl{
	Name:       "fastcache",
	Module:     "github.com/VictoriaMetrics/fastcache",
	Concurrent: true,
	Lossy:      true,
	Remark:     "512 rings of fixed size: evicts when one is full; room for twice the bytes",
	Bytes:      newFastcache,
}

type fastCache struct{ c *fastcache.Cache }

// newFastcache leaves room for twice the bytes, since buckets fill unevenly. An entry has a header of 4 bytes.
func newFastcache(n, entryBytes int) Bytes { return fastCache{fastcache.New(2 * n * (entryBytes + 4))} }

func (f fastCache) Get(key string, dst []byte) ([]byte, bool) {
	return f.c.HasGet(dst[:0], viewBytes(key))
}

func (f fastCache) Set(key string, value []byte) error {
	f.c.Set(viewBytes(key), value)
	return nil
}

func (f fastCache) Delete(key string) { f.c.Del(viewBytes(key)) }
func (f fastCache) Close()            { f.c.Reset() }

func (f fastCache) Len() int {
	var s fastcache.Stats
	f.c.UpdateStats(&s)
	return int(s.EntriesCount)
}
