package embeddings

import (
	"math"
	"strconv"
)

// powersOfTen are those that a float64 has exactly.
var powersOfTen = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// number reads the JSON number that b begins with, which has size bytes, and rounds it to
// the nearest float32 as strconv.ParseFloat does. ok is false if there is none, or if it is
// too large for a float32.
func number(b []byte) (x float32, size int, ok bool) {
	i := 0
	if i < len(b) && b[i] == '-' {
		i++
	}
	var mantissa uint64
	exponent, significant := 0, 0
	first := i
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		if significant < 19 {
			mantissa = mantissa*10 + uint64(b[i]-'0')
		}
		if mantissa > 0 {
			significant++
		}
	}
	if i == first || b[first] == '0' && i > first+1 {
		return 0, 0, false
	}
	if i < len(b) && b[i] == '.' {
		i++
		point := i
		for ; i < len(b) && b[i]-'0' <= 9; i++ {
			if significant < 19 {
				mantissa = mantissa*10 + uint64(b[i]-'0')
			}
			if mantissa > 0 {
				significant++
			}
		}
		if exponent = point - i; exponent == 0 {
			return 0, 0, false
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		by, n := readExponent(b[i+1:])
		if n == 0 {
			return 0, 0, false
		}
		exponent += by
		i += 1 + n
	}
	// A quotient or product of two exact numbers is rounded once.
	if significant < 19 && mantissa < 1<<53 && -len(powersOfTen) < exponent && exponent < len(powersOfTen) {
		f := float64(mantissa)
		if exponent < 0 {
			f /= powersOfTen[-exponent]
		} else {
			f *= powersOfTen[exponent]
		}
		if roundsOnce(f) {
			if b[0] == '-' {
				f = -f
			}
			return float32(f), i, true
		}
	}
	// Without an error, and within 32 bytes, the string is not allocated.
	f, err := strconv.ParseFloat(string(b[:i]), 32)
	return float32(f), i, err == nil
}

// roundsOnce reports whether the float32 nearest to f, which is not negative, is also the
// one nearest to the number that f was rounded from. If f is in the middle between two of
// them, it may not be. The smallest ones have their middle elsewhere.
func roundsOnce(f float64) bool {
	const (
		smallestNormal = 0x1p-126
		below          = 1<<29 - 1 // the bits that a float32 lacks
		middle         = 1 << 28
	)
	return f == 0 || f >= smallestNormal && f <= math.MaxFloat32 && math.Float64bits(f)&below != middle
}

// readExponent reads what follows the e of a number. It has n bytes; 0: it is no exponent.
// An exponent that is larger than any number has is cut off.
func readExponent(b []byte) (exponent, n int) {
	negative := false
	if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
		negative = b[0] == '-'
		n++
	}
	first := n
	for ; n < len(b) && b[n]-'0' <= 9; n++ {
		exponent = min(exponent*10+int(b[n]-'0'), 1<<20)
	}
	if n == first {
		return 0, 0
	}
	if negative {
		exponent = -exponent
	}
	return exponent, n
}
