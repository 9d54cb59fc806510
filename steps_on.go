//go:build hushmap_invariants

package hushmap

import "sync/atomic"

// invariants says whether this build checks itself after each mutation.
const invariants = true

var (
	stepCounts [protocolSteps]atomic.Uint64
	stepHook   atomic.Pointer[func(protocolStep)] // a test's stall; nil: none
)

func step(s protocolStep) {
	stepCounts[s].Add(1)
	if hook := stepHook.Load(); hook != nil {
		(*hook)(s)
	}
}
