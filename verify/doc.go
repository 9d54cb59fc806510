// Package verify checks that hushmap.Map is linearizable, and that the check would notice if it were not.
//
//	go test -C verify ./...                        thousands of short histories, a few mutants; about half a minute
//	HUSHMAP_SOAK=10m go test -C verify -timeout 0  histories for ten minutes per test (1: one minute)
//	HUSHMAP_MUTANTS=1 go test -C verify -timeout 0 -run Mutants   every mutant of the engine
//	HUSHMAP_SEED=7 go test -C verify -run Seed     one session again and again, from the seed that a failure printed
//
// HUSHMAP_ARTIFACTS names a directory for the pictures of histories that no order of their operations explains; without
// it they go into the test's temporary directory.
//
// The parts, in the order in which they build on each other:
//
//	internal/history   operations, their time stamps, and what a map may answer: the sequential model
//	internal/drive     sessions: random operations on few hot keys while the table is kept tiny and restless
//	cmd/prey           sessions as a program, to be built against a copy of the engine
//	internal/mutant    such copies: one invariant of docs/design.md broken in each, or none, with stalls between the
//	                   steps of the protocol
//
// The tests run sessions against the engine as it is (linearizable_test.go), against maps with planted bugs
// (fakes_test.go) and against copies (mutants_test.go).
package verify
