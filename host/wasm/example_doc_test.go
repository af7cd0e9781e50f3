package wasm

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk/abi"
)

// TestExampleOfTheDocument holds the adapter printed in docs/abi.md against the
// one that the tests below run.
func TestExampleOfTheDocument(t *testing.T) {
	text, err := os.ReadFile("testdata/example/lines.wat")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../../docs/abi.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(document), "\n```wat\n")
	printed, _, ok := strings.Cut(rest, "```\n")
	if !ok || printed != string(text) {
		t.Errorf("the adapter in docs/abi.md is not testdata/example/lines.wat:\n%s", printed)
	}
}

// TestExampleIsAssembled holds the module against its text, where there is an
// assembler.
func TestExampleIsAssembled(t *testing.T) {
	assembler, err := exec.LookPath("wat2wasm")
	if err != nil {
		t.Skip("wat2wasm (wabt) is not installed")
	}
	out := filepath.Join(t.TempDir(), "lines.wasm")
	if text, err := exec.Command(assembler, "testdata/example/lines.wat", "-o", out).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, example(t)) {
		t.Error("testdata/example/lines.wasm is older than lines.wat: assemble it")
	}
}

func example(t testing.TB) []byte {
	t.Helper()
	module, err := os.ReadFile("testdata/example/lines.wasm")
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func TestExampleRuns(t *testing.T) {
	a := newAdapter(t, example(t), nil)
	if m := a.Manifest(); m.Name != "lines" || !m.Profile().Serves(abi.Chat, nil) || m.Profile().PlainContent {
		t.Errorf("manifest = %+v", m)
	}
	var b Batch
	said := func(failed bool, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, e := range b.Emissions {
			lines = append(lines, fmt.Sprintf("%v %#x %q", e.Kind, e.At, e.Data))
		}
		return fmt.Sprintf("failed %v: %s", failed, strings.Join(lines, ", "))
	}
	body := `{"model":"m","messages":[]}`
	large := `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("x", 300_000) + `"}]}`
	head := `failed false: REQUEST 0x1 "POST /chat\ncontent-type: application/json\n", BODY 0x0 `

	for _, tc := range []struct {
		does string
		got  string
		want string
	}{
		{"passes the request on", said(a.Request(t.Context(), abi.Chat, true, []byte("{}"), []byte(body), &b)), head + fmt.Sprintf("%q", body)},
		{"grows its buffer for a large one", said(a.Request(t.Context(), abi.Chat, true, []byte("{}"), []byte(large), &b)), head + fmt.Sprintf("%q", large)},
		{"takes the first line", said(a.Event(t.Context(), abi.Chat, 0, nil, nil, []byte("Hello"), &b)), `failed false: STATE 0x0 "\n", TEXT 0x0 "Hello"`},
		{"puts a line feed before the second", said(a.Event(t.Context(), abi.Chat, 0, []byte("\n"), []byte("line"), []byte("you"), &b)), `failed false: TEXT 0x0 "\n", TEXT 0x0 "you"`},
		{"finishes", said(a.Event(t.Context(), abi.Chat, abi.FlagEnd, []byte("\n"), nil, nil, &b)), `failed false: FINISH 0x0 "stop"`},
		{"makes an error of an error", said(a.Response(t.Context(), abi.Chat, 500, nil, nil, []byte("oops"), &b)),
			`failed true: ERROR 0x0 "{\"status\":502,\"code\":\"upstream_error\",\"message\":\"The lines server refused the request.\"}"`},
	} {
		if tc.got != tc.want {
			t.Errorf("it %s: got %.300s, want %.300s", tc.does, tc.got, tc.want)
		}
	}
}

// TestLayoutOfTheDocument holds the worked example of docs/abi.md: the bytes in
// the buffer of kai_event(1, 0, 5, 13, 40).
func TestLayoutOfTheDocument(t *testing.T) {
	a := newAdapter(t, example(t), nil)
	in, err := a.take(anybody(a), true)
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	state, name, data := []byte("\x01\x02\x03\x04\x05"), []byte("message_delta"), []byte(`{"delta":{"type":"text_delta","n":"Hi"}}`)
	if len(data) != 40 || len(name) != 13 {
		t.Fatalf("the example has changed: %d, %d", len(data), len(name))
	}
	in.begin(anybody(a), fuelStart, 0)
	defer in.finish()
	if err := in.writeInput(&[3][]byte{state, name, data}); err != nil {
		t.Fatal(err)
	}
	got, _ := in.memory.Read(in.ptr, 64)
	want := "\x01\x02\x03\x04\x05\x00\x00\x00" + "message_delta\x00\x00\x00" + string(data)
	if string(got) != want {
		t.Errorf("the buffer holds\n%q, want\n%q", got, want)
	}
	document, err := os.ReadFile("../../docs/abi.md")
	if err != nil {
		t.Fatal(err)
	}
	if dump := hex.Dump(got); !strings.Contains(string(document), dump) {
		t.Errorf("docs/abi.md does not show the buffer:\n%s", dump)
	}
}
