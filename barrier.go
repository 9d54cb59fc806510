// This file is responsible for how words enter and leave a bucket. It and its two companions, barrier_tso.go and
// barrier_atomic.go, are the only ones that touch buckets with unsafe or atomics; each function below is one edge
// of the happens-before graph, and the rest of the engine is written in terms of them.
//
//	writer, bucket locked                     reader
//	---------------------------------------   --------------------------------------------
//	storeSlot       words of a free slot      observe          control          (I6)
//	publishTophash  (I3) entry visible        observeTophash   candidates
//	bump            (I4) version              loadKey/Value    the candidate's words
//	clearSlot       words of a removed slot   unchanged        control again    (I6)
//	unlock          next writer may enter
//
// A reader that finds control unchanged has read words that no removal, relocation or wide write touched between
// its two looks at control: each of those changes the version (or sets writing) before it stores into a slot a
// reader may be looking at. One store of a whole value, or of the only word of it that changes (storeData), needs no
// new version: whatever a reader has of it was there at one instant. Loads are ordered among themselves on TSO machines
// and by acquire loads elsewhere.

package hushmap

import (
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

// control is a bucket's control word:
//
//	63           32 31              3   2       1      0
//	+--------------+-----------------+-------+-------+------+
//	| version      | overflow count  |writing| moved | lock |
//	+--------------+-----------------+-------+-------+------+
//
// Only the holder of the lock changes it, except that anyone may set the lock bit, and store 0 where it is 0; see faultIn.
type control uint64

const (
	controlLock    control = 1 << 0 // a writer owns the bucket
	controlMoved   control = 1 << 1 // the bucket was evacuated and is frozen (I8)
	controlWriting control = 1 << 2 // a wide value is being written in place (I5)

	overflowShift         = 3
	overflowOne   control = 1 << overflowShift
	overflowMask  control = 1<<32 - overflowOne // also the largest count: there it saturates and stays

	versionOne control = 1 << 32

	// stateMask is what must not have changed while a reader looked.
	stateMask = ^(versionOne - 1) | controlMoved | controlWriting
)

func (c control) locked() bool     { return c&controlLock != 0 }
func (c control) moved() bool      { return c&controlMoved != 0 }
func (c control) writing() bool    { return c&controlWriting != 0 }
func (c control) overflow() uint64 { return uint64(c&overflowMask) >> overflowShift }
func (c control) version() uint32  { return uint32(c >> 32) }

// raised and lowered change the overflow count. A saturated count stays until the table is replaced.
func (c control) raised() control {
	if c&overflowMask == overflowMask {
		return c
	}
	return c + overflowOne
}

func (c control) lowered() control {
	if of := c & overflowMask; of == overflowMask || of == 0 {
		return c
	}
	return c - overflowOne
}

// observe is a reader's first look at a bucket (I6): nothing it loads afterwards is older than the result.
func (b *bucket[S, V]) observe() control {
	return control(b.control.Load())
}

// observeTophash loads the candidates; whoever sees a byte sees the slot that was stored before it (I3).
func (b *bucket[S, V]) observeTophash() uint64 {
	w := b.tophash.Load()
	if invariants {
		step(stepObserved)
	}
	return w
}

// unchanged is a reader's last look (I6): if it reports true, all words loaded since c was observed belong
// together, and at this moment they were current.
func (b *bucket[S, V]) unchanged(c control) bool {
	if invariants {
		step(stepCopied)
	}
	return (control(b.control.Load())^c)&stateMask == 0
}

// settled is unchanged for values: in addition no wide value was being written, and the bucket was not evacuated.
func (b *bucket[S, V]) settled(c control) bool {
	if invariants {
		step(stepCopied)
	}
	return control(b.control.Load())&stateMask == c&^(controlMoved|controlWriting)&stateMask
}

// tryLock takes the bucket's lock and reports true, or reports false if another holds it or the bucket has moved.
func (b *bucket[S, V]) tryLock() (locked bool) {
	c := b.control.Load()
	if control(c)&(controlLock|controlMoved) != 0 || !b.control.CompareAndSwap(c, c|uint64(controlLock)) {
		return false
	}
	if invariants {
		step(stepLocked)
	}
	return true
}

// lock takes the bucket's lock, waiting for its holder. It reports false, holding nothing, if the bucket has moved.
func (b *bucket[S, V]) lock() bool {
	for n := 0; !b.tryLock(); n++ {
		if b.observe().moved() {
			return false
		}
		pause(n)
	}
	return true
}

// lockFresh is lock for a bucket that may well be as its table was made: it is stored to before it is loaded from. Where a page
// is loaded from first, Linux maps a page of zeros there, and replaces it at the first store, which takes a second page fault
// and interrupts every processor that runs a thread of the program.
func (b *bucket[S, V]) lockFresh() bool {
	if !b.control.CompareAndSwap(0, uint64(controlLock)) {
		return b.lock()
	}
	if invariants {
		step(stepLocked)
	}
	return true
}

// faultIn stores to the page of a bucket that may well be as its table was made, and changes nothing. What lockFresh is good for
// it is good for where a compare-and-swap stores without a load before, as on amd64.
func (b *bucket[S, V]) faultIn() { b.control.CompareAndSwap(0, 0) }

// unlock releases the lock. Whoever locks the bucket next sees all that was done under it. It is a full fence: what
// this goroutine loads afterwards is not older than what it published before, or two goroutines that each store one
// key and then load the other's could both find nothing.
func (b *bucket[S, V]) unlock() {
	if invariants {
		b.mustBeLocked()
	}
	b.control.Store(uint64(b.controlLocked() &^ controlLock))
}

// release is unlock without the fence: for a caller that has published nothing, or has executed a locked instruction
// since.
func (b *bucket[S, V]) release() {
	if invariants {
		b.mustBeLocked()
	}
	b.publishControl(b.controlLocked() &^ controlLock)
}

// mustBeLocked panics if nobody holds the lock.
func (b *bucket[S, V]) mustBeLocked() {
	if !b.observe().locked() {
		panic("hushmap: a bucket is unlocked whose lock nobody holds")
	}
}

// tophashLocked and controlLocked are the header words as the holder of the lock sees them: nobody else changes them.
func (b *bucket[S, V]) tophashLocked() uint64  { return b.tophash.Load() }
func (b *bucket[S, V]) controlLocked() control { return control(b.control.Load()) }

// publishTophash makes a slot's entry visible or invisible to readers.
func (b *bucket[S, V]) publishTophash(w uint64) {
	storeRelease(&b.tophash, w)
	if invariants {
		step(stepTophashPublished)
	}
}

// publishControl replaces the control word of a bucket whose lock the caller holds.
func (b *bucket[S, V]) publishControl(c control) {
	storeRelease(&b.control, uint64(c))
}

// bump publishes a new version (I4). It stands between an entry's disappearance and the reuse of its words.
func (b *bucket[S, V]) bump() {
	storeKept(&b.control, uint64(b.controlLocked()+versionOne))
	if invariants {
		step(stepVersionPublished)
	}
}

// beginWriting and endWriting enclose a wide value's overwrite in place (I5). Readers that overlap it retry.
func (b *bucket[S, V]) beginWriting() {
	storeKept(&b.control, uint64(b.controlLocked()|controlWriting))
	if invariants {
		step(stepWriting)
	}
}

func (b *bucket[S, V]) endWriting() {
	b.publishControl(b.controlLocked()&^controlWriting + versionOne)
}

// storeSlot writes an entry into a free slot, where no reader looks before publishTophash (I3).
func (b *bucket[S, V]) storeSlot(tr *traits, i int, key S, value V) {
	s := b.slot(i)
	storeWords(&s.k, key, tr, keyPart)
	storeWords(&s.v, value, tr, valuePart)
	if invariants {
		step(stepSlotStored)
	}
}

// copySlot is storeSlot for the entry in slot j of another bucket, whose lock the caller holds as well.
func (b *bucket[S, V]) copySlot(tr *traits, i int, from *bucket[S, V], j int) {
	to, s := b.slot(i), from.slot(j)
	storeWords(&to.k, loadWords(&s.k, tr, keyPart), tr, keyPart)
	storeWords(&to.v, loadWords(&s.v, tr, valuePart), tr, valuePart)
	if invariants {
		step(stepSlotStored)
	}
}

// storeValue overwrites a value: one store for a value in place, several between beginWriting and endWriting.
func (b *bucket[S, V]) storeValue(tr *traits, i int, value V) {
	storeWords(&b.slot(i).v, value, tr, valuePart)
}

// storeData overwrites a value by one store where it is an interface of the type that is there, or a string or slice of the
// length and capacity that is there (I5): then the pointer to its data is all that differs, and any that the slot has held since
// the last new version goes with what is beside it. It reports false, and has stored nothing, for any other value.
func (b *bucket[S, V]) storeData(tr *traits, i int, value V) bool {
	to, from := unsafe.Pointer(&b.slot(i).v), unsafe.Pointer(&value)
	offset := uintptr(0)
	switch {
	case unsafe.Sizeof(value) == 2*wordSize && tr.data == inSecond:
		if (*[2]uintptr)(to)[0] != (*[2]uintptr)(from)[0] {
			return false
		}
		offset = wordSize
	case unsafe.Sizeof(value) == 2*wordSize && tr.data == inFirst:
		if (*[2]uintptr)(to)[1] != (*[2]uintptr)(from)[1] {
			return false
		}
	case unsafe.Sizeof(value) == 3*wordSize && tr.data == inFirst:
		if there, is := (*[3]uintptr)(to), (*[3]uintptr)(from); there[1] != is[1] || there[2] != is[2] {
			return false
		}
	default:
		return false
	}
	storePointer((*unsafe.Pointer)(unsafe.Add(to, offset)), *(*unsafe.Pointer)(unsafe.Add(from, offset)))
	return true
}

// clearSlot drops the pointers of a removed entry, after bump (I4). A ref stays: readers who are late may follow it.
func (b *bucket[S, V]) clearSlot(tr *traits, i int) {
	s := b.slot(i)
	if tr.key.pointers != nil {
		var key S
		storeWords(&s.k, key, tr, keyPart)
	}
	if tr.value.pointers != nil {
		var value V
		storeWords(&s.v, value, tr, valuePart)
	}
}

// loadKey copies a key out of a slot. It may be torn until unchanged says otherwise.
func (b *bucket[S, V]) loadKey(tr *traits, i int) S {
	return loadWords(&b.slot(i).k, tr, keyPart)
}

// loadValue copies a value out of a slot. It may be torn until settled says otherwise.
func (b *bucket[S, V]) loadValue(tr *traits, i int) V {
	return loadWords(&b.slot(i).v, tr, valuePart)
}

// loadValueData loads the word of the value in slot i that is a pointer; see dataWord.
func (b *bucket[S, V]) loadValueData(tr *traits, i int) unsafe.Pointer {
	word := unsafe.Pointer(&b.slot(i).v)
	if tr.data == inSecond {
		word = unsafe.Add(word, wordSize)
	}
	return atomic.LoadPointer((*unsafe.Pointer)(word))
}

// loadData loads the second word of the key in slot i, which is an interface: the pointer to its data.
func (b *bucket[S, V]) loadData(i int) unsafe.Pointer {
	return atomic.LoadPointer(&(*[2]unsafe.Pointer)(unsafe.Pointer(&b.slot(i).k))[1])
}

// wordOf returns the address of a word of slot i, of the key if there is one, to prefetch.
func (b *bucket[S, V]) wordOf(i int) unsafe.Pointer {
	s := b.slot(i)
	switch {
	case unsafe.Sizeof(*s) == 0:
		return unsafe.Pointer(b)
	case unsafe.Sizeof(s.k) == 0:
		return unsafe.Pointer(s)
	}
	return unsafe.Pointer(&s.k)
}

// slot returns the slot's address; i is 0..7, so the bounds check is not needed.
func (b *bucket[S, V]) slot(i int) *slot[S, V] {
	return (*slot[S, V])(unsafe.Add(unsafe.Pointer(&b.slots), uintptr(i)*unsafe.Sizeof(b.slots[0])))
}

// bucketAt returns bucket i of the array at base; the caller has masked i.
func bucketAt[S comparable, V any](base unsafe.Pointer, i uint64) *bucket[S, V] {
	return (*bucket[S, V])(unsafe.Add(base, uintptr(i)*unsafe.Sizeof(bucket[S, V]{})))
}

// headerAt returns bucket i of the array at base, whatever its slots hold, given the words of 8 bytes from one bucket to
// the next. Where slots hold refs the type reaches behind the array; checkptr, which race builds switch on, would stop the
// program for that.
//
//go:nocheckptr
func headerAt[K comparable, V any](base unsafe.Pointer, i uint64, stride uint32) *bucket[K, V] {
	return (*bucket[K, V])(unsafe.Add(base, uintptr(i)*uintptr(stride)*8))
}

// refs and records are how a bucket is to be seen whose slots hold refs, with a value (byRef) or without (byRecord). The
// header is the same either way, which is why most of the engine can do with *bucket[K, V].
func (b *bucket[K, V]) refs() *bucket[ref, V] { return (*bucket[ref, V])(unsafe.Pointer(b)) }

func (b *bucket[K, V]) records() *bucket[ref, nothing] {
	return (*bucket[ref, nothing])(unsafe.Pointer(b))
}

// loadRef copies a ref out of a slot. It may be torn where it is two words, but even then it leads to a record. It is
// to be inlined, and must not take a bucket for one with refs that has records: the type would reach behind the array.
func (b *bucket[K, V]) loadRef(tr *traits, i int) ref {
	if tr.stored == byRecord {
		return loadWords(&b.records().slot(i).k, tr, keyPart)
	}
	return loadWords(&b.refs().slot(i).k, tr, keyPart)
}

// storeRef puts another record of the same key into a slot, by one store: where a ref is two words, the one with the
// hash stays what it was.
func (b *bucket[K, V]) storeRef(tr *traits, i int, r ref) {
	storeWords(&b.records().slot(i).k, r, tr, keyPart)
}

// keyOf returns a string as the K that it is; see storageOf.
func keyOf[K any](s string) (key K) {
	*(*string)(unsafe.Pointer(&key)) = s
	return key
}

// stringOf returns a key or value of kind string as a string.
func stringOf[T any](s T) string { return *(*string)(unsafe.Pointer(&s)) }

// anyOf returns a key of an interface type without methods as any.
func anyOf[T any](k T) any { return *(*any)(unsafe.Pointer(&k)) }

// here is a number that goroutines have in common by chance only, and that does not change while one stays in the same
// function: where its stack is. It spreads what several goroutines write over cache lines.
func here() uint64 {
	var local byte
	return uint64(uintptr(unsafe.Pointer(&local))>>11) * 0x9e3779b97f4a7c15 >> 32
}

// pause waits a little before try n: it spins while the holder is likely running, then lets other goroutines run,
// then sleeps, so that a holder that lost its thread gets it back.
func pause(n int) {
	const spins, yields = 32, 256
	switch {
	case n < spins:
		spin(16)
	case n < yields:
		runtime.Gosched()
	default:
		time.Sleep(time.Duration(min(n-yields+1, 100)) * time.Microsecond)
	}
}

var spinTarget atomic.Uint32

// spin waits for n loads from the first-level cache.
func spin(n int) {
	for range n {
		spinTarget.Load()
	}
}
