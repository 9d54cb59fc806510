// Package history says what was done to a map, when, and what came back; and which of that a map may do (model.go).
//
// Keys and values are small numbers here, whatever their types in the map: a key is the index of a hot key, a value is
// an identifier, mostly unique within a session, of which 0 is the zero value of the map's type.
package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// Kind is an operation.
type Kind uint8

const (
	Load Kind = iota
	Store
	LoadOrStore
	LoadAndDelete
	Delete
	Swap
	CompareAndSwap
	CompareAndDelete
	Compute
	LoadOrCompute
	Has      // Load without the value
	DeleteOK // Delete that says whether there was something
	Clear
	Kinds
)

var kindNames = [Kinds]string{"Load", "Store", "LoadOrStore", "LoadAndDelete", "Delete", "Swap", "CompareAndSwap",
	"CompareAndDelete", "Compute", "LoadOrCompute", "Has", "DeleteOK", "Clear"}

func (k Kind) String() string { return kindNames[k] }

// Verdict is what a Compute's function decides.
type Verdict uint8

const (
	Cancel Verdict = iota
	Update
	Remove
	Toggle // Remove if the key was present, else Update
	Verdicts
)

var verdictNames = [Verdicts]string{"cancel", "update", "delete", "toggle"}

func (v Verdict) String() string { return verdictNames[v] }

// On returns what the verdict amounts to for a key that is present or not.
func (v Verdict) On(loaded bool) Verdict {
	switch {
	case v == Toggle && loaded:
		return Remove
	case v == Toggle:
		return Update
	}
	return v
}

// Torn is the identifier of a value whose words do not belong together.
const Torn int32 = -2

// Input is what an operation was asked to do.
type Input struct {
	Kind    Kind
	Verdict Verdict // of Compute
	Fails   bool    // LoadOrCompute's function returns an error
	Yields  bool    // the function lets others run before it returns
	Batched bool    // one of several that a single call did
	Key     int8
	Value   int32 // what to store
	Old     int32 // what to compare with
}

// Output is what it returned.
type Output struct {
	OK     bool // ok, loaded, swapped or deleted
	SeenOK bool // the last run of Compute's function was given a value,
	Ran    bool // LoadOrCompute ran this caller's function
	Failed bool // LoadOrCompute returned its error
	Value  int32
	Seen   int32 // which was this
}

// Record is one operation. Call and Return are moments of the Clock.
type Record struct {
	Client       int
	In           Input
	Out          Output
	Call, Return int64
}

// Clock orders the calls and returns of all goroutines. It is a counter, as wall clocks of two processors may disagree.
// A stamp is taken by the goroutine itself right before the call and right after the return: an interval that is too
// wide only hides violations, one that does not enclose the operation would make them up (porcupine#40).
type Clock struct {
	_   [64]byte
	now atomic.Int64
	_   [64]byte
}

// Now returns a moment later than all before.
func (c *Clock) Now() int64 { return c.now.Add(1) }

// Call renders the operation's name and arguments, Result what came back.
func (in Input) Call() string {
	switch in.Kind {
	case Clear:
		return "Clear()"
	case Load, LoadAndDelete, Delete, Has, DeleteOK:
		return fmt.Sprintf("%v(k%d)", in.Kind, in.Key)
	case CompareAndSwap:
		return fmt.Sprintf("%v(k%d, %s, %s)", in.Kind, in.Key, id(in.Old), id(in.Value))
	case CompareAndDelete:
		return fmt.Sprintf("%v(k%d, %s)", in.Kind, in.Key, id(in.Old))
	case Compute:
		return fmt.Sprintf("%v(k%d, %v %s)", in.Kind, in.Key, in.Verdict, id(in.Value))
	case LoadOrCompute:
		if in.Fails {
			return fmt.Sprintf("%v(k%d, error)", in.Kind, in.Key)
		}
	}
	return fmt.Sprintf("%v(k%d, %s)", in.Kind, in.Key, id(in.Value))
}

// Result renders the results of a call of in.
func (out Output) Result(in Input) string {
	switch in.Kind {
	case Store, Delete, Clear:
		return ""
	case CompareAndSwap, CompareAndDelete, Has, DeleteOK:
		return fmt.Sprint(out.OK)
	case Compute:
		return fmt.Sprintf("%s, %t (function saw %s, %t)", id(out.Value), out.OK, id(out.Seen), out.SeenOK)
	case LoadOrCompute:
		return fmt.Sprintf("%s, %t, error=%t (function ran: %t)", id(out.Value), out.OK, out.Failed, out.Ran)
	}
	return fmt.Sprintf("%s, %t", id(out.Value), out.OK)
}

func id(value int32) string {
	if value == Torn {
		return "TORN"
	}
	return fmt.Sprintf("v%d", value)
}

// Text renders records, one a line, in the order of their calls.
func Text(records []Record) string {
	ordered := slices.Clone(records)
	slices.SortFunc(ordered, func(a, b Record) int { return cmp.Compare(a.Call, b.Call) })
	var b strings.Builder
	for _, r := range ordered {
		fmt.Fprintf(&b, "  [%5d, %5d] goroutine %d: %s", r.Call, r.Return, r.Client, r.In.Call())
		if r.In.Batched {
			b.WriteString(", in a batch")
		}
		if result := r.Out.Result(r.In); result != "" {
			fmt.Fprintf(&b, " -> %s", result)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
