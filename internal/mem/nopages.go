//go:build !linux

// This file is responsible for systems that cannot be asked for huge pages.

package mem

import "errors"

var errNoPages = errors.New("mem: no such kind of page on this system")

// spread would be what a Block knows of its huge pages.
type spread struct{}

// Touch says that the caller is about to write to the page at offset. It does something on Linux only.
func (b *Block) Touch(offset uintptr) {}

// Settle says that the Block was filled. It does something on Linux only.
func (b *Block) Settle() {}

// Join says that the Block is filled and in use. It does something on Linux only.
func (b *Block) Join() {}

// Retire says that the Block is not going to be in use for long. It does something on Linux only.
func (b *Block) Retire() {}

func (b *Block) advised(bool) {}

func (b *Block) onHeap() {}

func (b *Block) keepSmall() {}
