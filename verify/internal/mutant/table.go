// This file is the list of mutants. When one is outdated, the engine has changed where an invariant is kept: find the
// new place, and break it there.

package mutant

import (
	"slices"

	"github.com/hushmap/hushmap/verify/internal/drive"
)

// Most mutants show in several ways, and it is chance which comes first.
var (
	// wrong are results that cannot be: an entry is missed, or comes back, or is two.
	wrong = []drive.Check{drive.CheckHistory, drive.CheckStays, drive.CheckReturns, drive.CheckFillers, drive.CheckRange,
		drive.CheckLen, drive.CheckBatch, drive.CheckOnce, drive.CheckLitmus}
	// wild are words taken for a pointer or a length that are none.
	wild = []drive.Check{CheckFault, CheckCrash}
	// torn are words that do not belong together, and what comes of it when they are followed.
	torn = append([]drive.Check{drive.CheckTorn}, wild...)
	// misplaced is what the engine says of entries that are where no search finds them, twice there, or not at all.
	misplaced = asserted("I1", "I3", "I7", "I11")
	// corrupt is what comes of two that change a bucket at once: anything can be wrong with it.
	corrupt = append(asserted("I1", "I2, I8", "I3", "I4", "I5", "I7", "I8", "I11"), drive.CheckPanic)
	// hang is for mutants of which a lock may stay locked, or a growth unfinished. Others that seem to hang have no processor.
	hang = []drive.Check{drive.CheckHang}
)

// asserted is what the engine says about itself of these invariants, in a panic or by Verify.
func asserted(invariants ...string) (list []drive.Check) {
	for _, i := range invariants {
		list = append(list, numbered(drive.CheckPanic, i), numbered(drive.CheckVerify, i))
	}
	return list
}

// Table has at least one mutant for each invariant of docs/design.md.
var Table = []Mutant{
	{
		Invariant: "I1", Description: "a lock is taken by a load and a store", File: "barrier.go", Ordinary: true,
		By: slices.Concat(wrong, torn, corrupt, hang),
		Old: `	if control(c)&(controlLock|controlMoved) != 0 || !b.control.CompareAndSwap(c, c|uint64(controlLock)) {
		return false
	}
`,
		New: `	if control(c)&(controlLock|controlMoved) != 0 {
		return false
	}
	if invariants {
		step(stepLocked)
	}
	b.control.Store(c | uint64(controlLock))
`,
	},
	{
		Invariant: "I2", Description: "a lock before home is waited for", File: "table.go",
		By: hang,
		Old: `	if i > home {
		return t.bucket(i).lock()
	}
	return t.bucket(i).tryLock()
`,
		New: `	return t.bucket(i).lock()
`,
	},
	{
		Invariant: "I2", Description: "a bucket behind home is changed without its lock", File: "table.go", Ordinary: true,
		By: slices.Concat(wrong, torn, corrupt),
		Old: `	if i > home {
		return t.bucket(i).lock()
	}
	return t.bucket(i).tryLock()
`,
		New: `	return !t.bucket(i).observe().moved()
`,
	},
	{
		Invariant: "I3", Description: "the tophash byte is published before the words", File: "bucket.go", Ordinary: true,
		By: slices.Concat(wrong, torn),
		Old: `	b.storeSlot(tr, i, key, value)
	b.publishTophash(swar.With(b.tophashLocked(), i, th))
`,
		New: `	b.publishTophash(swar.With(b.tophashLocked(), i, th))
	b.storeSlot(tr, i, key, value)
`,
	},
	{
		Invariant: "I3", Description: "home does not count an entry that is displaced", File: "table.go", Ordinary: true,
		By: slices.Concat(wrong, misplaced),
		Old: `	t.bucket(p.home).raiseLocked()
	i, n :=`,
		New: `	i, n :=`,
	},
	{
		Invariant: "I3", Description: "counts are lowered before the entry is gone", File: "table.go",
		By: slices.Concat(wrong, misplaced),
		Old: `func (t *table[K, V]) removeUnlock(p *place[K, V]) {
`,
		New: `func (t *table[K, V]) removeUnlock(p *place[K, V]) {
	if p.bucket != p.home {
		for i := p.home; i != p.bucket; i = (i + 1) & t.mask {
			if i == p.home {
				t.bucket(i).lowerLocked()
			} else if i < p.bucket && t.bucket(i).tryLock() {
				t.bucket(i).lowerLocked()
				t.bucket(i).release()
			}
		}
		b := t.bucket(p.bucket)
		switch {
		case t.inRecords():
			b.records().removeLocked(t.traits, p.slot)
		case t.inArena():
			b.refs().removeLocked(t.traits, p.slot)
		default:
			b.removeLocked(t.traits, p.slot)
		}
		t.unlock(p)
		return
	}
`,
	},
	{
		Invariant: "I4", Description: "removal leaves the version as it is", File: "bucket.go", Ordinary: true,
		By: slices.Concat(wrong, torn),
		Old: `	b.publishTophash(swar.With(b.tophashLocked(), i, 0))
	b.bump()
`,
		New: `	b.publishTophash(swar.With(b.tophashLocked(), i, 0))
`,
	},
	{
		Invariant: "I4", Description: "a slot is cleared before its entry is gone", File: "bucket.go", Ordinary: true,
		By: slices.Concat(wrong, torn),
		Old: `	b.publishTophash(swar.With(b.tophashLocked(), i, 0))
	b.bump()
	b.clearSlot(tr, i)
}
`,
		New: `	b.clearSlot(tr, i)
	if invariants {
		step(stepVersionPublished)
	}
	b.publishTophash(swar.With(b.tophashLocked(), i, 0))
	b.bump()
}
`,
	},
	{
		Invariant: "I4", Description: "a slot is cleared before the version changes", File: "bucket.go", Ordinary: true,
		By: slices.Concat(wrong, torn),
		Old: `	b.bump()
	b.clearSlot(tr, i)
}
`,
		New: `	b.clearSlot(tr, i)
	if invariants {
		step(stepVersionPublished)
	}
	b.bump()
}
`,
	},
	{
		Invariant: "I4", Description: "a removed entry is not cleared", File: "bucket.go",
		By: asserted("I4"),
		Old: `	b.publishTophash(swar.With(b.tophashLocked(), i, 0))
	b.bump()
	b.clearSlot(tr, i)
`,
		New: `	b.publishTophash(swar.With(b.tophashLocked(), i, 0))
	b.bump()
`,
	},
	{
		Invariant: "I5", Description: "a wide value is written in place without a mark", File: "bucket.go", Words: true,
		By: slices.Concat(wrong, torn),
		Old: `		b.beginWriting()
		b.storeValue(tr, i, value)
		b.endWriting()
`,
		New: `		b.storeValue(tr, i, value)
		b.bump()
`,
	},
	{
		Invariant: "I5", Description: "a relocated entry leaves the version as it is", File: "bucket.go", Ordinary: true,
		By: slices.Concat(wrong, torn),
		Old: `	b.publishTophash(swar.With(swar.With(w, j, swar.Byte(w, i)), i, 0))
	b.bump()
`,
		New: `	b.publishTophash(swar.With(swar.With(w, j, swar.Byte(w, i)), i, 0))
`,
	},
	{
		Invariant: "I5", Description: "a relocated entry is gone for a moment", File: "bucket.go", Ordinary: true,
		By: wrong,
		Old: `	b.publishTophash(swar.With(swar.With(w, j, swar.Byte(w, i)), i, 0))
`,
		New: `	b.publishTophash(swar.With(w, i, 0))
	b.publishTophash(swar.With(swar.With(w, j, swar.Byte(w, i)), i, 0))
`,
	},
	{
		Invariant: "I5", Description: "a string of another length is written in place without a mark", File: "barrier.go", Ordinary: true,
		By: slices.Concat(wrong, torn),
		Old: `		if (*[2]uintptr)(to)[1] != (*[2]uintptr)(from)[1] {
			return false
		}
`,
		New: `		if (*[2]uintptr)(to)[1] != (*[2]uintptr)(from)[1] {
			b.storeValue(tr, i, value)
			return true
		}
`,
	},
	{
		Invariant: "I6", Description: "a value is believed without a second look", File: "barrier.go", Ordinary: true,
		By: slices.Concat(wrong, torn),
		Old: `	return control(b.control.Load())&stateMask == c&^(controlMoved|controlWriting)&stateMask
`,
		New: `	return true
`,
	},
	{
		// Only keys in slots are ever torn, and only one that holds a string or an interface can be looked into; see the traps
		// among the keys of package drive.
		Invariant: "I6", Description: "a wide key is compared before it is validated", File: "bucket.go", Words: true,
		By: wild,
		On: "any to [3]uint64",
		Old: `		if unsafe.Sizeof(key) > wordSize && !b.unchanged(c) {
			return -1, false // a torn string or interface must not be looked into (I6)
		}
`,
		New: `		if unsafe.Sizeof(key) == 0 {
			return -1, false
		}
`,
	},
	{
		Invariant: "I6", Description: "a wide key at home is compared before it is validated", File: "readmap.go", Words: true,
		By: wild,
		On: "any to [3]uint64",
		Old: `				if unsafe.Sizeof(key) > wordSize && !b.unchanged(state) {
`,
		New: `				if unsafe.Sizeof(key) == 0 {
`,
	},
	{
		Invariant: "I6", Description: "a value beside a ref is believed without a second look", File: "readmap.go", Ordinary: true,
		By: slices.Concat(wrong, torn),
		On: "string to string",
		Old: `
			if b.settled(state) {
`,
		New: `
			if b.settled(state) || inArena {
`,
	},
	{
		Invariant: "I6", Description: "a value beside a ref to a medium string is believed without a second look", File: "readmap.go",
		By: slices.Concat(wrong, torn),
		On: "string to string",
		Old: `
					if b.settled(state) {
						runtime.KeepAlive(rm)
						return value, true
					}
					break medium
`,
		New: `
					if b.settled(state) || true {
						runtime.KeepAlive(rm)
						return value, true
					}
					break medium
`,
	},
	{
		Invariant: "I6", Description: "a value beside a ref to a short string is believed without a second look", File: "readmap.go",
		By: slices.Concat(wrong, torn),
		On: "string to string",
		Old: `
					if b.settled(state) {
						runtime.KeepAlive(rm)
						return value, true
					}
					break short
`,
		New: `
					if b.settled(state) || true {
						runtime.KeepAlive(rm)
						return value, true
					}
					break short
`,
	},
	{
		// The like of it for medium and short strings takes three operations in one gap of a fourth, which chance brings about too seldom.
		// The engine's TestReaderAsleepWhileASlotIsReused catches all three.
		Invariant: "I6", Description: "a bucket that changed meanwhile is believed to lack a key", File: "readmap.go",
		By: wrong,
		Old: `
		if i == rm.mask || state&overflowMask == 0 || !b.settled(state) {
`,
		New: `
		if i == rm.mask || state&overflowMask == 0 {
`,
	},
	{
		Invariant: "I6", Description: "a record is believed without a second look", File: "bytes.go", On: "Bytes",
		By: wrong,
		Old: `			if b.settled(state) {
`,
		New: `			if b.settled(state) || true {
`,
	},
	{
		Invariant: "I6", Description: "a batch believes a value without a second look", File: "batch.go",
		By: slices.Concat(wrong, torn),
		Old: `	return value, k.bucket.settled(k.state)
`,
		New: `	return value, true
`,
	},
	{
		Invariant: "I6", Description: "a batch compares a wide key before it is validated", File: "batch.go", Words: true,
		By: wild,
		On: "any to [3]uint64",
		Old: `		if unsafe.Sizeof(key) > wordSize && !k.bucket.unchanged(k.state) || stored != key {
`,
		New: `		if unsafe.Sizeof(key) == 0 || stored != key {
`,
	},
	{
		Invariant: "I8", Description: "entries that find no room in a pair are forgotten", File: "grow.go",
		By: slices.Concat(wrong, misplaced),
		Old: `		living = e.adoptHomes(i, living, &next)
`,
		New: `		living = e.adoptHomes(i, living, &next) & 0
`,
	},
	{
		Invariant: "I7", Description: "displaced keys are not looked for", File: "readmap.go",
		By: wrong,
		Old: `
		if match == 0 && state&(overflowMask|controlMoved) == 0 {
`,
		New: `
		if match == 0 && state&controlMoved == 0 {
`,
	},
	{
		Invariant: "I7", Description: "displaced medium strings are not looked for", File: "readmap.go",
		By: wrong,
		On: "string to string",
		Old: `		medium:
			for i := rm.home(h); ; i++ {
				b := bucketAt[ref, V](rm.base, i) // see table.bucket
				state := b.observe()
				match := swar.Match(b.observeTophash(), tophash(h))
				if match == 0 && state&(overflowMask|controlMoved) == 0 {
`,
		New: `		medium:
			for i := rm.home(h); ; i++ {
				b := bucketAt[ref, V](rm.base, i) // see table.bucket
				state := b.observe()
				match := swar.Match(b.observeTophash(), tophash(h))
				if match == 0 && state&controlMoved == 0 {
`,
	},
	{
		Invariant: "I7", Description: "displaced short strings are not looked for", File: "readmap.go",
		By: wrong,
		On: "string to string",
		Old: `		short:
			for i := rm.home(h); ; i++ {
				b := bucketAt[ref, V](rm.base, i) // see table.bucket
				state := b.observe()
				match := swar.Match(b.observeTophash(), tophash(h))
				if match == 0 && state&(overflowMask|controlMoved) == 0 {
`,
		New: `		short:
			for i := rm.home(h); ; i++ {
				b := bucketAt[ref, V](rm.base, i) // see table.bucket
				state := b.observe()
				match := swar.Match(b.observeTophash(), tophash(h))
				if match == 0 && state&controlMoved == 0 {
`,
	},
	{
		Invariant: "I7", Description: "a search goes on behind the end of the table", File: "readmap.go",
		By: slices.Concat(wrong, wild, hang),
		Old: `
		if i == rm.mask || state&overflowMask == 0 || !b.settled(state) {
`,
		New: `
		if state&overflowMask == 0 || !b.settled(state) {
`,
	},
	{
		Invariant: "I7", Description: "a search for a medium string goes on behind the end of the table", File: "readmap.go",
		By: slices.Concat(wrong, wild, hang),
		On: "string to string",
		Old: `
					break medium
				}
				if i == rm.mask || state&overflowMask == 0 || !b.settled(state) {
`,
		New: `
					break medium
				}
				if state&overflowMask == 0 || !b.settled(state) {
`,
	},
	{
		Invariant: "I7", Description: "a search for a short string goes on behind the end of the table", File: "readmap.go",
		By: slices.Concat(wrong, wild, hang),
		On: "string to string",
		Old: `
					break short
				}
				if i == rm.mask || state&overflowMask == 0 || !b.settled(state) {
`,
		New: `
					break short
				}
				if state&overflowMask == 0 || !b.settled(state) {
`,
	},
	{
		Invariant: "I7", Description: "displaced records are not looked for", File: "bytes.go", On: "Bytes",
		By: wrong,
		Old: `		if match == 0 && state&(overflowMask|controlMoved) == 0 {
`,
		New: `		if match == 0 && state&controlMoved == 0 {
`,
	},
	{
		Invariant: "I7", Description: "a bucket that has moved is believed to lack a key", File: "table.go", Ordinary: true,
		By: wrong,
		Old: `		if c.moved() {
			r = moved
		}
`,
	},
	{
		// The like of it in core.lookup, which only looks at a table that was current when it began, would change nothing: a
		// bucket that has moved since then says what was true during the call.
		Invariant: "I7", Description: "a bucket that has moved is believed to have a key", File: "table.go", Ordinary: true,
		By: wrong,
		Old: `		for tries := 0; slot >= 0 && !c.moved(); tries++ {
`,
		New: `		for tries := 0; slot >= 0; tries++ {
`,
		More: []Edit{{"barrier.go", "== c&^(controlMoved|controlWriting)&stateMask", "== c&^controlWriting&stateMask"}},
	},
	{
		// It takes a key of one word, as wider ones are looked at again before they are compared, and one with a pointer, whose
		// slot is cleared when its entry goes to another one.
		Invariant: "I7", Description: "a candidate that did not match is not looked at again", File: "bucket.go",
		By: wrong,
		On: "pointer to string",
		Old: `	return -1, b.unchanged(c)
}
`,
		New: `	b.unchanged(c)
	return -1, true
}
`,
	},
	{
		Invariant: "I8", Description: "a bucket is frozen before its entries are in the new table", File: "grow.go", Ordinary: true,
		By: append(slices.Concat(wrong, misplaced), drive.CheckPanic), // the next growth can come before the entries
		Old: `	for ; living != 0; living = swar.Next(living) {
		s := swar.First(living)
		e.adopt(b, s, next[s])
		if invariants {
			step(stepAdopted)
		}
	}
	b.freezeUnlock()
`,
		New: `	b.freezeUnlock()
	for ; living != 0; living = swar.Next(living) {
		s := swar.First(living)
		e.adopt(b, s, next[s])
		if invariants {
			step(stepAdopted)
		}
	}
`,
	},
	{
		Invariant: "I8", Description: "a frozen bucket can be locked", File: "barrier.go", Ordinary: true,
		By:  slices.Concat(wrong, corrupt, hang),
		Old: `	if control(c)&(controlLock|controlMoved) != 0 ||`,
		New: `	if control(c)&controlLock != 0 ||`,
	},
	{
		Invariant: "I8", Description: "a frozen bucket is emptied", File: "grow.go",
		By: wrong,
		Old: `	b.freezeUnlock()
`,
		New: `	b.publishTophash(0)
	if invariants {
		step(stepFrozen)
	}
	b.freezeUnlock()
`,
	},
	{
		// With a second look at the new table for what has moved meanwhile, the order would not matter to anyone.
		Invariant: "I8", Description: "the new table is looked into before the old one", File: "readmap.go", Ordinary: true,
		By: wrong,
		Old: `	if e := rm.old; e != nil {
		if v, r := e.lookup(key, e.hash(key)); r != moved {
			return v, r
		}
	}
	return rm.lookup(key, rm.hash(key))
`,
		New: `	v, r := rm.lookup(key, rm.hash(key))
	if e := rm.old; e != nil && r == absent {
		if v, r := e.lookup(key, e.hash(key)); r == hit {
			return v, r
		}
	}
	return v, r
`,
	},
	{
		Invariant: "I9", Description: "a writer does not evacuate its key's path", File: "write.go", Ordinary: true,
		By: slices.Concat(wrong, misplaced),
		Old: `	rm.old.evacuatePath(key)
`,
	},
	{
		Invariant: "I9", Description: "a writer evacuates its key's home bucket only", File: "grow.go", Ordinary: true,
		By: slices.Concat(wrong, misplaced),
		Old: `		e.evacuate(i, true)
		if e.bucket(i).observe().overflow() == 0 {
			return
		}
	}
`,
		New: `		e.evacuate(i, true)
		return
	}
`,
	},
	{
		Invariant: "I10", Description: "writers evacuate the whole table", File: "write.go", Ordinary: true,
		By: []drive.Check{drive.CheckBounded},
		Old: `	c.helpOld(rm, c.options().tuning.chunk, true)
`,
		New: `	c.helpOld(rm, rm.old.buckets(), true)
`,
	},
	{
		Invariant: "I10", Description: "whoever begins a growth moves all, under the lock of transitions", File: "readmap.go",
		Ordinary: true,
		By:       []drive.Check{drive.CheckBounded},
		Old: `		return c.resizeLocked(rm, n, seed, tr)
`,
		New: `		next := c.resizeLocked(rm, n, seed, tr)
		if next != nil {
			next.old.drain()
		}
		return next
`,
	},
	{
		Invariant: "I10", Description: "writers do not help", File: "write.go", Ordinary: true,
		By: []drive.Check{drive.CheckBounded},
		Old: `	c.helpOld(rm, c.options().tuning.chunk, true)
`,
	},
	{
		Invariant: "I11", Description: "a removal is counted after it can be seen", File: "write.go", Ordinary: true,
		By: append(asserted("I11"), drive.CheckLen),
		Old: `	n := rm.length.Removed(here()) // before anyone can see it, or Len could exceed what was ever stored
	if rm.inArena() {
		dead := rm.bucket(p.bucket).loadRef(rm.traits, p.slot)
		rm.removeUnlock(p)
		c.discard(rm, dead)
	} else {
		rm.removeUnlock(p)
	}
`,
		New: `	if rm.inArena() {
		dead := rm.bucket(p.bucket).loadRef(rm.traits, p.slot)
		rm.removeUnlock(p)
		c.discard(rm, dead)
	} else {
		rm.removeUnlock(p)
	}
	if invariants {
		step(stepLowered)
	}
	n := rm.length.Removed(here())
`,
		More: []Edit{
			{"write.go", "		n := rm.length.Removed(here()) // as in removeUnlock\n", ""},
			{"write.go", `		b.unlock()
		if inArena {
			c.discard(rm, dead)
`, `		if invariants {
			step(stepLowered)
		}
		n := rm.length.Removed(here())
		b.unlock()
		if inArena {
			c.discard(rm, dead)
`},
		},
	},
	{
		Invariant: "I11", Description: "an insertion is counted before it can be seen", File: "write.go", Ordinary: true,
		By: append(asserted("I11"), drive.CheckLen),
		Old: `	in, distance := rm.insertLocked(p, key, value)
	if in != inserted {
`,
		New: `	n := rm.length.Inserted(here())
	in, distance := rm.insertLocked(p, key, value)
	if in != inserted {
		rm.length.Removed(here())
`,
		More: []Edit{
			{"write.go", "	n := rm.length.Inserted(here())\n	rm.release(p)\n", "	rm.release(p)\n"},
			{"write.go", `	if i, th := swar.First(free), tophash(s.hash); rm.inArena() {
`, `	if rm.inArena() {
		return false
	}
	n := rm.length.Inserted(here())
	if i, th := swar.First(free), tophash(s.hash); rm.inArena() {
`},
			{"write.go", `	n := rm.length.Inserted(here())
	if invariants {
`, `	if invariants {
`},
		},
	},
	{
		Invariant: "I11", Description: "Len reads removals first", File: "internal/stripe/stripe.go",
		By: []drive.Check{drive.CheckLen},
		Old: `func (c *Counter) sums() (inserted, removed uint64) {
`,
		New: `func (c *Counter) sums() (inserted, removed uint64) {
	before := uint64(0)
	for p := c; p != nil; p = p.prev {
		before += p.one.removed.Load()
		for i := range p.many {
			before += p.many[i].removed.Load()
		}
	}
	for range 4 { // nothing else stalls here
		runtime.Gosched()
	}
	defer func() { removed = before }()
`,
		More: []Edit{{"internal/stripe/stripe.go", "import (\n", "import (\n	\"runtime\"\n"}},
	},
	{
		Invariant: "fences", Description: "unlocking is no fence", File: "barrier.go", NoStalls: true, On: "int to int",
		By: []drive.Check{drive.CheckLitmus},
		Old: `	b.control.Store(uint64(b.controlLocked() &^ controlLock))
`,
		New: `	b.publishControl(b.controlLocked() &^ controlLock)
`,
	},
	{
		Invariant: "race", Description: "words are stored without atomics", File: "barrier_atomic.go", Race: true,
		By: []drive.Check{CheckRace},
		Old: `func storeWords[T any](dst *T, src T, tr *traits, p part) {
`,
		New: `func storeWords[T any](dst *T, src T, tr *traits, p part) {
	if tr != nil {
		*dst = src
		return
	}
`,
	},
	{
		Invariant: "Clear", Description: "Clear keeps the table it found", File: "readmap.go", Ordinary: true,
		By: []drive.Check{drive.CheckHistory},
		Old: `	c.read.Store(nil)
`,
		New: `	if rm := c.read.Load(); rm != nil && rm.old != nil {
		return
	}
	c.read.Store(nil)
`,
	},
	{
		Invariant: "Compute", Description: "Compute applies without a look", File: "compute.go", Ordinary: true,
		By: []drive.Check{drive.CheckHistory},
		Old: `		if !c.stillLocked(rm, &p, &old, loaded) {
`,
		New: `		if !c.stillLocked(rm, &p, &old, loaded) && (p.slot >= 0) != loaded {
`,
	},
	{
		Invariant: "flights", Description: "a flight has ended before its value is there", File: "flight.go", Ordinary: true,
		By: []drive.Check{drive.CheckOnce, drive.CheckHistory},
		Old: `	if publish != nil {
		publish()
	}
	delete(r.byID, f.id)
	if r.byKey[key] == f {
		delete(r.byKey, key)
	}
`,
		New: `	delete(r.byID, f.id)
	if r.byKey[key] == f {
		delete(r.byKey, key)
	}
	if publish != nil {
		r.mu.Unlock()
		publish()
		r.mu.Lock()
	}
`,
	},
	{
		Invariant: "arena", Description: "a ref is published before its bytes are written", File: "write.go", Ordinary: true,
		By: slices.Concat(wrong, torn, misplaced),
		Old: `		at = a.AddPair(here(), stringOf(key), stringOf(value))
	} else {
		at = a.Add(here(), stringOf(key))
	}
`,
		New: `		at, p.later = a.AddPairLater(here(), stringOf(key), stringOf(value))
	} else {
		at, p.later = a.AddLater(here(), stringOf(key))
	}
`,
		More: []Edit{
			{"write.go", "	in, distance := rm.insertLocked(p, key, value)\n", `	in, distance := rm.insertLocked(p, key, value)
	if p.later != nil {
		p.later()
	}
`},
			{"write.go", "		return false\n	}\n	rm.overwriteLocked(p, value)\n", `		return false
	}
	rm.overwriteLocked(p, value)
	if invariants {
		step(stepSlotStored)
	}
	p.later()
`},
			// The check that runs under the lock would see it at once; it is readers who are to see it.
			{"table.go", "func (t *table[K, V]) checkLocked(i uint64) {\n", "func (t *table[K, V]) checkLocked(i uint64) {\n	if t.inArena() {\n		return\n	}\n"},
			{"table.go", "	ref    ref    // what", "	later  func()\n	ref    ref    // what"},
			{"internal/arena/arena.go", "// Copy copies up to MaxCopies records", `func (a *Arena) AddLater(hint uint64, key string) (Ref, func()) {
	r, b := a.reserve(hint, granulesOf(fieldSize(key)))
	return r, func() { putField(b, key) }
}

func (a *Arena) AddPairLater(hint uint64, key, value string) (Ref, func()) {
	r, b := a.reserve(hint, granulesOf(fieldSize(key)+fieldSize(value)))
	return r, func() { putField(putField(b, key), value) }
}

// Copy copies up to MaxCopies records`},
		},
		On: "Bytes",
	},
	{
		Invariant: "arena", Description: "the bytes of a dead record are used again", File: "internal/arena/arena.go", Ordinary: true,
		By: slices.Concat(wrong, torn),
		Old: `	g := a.size(r)
	s := a.shard(hint)
`,
		New: `	g := a.size(r)
	clear(unsafe.Slice((*byte)(a.at(r)), g*granule))
	s := a.shard(hint)
`,
		On: "Bytes",
	},
	{
		Invariant: "arena", Description: "an entry keeps its ref when its bytes move", File: "grow.go", Ordinary: true,
		By: slices.Concat(wrong, torn, misplaced),
		Old: `		to.Copy(here(), e.traits.arena, at[:n])
`,
		New: `		copied := at
		to.Copy(here(), e.traits.arena, copied[:n])
`,
	},
	{
		Invariant: "arena", Description: "a stale writer puts its bytes into the newest arena", File: "write.go", Ordinary: true,
		By: slices.Concat(wrong, torn, misplaced),
		Old: `	dead := rm.bucket(p.bucket).loadRef(rm.traits, p.slot)
	if !c.keepKey(rm, p, key, value) {
`,
		New: `	dead := rm.bucket(p.bucket).loadRef(rm.traits, p.slot)
	into := rm
	if now := c.read.Load(); now != nil && now.old != nil && now.old.base == rm.base {
		into = now
	}
	if !c.keepKey(into, p, key, value) {
`,
		On: "Bytes",
	},
	{
		Invariant: "arena", Description: "a key is looked for in the old arena before its path has moved", File: "grow.go",
		By: slices.Concat(wrong, misplaced),
		Old: `	i := e.home(e.hash(key))
`,
		New: `	if e.inArena() && e.mask == e.to.mask {
		return
	}
	i := e.home(e.hash(key))
`,
	},
	{
		Invariant: "Range", Description: "a sweep takes its neighbour's entries for its own", File: "sweep.go",
		By: []drive.Check{drive.CheckRange, drive.CheckLen},
		Old: `		if c&(controlMoved|overflowMask) != 0 || rm.bucket((home-1)&rm.mask).observe().overflow() != 0 ||
`,
		New: `		if c&(controlMoved|overflowMask) != 0 ||
`,
	},
	{
		Invariant: "Range", Description: "a sweep visits again what it visited before its bucket changed", File: "sweep.go",
		By: []drive.Check{drive.CheckRange},
		Old: `	if len(s.begun.keys) != 0 {
		s.leaveOutVisited()
	}
`,
		New: ``,
	},
}
