//go:build !linux

package mem

import "errors"

var errNoPages = errors.New("mem: no such kind of page on this system")
