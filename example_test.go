package hushmap_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hushmap/hushmap"
)

// Many goroutines count words into one map.
func Example() {
	var counts hushmap.Map[string, int]
	var wg sync.WaitGroup
	for _, text := range []string{"the quick brown fox", "the lazy dog", "the fox"} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for _, word := range strings.Fields(text) {
				counts.Compute(word, func(n int, _ bool) (int, hushmap.Op) { return n + 1, hushmap.UpdateOp })
			}
		}()
	}
	wg.Wait()
	the, _ := counts.Load("the")
	fox, _ := counts.Load("fox")
	fmt.Println(the, fox, counts.Len())
	// Output: 3 2 6
}

// The zero Map is empty and ready to use.
func ExampleMap() {
	var ports hushmap.Map[string, int]
	ports.Store("http", 80)
	port, loaded := ports.LoadOrStore("https", 443)
	fmt.Println(port, loaded)
	port, ok := ports.Load("gopher")
	fmt.Println(port, ok)
	fmt.Println(ports.CompareAndSwap("http", 80, 8080), ports.Len())
	// Output:
	// 443 false
	// 0 false
	// true 2
}

// AnyMap takes the place of sync.Map.
func ExampleAnyMap() {
	var m hushmap.AnyMap // was: var m sync.Map
	m.Store("answer", 42)
	m.Store(3.5, []string{"any", "value"})
	if v, ok := m.Load("answer"); ok {
		fmt.Println(v.(int) + 1)
	}
	// Output: 43
}

func ExampleNew() {
	sessions := hushmap.New[string, int](
		hushmap.WithCapacity(1000), // filling it with as many entries never grows it
		hushmap.WithoutShrink(),
	)
	for i := range 1000 {
		sessions.Store(fmt.Sprint("session ", i), i)
	}
	fmt.Println(sessions.Len(), sessions.Stats().Growths)
	// Output: 1000 0
}

// Only the name of a file identifies it, so only the name is hashed.
func ExampleWithHasher() {
	type file struct {
		name string
		dir  string
	}
	hash := func(f file, seed uint64) uint64 {
		h := fnv.New64a()
		h.Write([]byte(f.name))
		return h.Sum64() ^ seed
	}
	m := hushmap.New[file, int](hushmap.WithHasher(hash))
	m.Store(file{"go.mod", "/a"}, 1)
	m.Store(file{"go.mod", "/b"}, 2)
	v, ok := m.Load(file{"go.mod", "/b"})
	fmt.Println(v, ok, m.Len())
	// Output: 2 true 2
}

func ExampleMap_Compute() {
	var stock hushmap.Map[string, int]
	stock.Store("apples", 2)
	take := func(n int, ok bool) (int, hushmap.Op) {
		switch {
		case !ok:
			return 0, hushmap.CancelOp
		case n == 1:
			return 0, hushmap.DeleteOp
		}
		return n - 1, hushmap.UpdateOp
	}
	for range 3 {
		fmt.Println(stock.Compute("apples", take))
	}
	// Output:
	// 1 true
	// 0 false
	// 0 false
}

func ExampleMap_LoadOrCompute() {
	var pages hushmap.Map[string, string]
	fetch := func() (string, error) {
		fmt.Println("fetching")
		return "<html>", nil
	}
	for range 2 {
		page, loaded, err := pages.LoadOrCompute("/index", fetch)
		fmt.Println(page, loaded, err)
	}
	_, _, err := pages.LoadOrCompute("/missing", func() (string, error) { return "", errors.New("not found") })
	fmt.Println(err, pages.Len())
	// Output:
	// fetching
	// <html> false <nil>
	// <html> true <nil>
	// not found 1
}

// The function may change the map that it ranges over.
func ExampleMap_Range() {
	var m hushmap.Map[string, int]
	for i, name := range []string{"ann", "bob", "eve"} {
		m.Store(name, i)
	}
	m.Range(func(name string, i int) bool {
		if i == 1 {
			m.Delete(name)
		}
		return true
	})
	fmt.Println(slices.Sorted(m.Keys()))
	// Output: [ann eve]
}

func ExampleMap_All() {
	var m hushmap.Map[string, int]
	for i, name := range []string{"ann", "bob", "eve"} {
		m.Store(name, i)
	}
	copied := maps.Collect(m.All())
	for _, name := range slices.Sorted(maps.Keys(copied)) {
		fmt.Println(name, copied[name])
	}
	// Output:
	// ann 0
	// bob 1
	// eve 2
}

func ExampleMap_DeleteFunc() {
	var m hushmap.Map[int, bool]
	for i := range 10 {
		m.Store(i, i%2 == 0)
	}
	n := m.DeleteFunc(func(_ int, even bool) bool { return !even })
	fmt.Println(n, slices.Sorted(m.Keys()))
	// Output: 5 [0 2 4 6 8]
}

// A Bytes copies keys and values and appends values to what it is given, so that one buffer serves for many reads.
func ExampleBytes() {
	var pages hushmap.Bytes
	pages.Set("/", []byte("home"))
	pages.SetB([]byte("/about"), []byte("about us"))
	buffer := make([]byte, 0, 64)
	for _, path := range []string{"/", "/about", "/missing"} {
		var ok bool
		buffer, ok = pages.Get(buffer[:0], path)
		fmt.Printf("%q %v\n", buffer, ok)
	}
	fmt.Println(pages.CompareAndSwap("/", []byte("home"), []byte("welcome")), pages.Len())
	// Output:
	// "home" true
	// "about us" true
	// "" false
	// true 2
}

// Words are counted as they come, and no string is made of a word that was counted before.
func ExampleLoadBytes() {
	var counts hushmap.Map[string, int]
	text := []byte("the quick fox the lazy dog the end")
	for word := range bytes.FieldsSeq(text) {
		n, _ := hushmap.LoadBytes(&counts, word)
		hushmap.StoreBytes(&counts, word, n+1)
	}
	clear(text) // the map has copies
	fmt.Println(hushmap.LoadBytes(&counts, []byte("the")))
	fmt.Println(hushmap.LoadBytes(&counts, []byte("cat")))
	// Output:
	// 3 true
	// 0 false
}

func ExampleMap_LoadBatch() {
	var prices hushmap.Map[string, int]
	prices.StoreBatch([]string{"apple", "pear", "plum"}, []int{3, 4, 2})
	basket := []string{"plum", "lemon", "apple"}
	price, found := make([]int, len(basket)), make([]bool, len(basket))
	fmt.Println(prices.LoadBatch(basket, price, found), price, found)
	fmt.Println(prices.DeleteBatch(basket), prices.Len())
	// Output:
	// 2 [2 0 3] [true false true]
	// 2 1
}
