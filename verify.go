// This file is responsible for Verify, which checks every invariant that can be seen in a structure at rest. It must
// neither crash nor hang nor keep silent when the headers of buckets hold nonsense.

package hushmap

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/hushmap/hushmap/internal/swar"
)

const (
	// verifyPatience is how long Verify waits for a bucket's lock, which is seldom held for more than a microsecond
	// unless the holder's thread is not running.
	verifyPatience = 5 * time.Second

	// verifyTries is how often Verify starts again because deletions were lowering overflow counts when it looked.
	verifyTries = 100
)

var (
	// errReplaced: what was looked at is not the current table any more.
	errReplaced = errors.New("hushmap: Verify: the table was replaced")
	// errLowering: an overflow count was too high, and a deletion was about to lower one.
	errLowering = errors.New("hushmap: Verify: deletions are under way")
)

// Verify checks the structure of the map and returns an error that names bucket, slot and broken invariant (by its
// number in docs/design.md), or nil. It is meant for tests, and for finding out whether a program has overwritten the
// map's memory; a map that is used according to the rules of Go never fails it, unless the function given to WithHasher is
// inconsistent, panics or takes seconds.
//
// Complexity: O(slots), and several hashes per entry, taken with all buckets locked. Allocates a word per bucket.
// Blocking: locks every bucket until it returns. Writes and other Verifies wait, and Range may; other reads do not.
func (m *Map[K, V]) Verify() error { return m.core.verify() }

func (c *core[K, V]) verify() error {
	c.verifying.Lock()
	defer c.verifying.Unlock()
	for n := 0; ; n++ {
		rm := c.read.Load()
		if rm == nil {
			return nil
		}
		switch err := c.verifyOnce(rm); {
		case err == errReplaced:
		case err == errLowering && n < verifyTries:
		case err == errLowering:
			return nil // whenever we look there is a deletion under way, and nothing else is wrong
		default:
			return err
		}
		pause(n)
	}
}

func (c *core[K, V]) verifyOnce(rm *readMap[K, V]) error {
	err := rm.verifyHeaders(false)
	if e := rm.old; e != nil {
		err = errors.Join(err, e.verifyHeaders(true))
	}
	if err != nil {
		return c.unlessReplaced(rm, err)
	}
	err = rm.verifyAll()
	runtime.KeepAlive(rm)
	return c.unlessReplaced(rm, err)
}

// unlessReplaced returns err, or errReplaced if rm is stale, as what was found in it then means nothing.
func (c *core[K, V]) unlessReplaced(rm *readMap[K, V], err error) error {
	if c.read.Load() != rm {
		return errReplaced
	}
	return err
}

// verifyHeaders checks the flags of all control words, without which no operation could be trusted to end.
func (t *table[K, V]) verifyHeaders(old bool) error {
	for i := range t.buckets() {
		deadline := time.Now().Add(verifyPatience)
		for n := 0; ; n++ {
			c := t.bucket(i).observe()
			if c.moved() && !old {
				return fmt.Errorf("hushmap: bucket %d: marked as moved in the current table (I8)", i)
			}
			if !c.locked() && !c.writing() {
				break
			}
			if !c.locked() {
				return fmt.Errorf("hushmap: bucket %d: marked as being written, but not locked (I5)", i)
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("hushmap: bucket %d: locked for more than %v (I1)", i, verifyPatience)
			}
			pause(n)
		}
	}
	return nil
}

// verifyAll checks the tables while it holds the locks of all buckets, the old table's before the current one's (I2).
func (rm *readMap[K, V]) verifyAll() error {
	entries := 0
	if e := rm.old; e != nil {
		defer e.releaseAll(e.lockAll(true))
		n, passed, err := e.verifyBuckets()
		if err == nil {
			err = e.verifyOverflow(passed)
		}
		if err == errLowering {
			return err
		}
		if err != nil {
			return fmt.Errorf("%w, in the old table", err)
		}
		entries = n
	}
	locked := rm.lockAll(false)
	defer rm.releaseAll(locked)
	if locked <= rm.mask {
		return errReplaced
	}
	n, passed, err := rm.verifyBuckets()
	if err != nil {
		return err
	}
	if entries += n; entries != rm.length.Len() {
		return fmt.Errorf("hushmap: the length counter says %d, but there are %d entries (I11)", rm.length.Len(), entries)
	}
	return rm.verifyOverflow(passed)
}

// lockAll locks the buckets in ascending order and returns how many it went through. Frozen buckets of an old table are
// passed over, those of a current one end it.
func (t *table[K, V]) lockAll(old bool) (locked uint64) {
	for ; locked <= t.mask; locked++ {
		if !t.bucket(locked).lock() && !old {
			break
		}
	}
	return locked
}

// releaseAll releases the first n buckets, but for frozen ones.
func (t *table[K, V]) releaseAll(n uint64) {
	for i := range n {
		if b := t.bucket(i); !b.controlLocked().moved() {
			b.release()
		}
	}
}

// verifyBuckets checks the slots of all buckets that are not frozen. It returns the number of their entries, and for
// every bucket how many entries probed past it: those of frozen buckets count as they did when they left.
func (t *table[K, V]) verifyBuckets() (entries int, passed []uint64, err error) {
	passed = make([]uint64, t.buckets())
	for i := range t.buckets() {
		n, err := t.verifyBucket(i, passed)
		switch frozen := t.bucket(i).controlLocked().moved(); {
		case err != nil && !frozen:
			return entries, passed, err
		case !frozen:
			entries += n
		}
	}
	return entries, passed, nil
}

// verifyBucket checks the slots of bucket i and returns how many are living. For every bucket that one of its entries
// probed past it adds 1 to passed.
func (t *table[K, V]) verifyBucket(i uint64, passed []uint64) (living int, err error) {
	b := t.bucket(i)
	w := b.observeTophash()
	for s := range bucketSlots {
		th := swar.Byte(w, s)
		if th == 0 {
			if err := t.verifyFree(i, s); err != nil {
				return living, err
			}
			continue
		}
		living++
		if t.inArena() {
			if err := t.verifyRef(i, s, th); err != nil {
				return living, err
			}
		}
		key := t.loadKey(b, s)
		if key != key && uint64(th-1) > t.mask {
			return living, fmt.Errorf("hushmap: bucket %d slot %d: %d buckets from home in a table of %d (I3)", i, s, th-1, t.buckets())
		}
		home, h, err := t.verifyHome(i, s, th, key)
		if err != nil {
			return living, err
		}
		for j := home; j != i; j = (j + 1) & t.mask {
			passed[j]++
		}
		if key != key {
			continue
		}
		if th != tophash(h) {
			return living, fmt.Errorf("hushmap: bucket %d slot %d: tophash is %#02x, but the key's hash is %#x (I3)", i, s, th, h)
		}
		if err := t.verifyReachable(i, s, key, h); err != nil {
			return living, err
		}
	}
	return living, nil
}

// verifyHome is homeOf for a slot that may hold nonsense, of which a user's hasher need not be able to make sense.
func (t *table[K, V]) verifyHome(i uint64, s int, th uint8, key K) (home, h uint64, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("hushmap: bucket %d slot %d: hashing the key panics: %v (I3)", i, s, r)
		}
	}()
	home, h = t.homeOf(i, th, key)
	return home, h, nil
}

// verifyRef checks that the ref in a living slot can be followed, and agrees with the string it leads to.
func (t *table[K, V]) verifyRef(i uint64, s int, th uint8) error {
	r := t.bucket(i).loadRef(t.traits, s)
	if !t.traits.arena.Valid(r.at()) {
		return fmt.Errorf("hushmap: bucket %d slot %d: the ref %#x leads to no key (I3)", i, s, uint64(r))
	}
	if t.hashed == hashCustom {
		return nil // verifyHome asks the function, and is prepared for anything
	}
	if h := t.hash(keyOf[K](t.traits.arena.Key(r.at()))); !r.mayBe(h) {
		return fmt.Errorf("hushmap: bucket %d slot %d: the ref %#x has another hash than its key, %#x (I3)", i, s, uint64(r), h)
	}
	return nil
}

// verifyFree checks that a free slot keeps nothing alive.
func (t *table[K, V]) verifyFree(i uint64, s int) error {
	var noKey K
	var noValue V
	b, keys, values := t.bucket(i), &t.traits.key, &t.traits.value
	keeps := false
	if keys.pointers != nil {
		key := t.loadKey(b, s)
		keeps = !keys.same(unsafe.Pointer(&key), unsafe.Pointer(&noKey))
	}
	if values.pointers != nil {
		value := t.loadValue(b, s)
		keeps = keeps || !values.same(unsafe.Pointer(&value), unsafe.Pointer(&noValue))
	}
	if keeps {
		return fmt.Errorf("hushmap: bucket %d slot %d: free, but not cleared (I4)", i, s)
	}
	return nil
}

// verifyReachable checks that a search for key ends at slot s of bucket i and nowhere else.
func (t *table[K, V]) verifyReachable(i uint64, s int, key K, h uint64) error {
	for j := t.home(h); ; j = (j + 1) & t.mask {
		b := t.bucket(j)
		found, _ := b.find(t.traits, key, h)
		switch {
		case found >= 0 && (j != i || found != s):
			return fmt.Errorf("hushmap: bucket %d slot %d: the same key is in bucket %d slot %d (I1)", i, s, j, found)
		case found >= 0:
			return nil
		case b.observe().overflow() == 0:
			return fmt.Errorf("hushmap: bucket %d slot %d: hidden, as the overflow count of bucket %d is 0 (I3)", i, s, j)
		case j == i:
			return fmt.Errorf("hushmap: bucket %d slot %d: a search for the key does not find it (I7)", i, s)
		}
	}
}

// verifyOverflow compares the overflow counts with the number of entries that probed past each bucket. Those of frozen
// buckets may stay too high for ever.
func (t *table[K, V]) verifyOverflow(passed []uint64) error {
	for i := range t.buckets() {
		c := t.bucket(i).observe()
		if c.moved() || c.overflow() == passed[i] || c&overflowMask == overflowMask {
			continue
		}
		if c.overflow() > passed[i] && t.traits.lowering.Load() != 0 {
			return errLowering
		}
		return fmt.Errorf("hushmap: bucket %d: overflow count is %d, but %d entries probed past it (I3)", i, c.overflow(), passed[i])
	}
	return nil
}
