// Package stackmark tells whether the current goroutine is inside a given
// call, without goroutine ids, thread-locals or assembly: it writes a number
// into the call stack itself.
//
// Call(id, fn) reaches fn through one function per hexadecimal digit of id,
// the lowest digit first. Call(0x2a7, fn) leaves these frames:
//
//	...        the caller
//	Call
//	start      a number begins here
//	digit7
//	digitA
//	digit2
//	fn
//	...        whatever fn calls, and finally Marks
//
// Marks walks the stack from the inside out, recognises those functions by
// their entry points, and so reads 2, a, 7, start: 0x2a7.
//
// The number lives as long as the frames do. Goexit and panics remove it like any
// other frame, at the same moment: deferred functions run on top of the frames
// that are being left, so to a deferred function outside of Call the number is still
// visible while the panic (or Goexit) that passed through Call is under way.
package stackmark

import (
	"reflect"
	"runtime"
)

// Call runs fn and returns when it does. Meanwhile id is among the Marks of
// this goroutine.
func Call(id uint32, fn func()) {
	start(id, fn)
}

// Marks appends to dst the ids of all Calls the current goroutine is inside
// of, the innermost first, and returns the extended slice. It walks the whole
// stack, which takes time in proportion to its depth.
func Marks(dst []uint32) []uint32 {
	var (
		buf [64]uintptr
		pcs = buf[:]
		id  uint32
	)
	for skip := 1; ; {
		n := runtime.Callers(skip, pcs)
		for _, pc := range pcs[:n] {
			digit, ok := frames[entry(pc)]
			switch {
			case !ok:
			case digit == startFrame:
				dst = append(dst, id)
				id = 0
			default:
				id = id<<4 | uint32(digit)
			}
		}
		if n < len(pcs) {
			return dst
		}
		skip += n
		// Each Callers starts over from the top of the stack; doubling keeps the
		// total linear in its depth.
		pcs = make([]uintptr, 2*len(pcs))
	}
}

// entry is the entry point of the function that a return address lies in.
func entry(pc uintptr) uintptr {
	f := runtime.FuncForPC(pc - 1)
	if f == nil {
		return 0
	}
	return f.Entry()
}

// startFrame stands for start in frames; digits are 0 to 15.
const startFrame = 16

// frames tells the functions below apart by entry point. Written at
// initialisation only.
var frames = func() map[uintptr]uint8 {
	m := map[uintptr]uint8{entryOf(start): startFrame}
	for d, f := range [16]func(uint32, func()){
		digit0, digit1, digit2, digit3, digit4, digit5, digit6, digit7,
		digit8, digit9, digitA, digitB, digitC, digitD, digitE, digitF,
	} {
		m[entryOf(f)] = uint8(d)
	}
	return m
}()

func entryOf(f func(uint32, func())) uintptr {
	return reflect.ValueOf(f).Pointer()
}

// None of the functions below may be inlined: they are only there for their
// frames. Nor may a function that makes a call be inlined into them, as
// runtime.Callers would list such a frame twice. They call each other directly, not
// through a table, so that the compiler sees that fn does not escape.

//go:noinline
func start(id uint32, fn func()) { step(id, fn) }

// step enters the frame of the lowest digit of rest, or runs fn if no digit is
// left: leading zeros leave no frames.
//
//go:noinline
func step(rest uint32, fn func()) {
	if rest == 0 {
		fn()
		return
	}
	switch higher := rest >> 4; rest & 15 {
	case 0:
		digit0(higher, fn)
	case 1:
		digit1(higher, fn)
	case 2:
		digit2(higher, fn)
	case 3:
		digit3(higher, fn)
	case 4:
		digit4(higher, fn)
	case 5:
		digit5(higher, fn)
	case 6:
		digit6(higher, fn)
	case 7:
		digit7(higher, fn)
	case 8:
		digit8(higher, fn)
	case 9:
		digit9(higher, fn)
	case 10:
		digitA(higher, fn)
	case 11:
		digitB(higher, fn)
	case 12:
		digitC(higher, fn)
	case 13:
		digitD(higher, fn)
	case 14:
		digitE(higher, fn)
	case 15:
		digitF(higher, fn)
	}
}

//go:noinline
func digit0(rest uint32, fn func()) { step(rest, fn) }

//go:noinline
func digit1(rest uint32, fn func()) { step(rest, fn) }

//go:noinline
func digit2(rest uint32, fn func()) { step(rest, fn) }

//go:noinline
func digit3(rest uint32, fn func()) { step(rest, fn) }

//go:noinline
func digit4(rest uint32, fn func()) { step(rest, fn) }

//go:noinline
func digit5(rest uint32, fn func()) { step(rest, fn) }

//go:noinline
func digit6(rest uint32, fn func()) { step(rest, fn) }

//go:noinline
func digit7(rest uint32, fn func()) { step(rest, fn) }

//go:noinline
func digit8(rest uint32, fn func()) { step(rest, fn) }

//go:noinline
func digit9(rest uint32, fn func()) { step(rest, fn) }

//go:noinline
func digitA(rest uint32, fn func()) { step(rest, fn) }

//go:noinline
func digitB(rest uint32, fn func()) { step(rest, fn) }

//go:noinline
func digitC(rest uint32, fn func()) { step(rest, fn) }

//go:noinline
func digitD(rest uint32, fn func()) { step(rest, fn) }

//go:noinline
func digitE(rest uint32, fn func()) { step(rest, fn) }

//go:noinline
func digitF(rest uint32, fn func()) { step(rest, fn) }
