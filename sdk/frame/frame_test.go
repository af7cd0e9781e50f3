package frame

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/kai-gateway/kai/sdk/abi"
)

// decode feeds the pieces one after the other and prints each frame as
// "name|data", with its lines before it. It spoils every piece and every frame as soon as it may.
func decode(f abi.Framing, limit int, pieces ...string) ([]string, error) {
	d := NewDecoder(f, limit)
	var got []string
	for _, piece := range pieces {
		p := []byte(piece)
		d.Feed(p)
		for {
			fr, ok, err := d.Next()
			if err != nil {
				return got, err
			}
			if !ok {
				break
			}
			got = append(got, linesOf(d)+string(fr.Name)+"|"+string(fr.Data))
		}
		for i := range p {
			p[i] = '#'
		}
	}
	fr, ok, err := d.End()
	if ok {
		got = append(got, linesOf(d)+string(fr.Name)+"|"+string(fr.Data))
	}
	return got, err
}

// linesOf prints the lines of the last frame.
func linesOf(d *Decoder) string { return strings.ReplaceAll(string(d.Lines()), "\n", ";") }

var bodies = map[string]struct {
	framing abi.Framing
	body    string
	want    []string
}{
	"events in LF":                        {abi.SSE, "data: a\n\ndata: b\n\n", []string{"|a", "|b"}},
	"events in CRLF":                      {abi.SSE, "data: a\r\n\r\ndata: b\r\n\r\n", []string{"|a", "|b"}},
	"events in CR":                        {abi.SSE, "data: a\r\rdata: b\r\r", []string{"|a", "|b"}},
	"line ends mixed":                     {abi.SSE, "data: a\r\n\rdata: b\r\r\ndata: c\n\r\ndata: d\n\n", []string{"|a", "|b", "|c", "|d"}},
	"a CR and LF LF":                      {abi.SSE, "data: a\r\n\ndata: b\r\n\n", []string{"|a", "|b"}},
	"a byte order mark":                   {abi.SSE, "\ufeffdata: a\n\n", []string{"|a"}},
	"a byte order mark is dropped once":   {abi.SSE, "\ufeff\ufeffdata: a\n\ndata: b\n\n", []string{"|b"}},
	"a byte order mark in later lines":    {abi.SSE, "data: a\n\n\ufeffdata: b\n\n", []string{"|a"}},
	"no space after the colon":            {abi.SSE, "data:a\n\n", []string{"|a"}},
	"one space is taken away":             {abi.SSE, "data:  a \n\n", []string{"| a "}},
	"a tab is no space":                   {abi.SSE, "data:\ta\n\n", []string{"|\ta"}},
	"names":                               {abi.SSE, "event: ping\ndata: 1\n\ndata: 2\n\n", []string{"ping|1", "|2"}},
	"the name behind the data":            {abi.SSE, "data: 1\nevent: ping\n\n", []string{"ping|1"}},
	"the last name counts":                {abi.SSE, "event: a\nevent: bc\ndata: 1\nevent\nevent: d\n\n", []string{"d|1"}},
	"a name without data is dropped":      {abi.SSE, "event: ping\n\ndata: 1\n\n", []string{"|1"}},
	"data lines are joined":               {abi.SSE, "data: a\ndata:\ndata: b\nevent: x\n\n", []string{"x|a\n\nb"}},
	"data is in all its lines":            {abi.SSE, "data: {\ndata: \"a\":1\nid: 4\ndata: }\n\n", []string{"id: 4;|{\n\"a\":1\n}"}},
	"empty data is an event":              {abi.SSE, "data:\n\ndata: \n\ndata\n\n", []string{"|", "|", "|"}},
	"two empty data lines":                {abi.SSE, "data\ndata\n\n", []string{"|\n"}},
	"a field without colon is no data":    {abi.SSE, "dat\nd\n\ndata: a\n\n", []string{"|a"}},
	"other fields":                        {abi.SSE, "id: 7\nretry: 100\nDATA: no\n data: no\nfoo: bar\n\ndata: a\nid\n\n", []string{"id: 7;retry: 100;id;|a"}},
	"lines of the next event":             {abi.SSE, "retry:  1\nretry: 20\r\n\r\nid: 1\r\rdata: a\n\ndata: b\nid:2\n\ndata: c\n\nid: 3\n\n", []string{"retry: 20;id: 1;|a", "id:2;|b", "|c"}},
	"lines that clients ignore":           {abi.SSE, "id: a\x00b\nid: \x1b[2J\nid: \x7f\nid: \xff\nretry\nretry: -1\nretry: 1s\nids: 1\ndata: a\n\n", []string{"|a"}},
	"lines of JSON that look like lines":  {abi.NDJSON, "id: 1\n{}\n", []string{"|id: 1", "|{}"}},
	"comments":                            {abi.SSE, ": hi\n\n:\n:\n\ndata: a\n: OPENROUTER PROCESSING\ndata: b\n\n", []string{"|a\nb"}},
	"many blank lines":                    {abi.SSE, "\n\n\r\n\r\rdata: a\n\n\n\n", []string{"|a"}},
	"colons in the data":                  {abi.SSE, "data: {\"a\":\"b: c\"}\n\n", []string{"|{\"a\":\"b: c\"}"}},
	"UTF-8 in pieces":                     {abi.SSE, "data: é😀\n\n", []string{"|é😀"}},
	"a last event without a blank line":   {abi.SSE, "data: a\n\ndata: b\n", []string{"|a", "|b"}},
	"a last line without an end":          {abi.SSE, "data: a\n\nevent: x\ndata: b", []string{"|a", "x|b"}},
	"a last line that ends in CR":         {abi.SSE, "data: a\r", []string{"|a"}},
	"a last event without data":           {abi.SSE, "data: a\n\nevent: x\n: c", []string{"|a"}},
	"only a byte order mark and a line":   {abi.SSE, "\ufeffdata: a", []string{"|a"}},
	"nothing":                             {abi.SSE, "", nil},
	"lines of JSON":                       {abi.NDJSON, "{\"a\":1}\n{\"b\":2}\n", []string{`|{"a":1}`, `|{"b":2}`}},
	"lines of JSON in CRLF":               {abi.NDJSON, "{}\r\n[]\r\n", []string{"|{}", "|[]"}},
	"blank lines of JSON":                 {abi.NDJSON, "\n\r\n{}\n \t\r\n\n[]\n\n", []string{"|{}", "|[]"}},
	"a CR within a line of JSON":          {abi.NDJSON, "[1,\r2]\n", []string{"|[1,\r2]"}},
	"a last line of JSON without its end": {abi.NDJSON, "{}\n[]", []string{"|{}", "|[]"}},
	"a last line of JSON that ends in CR": {abi.NDJSON, "{}\n[]\r", []string{"|{}", "|[]"}},
	"a byte order mark before JSON":       {abi.NDJSON, "\ufeff{}\n", []string{"|{}"}},
	"white space around JSON is kept":     {abi.NDJSON, " {} \n", []string{"| {} "}},
}

func TestDecoder(t *testing.T) {
	for name, tc := range bodies {
		t.Run(name, func(t *testing.T) {
			got, err := decode(tc.framing, 0, tc.body)
			if err != nil || !slices.Equal(got, tc.want) {
				t.Errorf("%q gives %q, %v, want %q", tc.body, got, err, tc.want)
			}
		})
	}
}

func TestCutsChangeNothing(t *testing.T) {
	for name, tc := range bodies {
		t.Run(name, func(t *testing.T) {
			check := func(pieces ...string) {
				t.Helper()
				got, err := decode(tc.framing, 0, pieces...)
				if err != nil || !slices.Equal(got, tc.want) {
					t.Errorf("%q gives %q, %v, want %q", pieces, got, err, tc.want)
				}
			}
			check(strings.Split(tc.body, "")...) // by character
			var single []string
			for i := range len(tc.body) {
				single = append(single, tc.body[i:i+1], "")
			}
			check(single...)
			for i := range len(tc.body) {
				for j := i; j <= len(tc.body); j++ {
					check(tc.body[:i], tc.body[i:j], tc.body[j:])
				}
			}
		})
	}
}

func TestCommentsAndLineEndsChangeNothing(t *testing.T) {
	lines := []string{"event: one", "data: a", "data: b", "", "data: c", "", "id: 1", "data: [DONE]", ""}
	want := []string{"one|a\nb", "|c", "id: 1;|[DONE]"}
	for _, end := range []string{"\n", "\r\n", "\r"} {
		body := strings.Join(lines, end) + end
		if got, err := decode(abi.SSE, 0, body); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q gives %q, %v, want %q", body, got, err, want)
		}
		for at := range lines {
			body := strings.Join(slices.Insert(slices.Clone(lines), at, ": keep-alive", ":"), end) + end
			if got, err := decode(abi.SSE, 0, body); err != nil || !slices.Equal(got, want) {
				t.Errorf("%q gives %q, %v, want %q", body, got, err, want)
			}
		}
	}
}

func TestEventEndsWithItsCR(t *testing.T) {
	d := NewDecoder(abi.SSE, 0)
	d.Feed([]byte("data: a\r\n\r"))
	f, ok, err := d.Next()
	if !ok || err != nil || string(f.Data) != "a" {
		t.Errorf("Next() = %q, %t, %v: the event waits for the LF after its CR", f.Data, ok, err)
	}
}

// TestTheLastOfManyLinesStay: what comes with an event besides its data is bounded.
func TestTheLastOfManyLinesStay(t *testing.T) {
	long := func(c string) string { return "id: " + strings.Repeat(c, 600) }
	body := long("a") + "\n" + long("b") + "\nretry: 5\ndata: a\nid: " + strings.Repeat("c", 2000) + "\n\n"
	want := []string{long("b") + ";retry: 5;|a"}
	if got, err := decode(abi.SSE, 0, strings.SplitAfter(body, "b")...); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestLimit(t *testing.T) {
	for name, tc := range map[string]struct {
		framing abi.Framing
		body    string
		want    []string
		tooLong bool
	}{
		"a line of the limit":           {abi.SSE, "data: abcd\n\n", []string{"|abcd"}, false},
		"a line beyond":                 {abi.SSE, "data: a\n\ndata: abcde\n\ndata: b\n\n", []string{"|a"}, true},
		"a comment beyond":              {abi.SSE, ":1234567890\n", nil, true},
		"an event of the limit":         {abi.SSE, "data:abcd\ndata:fghij\n\n", []string{"|abcd\nfghij"}, false},
		"an event beyond":               {abi.SSE, "data:abcde\ndata:ghijk\n\n", nil, true},
		"many short data lines":         {abi.SSE, strings.Repeat("data\n", 12) + "\n", nil, true},
		"any number of comments":        {abi.SSE, strings.Repeat(":12345\n", 12) + "data: a\n\n", []string{"|a"}, false},
		"a line of JSON of the limit":   {abi.NDJSON, "[12345678]\n", []string{"|[12345678]"}, false},
		"a line of JSON beyond":         {abi.NDJSON, "[]\n[123456789]\n", []string{"|[]"}, true},
		"a last line beyond, not ended": {abi.NDJSON, "[]\n[1234567890", []string{"|[]"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			for cut := range len(tc.body) + 1 {
				got, err := decode(tc.framing, 10, tc.body[:cut], tc.body[cut:])
				if errors.Is(err, ErrTooLong) != tc.tooLong || !slices.Equal(got, tc.want) {
					t.Errorf("%q gives %q, %v, want %q, too long = %t", tc.body, got, err, tc.want, tc.tooLong)
				}
			}
		})
	}
}

func TestErrorStays(t *testing.T) {
	d := NewDecoder(abi.NDJSON, 4)
	d.Feed([]byte("12345\n1\n"))
	for range 2 {
		if _, ok, err := d.Next(); ok || !errors.Is(err, ErrTooLong) {
			t.Errorf("Next() = %t, %v, want ErrTooLong", ok, err)
		}
	}
	d.Feed([]byte("1\n"))
	if _, ok, err := d.Next(); ok || !errors.Is(err, ErrTooLong) {
		t.Errorf("Next() after Feed = %t, %v, want ErrTooLong", ok, err)
	}
	if _, ok, err := d.End(); ok || !errors.Is(err, ErrTooLong) {
		t.Errorf("End() = %t, %v, want ErrTooLong", ok, err)
	}
}

func TestWholeFramesAreNotCopied(t *testing.T) {
	for f, body := range map[abi.Framing]string{abi.SSE: "event: x\ndata: abc\n\n", abi.NDJSON: "abc\n"} {
		p := []byte(body)
		d := NewDecoder(f, 0)
		d.Feed(p)
		fr, _, _ := d.Next()
		p[bytes.Index(p, []byte("abc"))] = '!'
		if string(fr.Data) != "!bc" {
			t.Errorf("framing %d: the data of a whole frame is a copy", f)
		}
	}
}

func TestLargeStorageIsReleased(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	d := NewDecoder(abi.SSE, 0)
	for _, p := range []string{"event: " + big, big + "\ndata: " + big, big + "\n", "data: 1\n", "\n"} {
		d.Feed([]byte(p))
		for {
			if _, ok, _ := d.Next(); !ok {
				break
			}
		}
	}
	if n := cap(d.line) + cap(d.nameOwn) + cap(d.dataOwn); n > 3*idleStorage || d.name != nil || d.data != nil || d.in != nil {
		t.Errorf("an idle decoder holds %d bytes", n)
	}
}

func TestMisusePanics(t *testing.T) {
	for name, misuse := range map[string]func(){
		"a framing without frames": func() { NewDecoder(abi.Whole, 0) },
		"Feed before Next reported false": func() {
			d := NewDecoder(abi.SSE, 0)
			d.Feed([]byte("data: a\n\n"))
			d.Feed([]byte("data: b\n\n"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			misuse()
		})
	}
}

// FuzzFrames holds any cuts against the body in one piece, and the frames of
// that against a plain reading of the standard.
func FuzzFrames(f *testing.F) {
	for _, tc := range bodies {
		f.Add(tc.body, uint64(0x9e3779b97f4a7c15), tc.framing == abi.NDJSON)
	}
	f.Fuzz(func(t *testing.T, body string, seed uint64, ndjson bool) {
		framing, want := abi.SSE, plainSSE(body)
		if ndjson {
			framing, want = abi.NDJSON, plainNDJSON(body)
		}
		got, err := decode(framing, 0, body)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q gives %q, %v, want %q", body, got, err, want)
		}
		var pieces []string
		for rest := body; rest != ""; {
			seed = seed*6364136223846793005 + 1442695040888963407
			n := min(int(seed>>59), len(rest))
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		if got, err = decode(framing, 0, pieces...); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q gives %q, %v, want %q", pieces, got, err, want)
		}
		whole, wholeErr := decode(framing, 16, body)
		cut, cutErr := decode(framing, 16, pieces...)
		if !slices.Equal(whole, cut) || !errors.Is(cutErr, wholeErr) {
			t.Fatalf("with a limit %q gives %q, %v, in one piece %q, %v", pieces, cut, cutErr, whole, wholeErr)
		}
	})
}

func plainSSE(body string) (frames []string) {
	body = strings.TrimPrefix(body, "\ufeff")
	body = strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "\r", "\n")
	var name, lines string
	var data []string
	add := func(line string, ok bool) {
		if ok && len(line) < maxLines {
			if len(lines)+len(line) >= maxLines {
				lines = ""
			}
			lines += line + ";"
		}
	}
	for _, line := range append(strings.Split(body, "\n"), "") {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if data != nil {
				frames = append(frames, lines+name+"|"+strings.Join(data, "\n"))
				lines = ""
			}
			name, data = "", nil
		case field == "data":
			data = append(data, value)
		case field == "event":
			name = value
		case field == "id":
			add(line, utf8.ValidString(value) && !strings.ContainsFunc(value, unicode.IsControl))
		case field == "retry":
			add(line, value != "" && strings.Trim(value, "0123456789") == "")
		}
	}
	return frames
}

func plainNDJSON(body string) (frames []string) {
	for line := range strings.SplitSeq(strings.TrimPrefix(body, "\ufeff"), "\n") {
		if strings.Trim(line, " \t\r") != "" {
			frames = append(frames, "|"+strings.TrimSuffix(line, "\r"))
		}
	}
	return frames
}

func BenchmarkDecoder(b *testing.B) {
	const chunk = `{"id":"chatcmpl-123","object":"chat.completion.chunk","created":1700000000,"model":"m",` +
		`"choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}`
	for _, bc := range []struct {
		framing abi.Framing
		frame   string
	}{
		{abi.SSE, "data: " + chunk + "\n\n"},
		{abi.NDJSON, chunk + "\n"},
	} {
		for _, size := range []int{1 << 10, 32 << 10} {
			b.Run(fmt.Sprintf("framing %d in pieces of %d", bc.framing, size), func(b *testing.B) {
				body := bytes.Repeat([]byte(bc.frame), 1000)
				d := NewDecoder(bc.framing, 0)
				frames := 0
				b.ReportAllocs()
				b.SetBytes(int64(len(body)))
				for b.Loop() {
					for p := range slices.Chunk(body, size) {
						d.Feed(p)
						for {
							if _, ok, _ := d.Next(); !ok {
								break
							}
							frames++
						}
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(frames), "ns/frame")
			})
		}
	}
}
