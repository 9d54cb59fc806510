// Package peer holds one adapter per map under test: hushmap and the maps and caches it is compared with.
//
// An adapter is a thin struct whose methods are what the library's author would write. Measuring loops must
// not pay an interface call per operation, and a Go type parameter would not avoid it: a method of a type
// parameter is called through the dictionary of the instantiation. So the loops are written once, in
// internal/gen/loops.tmpl, and `go generate` writes them out for each adapter and each kind of key, where every
// call is static and goes to the library's own method. One indirect call per block of operations remains. The loop of
// hushmap's batches is written likewise, from batches.tmpl.
package peer

//go:generate go run ../gen -out .

// Map is what an implementation offers for keys K and values V. It serves preloading and checking; the
// measured operations go through Instance.Run.
type Map[K comparable, V any] interface {
	Load(K) (V, bool)
	Store(K, V)
	Delete(K)
	// LoadOrStore returns the value present and true, or stores v and returns it and false.
	LoadOrStore(k K, v V) (V, bool)
	Range(func(K, V) bool)
	Len() int
}

// Compacter is offered by maps that can be asked to give memory back.
type Compacter interface{ Compact() }

// Mapper is offered by maps that keep entries outside the Go heap, where HeapAlloc does not see them.
type Mapper interface{ MappedBytes() uint64 }

// Instance is one map together with the measuring loop generated for its type.
type Instance[K comparable, V any] struct {
	Map[K, V]
	// Run performs a block of operations and says what it saw.
	Run func(Block[K, V]) Tally
}

// The kinds of key. Real keys are strings as well: identifiers from Go source.
const (
	KindUint64 = "uint64"
	KindString = "string"
	KindAny    = "any"
	KindReal   = "real"
)

// Kinds lists every kind of key, in the order of reports.
var Kinds = []string{KindUint64, KindString, KindAny, KindReal}

// Impl describes an implementation. A nil constructor means it cannot hold that kind of key.
type Impl struct {
	Name   string
	Module string // module path, to look the version up; "" is the standard library
	// Concurrent is false for the reference that must not be written while others use it.
	Concurrent bool
	// Lossy marks caches: they may drop entries by design. What they drop is counted and shown.
	Lossy bool
	// Batches marks the one that does BatchLen operations of a kind in one call. It takes part where all others do the same
	// operations one by one, and nowhere else.
	Batches bool
	// Remark is shown with the results.
	Remark string

	Uint64 func() Instance[uint64, uint64]
	String func() Instance[string, uint64]
	Any    func() Instance[any, any]
	// Bytes makes a string to []byte store that is told to expect n entries of entryBytes each, if it can be.
	Bytes func(n, entryBytes int) Bytes
}

// Holds says whether the implementation can be built for a kind of key.
func (i Impl) Holds(kind string) bool {
	switch kind {
	case KindUint64:
		return i.Uint64 != nil
	case KindAny:
		return i.Any != nil
	default:
		return i.String != nil
	}
}

// BytesOnly says whether the implementation takes part in embed alone.
func (i Impl) BytesOnly() bool { return i.Uint64 == nil && i.String == nil && i.Any == nil }

// The implementations that all others are compared with: SubjectBytes where bytes are stored and SubjectBatch where operations
// come in batches, if they take part in a run, and Subject everywhere else.
const (
	Subject      = "hushmap"
	SubjectBytes = "hushmap.Bytes"
	SubjectBatch = "hushmap.Batch"
)

// IsSubject says whether a name is one of those: no subject is a peer of another.
func IsSubject(name string) bool {
	return name == Subject || name == SubjectBytes || name == SubjectBatch
}

// All lists the implementations in the order of reports, the subject first.
func All() []Impl {
	return []Impl{
		hushmapImpl, hushmapBatchImpl, hushmapBytesImpl, xsyncImpl, syncMapImpl, rwMutexImpl, shardedImpl, cmapImpl, haxmapImpl,
		bigcacheImpl, freecacheImpl, fastcacheImpl, otterImpl, builtinImpl,
	}
}

// Find returns the implementation of that name.
func Find(name string) (Impl, bool) {
	for _, impl := range append(All(), extra...) {
		if impl.Name == name {
			return impl, true
		}
	}
	return Impl{}, false
}

// extra holds fakes registered by tests; Find knows them, All does not.
var extra []Impl

// RegisterForTest makes a fake implementation known to Find.
func RegisterForTest(impl Impl) { extra = append(extra, impl) }
