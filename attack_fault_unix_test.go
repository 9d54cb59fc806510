//go:build unix

package hushmap

import (
	"runtime/debug"
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
	t.Run("StoreBytes", func(t *testing.T) {
		m := New[string, int](WithHasher(func(key string, _ uint64) uint64 { return uint64(len(key)) }))
		m.Store("first", 1)
		afPanics(t, func() { StoreBytes(m, unreadable, 1) })
		ftWatch(t, func() { StoreBytes(m, make([]byte, length), 1) })
		require.Equal(t, 2, m.Len())
		require.NoError(t, m.Verify())
	})
}

func afPanics(t *testing.T, f func()) {
	t.Helper()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	require.Panics(t, f)
}
