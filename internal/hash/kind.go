// This file is responsible for which types are hashed in which way.

package hash

import "reflect"

// Kind is the way in which keys of a type are hashed.
type Kind uint8

const (
	// WordKind is for types whose == compares one word of 1, 2, 4 or 8 bytes:
	// integers, bool, pointers, channels.
	WordKind Kind = iota
	// StringKind is for types of kind string.
	StringKind
	// AnyKind is for interface types without methods.
	AnyKind
	// OtherKind is for all others.
	OtherKind
)

// KindOf returns the Kind of t. Only the underlying type matters.
func KindOf(t reflect.Type) Kind {
	switch t.Kind() {
	case reflect.Bool,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr,
		reflect.Pointer, reflect.Chan, reflect.UnsafePointer:
		return WordKind
	case reflect.String:
		return StringKind
	case reflect.Interface:
		if t.NumMethod() == 0 {
			return AnyKind
		}
	}
	return OtherKind
}

// MayBeIrreflexive reports whether t has values that are not equal to
// themselves: those with a NaN in them.
func MayBeIrreflexive(t reflect.Type) bool {
	return anyPart(t, func(k reflect.Kind) bool {
		switch k {
		case reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128, reflect.Interface:
			return true
		default:
			return false
		}
	})
}

// MayPanic reports whether hashing or comparing values of t may panic: whether
// there is an interface in them, whose dynamic type may not be comparable.
func MayPanic(t reflect.Type) bool {
	return anyPart(t, func(k reflect.Kind) bool { return k == reflect.Interface })
}

// anyPart reports whether f holds for the kind of any part of t that == looks
// at: t itself or, if t is an array or a struct, its elements or fields. Like
// ==, it leaves out blank fields and arrays of length 0.
func anyPart(t reflect.Type, f func(reflect.Kind) bool) bool {
	switch t.Kind() {
	case reflect.Array:
		return t.Len() > 0 && anyPart(t.Elem(), f)
	case reflect.Struct:
		for i := range t.NumField() {
			if field := t.Field(i); field.Name != "_" && anyPart(field.Type, f) {
				return true
			}
		}
		return false
	default:
		return f(t.Kind())
	}
}
