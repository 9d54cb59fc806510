package work

// Universe divides the ids of keys in three. A map of n entries holds all stable keys and, on average, a third of the
// own keys; n = Stable + Own/3.
//
//	0        Stable             Stable+Own        Stable+Own+Miss
//	+----------+--------------------+--------------------+
//	| stable   | own: come and go   | miss: never stored |
//	+----------+--------------------+--------------------+
//
// Stable keys are loaded and overwritten but never deleted, so every Load of one must find it. An own key is
// stored and deleted by one goroutine only (id modulo the number of goroutines), so whether it is present in
// the end is known exactly, however the goroutines ran.
type Universe struct{ Stable, Own, Miss int }

// ForEntries makes a universe for n entries.
func ForEntries(n int) Universe {
	own := max(n/4*3, 24) // at least three for each of eight goroutines
	return Universe{Stable: max(n-own/3, 1), Own: own, Miss: min(n, 1<<20)}
}

// forWords divides a list of words, some of which are kept back as misses.
func forWords(words int) Universe {
	miss := words / 10
	half := (words - miss) / 2
	return Universe{Stable: words - miss - half, Own: half, Miss: miss}
}

// Entries returns how many entries the map holds at the start, and about how many later.
func (u Universe) Entries() int { return u.Stable + (u.Own+2)/3 }
