#include "textflag.h"

// Every byte of Y is the byte c.
#define FILL(c, X, Y) \
	MOVL $c, AX      \
	VMOVD AX, X      \
	VPBROADCASTB X, Y

// func stopInBlocks(p *byte, n int) (before int, beyond, escaped bool)
TEXT ·stopInBlocks(SB), NOSPLIT, $0-26
	MOVQ p+0(FP), SI
	MOVQ n+8(FP), CX
	LEAQ -2(CX), R13         // the last byte that has one behind it
	SUBQ $32, CX             // where the last block may begin
	LEAQ ·escapes(SB), DI
	FILL(0x22, X0, Y0)       // quotes
	FILL(0x5C, X1, Y1)       // backslashes
	FILL(0x1F, X2, Y2)       // the last control character
	VPXOR Y3, Y3, Y3         // all bytes of blocks that were passed, or-ed
	XORL R8, R8              // the highest bits of the last block's bytes before its stop
	XORL R9, R9              // 1: there was an escape
	MOVL $1, R14
	MOVL $3, R15
	XORQ AX, AX

next:
	CMPQ AX, CX
	JGT  end
	VMOVDQU  (SI)(AX*1), Y4
	VPCMPEQB Y4, Y0, Y5
	VPCMPEQB Y4, Y1, Y6
	VPMINUB  Y4, Y2, Y7      // the byte itself if it is a control character
	VPCMPEQB Y4, Y7, Y7
	VPOR     Y5, Y6, Y5
	VPOR     Y5, Y7, Y5
	VPMOVMSKB Y5, BX
	TESTL    BX, BX
	JNZ      marked

pass:
	VPOR     Y4, Y3, Y3
	ADDQ     $32, AX
	JMP      next

marked:                      // BX has a bit for each byte that was found
	BSFL     BX, DX
	LEAQ     (AX)(DX*1), R12
	CMPB     (SI)(R12*1), $0x5C
	JNE      stop
	CMPQ     R12, R13
	JGT      stop
	MOVBLZX  1(SI)(R12*1), R10
	CMPB     (DI)(R10*1), $0
	JEQ      stop
	MOVL     $1, R9
	CMPL     DX, $31
	JEQ      over
	SHLXL    DX, R15, R10    // the bits of the escape
	NOTL     R10
	ANDL     R10, BX
	JNZ      marked
	JMP      pass

over:                        // an escape that ends in the next block
	VPOR     Y4, Y3, Y3
	ADDQ     $33, AX
	JMP      next

stop:
	VPMOVMSKB Y4, R8
	SHLXL    DX, R14, R10
	DECL     R10             // the bits below the stop's
	ANDL     R10, R8
	MOVQ     R12, AX

end:
	VPMOVMSKB Y3, R10
	ORL      R10, R8
	VZEROUPPER
	MOVQ     AX, before+16(FP)
	TESTL    R8, R8
	SETNE    beyond+24(FP)
	MOVB     R9, escaped+25(FP)
	RET

// func validInBlocks(p *byte, n int) (done int, ok bool)
TEXT ·validInBlocks(SB), NOSPLIT, $0-25
	MOVQ p+0(FP), SI
	MOVQ n+8(FP), CX
	ANDQ $~31, CX
	LEAQ ·utf8Rules(SB), DI
	VBROADCASTI128 (DI), Y0
	VBROADCASTI128 16(DI), Y1
	VBROADCASTI128 32(DI), Y2
	FILL(0x0F, X3, Y3)
	FILL(0x60, X4, Y4)       // E0 - 80: what is above has a third byte
	FILL(0x70, X5, Y5)       // F0 - 80: what is above has a fourth byte
	FILL(0x80, X6, Y6)
	VPXOR Y7, Y7, Y7         // what is wrong, or-ed
	XORQ AX, AX
	CMPQ AX, CX
	JEQ  done

block:
	VMOVDQU (SI)(AX*1), Y8
	VMOVDQU -3(SI)(AX*1), Y9 // three bytes before each
	VPOR    Y8, Y9, Y10
	VPMOVMSKB Y10, BX
	TESTL   BX, BX
	JZ      ascii
	VMOVDQU -1(SI)(AX*1), Y10 // the byte before each
	VMOVDQU -2(SI)(AX*1), Y11 // two bytes before each
	VPSRLW  $4, Y10, Y12
	VPAND   Y3, Y12, Y12
	VPSHUFB Y12, Y0, Y12
	VPAND   Y3, Y10, Y13
	VPSHUFB Y13, Y1, Y13
	VPSRLW  $4, Y8, Y14
	VPAND   Y3, Y14, Y14
	VPSHUFB Y14, Y2, Y14
	VPAND   Y12, Y13, Y12
	VPAND   Y14, Y12, Y12    // what all three tables say
	VPSUBUSB Y4, Y11, Y11    // 80 and above: this is a third byte
	VPSUBUSB Y5, Y9, Y9      // 80 and above: this is a fourth byte
	VPOR    Y9, Y11, Y11
	VPAND   Y6, Y11, Y11     // where two bytes must go on
	VPXOR   Y11, Y12, Y12
	VPOR    Y12, Y7, Y7

ascii:
	ADDQ $32, AX
	CMPQ AX, CX
	JNE  block

done:
	VPTEST Y7, Y7
	VZEROUPPER
	MOVQ AX, done+16(FP)
	SETEQ ok+24(FP)
	RET
