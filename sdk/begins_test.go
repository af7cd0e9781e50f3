package sdk

import "testing"

// TestBeginsWith changes each byte of texts of all lengths up to five words.
func TestBeginsWith(t *testing.T) {
	const text = `{"type":"response.output_text.delta",012`
	for n := 8; n <= len(text); n++ {
		for _, more := range []string{"", "x", "more than that"} {
			if !beginsWith([]byte(text[:n]+more), text[:n]) {
				t.Errorf("%d bytes, and %q: it doesn't begin so", n, more)
			}
			for i := range n {
				b := []byte(text[:n] + more)
				b[i] ^= 1
				if beginsWith(b, text[:n]) {
					t.Errorf("%q begins with %q", b, text[:n])
				}
			}
		}
		for short := range n {
			if beginsWith([]byte(text[:short]), text[:n]) {
				t.Errorf("%d bytes begin with %d", short, n)
			}
		}
	}
}
