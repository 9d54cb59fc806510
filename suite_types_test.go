//go:build !race

// This file runs the suite over many types. It is left out of race builds: the suite uses one goroutine, and each type
// costs the compiler more than a second. The word-atomic store path meets the same types under its own build tag.

package hushmap

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
)

// The suite over key types and value types, each of them once. Every pair is more code to compile, and the engine treats keys
// and values by layouts of their own, so there are no more pairs than it takes. Tables without pointers are mapped under one
// of the configurations: then neither of the two may have any.
func TestSuiteTypes(t *testing.T) {
	number := func(i int) int { return i }
	stSuite(t, 2, func(i int) bool { return i == 1 }, func(i int) uint8 { return uint8(i) })
	stSuite(t, stN, func(i int) int8 { return int8(i - 64) }, number)
	stSuite(t, stN, func(i int) int16 { return int16(i * -250) }, func(i int) stSmallMixed { return stSmallMixed{uint8(i), uint16(i)} })
	stSuite(t, stN, func(i int) int64 { return int64(i) << 57 >> 1 }, func(i int) [1024]byte { return [1024]byte{byte(i), 1023: byte(i)} })
	stSuite(t, stN, func(i int) uint64 { return uint64(i) * 3 }, func(i int) uint64 { return uint64(i) << 33 })
	stSuite(t, stN, func(i int) uintptr { return uintptr(i * 4096) }, func(i int) stTwoHalves { return stTwoHalves{uint32(i), ^uint32(i)} })
	stSuite(t, stN, func(i int) float32 { return float32(i-60) / 3 }, number)
	stSuite(t, stN, func(i int) float64 { return math.Ldexp(1, i*8-500) }, number)
	stSuite(t, stN, func(i int) complex64 { return complex(float32(i%7), float32(i/7)) }, number)
	stSuite(t, stN, func(i int) complex128 { return complex(float64(i/7), float64(i%7)) }, number)
	stSuite(t, stN, func(i int) string { return strings.Repeat("x", i) }, number)
	stSuite(t, stN, func(i int) string { return strconv.Itoa(i) }, func(i int) struct{} { return struct{}{} })
	stSuite(t, stN, func(i int) stNamedInt { return stNamedInt(i) }, func(i int) stBlank { return stMakeBlank(i, 1) })
	stSuite(t, stN, func(i int) stNamedString { return stNamedString(strconv.Itoa(i * 1000003)) }, number)
	stSuite(t, 1, func(i int) struct{} { return struct{}{} }, number)
	stSuite(t, 1, func(i int) [0]int { return [0]int{} }, number)
	stSuite(t, stN, func(i int) [3]byte { return [3]byte{byte(i), 1, byte(i % 5)} }, number)
	stSuite(t, stN, func(i int) stPadded { return stPadded{uint8(i % 3), uint64(i / 3), uint16(i)} }, func(i int) [3]byte {
		return [3]byte{byte(i), byte(i >> 1), 9}
	})
	stSuite(t, stN, func(i int) stBlank { return stMakeBlank(i, byte(i)) }, number)
}

// The suite over types that hold addresses or interfaces, of keys, of values, and of both.
func TestSuiteTypesWithPointers(t *testing.T) {
	var ints [stN + 4]int
	funcs := stFuncs()
	chans := make([]chan int, stN)
	for i := range chans {
		chans[i] = make(chan int)
	}
	stSuite(t, stN, func(i int) *int { return &ints[i] }, func(i int) *int { return &ints[i] })
	stSuite(t, stN, func(i int) chan int { return chans[i] }, func(i int) string { return strconv.Itoa(i) })
	stSuite(t, stN, func(i int) any { return stMixed(i) }, func(i int) any { return stMixed(i) })
	stSuite(t, stN, func(i int) fmt.Stringer { return stStringer(i) }, func(i int) map[int]int { return map[int]int{i: i} })
	stSuite(t, stN, func(i int) [2]string { return [2]string{strconv.Itoa(i / 10), strconv.Itoa(i % 10)} }, func(i int) []int { return ints[:i] })
	stSuite(t, stN, func(i int) [1]any { return [1]any{stMixed(i)} }, func(i int) func() int { return funcs[i%2] })
	stSuite(t, stN, func(i int) stNested {
		k := stNested{name: strconv.Itoa(i / 4)}
		k.inner.any, k.inner.flag = stMixed(i%4*8+i%8), i%2 == 0
		return k
	}, func(i int) int { return i })
	stSuite(t, stN, func(i int) int32 { return int32(i << 24) }, func(i int) *int { return &ints[i] })
	stSuite(t, stN, func(i int) uint64 { return uint64(i) * 3 }, func(i int) stWide { return stWide{&ints[i], strconv.Itoa(i)} })
}
