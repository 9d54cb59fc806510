package peer

import (
	"hash/maphash"

	"golang.org/x/sys/cpu"
)

var shardedImpl = Impl{
	Name:       "sharded",
	Concurrent: true,
	Remark:     "64 built-in maps, each behind a sync.RWMutex, chosen by maphash",
	Uint64:     bindShardedUint64,
	String:     bindShardedString,
	Any:        bindShardedAny,
	Bytes:      func(n, _ int) Bytes { return mapBytes[shardedMap[string, []byte]]{sizedSharded[string, []byte](n)} },
}

const shards = 64

type shardedMap[K comparable, V any] struct{ s *shardSet[K, V] }

type shardSet[K comparable, V any] struct {
	seed   maphash.Seed
	shards [shards]struct {
		lockedMap[K, V]
		_ cpu.CacheLinePad
	}
}

func newSharded[K comparable, V any]() shardedMap[K, V] { return sizedSharded[K, V](0) }

func sizedSharded[K comparable, V any](n int) shardedMap[K, V] {
	s := &shardSet[K, V]{seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].m = make(map[K]V, n/shards)
	}
	return shardedMap[K, V]{s}
}

func (a shardedMap[K, V]) shard(k K) *lockedMap[K, V] {
	return &a.s.shards[maphash.Comparable(a.s.seed, k)%shards].lockedMap
}

func (a shardedMap[K, V]) Load(k K) (V, bool)             { return a.shard(k).Load(k) }
func (a shardedMap[K, V]) Store(k K, v V)                 { a.shard(k).Store(k, v) }
func (a shardedMap[K, V]) Delete(k K)                     { a.shard(k).Delete(k) }
func (a shardedMap[K, V]) LoadOrStore(k K, v V) (V, bool) { return a.shard(k).LoadOrStore(k, v) }

func (a shardedMap[K, V]) Range(fn func(K, V) bool) {
	for i := range a.s.shards {
		if !a.s.shards[i].rangeUntil(fn) {
			return
		}
	}
}

func (a shardedMap[K, V]) Len() int {
	n := 0
	for i := range a.s.shards {
		n += a.s.shards[i].Len()
	}
	return n
}
