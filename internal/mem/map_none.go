//go:build !unix && !windows

// This file is responsible for systems without mappings, such as WebAssembly.

package mem

const osMaps = false

func osMap(Kind, uintptr) (region, error) { return region{}, errNoPages }

func osUnmap(region) error { return nil }
