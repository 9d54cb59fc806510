package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLoopsAreCurrent fails when a template was edited without `go generate ./...`.
func TestLoopsAreCurrent(t *testing.T) {
	for _, a := range adapters {
		want, err := render(a)
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join("..", "peer", fileName(a)))
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "run go generate ./...")
	}
}
