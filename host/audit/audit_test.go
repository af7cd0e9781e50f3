package audit

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/record"
)

// finished is the record of a stream that a second attempt answered.
func finished() *record.Request {
	r := &record.Request{
		ID: "req_1", Began: time.Date(2026, 11, 29, 23, 59, 59, 5e6, time.UTC), Duration: 1500 * time.Microsecond, Endpoint: "/v1/chat/completions",
		Client: "10.0.0.1", BytesIn: 77, Key: "app", Group: "team", Model: "m", Alias: "m", Stream: true, ForModel: true, Status: 200, FirstContent: time.Millisecond,
		Usage: record.Usage{Input: 10, CachedInput: 5, CacheWrite: 2, Output: 3, Reasoning: 1, Estimated: true},
	}
	r.Add(record.Attempt{Provider: "up0", Model: "m0", Class: "rate", Duration: time.Millisecond, Cost: record.Cost{Known: true}})
	r.Add(record.Attempt{Provider: "up1", Model: `a"b`, Duration: time.Millisecond, Cost: record.Cost{Nano: 1_234, Known: true}, Price: "abcdef"})
	return r
}

func TestALineHasWhatIsKnownAndNoContent(t *testing.T) {
	for name, tc := range map[string]struct {
		record *record.Request
		want   string
	}{
		"a stream by the second target": {finished(), `{"time":"2026-11-29T23:59:59.005Z","id":"req_1","endpoint":"/v1/chat/completions","key":"app","group":"team","alias":"m","target":"up1/a\"b",` +
			`"trail":[{"target":"up0/m0","class":"rate","ms":1},{"target":"up1/a\"b","ms":1}],"status":200,"stream":true,"ms":1.5,"first_token_ms":1,` +
			`"tokens":{"input":10,"cached_input":5,"cache_write":2,"output":3,"reasoning":1,"estimated":true},"cost_nano":1234,"price":"abcdef","bytes_in":77,"client":"10.0.0.1"}`},
		"a request that the first target answered": {
			&record.Request{ID: "req_6", Began: time.Unix(0, 0), Duration: 2 * time.Millisecond, Status: 200, Alias: "m", Attempts: []record.Attempt{{Provider: "up", Model: "m", Duration: time.Millisecond}}},
			`{"time":"1970-01-01T00:00:00.000Z","id":"req_6","alias":"m","target":"up/m","trail":[{"target":"up/m","ms":1}],"status":200,"ms":2}`,
		},
		"a refusal": {
			&record.Request{ID: "req_2", Began: time.Unix(0, 0), Status: 401, Class: "unauthenticated", Code: "invalid_api_key", Model: "secret", Err: io.EOF},
			`{"time":"1970-01-01T00:00:00.000Z","id":"req_2","status":401,"class":"unauthenticated","code":"invalid_api_key","ms":0}`,
		},
		"a request that another alias served": {
			&record.Request{ID: "req_5", Began: time.Unix(0, 0), Status: 200, Alias: "m", Instead: "spare"},
			`{"time":"1970-01-01T00:00:00.000Z","id":"req_5","alias":"m","instead":"spare","status":200,"ms":0}`,
		},
		"a code of an upstream's": {
			&record.Request{ID: "req_3", Began: time.Unix(0, 0), Status: 400, Class: "client", Code: "you asked: who am I"},
			`{"time":"1970-01-01T00:00:00.000Z","id":"req_3","status":400,"class":"client","code":"other","ms":0}`,
		},
		"a long name": {
			&record.Request{ID: "req_4", Began: time.Unix(0, 0), Status: 200, Key: strings.Repeat("é", 1000)},
			`{"time":"1970-01-01T00:00:00.000Z","id":"req_4","key":"` + strings.Repeat("é", maxName/2) + `","status":200,"ms":0}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(appendLine(nil, tc.record))
			if got != tc.want+"\n" {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if !json.Valid([]byte(got)) {
				t.Error("the line is no JSON")
			}
		})
	}
}

func open(t *testing.T, path string, wait bool) *Output {
	t.Helper()
	o, err := Open(path, io.Discard, wait)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func linesOf(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte("\n"))
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s never happens", what)
		}
	}
}

// TestRotation moves the file away, as logrotate does, and sets another one later.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	one, old, two := filepath.Join(dir, "one"), filepath.Join(dir, "one.1"), filepath.Join(dir, "two")
	w := NewWriter(slog.New(slog.DiscardHandler))
	w.Add(finished()) // nothing is written yet
	w.Use(open(t, one, false))
	w.Add(finished())
	eventually(t, "the first line", func() bool { return linesOf(t, one) == 1 })
	if err := os.Rename(one, old); err != nil {
		t.Fatal(err)
	}
	w.Add(finished())
	eventually(t, "a line in the new file", func() bool { _, err := os.Stat(one); return err == nil && linesOf(t, one) == 1 })
	w.Use(open(t, two, false))
	w.Add(finished())
	w.Close(time.Minute)
	w.Add(finished())
	if linesOf(t, old) != 1 || linesOf(t, one) != 1 || linesOf(t, two) != 1 || w.Dropped() != 1 {
		t.Errorf("there are %d, %d and %d lines, and %d were dropped", linesOf(t, old), linesOf(t, one), linesOf(t, two), w.Dropped())
	}
	if info, err := os.Stat(two); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
}

// slow is an output that stands still until it may go on.
type slow struct {
	writes chan struct{} // gets one for each write that began
	goOn   chan struct{} // closed when writes may end
}

func (s *slow) Write(p []byte) (int, error) {
	select {
	case s.writes <- struct{}{}:
	default:
	}
	<-s.goOn
	return len(p), nil
}

// TestTrapASlowDiskHoldsUpRequests: lines for which there is no room are dropped and counted.
func TestTrapASlowDiskHoldsUpRequests(t *testing.T) {
	s := &slow{make(chan struct{}, 1), make(chan struct{})}
	w := NewWriter(slog.New(slog.DiscardHandler))
	o, _ := Open("stdout", s, false)
	w.Use(o)
	w.Add(finished())
	<-s.writes // which stands still now
	for range maxLines + 10 {
		w.Add(finished())
	}
	if w.Dropped() != 10 {
		t.Errorf("%d lines were dropped, want 10", w.Dropped())
	}
	close(s.goOn)
	w.Close(time.Minute)
}

func TestWaitingForRoom(t *testing.T) {
	s := &slow{make(chan struct{}, 1), make(chan struct{})}
	w := NewWriter(slog.New(slog.DiscardHandler))
	o, _ := Open("stdout", s, true)
	w.Use(o)
	w.Add(finished())
	<-s.writes
	for range maxLines {
		w.Add(finished())
	}
	added := make(chan struct{})
	go func() { w.Add(finished()); close(added) }()
	select {
	case <-added:
		t.Error("a line is added though there is no room")
	case <-time.After(20 * time.Millisecond):
	}
	close(s.goOn)
	<-added
	w.Close(time.Minute)
	if w.Dropped() != 0 {
		t.Errorf("%d lines were dropped", w.Dropped())
	}
}

func TestTrapAFullDiskStopsRequests(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this machine has no /dev/full")
	}
	var log bytes.Buffer
	w := NewWriter(slog.New(slog.NewTextHandler(&log, nil)))
	w.Use(open(t, "/dev/full", true))
	for range 3 {
		n := w.Dropped()
		w.Add(finished())
		eventually(t, "the loss", func() bool { return w.Dropped() > n })
	}
	w.Close(time.Minute)
	if w.Dropped() != 3 || strings.Count(log.String(), "the audit can't be written") != 1 {
		t.Errorf("%d lines were dropped, and the log says %s", w.Dropped(), log.String())
	}
}

func TestWhatCantBeAnAudit(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "no", "file")} {
		if o, err := Open(path, nil, false); err == nil {
			o.Close()
			t.Errorf("%s was opened", path)
		}
	}
}

func TestReading(t *testing.T) {
	line := string(appendLine(nil, finished()))
	zipped := func(s string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, s)
		z.Close()
		return b.String()
	}
	for name, tc := range map[string]struct {
		file         string
		read, unread int
	}{
		"nothing":                      {"", 0, 0},
		"two lines":                    {line + line, 2, 0},
		"the last one cut":             {line + line[:len(line)/2], 1, 1},
		"the last one without its end": {line + strings.TrimSuffix(line, "\n"), 2, 0},
		"one cut and gone on":          {line[:40] + "\n" + line, 1, 1},
		"something else":               {"hello\n\n{}\n" + line, 1, 2},
		"endless":                      {strings.Repeat("x", 10*maxLine) + "\n" + line, 1, 1},
		"compressed":                   {zipped(line + line), 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			read := 0
			cost := int64(1234)
			want := Line{
				Time: finished().Began, ID: "req_1", Key: "app", Group: "team", Alias: "m", Target: `up1/a"b`, Status: 200, Cost: &cost,
				Tokens: Tokens{10, 5, 2, 3, 1, true},
			}
			unread, err := Read(strings.NewReader(tc.file), func(l *Line) {
				if read++; !reflect.DeepEqual(*l, want) {
					t.Errorf("read %+v, want %+v", *l, want)
				}
			})
			if read != tc.read || unread != tc.unread || err != nil {
				t.Errorf("%d lines were read and %d not, %v; want %d and %d", read, unread, err, tc.read, tc.unread)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add(appendLine(nil, finished()))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		Read(bytes.NewReader(b), func(*Line) { n++ })
		if n > bytes.Count(b, []byte("\n"))+1 && !bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
			t.Error(fmt.Sprint(n, " lines in ", len(b), " bytes"))
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	w := NewWriter(slog.New(slog.DiscardHandler))
	defer w.Close(time.Second)
	o, _ := Open("stdout", io.Discard, true)
	w.Use(o)
	r := finished()
	r.Attempts = r.Attempts[1:]
	r.Attempts[0].Model = "gpt-4o"
	b.ReportAllocs()
	for b.Loop() {
		w.Add(r)
	}
	const most = 2 * time.Microsecond
	b.ReportMetric(float64(most), "ns-allowed")
	if each := b.Elapsed() / time.Duration(max(1, b.N)); each > most {
		b.Logf("MISSED: %v each, and %v are allowed", each, most)
	}
}
