package wasm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/wasm/modfile"
)

// TestAModuleThatWasLoadedBeforeIsLoadedLater: not before somebody waits for it, and it is
// read only then. One that was never loaded is loaded at once, so that what is wrong with
// it is known.
func TestAModuleThatWasLoadedBeforeIsLoadedLater(t *testing.T) {
	dir := t.TempDir()
	p, err := Pack(t.Context(), hostile(t, "puppet"), PackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	module := modfile.ModuleOf(p.Module)
	reads := 0
	read := module.Read
	module.Read = func() ([]byte, error) { reads++; return read() }
	for _, tc := range []struct {
		when, wants string
		reads       int
	}{{"first", "at once", 1}, {"second", "later", 0}} { // the second has it prepared
		reads = 0
		e := New(Options{CacheDir: dir})
		a := e.Open("p", module, AdapterOptions{Later: true})
		if tc.wants == "at once" {
			<-a.ready
		} else if ready, err := a.Status(); !ready || err != nil || reads != 0 || a.Manifest().Name != module.Manifest.Name {
			t.Errorf("the %s start: ready %v, %v, read %d times, as %q", tc.when, ready, err, reads, a.Manifest().Name)
		}
		if err := a.Wait(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if reads != tc.reads {
			t.Errorf("the %s start: the module was read %d times, want %d", tc.when, reads, tc.reads)
		}
		a.Close()
		e.Close()
	}
	// Nobody waits for this one: closing it leaves nothing.
	e := New(Options{CacheDir: dir})
	e.Open("p", module, AdapterOptions{Later: true}).Close()
	e.Close()

	gone := errors.New("the module is gone")
	for _, prepared := range glob(t, filepath.Join(dir, preparedFiles)) {
		os.Remove(prepared)
	}
	module.Read = func() ([]byte, error) { return nil, gone }
	e = New(Options{CacheDir: dir})
	defer e.Close()
	a := e.Open("p", module, AdapterOptions{Later: true})
	defer a.Close()
	if err := a.Wait(context.Background(), time.Minute); !errors.Is(err, gone) {
		t.Errorf("error = %v, want that it can't be read", err)
	}
	if ready, err := a.Status(); ready || !errors.Is(err, gone) {
		t.Errorf("then its status is %v, %v", ready, err)
	}
}
