package embeddings

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

func TestNumberIsTheNearestFloat32(t *testing.T) {
	texts := []string{
		"0", "-0", "0.0", "1", "-1.5", "0.25", "1e-7", "1E+2", "123456789", "0.1", "3.4028234e38", "1.1754944e-38", "1e-45", "1e-50",
		"0.012345678901234567", "12345678901234567890123", "16777217", "16777217.000000001", "16777216.999999999", "0.000000000000000000000000001",
		"1.00000005960464477539062", "1.000000059604644775390625", "1.00000005960464477539063", "5.9604645e-8", "1e22", "1e-22", "1e23",
		"0e5", "0e999999999999999999999", "1e-999999999999999999999", "0.00000000000000000000000000000000000000000000001e46",
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		x := math.Float32frombits(r.Uint32())
		if x-x == 0 {
			texts = append(texts, strconv.FormatFloat(float64(x), 'g', -1, 32), strconv.FormatFloat(float64(x), 'g', 1+r.IntN(20), 64))
		}
		texts = append(texts, strconv.FormatFloat(r.NormFloat64(), 'f', r.IntN(20), 64))
	}
	for _, text := range texts {
		want, _ := strconv.ParseFloat(text, 32)
		got, size, ok := number([]byte(text + ",1"))
		if !ok || size != len(text) || math.Float32bits(got) != math.Float32bits(float32(want)) {
			t.Errorf("number(%s) = %v, %d, %v; want %v", text, got, size, ok, want)
		}
	}
}

func TestNumberRefuses(t *testing.T) {
	for _, text := range []string{
		"", "-", "+1", ".5", "1.", "1.e5", "01", "-01", "1e", "1e+", "e5", "NaN", "nan", "Infinity", "-Infinity", "null", `"1"`, "[1]",
		"1e999", "-1e999", "3.5e38", "x",
	} {
		if x, size, ok := number([]byte(text)); ok {
			t.Errorf("number(%q) = %v, %d", text, x, size)
		}
	}
}

// converted returns a vector in the form that a client asked for.
func converted(t testing.TB, v string, toBase64, normalize bool) (out string, count int, ok bool) {
	t.Helper()
	w := writer{base64: toBase64}
	w.visit = w.number
	scale := 1.0
	if normalize {
		scale = unit([]byte(v))
	}
	room := w.room([]byte(v), normalize)
	ok = w.write([]byte(v), scale)
	if ok && len(w.out) > room {
		t.Errorf("%.60s became %d bytes, and there was room for %d", v, len(w.out), room)
	}
	return string(w.out), w.count, ok
}

func TestVectors(t *testing.T) {
	long := make([]float32, 5000)
	for i := range long {
		long[i] = float32(i) / 3
	}
	text, _ := json.Marshal(long)
	packed := make([]byte, 4*len(long))
	for i, x := range long {
		binary.LittleEndian.PutUint32(packed[4*i:], math.Float32bits(x))
	}
	for name, tc := range map[string]struct {
		in        string
		base64    bool
		normalize bool
		want      string // "": it is refused
	}{
		"numbers to base64":            {in: "[0.5,-0.25,1e-7]", base64: true, want: `"AAAAPwAAgL6Vv9Yz"`},
		"base64 to base64":             {in: `"AAAAPwAAgL6Vv9Yz"`, base64: true, want: `"AAAAPwAAgL6Vv9Yz"`},
		"base64 to numbers":            {in: `"AAAAPwAAgL6Vv9Yz"`, want: "[0.5,-0.25,1e-07]"},
		"base64 without padding":       {in: `"AAAAPw"`, want: "[0.5]"},
		"base64 with an escaped slash": {in: `"\/\/8AAA=="`, want: "[9.1834e-41]"},
		"numbers stay as they are":     {in: "[ 0.50 ,\n-2.5E-1,1]", want: "[0.50,-2.5E-1,1]"},
		"numbers of length 1":          {in: "[3,4]", normalize: true, want: "[0.6,0.8]"},
		"base64 of length 1":           {in: "[3,0,4]", normalize: true, base64: true, want: `"` + base64.StdEncoding.EncodeToString([]byte("\x9a\x99\x19?\x00\x00\x00\x00\xcd\xccL?")) + `"`},
		"no length stays":              {in: "[0,0]", normalize: true, want: "[0,0]"},
		"many numbers to base64":       {in: string(text), base64: true, want: `"` + base64.StdEncoding.EncodeToString(packed) + `"`},
		"much base64 to numbers":       {in: `"` + base64.StdEncoding.EncodeToString(packed) + `"`, want: string(text)},
		"nothing":                      {in: ""},
		"null":                         {in: "null"},
		"an empty array":               {in: "[]"},
		"an empty string":              {in: `""`},
		"a number too large":           {in: "[1,1e999]"},
		"NaN":                          {in: "[NaN]"},
		"an array in it":               {in: "[1,[2]]"},
		"a string in it":               {in: `[1,"2"]`},
		"null in it":                   {in: `[1,null]`},
		"a comma too many":             {in: "[1,]"},
		"no comma":                     {in: "[1 2]"},
		"no end":                       {in: "[1,2"},
		"something behind it":          {in: "[1]]"},
		"half a number in base64":      {in: `"AAA="`},
		"NaN in base64":                {in: `"AADAfw=="`},
		"infinity in base64":           {in: `"AACAfw=="`},
		"a text":                       {in: `"hello, there"`},
		"line ends in base64":          {in: `"AAAA\nPw=="`},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, ok := converted(t, tc.in, tc.base64, tc.normalize)
			if ok != (tc.want != "") || ok && got != tc.want {
				t.Errorf("%.80s became %.80s, %v; want %.80s", tc.in, got, ok, tc.want)
			}
		})
	}
}

// FuzzVector holds that what is read as a vector of numbers is one for encoding/json, too,
// with the same numbers, and survives the way to base64 and back.
func FuzzVector(f *testing.F) {
	for _, s := range []string{"[1,2.5e-3]", `"AAAAPwAAgL6Vv9Yz"`, "[NaN]", "[1e999]", "[[1]]", "[0.1 ,\t-0]", "[16777217.000000001]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		packed, count, ok := converted(t, string(v), true, false)
		if len(v) > 0 && v[0] == '[' {
			var want []float32
			err := json.Unmarshal(v, &want)
			if v[len(v)-1] != ']' {
				return // space behind it, which encoding/json skips
			}
			isNull := false // which encoding/json takes for 0
			for _, c := range v {
				isNull = isNull || c == 'n'
			}
			if wanted := err == nil && len(want) > 0 && !isNull; wanted != ok {
				t.Fatalf("%q: ok is %v, encoding/json says %v", v, ok, err)
			}
			if ok {
				bytes := make([]byte, 0, 4*len(want))
				for _, x := range want {
					bytes = binary.LittleEndian.AppendUint32(bytes, math.Float32bits(x))
				}
				if got := `"` + base64.StdEncoding.EncodeToString(bytes) + `"`; got != packed {
					t.Fatalf("%q became %s, want %s", v, packed, got)
				}
			}
		}
		if !ok {
			return
		}
		numbers, again, ok := converted(t, packed, false, false)
		if !ok || again != count {
			t.Fatalf("%q: %d numbers became %d, %v", v, count, again, ok)
		}
		if back, _, _ := converted(t, numbers, true, false); back != packed {
			t.Fatalf("%q became %s, and %s on the way back", v, packed, back)
		}
		converted(t, string(v), false, true)
	})
}
