package quoted

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kai-gateway/kai/internal/testkit/race"
)

// plainStop is Stop, byte by byte.
func plainStop(b []byte, i int) (stop int, t Text) {
	for i < len(b) {
		switch c := b[i]; {
		case c == '"' || c < ' ', c == '\\' && (i+1 == len(b) || !strings.ContainsRune(`"\/bfnrt`, rune(b[i+1]))):
			return i, t
		case c == '\\':
			t.Escaped = true
			i += 2
		default:
			t.Beyond = t.Beyond || c >= utf8.RuneSelf
			i++
		}
	}
	return i, t
}

func checkStop(t *testing.T, b []byte, i int) {
	t.Helper()
	want, about := plainStop(b, i)
	if stop, got := Stop(b, i); stop != want || got != about {
		t.Fatalf("Stop(%q, %d) = %d, %v, want %d, %v", b, i, stop, got, want, about)
	}
	var got Text
	if stop, _ := stopInWords(b, i, len(b), &got); stop != want || got != about {
		t.Fatalf("stopInWords(%q, %d) = %d, %v, want %d, %v", b, i, stop, got, want, about)
	}
}

func TestStopFindsEveryByteEverywhere(t *testing.T) {
	for c := range 256 {
		b := bytes.Repeat([]byte("a"), 200)
		for at := range b {
			b[at] = byte(c)
			checkStop(t, b, 0)
			checkStop(t, b, at/2)
			checkStop(t, b[:at+1], min(at, 7))
			b[at] = 'a'
		}
	}
	for c := range 256 {
		b := bytes.Repeat([]byte("a"), 120)
		for at := range len(b) - 1 {
			b[at], b[at+1] = '\\', byte(c)
			checkStop(t, b, 0)
			checkStop(t, b[:at+2], min(at, 7))
			b[at], b[at+1] = 'a', 'a'
		}
	}
	for _, b := range []string{"", "é", strings.Repeat(`\"`, 99), `a` + strings.Repeat(`\\`, 99), strings.Repeat(`\"é`, 40) + "\n", strings.Repeat("é", 100) + `"é`, strings.Repeat("a", 99) + "\x1fé", strings.Repeat("a", 48) + "\"" + strings.Repeat("\xff", 99)} {
		for i := range len(b) + 1 {
			checkStop(t, []byte(b), i)
		}
	}
}

// TestValidKnowsEveryCharacter tries all that can begin with any four bytes, at every
// place of a block.
func TestValidKnowsEveryCharacter(t *testing.T) {
	bounds := []byte{0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff}
	b := bytes.Repeat([]byte("a"), 130)
	check := func(at int) {
		if got, want := Valid(b), utf8.Valid(b); got != want {
			t.Fatalf("Valid with %x at %d = %t", b[at:at+4], at, got)
		}
	}
	places := []int{0, 1, 2, 3, 31, 32, 33, 34, 35, 36, 64, 95, 96, 97, 98, 99, 126}
	if race.Enabled {
		places = []int{0, 126} // one goroutine alone: make check tries all without the race detector
	}
	for _, at := range places {
		for first := range 256 {
			for _, second := range bounds {
				for _, third := range bounds {
					for _, fourth := range []byte{'a', 0x80, 0xbf, 0xc2} {
						copy(b[at:], []byte{byte(first), second, third, fourth})
						check(at)
					}
				}
			}
		}
		copy(b[at:], "aaaa")
	}
}

func TestValidAtTheEnd(t *testing.T) {
	for _, text := range []string{"é", "€", "😀", "a", "😀é€"} {
		for size := range 300 {
			b := []byte(strings.Repeat(text, 300)[:size])
			if got, want := Valid(b), utf8.Valid(b); got != want {
				t.Fatalf("Valid of %d bytes of %s = %t", size, text, got)
			}
		}
	}
}

func TestTextsOfSeveralPieces(t *testing.T) {
	long := []byte(strings.Repeat(`x\nö`, piece))
	for _, at := range []int{len(long), piece - 1, piece, piece + 40, 2*piece + 3, len(long) - 1} {
		b := bytes.Clone(long)
		if at < len(b) {
			b[at] = '"'
		}
		checkStop(t, b, 0)
		if got, want := Valid(b), utf8.Valid(b); got != want {
			t.Errorf("Valid with a quote at %d = %t", at, got)
		}
		if at < len(b) {
			b[at] = 0xff
			if Valid(b) {
				t.Errorf("a wrong byte at %d is not found", at)
			}
		}
	}
}

func TestInside(t *testing.T) {
	for in, want := range map[string][3]bool{
		``: {true, false, true}, `a`: {true, false, true}, `é\n\"\\\/\b\f\r\t`: {true, false, true}, `\u00e9\uD83D`: {true, true, true},
		`\ud7ff`: {true, false, true}, `\udfff`: {true, true, true}, `\uDfFf`: {true, true, true}, "a\xff": {true, false, false},
		`"`: {}, "\n": {}, `\`: {}, `\x`: {}, `\u12`: {}, `\u12g4`: {}, "\\\xff": {}, `a\`: {}, `\\"`: {},
	} {
		for _, before := range []string{"", strings.Repeat("long ", 50), strings.Repeat("längər ", 50)} {
			ok, surrogates, isUTF8 := Inside([]byte(before + in))
			if got := [3]bool{ok, surrogates, isUTF8}; got != want {
				t.Errorf("Inside(%q) behind %d bytes = %v, want %v", in, len(before), got, want)
			}
		}
	}
}

// FuzzQuoted holds everything against what is simple and slow. The vectors are tried at all
// alignments, as far as rest is long.
func FuzzQuoted(f *testing.F) {
	for _, s := range []string{"", "plain text that is longer than a block of vectors, and goes on", `with "quotes\n`, "é€😀 " + `\ud83d\ude00`, "\xed\xa0\x80 \xf4\x90\x80\x80 \xc0\x80", "\x00\x1f\x7f\x80\xff"} {
		f.Add([]byte(s), uint8(0))
		f.Add([]byte(strings.Repeat(s, 9)), uint8(77))
	}
	f.Fuzz(func(t *testing.T, in []byte, shift uint8) {
		b := append(bytes.Repeat([]byte("x"), int(shift)), in...)
		for _, i := range []int{0, int(shift), min(len(b), int(shift)+1), len(b)} {
			checkStop(t, b, i)
		}
		if got, want := Valid(b), utf8.Valid(b); got != want {
			t.Fatalf("Valid(%q) = %t", b, got)
		}
		ok, _, isUTF8 := Inside(b)
		if want := json.Valid(fmt.Appendf(nil, `"%s"`, b)); ok != want {
			t.Fatalf("Inside(%q) = %t, encoding/json says %t", b, ok, want)
		}
		if ok && isUTF8 != utf8.Valid(b) {
			t.Fatalf("Inside(%q) says UTF-8: %t", b, isUTF8)
		}
		MendHalves(b, `\`, true)
	})
}

func BenchmarkStop(b *testing.B) {
	for name, text := range map[string]string{
		"a word": `word"` + strings.Repeat("x", 100), "a page": strings.Repeat("All work and no play. ", 200) + `"`,
		"lines": strings.Repeat(`All work and no play makes Jack a dull boy.\n`, 100) + `"`,
	} {
		p := []byte(text)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if i, _ := Stop(p, 0); p[i] != '"' {
					b.Fatal("no quote")
				}
			}
		})
	}
}

func BenchmarkValid(b *testing.B) {
	for name, text := range map[string]string{"English": "All work and no play. ", "German": "Größe überträgt sich schön. ", "Chinese": "只工作不玩耍,聪明孩子也变傻。"} {
		p := []byte(strings.Repeat(text, 4000/len(text)))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if !Valid(p) {
					b.Fatal("not valid")
				}
			}
		})
	}
}

func TestShortEndKnowsWhatIsShortAndPlain(t *testing.T) {
	for n := range 60 {
		for room := range 12 { // bytes behind the closing quote
			b := append(append(bytes.Repeat([]byte("x"), n), '"'), bytes.Repeat([]byte(" "), room)...)
			want := 0
			if n+1+room >= n/8*8+8 && n < shortest {
				want = n + 1
			}
			if got := ShortEnd(b, 0); got != want {
				t.Errorf("the string of %d bytes with %d behind it ends at %d, want %d", n, room, got, want)
			}
			for i := range n {
				for c := range 256 {
					b[i] = byte(c)
					isPlain := c >= ' ' && c < 0x80 && c != '"' && c != '\\'
					if got := ShortEnd(b, 0); isPlain && got != want || !isPlain && got != 0 && (c != '"' || got != i+1) {
						t.Errorf("with %#x at %d, the string of %d bytes ends at %d", c, i, n, got)
					}
				}
				b[i] = 'x'
			}
		}
	}
}
