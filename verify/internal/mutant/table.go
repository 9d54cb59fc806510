// This file is the list of mutants. When one is outdated, the engine has changed where an invariant is kept: find the
// new place, and break it there.

package mutant

// Table has at least one mutant for each invariant of docs/design.md.
var Table = []Mutant{
	{
		Invariant: "I1", Description: "a lock is taken by a load and a store", File: "barrier.go",
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
		Old: `	if i > home {
		return t.bucket(i).lock()
	}
	return t.bucket(i).tryLock()
`,
		New: `	return t.bucket(i).lock()
`,
	},
	{
		Invariant: "I2", Description: "a bucket behind home is changed without its lock", File: "table.go",
		Old: `	if i > home {
		return t.bucket(i).lock()
	}
	return t.bucket(i).tryLock()
`,
		New: `	return !t.bucket(i).observe().moved()
`,
	},
	{
		Invariant: "I3", Description: "the tophash byte is published before the words", File: "bucket.go",
		Old: `	b.storeSlot(tr, i, key, value)
	b.publishTophash(swar.With(b.tophashLocked(), i, th))
`,
		New: `	b.publishTophash(swar.With(b.tophashLocked(), i, th))
	b.storeSlot(tr, i, key, value)
`,
	},
	{
		Invariant: "I3", Description: "home does not count an entry that is displaced", File: "table.go",
		Old: `	t.bucket(p.home).raiseLocked()
	i, n :=`,
		New: `	i, n :=`,
	},
	{
		Invariant: "I3", Description: "counts are lowered before the entry is gone", File: "table.go",
		Old: `	t.bucket(p.bucket).removeLocked(t.traits, p.slot)
	if invariants {
		t.checkLocked(p.bucket)
	}
	if p.bucket == p.home {
		t.unlock(p)
		return
	}
	t.traits.lowering.Add(1)
	t.unlock(p)
`,
		New: `	if p.bucket == p.home {
		t.bucket(p.bucket).removeLocked(t.traits, p.slot)
		t.unlock(p)
		return
	}
	t.traits.lowering.Add(2)
	t.bucket(p.bucket).release()
	t.bucket(p.home).release()
	t.lower(p.home, (p.bucket-p.home)&t.mask)
	for !t.bucket(p.home).tryLock() {
		if t.bucket(p.home).observe().moved() {
			return
		}
	}
	if t.bucket(p.bucket).lock() {
		t.bucket(p.bucket).removeLocked(t.traits, p.slot)
		t.bucket(p.bucket).release()
	}
	t.bucket(p.home).release()
	t.traits.lowering.Add(-1)
	return
`,
	},
	{
		Invariant: "I4", Description: "removal leaves the version as it is", File: "bucket.go", Ordinary: true,
		Old: `	b.publishTophash(swar.With(b.tophashLocked(), i, 0))
	b.bump()
`,
		New: `	b.publishTophash(swar.With(b.tophashLocked(), i, 0))
`,
	},
	{
		Invariant: "I4", Description: "a slot is cleared before its entry is gone", File: "bucket.go",
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
		Invariant: "I4", Description: "a removed entry is not cleared", File: "bucket.go",
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
		Old: `		b.beginWriting()
		b.storeValue(tr, i, value)
		b.endWriting()
`,
		New: `		b.storeValue(tr, i, value)
		b.bump()
`,
	},
	{
		Invariant: "I5", Description: "a relocated entry leaves the version as it is", File: "bucket.go",
		Old: `	b.publishTophash(swar.With(swar.With(w, j, swar.Byte(w, i)), i, 0))
	b.bump()
`,
		New: `	b.publishTophash(swar.With(swar.With(w, j, swar.Byte(w, i)), i, 0))
`,
	},
	{
		Invariant: "I5", Description: "relocation shows the old entry and the new one", File: "bucket.go",
		Old: `	b.publishTophash(swar.With(swar.With(w, j, swar.Byte(w, i)), i, 0))
`,
		New: `	b.publishTophash(swar.With(w, i, 0))
	b.publishTophash(swar.With(swar.With(w, j, swar.Byte(w, i)), i, 0))
`,
	},
	{
		Invariant: "I6", Description: "a value is believed without a second look", File: "barrier.go",
		Old: `	return control(b.control.Load())&stateMask == c&^(controlMoved|controlWriting)&stateMask
`,
		New: `	return true
`,
	},
	{
		Invariant: "I6", Description: "a wide key is compared before it is validated", File: "bucket.go", Words: true,
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
		Invariant: "I6", Description: "a wide key at home is compared before it is validated", File: "table.go", Words: true,
		Old: `		if unsafe.Sizeof(key) > wordSize && !b.unchanged(c) {
			break // a torn string or interface must not be looked into (I6)
`,
		New: `		if unsafe.Sizeof(key) == 0 {
			break
`,
	},
	{
		Invariant: "I7", Description: "displaced keys are not looked for", File: "table.go",
		Old: `		if c&(overflowMask|controlMoved) == 0 {
			return value, absent
`,
		New: `		if c&controlMoved == 0 {
			return value, absent
`,
	},
	{
		Invariant: "I7", Description: "a bucket that has moved is believed to lack a key", File: "table.go",
		Old: `		if c.moved() {
			r = moved
		}
`,
	},
	{
		Invariant: "I7", Description: "a candidate that did not match is not looked at again", File: "bucket.go",
		Old: `	return -1, b.unchanged(c)
}
`,
		New: `	b.unchanged(c)
	return -1, true
}
`,
	},
	{
		Invariant: "I8", Description: "a bucket is frozen before its entries are in the new table", File: "grow.go",
		Old: `	for ; living != 0; living = swar.Next(living) {
`,
		New: `	b.freezeUnlock()
	defer e.frozen.Add(1)
	for ; living != 0; living = swar.Next(living) {
`,
	},
	{
		Invariant: "I8", Description: "a frozen bucket can be locked", File: "barrier.go",
		Old: `	if control(c)&(controlLock|controlMoved) != 0 ||`,
		New: `	if control(c)&controlLock != 0 ||`,
	},
	{
		Invariant: "I8", Description: "a frozen bucket is emptied", File: "grow.go",
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
		Invariant: "I9", Description: "a writer does not evacuate its key's path", File: "write.go",
		Old: `	rm.old.evacuatePath(key)
`,
	},
	{
		Invariant: "I9", Description: "a writer evacuates its key's home bucket only", File: "grow.go", Ordinary: true,
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
		Old: `	c.helpOld(rm, c.options().tuning.chunk, true)
`,
		New: `	c.helpOld(rm, rm.old.buckets(), true)
`,
	},
	{
		Invariant: "I10", Description: "writers do not help", File: "write.go",
		Old: `	c.helpOld(rm, c.options().tuning.chunk, true)
`,
	},
	{
		Invariant: "I11", Description: "a removal is counted after it can be seen", File: "write.go",
		Old: `	n := rm.length.Removed(p.hash) // before anyone can see it, or Len could exceed what was ever stored
	rm.removeUnlock(p)
`,
		New: `	rm.removeUnlock(p)
	if invariants {
		step(stepLowered)
	}
	n := rm.length.Removed(p.hash)
`,
	},
	{
		Invariant: "I11", Description: "Len reads removals first", File: "internal/stripe/stripe.go",
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
	for range 2000 { // nothing stalls here
	}
	defer func() { removed = before }()
`,
	},
	{
		Invariant: "fences", Description: "unlocking is no fence", File: "barrier.go", NoStalls: true,
		Old: `	b.control.Store(uint64(b.controlLocked() &^ controlLock))
`,
		New: `	b.publishControl(b.controlLocked() &^ controlLock)
`,
	},
	{
		Invariant: "race", Description: "words are stored without atomics", File: "barrier_atomic.go", Race: true,
		Old: `func storeWords[T any](dst *T, src T, l *wordLayout) {
`,
		New: `func storeWords[T any](dst *T, src T, l *wordLayout) {
	if l != nil {
		*dst = src
		return
	}
`,
	},
	{
		Invariant: "Clear", Description: "Clear keeps the table it found", File: "readmap.go",
		Old: `	c.read.Store(nil)
`,
		New: `	if rm := c.read.Load(); rm != nil && rm.old != nil {
		return
	}
	c.read.Store(nil)
`,
	},
	{
		Invariant: "Compute", Description: "Compute applies without a look", File: "compute.go",
		Old: `		if !c.stillLocked(rm, &p, &old, loaded) {
`,
		New: `		if !c.stillLocked(rm, &p, &old, loaded) && (p.slot >= 0) != loaded {
`,
	},
	{
		Invariant: "flights", Description: "a flight has ended before its value is there", File: "flight.go",
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
}
