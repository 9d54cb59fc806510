//go:build !race

package arena

// raceEnabled says whether the race detector is on, which makes tests ten times slower.
const raceEnabled = false
