//go:build !race

package hushmap

// mtRace says whether the race detector is on.
const mtRace = false
