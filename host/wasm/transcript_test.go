package wasm

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/wasm/fuel"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// puppetSays has the puppet emit TEXT "hi" and FINISH stop, see its .wat.
const puppetSays = `-- client-request.json --
{"model":"m","user":"@E10000000006869;E1c0000000073746f70;"}
-- emissions --
`

// carrying gives a guest with a transcript in it.
func carrying(t testing.TB, guest, transcript string) []byte {
	t.Helper()
	module, err := fuel.WithCustomSection(hostile(t, guest), abi.TranscriptSection, []byte(transcript))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func TestTheTranscriptInAModuleIsReplayed(t *testing.T) {
	const says = "TEXT 0 \"hi\"\nFINISH 0 stop\n"
	var costly strings.Builder
	for range 200 { // each in the bounds of a call, all together not
		fmt.Fprintf(&costly, "data: @%s\n\n", strings.Repeat("C00;", 40))
	}
	var wordy strings.Builder
	for range 8 { // with 64 KiB each time, within the bounds of a call
		fmt.Fprintf(&wordy, "data: @%s\n\n", strings.Repeat(fmt.Sprintf("P10%08x%08x", 0, 1<<16), 12))
	}
	const asks = "-- client-request.json --\n{\"user\":\"x\"}\n-- upstream-request --\nPOST /chat\ncontent-type: application/json\n\n{\"user\":\"x\"}\n" +
		"-- upstream-response --\nHTTP/1.1 200 OK\ncontent-type: text/event-stream\n\n"
	for name, tc := range map[string]struct {
		transcript string
		says       string // of the error; "" for none
	}{
		"one that is met":           {puppetSays + says, ""},
		"one of an upstream":        {asks + "event: a\ndata: b\n\n-- emissions --\nTEXT 0 \"a\"\nTEXT 0 \"b\"\n\nFINISH 0 stop\n", ""},
		"another text":              {puppetSays + "TEXT 0 \"ho\"\nFINISH 0 stop\n", `it doesn't do what the transcript in it says: emissions, line 1: "TEXT 0 \"hi\"", where the transcript has "TEXT 0 \"ho\""`},
		"less than expected":        {puppetSays + says + "\nTEXT 0 \"more\"\n", `line 4: nothing, where the transcript has "TEXT 0 \"more\""`},
		"another request":           {strings.Replace(asks, "/chat", "/other", 1), `upstream-request 1, line 1: "POST /chat", where the transcript has "POST /other"`},
		"a request that isn't made": {puppetSays + says + "-- upstream-request --\nPOST /x\n\n", "upstream-request 1: the adapter made none"},
		"a call that traps":         {"-- client-request.json --\n{\"user\":\"@T\"}\n", "unreachable"},
		"a call that doesn't end":   {"-- client-request.json --\n{\"user\":\"@L\"}\n", "out of fuel"},
		"calls without end":         {asks + costly.String(), "take more than 1000000000 fuel together"},
		"answers without end":       {asks + wordy.String(), "emit more than 4 MiB together"},
		"no transcript":             {"hello", "the section -- client-request.json --, with the request of a client, is missing"},
		"one that is too long":      {puppetSays + says + "-- x --\n" + strings.Repeat("x", abi.MaxTranscript), "at most 65536 are allowed"},
		"a request that is no JSON": {"-- client-request.json --\n{\n", "client-request.json: unexpected end"},
	} {
		t.Run(name, func(t *testing.T) {
			e := New(Options{})
			defer e.Close()
			a := e.Adapter("p", carrying(t, "puppet", tc.transcript), AdapterOptions{Limits: fuelAlone})
			defer a.Close()
			switch err := a.Wait(t.Context(), time.Hour); {
			case tc.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)):
				t.Errorf("error = %v, want one with %q", err, tc.says)
			}
		})
	}
}

// TestWhatATranscriptCantBuy has as many events as a transcript has room for, of
// guests whose calls are cheap and what is around them isn't.
func TestWhatATranscriptCantBuy(t *testing.T) {
	const head = "-- client-request.json --\n{}\n-- upstream-request --\nPOST /\n\n" +
		"-- upstream-response --\nHTTP/1.1 200 OK\ncontent-type: application/x-ndjson\n\n"
	events := func(n int) string { return head + strings.Repeat("1\n", n) }
	for name, tc := range map[string]struct {
		guest, transcript string
		limits            Limits
		says              string
	}{
		"an instance for each event":      {"worn", events(30_000), Limits{}, "break more than 3 instances"},
		"a few instances":                 {"worn", events(2) + "-- emissions --\nTEXT 0 \"1\"\n\nTEXT 0 \"1\"\n\nTEXT 0 \"\"\n", Limits{}, ""},
		"memory of what is empty":         {"murmur", events(30_000), Limits{}, "emit more than 4 MiB together"},
		"no instance for being too large": {"murmur", events(6), Limits{KeptMemory: 1}, "emissions: the transcript has none, the adapter made one"},
	} {
		t.Run(name, func(t *testing.T) {
			e := New(Options{})
			defer e.Close()
			a := e.Adapter("p", carrying(t, tc.guest, tc.transcript), AdapterOptions{Limits: tc.limits})
			defer a.Close()
			switch err := a.Wait(t.Context(), time.Hour); {
			case tc.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)):
				t.Errorf("error = %.200v, want one with %q", err, tc.says)
			}
		})
	}
}

// TestLoadingKeepsTheLimits loads a guest whose manifest, and whose transcript, can
// only be had with 64 MiB more than it begins with.
func TestLoadingKeepsTheLimits(t *testing.T) {
	const asks = "-- client-request.json --\n{}\n"
	packed, err := Pack(t.Context(), hostile(t, "grows"), PackOptions{Transcript: []byte(asks)})
	if err != nil || packed.Differs != nil {
		t.Fatal(err, packed.Differs)
	}
	for name, tc := range map[string]struct {
		module []byte
		memory int64
		says   string // of the error; "" for none
	}{
		"the manifest, with room":   {hostile(t, "grows"), 128 << 20, ""},
		"the manifest, without":     {hostile(t, "grows"), 32 << 20, "kai_manifest: "},
		"the transcript, with room": {packed.Module, 128 << 20, ""},
		"the transcript, without":   {packed.Module, 32 << 20, "it doesn't do what the transcript in it says: "},
	} {
		t.Run(name, func(t *testing.T) {
			e := New(Options{})
			defer e.Close()
			a := e.Adapter("p", tc.module, AdapterOptions{Limits: Limits{Memory: tc.memory}})
			defer a.Close()
			switch err := a.Wait(t.Context(), time.Hour); {
			case tc.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)):
				t.Errorf("error = %v, want one with %q", err, tc.says)
			}
		})
	}
}

func TestPackPutsTheTranscriptIntoTheModule(t *testing.T) {
	good := puppetSays + "TEXT 0 \"hi\"\nFINISH 0 stop\n"
	p, err := Pack(t.Context(), hostile(t, "puppet"), PackOptions{Transcript: []byte(good)})
	if err != nil || p.Differs != nil {
		t.Fatal(err, p.Differs)
	}
	if tr, found, err := modfile.ReadTranscript(p.Module); !found || err != nil || string(tr.Format()) != good {
		t.Errorf("the module carries %v, %v, %v", tr, found, err)
	}
	if m, found, err := modfile.ReadManifest(p.Module); !found || err != nil || m.Name != "puppet" {
		t.Errorf("manifest %v, %v, %v", m, found, err)
	}
	bare, err := modfile.WithoutTranscript(p.Module)
	if err != nil || bytes.Contains(bare, []byte(abi.TranscriptSection)) {
		t.Errorf("the transcript is still in the module (%v)", err)
	}

	p, err = Pack(t.Context(), p.Module, PackOptions{Transcript: []byte(puppetSays)})
	if err != nil || p.Differs == nil {
		t.Errorf("Pack says nothing of a transcript that the adapter doesn't meet (%v)", err)
	}
	if p, err = Pack(t.Context(), p.Module, PackOptions{}); err != nil || bytes.Contains(p.Module, []byte(abi.TranscriptSection)) {
		t.Errorf("an earlier transcript stays in the module (%v)", err)
	}
	if _, err = Pack(t.Context(), p.Module, PackOptions{Transcript: []byte("hello")}); err == nil {
		t.Error("Pack takes what is no transcript")
	}
}

func TestWhatWasPackedIsInTheCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	p, err := Pack(t.Context(), hostile(t, "puppet"), PackOptions{Transcript: []byte(puppetSays + "TEXT 0 \"hi\"\nFINISH 0 stop\n"), CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	kept := func() int {
		files, err := filepath.Glob(filepath.Join(dir, entryFiles))
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	if n := kept(); n != 1 {
		t.Fatalf("%d files in the cache, want 1", n)
	}
	e := New(Options{CacheDir: dir})
	defer e.Close()
	a := e.Adapter("p", p.Module, AdapterOptions{})
	defer a.Close()
	if err := a.Wait(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if n := kept(); n != 1 {
		t.Errorf("loading what was packed compiled it again: %d files in the cache", n)
	}
}

// FuzzTranscript looks for transcripts that break the gateway which reads them.
func FuzzTranscript(f *testing.F) {
	f.Add([]byte(puppetSays))
	f.Add([]byte("-- client-request.json --\n{\"stream\":true}\n-- upstream-response --\nHTTP/1.1 200 OK\ncontent-type: text/event-stream\n\ndata: x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tr, err := modfile.ParseTranscript(data)
		if err != nil {
			return
		}
		if again, err := transcript.Parse(tr.Format()); err != nil || !bytes.Equal(again.Format(), tr.Format()) {
			t.Fatalf("what it writes reads otherwise: %v", err)
		}
	})
}
