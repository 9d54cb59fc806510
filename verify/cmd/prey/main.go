// Prey runs sessions and experiments on the engine it was built with until something is found or the time is over. It
// is built against copies of the engine, mutants among them: see internal/mutant, which also reads what it prints.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/hushmap/hushmap/verify/internal/drive"
	"github.com/hushmap/hushmap/verify/internal/mutant"
)

// engines is enough to meet every way in which keys and values are stored. More would take longer to compile.
var engines = []drive.Engine{
	drive.HushStrings(drive.Strung),
	drive.HushBytes(),
	drive.Hush(drive.Boxed, drive.Triples),
	drive.Hush(drive.Ints, drive.Words),
	drive.Hush(drive.Pointers, drive.Strung),
}

func main() {
	length := flag.Duration("time", 10*time.Second, "how long to look for something")
	on := flag.String("on", "", "types of the map, as in \"int to string\"; empty: all in turn")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the first session")
	flag.Parse()
	if *on != "" {
		engines = slices.DeleteFunc(engines, func(e drive.Engine) bool { return e.Name != *on })
	}
	if len(engines) == 0 {
		fmt.Println("no such types:", *on)
		os.Exit(2)
	}
	counts, engine, f := hunt(time.Now().Add(*length), *seed)
	if f != nil {
		fmt.Printf("%s%s\n%s: %v\n", mutant.CaughtMark, f.Check, engine, f)
		os.Exit(mutant.CaughtStatus)
	}
	fmt.Println(counts)
}

// hunt goes through the engines again and again: the experiments first, as they take little time, then sessions.
func hunt(end time.Time, seed uint64) (total drive.Counts, engine string, f *drive.Finding) {
	for round := 0; time.Now().Before(end); round++ {
		for _, e := range engines {
			if f := experiments(e, round); f != nil {
				return total, e.Name, f
			}
			for range 10 {
				counts, f := e.Session(drive.PlanFor(seed))
				if f != nil {
					return total, e.Name, f
				}
				total.Add(counts)
				seed++
			}
		}
	}
	return total, "", nil
}

// experiments runs what is not a session. Work does not depend on luck, so one look at it is enough.
func experiments(e drive.Engine, round int) *drive.Finding {
	if round == 0 {
		if f := e.Bounded(); f != nil {
			return f
		}
	}
	for _, f := range []func() *drive.Finding{
		func() *drive.Finding { return e.Lengths(2000) },
		func() *drive.Finding { return e.Announced(1000) },
		func() *drive.Finding { return e.Presence(drive.Hasher(round%3), 1000+round) },
		func() *drive.Finding { return e.Once(100) },
		func() *drive.Finding { return e.StoreBuffers(5000) },
	} {
		if finding := f(); finding != nil {
			return finding
		}
	}
	return nil
}
