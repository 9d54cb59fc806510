//go:build hushmap_invariants

package hushmap

// mtStepCounts returns how often each step of the protocol was taken so far.
func mtStepCounts() []uint64 {
	counts := make([]uint64, protocolSteps)
	for i := range counts {
		counts[i] = stepCounts[i].Load()
	}
	return counts
}
