package hushmap

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Entries whose bucket has moved since the sweep copied it are looked up, which for records is not what it is for
// other values.
func TestBytesRangeVisitsAllThatIsDeletedMeanwhile(t *testing.T) {
	var m Bytes
	const n = 5000
	for i := range n {
		m.Set(fmt.Sprint(i), fmt.Appendf(nil, "-%d", i))
	}
	visited := 0
	m.Range(func(key string, value []byte) bool {
		visited++
		assert.Equal(t, "-"+key, string(value))
		return assert.True(t, m.Delete(key))
	})
	assert.Equal(t, n, visited)
	require.Zero(t, m.Len())
	require.NoError(t, m.Verify())
}
