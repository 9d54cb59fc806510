package work

import "time"

var processStart = time.Now()

// clock returns nanoseconds that never go back. Every time in the results comes from it, so a test can put a clock in its
// place that a fake peer advances, and know what must come out however the machine was scheduled.
var clock = func() int64 { return int64(time.Since(processStart)) }

// SetClockForTest makes another clock the source of all measured times.
func SetClockForTest(nanos func() int64) { clock = nanos }
