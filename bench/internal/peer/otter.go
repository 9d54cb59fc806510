package peer

import (
	"bytes"
	"strings"

	"github.com/maypok86/otter/v2"
)

var otterImpl = Impl{
	Name:       "otter",
	Module:     "github.com/maypok86/otter/v2",
	Concurrent: true,
	Lossy:      true,
	Remark:     "bounded by number of entries, twice those stored: its eviction policy runs but never evicts",
	Bytes:      newOtter,
}

type otterCache struct{ c *otter.Cache[string, []byte] }

func newOtter(n, _ int) Bytes {
	return otterCache{otter.Must(&otter.Options[string, []byte]{MaximumSize: 2 * n})}
}

func (o otterCache) Get(key string, _ []byte) ([]byte, bool) { return o.c.GetIfPresent(key) }
func (o otterCache) Delete(key string)                       { o.c.Invalidate(key) }
func (o otterCache) Close()                                  { o.c.StopAllGoroutines() }

func (o otterCache) Set(key string, value []byte) error {
	o.c.Set(strings.Clone(key), bytes.Clone(value))
	return nil
}

// Len lets pending maintenance finish first: the size is an estimate until then.
func (o otterCache) Len() int {
	o.c.CleanUp()
	return o.c.EstimatedSize()
}
