// Package bench compares hushmap with other concurrent maps and with caches.
//
// The comparison with its report is a program:
//
//	go run -C bench ./cmd/hushbench -help
//
// Its work batch compares hushmap's LoadBatch, StoreBatch and DeleteBatch, with 64 keys each, with single calls: those of
// hushmap and of the peers, none of which has batches, on the same keys in the same order. All find the keys laid out in
// slices, made before the time begins, as copies of the keys in the map; so filling a slice of keys is timed for nobody,
// and looking at every value that is found is for all.
//
//	go run -C bench ./cmd/hushbench -work batch -all
//
// The same cells exist as benchmarks, for benchstat and profiles:
//
//	go test -C bench -bench 'Load/impl=(hushmap|xsync)/keys=uint64' -cpu 1,2 -count 6
//
// Each benchmark runs with as many goroutines as -cpu says, on maps of -bench.n entries.
package bench
