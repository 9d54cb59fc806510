// This file is responsible for the names of the steps at which tests can stop the protocol.

package hushmap

// protocolStep names a point of the protocol between two steps of which another goroutine may see the first
// without the second. Builds with the tag hushmap_invariants count them and may stall there; in all others they
// vanish.
type protocolStep uint8

const (
	stepLocked           protocolStep = iota // a bucket was locked
	stepSlotStored                           // I3: words are in the slot, the tophash byte is not
	stepTophashPublished                     // I3, I4: the tophash word has changed
	stepVersionPublished                     // I4: the version has changed, the slot is not cleared
	stepWriting                              // I5: a wide value is about to be written in place
	stepRaised                               // I3: an overflow count was raised, its entry is not there yet
	stepLowered                              // I3: an overflow count was lowered
	stepAdopted                              // I8: entries are in the new table and still in the old one
	stepFrozen                               // I8: an old bucket is frozen
	stepPublished                            // a new read map is visible
	stepObserved                             // I6: a reader has control and tophash, not the words
	stepCopied                               // I6: a reader has the words and has not checked them
	stepTableMade                            // I10: a table is there that nobody knows of yet; core.mu is held
	protocolSteps
)
