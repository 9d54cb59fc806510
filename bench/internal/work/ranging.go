package work

import (
	"sync/atomic"
	"time"
)

// rangeRound lets one goroutine range over the map again and again while the others store and delete. Every pass must see
// each stable key exactly once.
func (r *runner[K, V]) rangeRound(m Mix, procs int, d time.Duration) (Round, error) {
	lanes := r.lay(m, max(procs-1, 1), procs-1)
	var out Round
	var err error
	runLanes(r.m.Run, lanes, d, func(stop *atomic.Bool) {
		start := clock()
		for err == nil && (out.Ops == 0 || !stop.Load()) {
			var n uint64
			n, err = r.rangeOnce()
			out.Ops += n
		}
		out.Elapsed = time.Duration(clock() - start)
	})
	if err != nil {
		return Round{}, err
	}
	return out, r.conclude(m, lanes)
}

func (r *runner[K, V]) rangeOnce() (visited uint64, err error) {
	var stable, sum, own uint64
	limit := uint64(r.u.Stable)
	r.m.Range(func(_ K, v V) bool {
		if id := r.kit.ID(v); id < limit {
			stable++
			sum += id
		} else {
			own++
		}
		return true
	})
	switch {
	case stable != limit || sum != limit*(limit-1)/2:
		return 0, wrong("Range visited %d stable keys of %d", stable, limit)
	case own > uint64(r.u.Own):
		return 0, wrong("Range visited %d own keys, there are only %d", own, r.u.Own)
	}
	return stable + own, nil
}
