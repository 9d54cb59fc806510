//go:build !purego

#include "textflag.h"

// func words(p []unsafe.Pointer)
TEXT ·words(SB), NOSPLIT, $0-24
	MOVQ p_base+0(FP), SI
	MOVQ p_len+8(FP), CX
	JMP  check

next:
	MOVQ       (SI), AX
	PREFETCHT0 (AX)
	ADDQ       $8, SI
	DECQ       CX

check:
	TESTQ CX, CX
	JNZ   next
	RET
