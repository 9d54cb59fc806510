// Package verify checks that hushmap.Map and hushmap.Bytes are linearizable, and that the check would notice if they
// were not.
//
//	go test -C verify -v ./...                     thousands of short histories, a few mutants; about a minute
//	HUSHMAP_SOAK=10m go test -C verify -timeout 0  histories and experiments for ten minutes per test (1: one minute)
//	HUSHMAP_MUTANTS=1 go test -C verify -v -timeout 0 -run 'Mutants|Unmutated'   every mutant of the engine: ten minutes
//	HUSHMAP_SEED=7 go test -C verify -run Seed     one session again and again, from the seed that a failure printed
//
// HUSHMAP_ARTIFACTS names a directory for the pictures of histories that no order of their operations explains; without
// it they go into the test's temporary directory. What a run has done and left out is said at the end of its output.
//
// # Two ways to look
//
// A session plays random operations on few hot keys while other keys come and go, so that the table is tiny and grows,
// shrinks and is rebuilt all the time. Every operation is recorded with its interval, and porcupine looks for an order that
// explains all results. The operations are those of sync.Map, Compute, LoadOrCompute and Clear, those of Bytes, the functions
// that take a key as bytes, and the batches, of which every part is an operation by itself. What is not linearizable
// (Range, DeleteFunc, Len) is checked against what each goroutine knows of the keys that only it writes.
//
// An experiment knows what must come out without a record. Two goroutines that store and then load each other's key find
// one of the two; a key that is overwritten all the time is never missed and never goes back; a value that was seen and
// gone is not seen again; those who compute one missing key at once run one function; Len is never ahead of what can be
// found; and one write moves a bounded part of a table. An experiment sees what is rare, as nothing is between its
// operations; a session sees what nobody thought of.
//
// # Mutants
//
// A mutant is the engine with one invariant of docs/design.md broken. It is built with stalls between the steps of the
// protocol, with growth bucket by bucket and with arenas that are rebuilt after a few dead strings. One of the checks that
// the mutant names must catch it, as anything else may have another reason, and the same build of the engine as it is must
// pass. The maps of fakes_test.go do the same for the checks: each has one bug, which a check of a given name must find.
//
// # The parts, in the order in which they build on each other
//
//	internal/history   operations, their time stamps, and what a map may answer: the sequential model
//	internal/drive     sessions and experiments
//	cmd/prey           both as a program, to be built against mutants
//	internal/mutant    the list of mutants, and how they are built and run
//
// The tests run sessions and experiments against the engine as it is (linearizable_test.go), against maps with planted bugs
// (fakes_test.go) and against mutants (mutants_test.go).
package verify
