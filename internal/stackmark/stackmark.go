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
//	run
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
	"unsafe"
)

// Call runs fn and returns when it does. Meanwhile id is among the Marks of
// this goroutine. It allocates nothing and costs a function call per digit: ids
// that count up from zero are cheaper (11 ns for four digits) than ids with
// random digits, which the CPU cannot predict (100 ns for eight).
func Call(id uint32, fn func()) {
	start(id, noEscape(fn))
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

// steps holds the function for each digit and, as the last, run. frames tells
// those of the digits and start apart by entry point. Both are written at
// initialisation only; in init, as the functions refer to steps themselves.
var (
	steps  [17]func(rest uint32, fn func())
	frames = make(map[uintptr]uint8)
)

const (
	runStep    = 16 // index of run in steps
	startFrame = 16 // value of start in frames
)

func init() {
	steps = [17]func(uint32, func()){
		digit0, digit1, digit2, digit3, digit4, digit5, digit6, digit7,
		digit8, digit9, digitA, digitB, digitC, digitD, digitE, digitF, run,
	}
	for digit, f := range steps[:runStep] {
		frames[reflect.ValueOf(f).Pointer()] = uint8(digit)
	}
	frames[reflect.ValueOf(start).Pointer()] = startFrame
}

// next is the index of the step after which rest is left: its lowest digit, or
// run if there is none. Leading zeros leave no frames.
func next(rest uint32) uint32 {
	if rest == 0 {
		return runStep
	}
	return rest & 15
}

// noEscape returns fn, hiding from the compiler that it is passed to functions
// the compiler does not know, so that the caller's closure can stay on its
// stack. They only call it, and they return before Call does. The integer
// lives for two instructions, without a call between them, so the stack cannot
// move while it holds the closure's address. The directives keep builds with
// checkptr (-race, -msan, -asan) from putting one there.
//
//go:nosplit
//go:nocheckptr
//go:norace
func noEscape(fn func()) func() {
	u := *(*uintptr)(unsafe.Pointer(&fn))
	return *(*func())(unsafe.Pointer(&u))
}

// None of the functions below may be inlined: they are there for their frames.
// Nor may a function that makes the call be inlined into them, as
// runtime.Callers would then list one frame twice.

//go:noinline
func run(_ uint32, fn func()) { fn() }

//go:noinline
func start(id uint32, fn func()) { steps[next(id)](id>>4, fn) }

//go:noinline
func digit0(rest uint32, fn func()) { steps[next(rest)](rest>>4, fn) }

//go:noinline
func digit1(rest uint32, fn func()) { steps[next(rest)](rest>>4, fn) }

//go:noinline
func digit2(rest uint32, fn func()) { steps[next(rest)](rest>>4, fn) }

//go:noinline
func digit3(rest uint32, fn func()) { steps[next(rest)](rest>>4, fn) }

//go:noinline
func digit4(rest uint32, fn func()) { steps[next(rest)](rest>>4, fn) }

//go:noinline
func digit5(rest uint32, fn func()) { steps[next(rest)](rest>>4, fn) }

//go:noinline
func digit6(rest uint32, fn func()) { steps[next(rest)](rest>>4, fn) }

//go:noinline
func digit7(rest uint32, fn func()) { steps[next(rest)](rest>>4, fn) }

//go:noinline
func digit8(rest uint32, fn func()) { steps[next(rest)](rest>>4, fn) }

//go:noinline
func digit9(rest uint32, fn func()) { steps[next(rest)](rest>>4, fn) }

//go:noinline
func digitA(rest uint32, fn func()) { steps[next(rest)](rest>>4, fn) }

//go:noinline
func digitB(rest uint32, fn func()) { steps[next(rest)](rest>>4, fn) }

//go:noinline
func digitC(rest uint32, fn func()) { steps[next(rest)](rest>>4, fn) }

//go:noinline
func digitD(rest uint32, fn func()) { steps[next(rest)](rest>>4, fn) }

//go:noinline
func digitE(rest uint32, fn func()) { steps[next(rest)](rest>>4, fn) }

//go:noinline
func digitF(rest uint32, fn func()) { steps[next(rest)](rest>>4, fn) }
