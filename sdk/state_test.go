package sdk

import (
	"bytes"
	"testing"
)

func TestStatesDifferByAnyBit(t *testing.T) {
	for n := range 70 {
		a := bytes.Repeat([]byte{0x5a}, n)
		b := bytes.Clone(a)
		if !same(a, b) {
			t.Errorf("two equal states of %d bytes differ", n)
		}
		if same(a, append(b, 0)) || same(append(b, 0), a) {
			t.Errorf("a state of %d bytes is the same as a longer one", n)
		}
		for i := range b {
			for bit := range 8 {
				b[i] ^= 1 << bit
				if same(a, b) {
					t.Errorf("two states of %d bytes are the same, although bit %d of byte %d differs", n, bit, i)
				}
				b[i] ^= 1 << bit
			}
		}
	}
}

func TestIsZeroSeesEveryByte(t *testing.T) {
	for n := range 100 {
		b := make([]byte, n)
		if !isZero(b) {
			t.Errorf("%d zeros are not zero", n)
		}
		for i := range b {
			if b[i] = 1; isZero(b) {
				t.Errorf("byte %d of %d isn't seen", i, n)
			}
			b[i] = 0
		}
	}
}
