//go:build hushmap_invariants

package hushmap

import (
	"math/rand/v2"
	"runtime"
	"time"
)

func evStall() {
	hook := func(protocolStep) {
		switch n := rand.IntN(200); {
		case n == 0:
			time.Sleep(time.Duration(rand.IntN(40)) * time.Microsecond)
		case n < 10:
			runtime.Gosched()
		}
	}
	stepHook.Store(&hook)
}
func evRun() { stepHook.Store(nil) }
