// This file is responsible for the sequential model: what each operation may return, and what it leaves behind. A
// history is right if some order of its operations, in which none comes before one that returned before its call,
// is a run of the model.

package history

import (
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// Keys is the largest number of hot keys.
const Keys = 4

// Absent is the state of a key that is not in the map.
const Absent int32 = -1

// State is the value of each hot key, or Absent.
type State [Keys]int32

// Empty is the state of an empty map.
var Empty = State{Absent, Absent, Absent, Absent}

// step returns the state of a key after an operation on it that returned out, and whether it may have returned that.
func step(now int32, in Input, out Output) (next int32, legal bool) {
	present := now != Absent
	held := max(now, 0) // what a map returns for the key: its value, or the zero value
	switch in.Kind {
	case Load:
		return now, out.OK == present && out.Value == held
	case Store:
		return in.Value, true
	case LoadOrStore:
		if present {
			return now, out.OK && out.Value == now
		}
		return in.Value, !out.OK && out.Value == in.Value
	case LoadAndDelete:
		return Absent, out.OK == present && out.Value == held
	case Delete:
		return Absent, true
	case Has:
		return now, out.OK == present
	case DeleteOK:
		return Absent, out.OK == present
	case Swap:
		return in.Value, out.OK == present && out.Value == held
	case CompareAndSwap:
		return onMatch(now, in, in.Value, out)
	case CompareAndDelete:
		return onMatch(now, in, Absent, out)
	case Compute:
		return stepCompute(now, held, in, out)
	case LoadOrCompute:
		return stepLoadOrCompute(now, in, out)
	}
	panic(fmt.Sprintf("history: no step for %v", in.Kind))
}

// onMatch is the step of the compare pair.
func onMatch(now int32, in Input, changed int32, out Output) (int32, bool) {
	if now != Absent && now == in.Old {
		return changed, out.OK
	}
	return now, !out.OK
}

// stepCompute: the function may run several times; the run that counts saw the state at the instant of the operation.
func stepCompute(now, held int32, in Input, out Output) (int32, bool) {
	if out.SeenOK != (now != Absent) || out.Seen != held {
		return now, false
	}
	switch in.Verdict.On(out.SeenOK) {
	case Update:
		return in.Value, out.OK && out.Value == in.Value
	case Remove:
		return Absent, !out.OK && out.Value == 0
	}
	return now, out.OK == out.SeenOK && out.Value == held
}

// stepLoadOrCompute: a caller that waited for another's function takes effect right after it. An error comes from a
// key that was absent at one instant at least, and leaves it so.
func stepLoadOrCompute(now int32, in Input, out Output) (int32, bool) {
	switch {
	case out.Failed:
		return now, now == Absent && !out.OK && out.Value == 0
	case out.OK:
		return now, now == out.Value // now is not Absent then, as no value is
	}
	return in.Value, now == Absent && out.Ran && !in.Fails && out.Value == in.Value
}

// model returns the model of one key, or of the whole map if key is negative.
func model(initial State, key int) porcupine.Model {
	m := porcupine.Model{
		DescribeOperation: func(in, out any) string {
			i, o := in.(Input), out.(Output)
			return i.Call() + " -> " + o.Result(i)
		},
		DescribeState: func(state any) string { return fmt.Sprint(state) },
	}
	if key >= 0 {
		m.Init = func() any { return initial[key] }
		m.Step = func(state, in, out any) (bool, any) {
			next, legal := step(state.(int32), in.(Input), out.(Output))
			return legal, next
		}
		return m
	}
	m.Init = func() any { return initial }
	m.Step = func(state, in, out any) (bool, any) {
		now, i := state.(State), in.(Input)
		if i.Kind == Clear {
			return true, Empty
		}
		next, legal := step(now[i.Key], i, out.(Output))
		now[i.Key] = next
		return legal, now
	}
	return m
}

// patience is how long one history may be thought about. None should take more than a few milliseconds.
const patience = 5 * time.Second

// Violation is a part of a history that the model does not explain.
type Violation struct {
	Key     int // of all its operations, or -1 if they are of several
	Initial State
	Records []Record
}

// Check looks for an order of the operations that explains the history, which began in the given state. Histories
// without Clear are checked key by key, which is as good and much faster. decided is false if it took too long.
func Check(initial State, records []Record) (v *Violation, decided bool) {
	if slices.ContainsFunc(records, func(r Record) bool { return r.In.Kind == Clear }) {
		return check(initial, -1, records)
	}
	decided = true
	for key := range Keys {
		part := make([]Record, 0, len(records))
		for _, r := range records {
			if int(r.In.Key) == key {
				part = append(part, r)
			}
		}
		v, ok := check(initial, key, part)
		if v != nil {
			return v, true
		}
		decided = decided && ok
	}
	return nil, decided
}

func check(initial State, key int, records []Record) (v *Violation, decided bool) {
	if len(records) == 0 {
		return nil, true
	}
	switch porcupine.CheckOperationsTimeout(model(initial, key), operations(records), patience) {
	case porcupine.Ok:
		return nil, true
	case porcupine.Unknown:
		return nil, false
	}
	return &Violation{Key: key, Initial: initial, Records: records}, true
}

func operations(records []Record) []porcupine.Operation {
	ops := make([]porcupine.Operation, len(records))
	for i, r := range records {
		ops[i] = porcupine.Operation{ClientId: r.Client, Input: r.In, Output: r.Out, Call: r.Call, Return: r.Return}
	}
	return ops
}

// String renders the violation for a person.
func (v *Violation) String() string {
	what := "of the whole map"
	if v.Key >= 0 {
		what = fmt.Sprintf("of key k%d", v.Key)
	}
	return fmt.Sprintf("no order of these %d operations %s explains their results; at first: %v (%d: absent)\n%s",
		len(v.Records), what, v.Initial, Absent, Text(v.Records))
}

// Draw writes porcupine's picture of the violation, an HTML page, to the file named path.
func (v *Violation) Draw(path string) error {
	m := model(v.Initial, v.Key)
	_, info := porcupine.CheckOperationsVerbose(m, operations(v.Records), patience)
	return porcupine.VisualizePath(m, info, path)
}
