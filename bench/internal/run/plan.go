// Package run plans the measurements, has children make them, and collects the records.
package run

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hushmap/hushmap/bench/internal/peer"
	"github.com/hushmap/hushmap/bench/internal/work"
)

// Config is what the flags select. An empty list means the default of each work.
type Config struct {
	Works  []string
	Impls  []string
	Keys   []string
	Mixes  []string
	Sizes  []int
	Procs  []int
	Rounds int
	Time   time.Duration // of one round of a mix
	All    bool
}

// group is a set of measurements that is made together: for throughput and batch, all mixes on the same maps; for the
// other works, one.
type group struct {
	work  string
	keys  string
	n     int
	mixes []work.Mix
	procs []int
}

// selection is what a work covers.
type selection struct {
	keys, mixes  []string
	sizes, procs []int
}

// defaults are the cells that matter most, everything is the rest of the list as well.
var (
	defaults = map[string]selection{
		work.Throughput: {
			keys:  []string{peer.KindUint64, peer.KindString, peer.KindAny},
			mixes: []string{"reads=100", "reads=90", "reads=0"},
			sizes: []int{1_000, 1_000_000}, procs: []int{2},
		},
		work.Batch: {
			keys:  []string{peer.KindUint64, peer.KindString, peer.KindAny},
			mixes: []string{"loads"}, sizes: []int{1_000_000}, procs: []int{2},
		},
		work.Fill:  {keys: []string{peer.KindUint64}, sizes: []int{500_000}, procs: []int{1}},
		work.GC:    {keys: []string{peer.KindUint64, peer.KindString}, sizes: []int{50_000, 300_000}, procs: []int{1}},
		work.Embed: {keys: []string{peer.KindString}, sizes: []int{100_000}, procs: []int{2}},
	}
	everything = map[string]selection{
		work.Throughput: {
			keys: peer.Kinds, mixes: mixNames(work.Throughput),
			sizes: []int{100, 1_000, 100_000, 1_000_000, 10_000_000}, procs: []int{1, 2, 8},
		},
		work.Batch: {
			keys: []string{peer.KindUint64, peer.KindString, peer.KindAny}, mixes: mixNames(work.Batch),
			sizes: []int{1_000, 1_000_000, 10_000_000}, procs: []int{1, 2}, // batches bring nothing to the first
		},
		work.Fill: {
			keys:  []string{peer.KindUint64, peer.KindString, peer.KindAny},
			sizes: []int{100_000, 1_000_000, 10_000_000}, procs: []int{1, 2},
		},
		work.GC: {
			keys:  []string{peer.KindUint64, peer.KindString, peer.KindAny},
			sizes: []int{100_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000}, procs: []int{1},
		},
		work.Embed: {keys: []string{peer.KindString}, sizes: []int{100_000, 1_000_000, 10_000_000}, procs: []int{1, 2}},
	}
)

func mixNames(w string) []string {
	var names []string
	for _, m := range work.Mixes {
		if m.Batch == (w == work.Batch) {
			names = append(names, m.Name)
		}
	}
	return names
}

// selection returns what to cover of a work: the flags, else everything or the default.
func (c Config) selection(w string) selection {
	base := defaults[w]
	if c.All {
		base = everything[w]
	}
	s := selection{
		keys:  within(either(c.Keys, base.keys), everything[w].keys),
		mixes: within(either(c.Mixes, base.mixes), everything[w].mixes),
		sizes: either(c.Sizes, base.sizes),
		procs: either(c.Procs, base.procs),
	}
	if w == work.GC {
		s.procs = base.procs // the map is filled by one goroutine and then left alone
	}
	return s
}

func either[T any](flag, base []T) []T {
	if len(flag) > 0 {
		return flag
	}
	return base
}

func within(list, allowed []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !slices.Contains(allowed, s) })
}

// works returns those named, else all; but batch only with a mix named or with everything, as the default run has no time
// for it.
func (c Config) works() []string {
	if len(c.Works) == 0 && len(c.Mixes) == 0 && !c.All {
		return []string{work.Throughput, work.Fill, work.GC, work.Embed}
	}
	return either(c.Works, work.Works)
}

// plan lists the groups in the order in which they are measured.
func (c Config) plan() []group {
	var groups []group
	for _, w := range c.works() {
		s := c.selection(w)
		for _, keys := range s.keys {
			sizes := s.sizes
			if keys == peer.KindReal {
				sizes = sizes[:1] // the text decides
			}
			for _, n := range sizes {
				groups = append(groups, c.split(group{work: w, keys: keys, n: n, procs: s.procs}, s)...)
			}
		}
	}
	return groups
}

// Validate says whether the flags leave each work that they name something to measure.
func (c Config) Validate() error {
	impls, err := c.implementations()
	if err != nil {
		return err
	}
	for _, w := range c.Works {
		s := c.selection(w)
		if len(s.keys) == 0 {
			return fmt.Errorf("%s has no keys of kind %s, only %s",
				w, strings.Join(c.Keys, ", "), strings.Join(everything[w].keys, ", "))
		}
		if work.Mixed(w) && len(s.mixes) == 0 {
			return fmt.Errorf("%s has no mix %s, only %s", w, strings.Join(c.Mixes, ", "), strings.Join(everything[w].mixes, ", "))
		}
	}
	groups := c.plan()
	if !slices.ContainsFunc(groups, func(g group) bool {
		return slices.ContainsFunc(impls, func(i peer.Impl) bool { return excuse(i, g) == "" })
	}) {
		return errors.New("nothing to measure: no implementation chosen can do any work chosen with these keys")
	}
	return nil
}

// implementations finds those selected.
func (c Config) implementations() ([]peer.Impl, error) {
	if len(c.Impls) == 0 {
		return peer.All(), nil
	}
	var impls []peer.Impl
	for _, name := range c.Impls {
		impl, err := find(name)
		if err != nil {
			return nil, err
		}
		impls = append(impls, impl)
	}
	return impls, nil
}

// split makes a group of its own for each number of goroutines, except for works that are made of mixes.
func (c Config) split(g group, s selection) []group {
	if work.Mixed(g.work) {
		for _, name := range s.mixes {
			if g.keys == peer.KindReal && name == "zipf" {
				continue // words have a distribution of their own
			}
			if m, err := work.FindMix(name); err == nil {
				g.mixes = append(g.mixes, m)
			}
		}
		if len(g.mixes) == 0 {
			return nil
		}
		return []group{g}
	}
	var groups []group
	for _, p := range s.procs {
		one := g
		one.procs = []int{p}
		groups = append(groups, one)
	}
	return groups
}

// excuse says why an implementation has no part in a group, or returns "".
func excuse(impl peer.Impl, g group) string {
	switch {
	case g.work == work.Embed && impl.Bytes == nil:
		return "stores no bytes"
	case g.work == work.Embed:
		return ""
	case impl.BytesOnly():
		return "stores bytes only: see embed"
	case impl.Batches && g.work != work.Batch:
		return "works in batches only: see batch"
	case !impl.Holds(g.keys):
		return "holds no " + g.keys + " keys"
	}
	return ""
}

// unsafeFor says whether an implementation cannot do this with so many goroutines.
func unsafeFor(impl peer.Impl, m work.Mix, procs int) bool {
	return !impl.Concurrent && procs > 1 && m.Writes()
}
