// Package bench compares hushmap with other concurrent maps and with caches.
//
// The comparison with its report is a program:
//
//	go run -C bench ./cmd/hushbench -help
//
// The same cells exist as benchmarks, for benchstat and profiles:
//
//	go test -C bench -bench 'Load/impl=(hushmap|xsync)/keys=uint64' -cpu 1,2 -count 6
//
// Each benchmark runs with as many goroutines as -cpu says, on maps of -bench.n entries.
package bench
