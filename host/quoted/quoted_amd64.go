package quoted

import "golang.org/x/sys/cpu"

// vectors says that the processor has AVX2, and BMI2, which came with it.
var vectors = cpu.X86.HasAVX2 && cpu.X86.HasBMI2

// stopInBlocks looks at the n bytes at p, in whole blocks, and passes escapes of two characters.
// It returns how many bytes are before the first stop, or were looked at, and what is known of
// them.
//
//go:noescape
func stopInBlocks(p *byte, n int) (before int, beyond, escaped bool)

// validInBlocks looks at the n bytes at p, in whole blocks. Three bytes must stand before p, and
// be the end of characters. It returns how many bytes the blocks have, and whether they are UTF-8,
// but for a character that goes on behind them.
//
//go:noescape
func validInBlocks(p *byte, n int) (done int, ok bool)

// What can be wrong with two bytes that follow each other, a bit for each. How to find it in three
// tables is described in https://arxiv.org/abs/2010.03090.
const (
	tooShort   = 1 << iota // a character begins where another one should go on
	tooLong                // a character goes on that was complete, or never began
	overlong3              // E0 80 to E0 9F
	tooLarge               // F4 90 and above, with a second byte of 90 and above
	surrogate              // ED A0 to ED BF
	overlong2              // C0 and C1
	overlong4              // F0 80 to F0 8F, and too large: F5 80 and above
	twoGoingOn             // two bytes that go on: an error but as third or fourth byte

	always = tooShort | tooLong | twoGoingOn // whatever the low half of the first byte is
	large  = tooLarge | overlong4
)

// utf8Rules has what can be wrong by the high half of the first of two bytes, by its low half, and
// by the high half of the second. What all three say is wrong.
//
//lint:ignore U1000 quoted_amd64.s reads it
var utf8Rules = [3][16]uint8{
	{
		0x0: tooLong, 0x1: tooLong, 0x2: tooLong, 0x3: tooLong, 0x4: tooLong, 0x5: tooLong, 0x6: tooLong, 0x7: tooLong,
		0x8: twoGoingOn, 0x9: twoGoingOn, 0xA: twoGoingOn, 0xB: twoGoingOn,
		0xC: tooShort | overlong2, 0xD: tooShort, 0xE: tooShort | overlong3 | surrogate, 0xF: tooShort | large,
	},
	{
		0x0: always | overlong2 | overlong3 | overlong4, 0x1: always | overlong2, 0x2: always, 0x3: always,
		0x4: always | tooLarge, 0x5: always | large, 0x6: always | large, 0x7: always | large,
		0x8: always | large, 0x9: always | large, 0xA: always | large, 0xB: always | large,
		0xC: always | large, 0xD: always | large | surrogate, 0xE: always | large, 0xF: always | large,
	},
	{
		0x0: tooShort, 0x1: tooShort, 0x2: tooShort, 0x3: tooShort, 0x4: tooShort, 0x5: tooShort, 0x6: tooShort, 0x7: tooShort,
		0x8: tooLong | twoGoingOn | overlong2 | overlong3 | overlong4,
		0x9: tooLong | twoGoingOn | overlong2 | overlong3 | tooLarge,
		0xA: tooLong | twoGoingOn | overlong2 | surrogate | tooLarge,
		0xB: tooLong | twoGoingOn | overlong2 | surrogate | tooLarge,
		0xC: tooShort, 0xD: tooShort, 0xE: tooShort, 0xF: tooShort,
	},
}
