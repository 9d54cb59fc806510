package result

import (
	"errors"
	"math"
	"slices"
)

// Change is how one record differs between two runs.
type Change struct {
	Cell
	Impl     string
	Old, New float64
	Ratio    float64 // new / old: below 1 the new run is better
	Clear    bool    // the samples of the two runs do not overlap
}

// Compare matches two runs by cell and implementation, the largest change first.
func Compare(before, after *File) ([]Change, error) {
	var changes []Change
	for _, o := range before.Records {
		n := after.find(o.Cell, o.Impl)
		was, ok := o.Median()
		is, ok2 := n.Median()
		if !ok || !ok2 {
			continue
		}
		changes = append(changes, Change{
			Cell: o.Cell, Impl: o.Impl, Old: was, New: is,
			Ratio: max(is, minValue) / max(was, minValue),
			Clear: slices.Max(n.Samples) < slices.Min(o.Samples) || slices.Max(o.Samples) < slices.Min(n.Samples),
		})
	}
	if len(changes) == 0 {
		return nil, errors.New("the two runs have no measurement in common")
	}
	slices.SortStableFunc(changes, func(a, b Change) int {
		x, y := math.Abs(math.Log(a.Ratio)), math.Abs(math.Log(b.Ratio))
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return changes, nil
}
