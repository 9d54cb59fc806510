//go:build !purego

#include "textflag.h"

// func words(p []unsafe.Pointer)
TEXT ·words(SB), NOSPLIT, $0-24
	MOVD p_base+0(FP), R0
	MOVD p_len+8(FP), R1
	B    check

next:
	MOVD.P 8(R0), R2
	PRFM   (R2), PLDL1KEEP
	SUB    $1, R1

check:
	CBNZ R1, next
	RET
