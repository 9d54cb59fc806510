package history

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStep goes through what an operation may return for a key that is absent (-1), holds the zero value, or another.
func TestStep(t *testing.T) {
	for _, c := range []struct {
		name  string
		now   int32
		in    Input
		out   Output
		next  int32
		legal bool
	}{
		{"load miss", Absent, Input{Kind: Load}, Output{}, Absent, true},
		{"load miss with a value", Absent, Input{Kind: Load}, Output{Value: 3}, Absent, false},
		{"load hit of the zero value", 0, Input{Kind: Load}, Output{OK: true}, 0, true},
		{"load hit missed", 0, Input{Kind: Load}, Output{}, 0, false},
		{"load of another value", 3, Input{Kind: Load}, Output{OK: true, Value: 4}, 3, false},
		{"load of a torn value", 3, Input{Kind: Load}, Output{OK: true, Value: Torn}, 3, false},
		{"store", 3, Input{Kind: Store, Value: 4}, Output{}, 4, true},
		{"load or store, absent", Absent, Input{Kind: LoadOrStore, Value: 4}, Output{Value: 4}, 4, true},
		{"load or store, present", 3, Input{Kind: LoadOrStore, Value: 4}, Output{OK: true, Value: 3}, 3, true},
		{"load or store over a value", 3, Input{Kind: LoadOrStore, Value: 4}, Output{Value: 4}, 3, false},
		{"load and delete", 3, Input{Kind: LoadAndDelete}, Output{OK: true, Value: 3}, Absent, true},
		{"load and delete of nothing", Absent, Input{Kind: LoadAndDelete}, Output{OK: true, Value: 3}, Absent, false},
		{"delete", Absent, Input{Kind: Delete}, Output{}, Absent, true},
		{"has", 0, Input{Kind: Has}, Output{OK: true}, 0, true},
		{"has nothing", Absent, Input{Kind: Has}, Output{OK: true}, Absent, false},
		{"remove", 3, Input{Kind: DeleteOK}, Output{OK: true}, Absent, true},
		{"remove nothing", Absent, Input{Kind: DeleteOK}, Output{OK: true}, Absent, false},
		{"swap", 3, Input{Kind: Swap, Value: 4}, Output{OK: true, Value: 3}, 4, true},
		{"swap of a lost value", 3, Input{Kind: Swap, Value: 4}, Output{}, 4, false},
		{"compare and swap", 3, Input{Kind: CompareAndSwap, Old: 3, Value: 4}, Output{OK: true}, 4, true},
		{"compare and swap, refused", 3, Input{Kind: CompareAndSwap, Old: 3, Value: 4}, Output{}, 3, false},
		{"compare and swap, other", 3, Input{Kind: CompareAndSwap, Old: 2, Value: 4}, Output{}, 3, true},
		{"compare and swap of nothing", Absent, Input{Kind: CompareAndSwap, Value: 4}, Output{OK: true}, Absent, false},
		{"compare and delete", 0, Input{Kind: CompareAndDelete}, Output{OK: true}, Absent, true},
		{"compute update", 3, Input{Kind: Compute, Verdict: Update, Value: 4},
			Output{OK: true, Value: 4, Seen: 3, SeenOK: true}, 4, true},
		{"compute update of an old value", 3, Input{Kind: Compute, Verdict: Update, Value: 4},
			Output{OK: true, Value: 4, Seen: 2, SeenOK: true}, 3, false},
		{"compute delete", 3, Input{Kind: Compute, Verdict: Remove}, Output{Seen: 3, SeenOK: true}, Absent, true},
		{"compute cancel", 3, Input{Kind: Compute}, Output{OK: true, Value: 3, Seen: 3, SeenOK: true}, 3, true},
		{"compute toggle, absent", Absent, Input{Kind: Compute, Verdict: Toggle, Value: 4}, Output{OK: true, Value: 4}, 4, true},
		{"load or compute", Absent, Input{Kind: LoadOrCompute, Value: 4}, Output{Ran: true, Value: 4}, 4, true},
		{"load or compute, not run", Absent, Input{Kind: LoadOrCompute, Value: 4}, Output{Value: 4}, 4, false},
		{"load or compute, waited", 3, Input{Kind: LoadOrCompute, Value: 4}, Output{OK: true, Value: 3}, 3, true},
		{"load or compute, error", Absent, Input{Kind: LoadOrCompute, Fails: true}, Output{Ran: true, Failed: true}, Absent, true},
		{"load or compute, error over a value", 3, Input{Kind: LoadOrCompute, Fails: true},
			Output{Ran: true, Failed: true}, 3, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			next, legal := step(c.now, c.in, c.out)
			assert.Equal(t, c.legal, legal)
			if legal {
				assert.Equal(t, c.next, next)
			}
		})
	}
}

// TestCheck: operations that overlap may take effect in any order, others may not.
func TestCheck(t *testing.T) {
	store := Record{Client: 0, In: Input{Kind: Store, Value: 7}, Call: 1, Return: 4}
	miss := Record{Client: 1, In: Input{Kind: Load}}
	clear := Record{Client: 2, In: Input{Kind: Clear}}
	at := func(r Record, call, ret int64) Record { r.Call, r.Return = call, ret; return r }
	for _, c := range []struct {
		name    string
		records []Record
		legal   bool
	}{
		{"overlapping", []Record{store, at(miss, 2, 3)}, true},
		{"afterwards", []Record{store, at(miss, 5, 6)}, false},
		{"cleared", []Record{store, at(clear, 3, 6), at(miss, 7, 8)}, true},
		{"cleared before", []Record{at(clear, -2, -1), store, at(miss, 5, 6)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, decided := Check(Empty, c.records)
			assert.True(t, decided)
			assert.Equal(t, c.legal, v == nil)
			if v == nil {
				return
			}
			assert.Contains(t, v.String(), "goroutine 1: Load(k0) -> v0, false")
			page := filepath.Join(t.TempDir(), "history.html")
			require.NoError(t, v.Draw(page))
			html, err := os.ReadFile(page)
			require.NoError(t, err)
			assert.Contains(t, string(html), "Store(k0, v7)")
		})
	}
}
