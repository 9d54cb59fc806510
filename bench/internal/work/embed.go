package work

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hushmap/hushmap/bench/internal/peer"
)

// valueBytes is the length of a value; its first eight bytes are the id of its key.
const valueBytes = 32

// runEmbed uses the store as a cache would: set everything, then one Set in ten Gets. A store that may drop entries by
// design is not wrong when a key is absent, but what is lost is counted and shown; a wrong value is wrong.
func runEmbed(impl peer.Impl, s Spec) (Outcome, error) {
	base := readMemory()
	c := impl.Bytes(s.N, keyBytes+valueBytes)
	defer c.Close()
	out := Outcome{Values: map[string]float64{}}
	out.Values["set"] = setAll(c, s).Seconds() * 1e9 / float64(s.N)
	mixed, err := mixedBytes(c, s)
	if err != nil {
		return out, err
	}
	out.Values["mixed"] = mixed
	if per := readMemory().minus(base).per(s.N); s.N >= smallest {
		out.Values["bytes"] = per.rss
	}
	out.Values["cpu"] = forcedCycles()["cpu"]
	lost, err := countLost(c, s.N)
	if err != nil {
		return out, err
	}
	if lost > 0 && !impl.Lossy {
		return out, wrong("%d entries of %d are lost", lost, s.N)
	}
	if n := c.Len(); n != s.N-lost && !impl.Lossy {
		return out, wrong("length %d, must be %d", n, s.N)
	}
	out.Values["lost"] = float64(lost) / float64(s.N)
	return out, nil
}

func setAll(c peer.Bytes, s Spec) time.Duration {
	var spent atomic.Int64
	inParallel(s, func(ids []uint64) {
		keys := freshStrings(ids)
		var value [valueBytes]byte
		start := clock()
		for i, id := range ids {
			binary.LittleEndian.PutUint64(value[:], id)
			_ = c.Set(keys[i], value[:]) // what is refused shows up as lost
		}
		spent.Add(clock() - start)
	})
	return time.Duration(spent.Load()) / time.Duration(s.Procs)
}

// mixedBytes returns the wall time per operation of all goroutines together.
func mixedBytes(c peer.Bytes, s Spec) (float64, error) {
	var stop, bad atomic.Bool
	var done, spent atomic.Int64
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for g := range s.Procs {
		ids := randomIDs(g, s.N)
		keys := freshStrings(ids)
		wg.Go(func() {
			<-begin
			start, n := clock(), int64(0)
			for ; n == 0 || !stop.Load(); n += blockOps { // one block at least, as in lane.run
				at := int(n) % len(ids)
				if !getOrSet(c, keys[at:at+blockOps], ids[at:at+blockOps]) {
					bad.Store(true)
				}
			}
			spent.Add(clock() - start)
			done.Add(n)
		})
	}
	runtime.GC()
	time.AfterFunc(s.Time, func() { stop.Store(true) })
	close(begin)
	wg.Wait()
	if bad.Load() {
		return 0, wrong("a value that belongs to another key")
	}
	return float64(spent.Load()) / float64(s.Procs) / float64(done.Load()), nil
}

func randomIDs(g, n int) []uint64 {
	rng := rand.New(rand.NewPCG(7, uint64(g)))
	ids := make([]uint64, 1<<18)
	for i := range ids {
		ids[i] = rng.Uint64N(uint64(n))
	}
	return ids
}

// getOrSet sets every tenth key and gets the others; it says whether each value was that of its key.
func getOrSet(c peer.Bytes, keys []string, ids []uint64) bool {
	var buf, value [valueBytes]byte
	good := true
	for i, id := range ids {
		if i%10 == 0 {
			binary.LittleEndian.PutUint64(value[:], id)
			_ = c.Set(keys[i], value[:])
		} else if v, ok := c.Get(keys[i], buf[:0]); ok && !isValue(v, id) {
			good = false
		}
	}
	return good
}

func isValue(v []byte, id uint64) bool {
	return len(v) == valueBytes && binary.LittleEndian.Uint64(v) == id
}

func countLost(c peer.Bytes, n int) (int, error) {
	lost := 0
	var buf [valueBytes]byte
	for id, key := range freshKeys(StringKit(), n) {
		switch v, ok := c.Get(key, buf[:0]); {
		case !ok:
			lost++
		case !isValue(v, id):
			return lost, wrong("key %d has the value of another key", id)
		}
	}
	return lost, nil
}
