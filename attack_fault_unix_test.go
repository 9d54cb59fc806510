//go:build unix

package hushmap

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestAttackUnreadableBytes: what is to be copied may lie in a file that is mapped, and was truncated. To read it is a panic, if the
// caller has asked for that, and the bucket is not left locked.
func TestAttackUnreadableBytes(t *testing.T) {
	const length = 40
	page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Munmap(page)) }()
	unreadable := unsafe.Slice(unsafe.SliceData(page), length)

	for _, c := range []struct {
		name  string
		write func(m *Bytes, value []byte)
	}{
		{"Set", func(m *Bytes, value []byte) { m.Set("key", value) }},
		{"LoadOrStore", func(m *Bytes, value []byte) { m.LoadOrStore(nil, "key", value) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := NewBytes()
			m.Set("first", nil)
			afPanics(t, func() { c.write(m, unreadable) })
			ftWatch(t, func() { c.write(m, []byte("value")) })
			require.Equal(t, 2, m.Len())
			require.NoError(t, m.Verify())
		})
	}
	// A hasher that does not read the key must not put that off until a bucket is locked, to compare the key or to copy it.
	byLength := WithHasher(func(key string, _ uint64) uint64 { return uint64(len(key)) })
	for _, c := range []struct {
		name string
		do   func(m *Map[string, int], key []byte)
	}{
		{"StoreBytes", func(m *Map[string, int], key []byte) { StoreBytes(m, key, 2) }},
		{"LoadOrStoreBytes", func(m *Map[string, int], key []byte) { LoadOrStoreBytes(m, key, 2) }},
		{"SwapBytes", func(m *Map[string, int], key []byte) { SwapBytes(m, key, 2) }},
		{"DeleteBytes", func(m *Map[string, int], key []byte) { DeleteBytes(m, key) }},
		{"LoadAndDeleteBytes", func(m *Map[string, int], key []byte) { LoadAndDeleteBytes(m, key) }},
	} {
		for _, present := range []string{"first", strings.Repeat("x", length)} {
			t.Run(c.name+" beside "+present, func(t *testing.T) {
				m := New[string, int](byLength)
				m.Store(present, 1)
				afPanics(t, func() { c.do(m, unreadable) })
				require.Equal(t, 1, m.Len())
				ftWatch(t, func() { StoreBytes(m, make([]byte, length), 1) })
				require.Equal(t, 2, m.Len())
				require.NoError(t, m.Verify())
			})
		}
	}
}

// TestAttackUnreadableBytesLeaveNothing: what was to be copied and could not be read takes no room, which nobody would ever
// give back.
func TestAttackUnreadableBytesLeaveNothing(t *testing.T) {
	const most = 1 << 20
	unreadable, err := unix.Mmap(-1, 0, most, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Munmap(unreadable)) }()
	for _, length := range []int{1, 40, 40_000, most} {
		m := NewBytes()
		m.Set("first", nil)
		m.Set("second", nil)
		before := m.core.read.Load().traits.arena.Usage()
		for range 100 {
			afPanics(t, func() { m.Set("second", unreadable[:length]) })
			afPanics(t, func() { m.Set("third", unreadable[:length]) })
		}
		require.Equal(t, before, m.core.read.Load().traits.arena.Usage(), length)
	}
}

// TestAttackKeyGoesAwayInFlight: while the function of LoadOrCompute runs, the page with the caller's key goes away. The map
// has a copy by then: its value is stored, and those who wait get it.
func TestAttackKeyGoesAwayInFlight(t *testing.T) {
	page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	require.NoError(t, err)
	key := unsafe.String(&page[0], copy(page, "the key"))
	var m Map[string, int]
	waited := make(chan int, 1)
	ftWatch(t, func() {
		v, loaded, err := m.LoadOrCompute(key, func() (int, error) {
			go func() {
				v, _, _ := m.LoadOrCompute("the key", func() (int, error) { return 8, nil })
				waited <- v
			}()
			for !afWaits() {
				runtime.Gosched()
			}
			return 7, unix.Munmap(page)
		})
		require.NoError(t, err)
		require.False(t, loaded)
		require.Equal(t, 7, v)
		require.Equal(t, 7, <-waited)
	})
	v, ok := m.Load("the key")
	require.True(t, ok)
	require.Equal(t, 7, v)
}

// afWaits reports whether a goroutine waits for another's function.
func afWaits() bool {
	stacks := make([]byte, 1<<20)
	return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "flights[...]).await(")
}

func afPanics(t *testing.T, f func()) {
	t.Helper()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	require.Panics(t, f)
}
