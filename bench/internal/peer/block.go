package peer

// Op is one operation: what to do in the upper bits, the id of its key in the lower ones. The value that belongs
// to a key is its id, so every value that comes back can be checked without a table.
type Op uint32

// The operations. Stable keys are always present, so a Load or LoadOrStore of one must find it; own keys come
// and go, each at the hands of one goroutine.
const (
	Load           Op = iota << kindShift // of a stable key: a hit is counted
	Store                                 // of any key
	Delete                                // of an own key
	LoadOrStore                           // of a stable key: a hit is counted
	LoadOrStoreOwn                        // of an own key: a hit is not counted
	kindShift      = 28
	idMask         = 1<<kindShift - 1
)

// MaxID bounds the ids of keys.
const MaxID = idMask

// Kind returns the operation without its key.
func (o Op) Kind() Op { return o &^ idMask }

// ID returns the id of the operation's key.
func (o Op) ID() uint64 { return uint64(o & idMask) }

// Block is a run of operations with their keys laid out beside them, in the order of use: as with a key that
// has just come from the network, reading the key costs no cache miss that the map could be blamed for.
type Block[K comparable, V any] struct {
	Ops  []Op
	Keys []K
	Vals []V // the boxed ids; only for values that cannot be made from the id without allocating
	// LoadsOnly promises that every operation is a Load, so that the loop needs no switch.
	LoadsOnly bool
}

// Slice returns the operations from i up to j.
func (b Block[K, V]) Slice(i, j int) Block[K, V] {
	b.Ops, b.Keys = b.Ops[i:j], b.Keys[i:j]
	if b.Vals != nil {
		b.Vals = b.Vals[i:j]
	}
	return b
}

// Tally is what a measuring loop saw.
type Tally struct {
	Hits uint64 // Load and LoadOrStore that found their stable key
	Bad  uint64 // not zero if a value differed from the id of its key
}

// Add merges another tally.
func (t *Tally) Add(o Tally) {
	t.Hits += o.Hits
	t.Bad |= o.Bad
}

// RunDynamic is the measuring loop over interface calls: the model of the generated loops, and the loop of the
// fakes in tests. id turns a value back into the id it stands for, val makes the value for an operation.
func RunDynamic[K comparable, V any](m Map[K, V], b Block[K, V], id func(V) uint64, val func(uint64) V) (t Tally) {
	for j, o := range b.Ops {
		k, want := b.Keys[j], o.ID()
		switch o.Kind() {
		case Load:
			if v, ok := m.Load(k); ok {
				t.Hits++
				t.Bad |= id(v) ^ want
			}
		case Store:
			m.Store(k, val(want))
		case Delete:
			m.Delete(k)
		case LoadOrStore:
			v, loaded := m.LoadOrStore(k, val(want))
			if loaded {
				t.Hits++
			}
			t.Bad |= id(v) ^ want
		case LoadOrStoreOwn:
			v, _ := m.LoadOrStore(k, val(want))
			t.Bad |= id(v) ^ want
		}
	}
	return t
}
