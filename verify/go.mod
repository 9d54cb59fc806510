module github.com/hushmap/hushmap/verify

go 1.25.0

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/hushmap/hushmap v0.0.0-00010101000000-000000000000
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.41.0 // indirect
)

replace github.com/hushmap/hushmap => ../
