module github.com/hushmap/hushmap

go 1.24.0

require (
	github.com/cespare/xxhash/v2 v2.3.0
	golang.org/x/sys v0.41.0
)
