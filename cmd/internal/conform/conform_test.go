package conform_test

import (
	"path/filepath"
	"testing"

	"github.com/kai-gateway/kai/cmd/internal/conform"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/race"
	"github.com/kai-gateway/kai/plugins"
)

// TestShippedAdaptersConform runs the kit over every adapter that comes with Kai.
func TestShippedAdaptersConform(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine alone: make check runs it without the race detector")
	}
	for _, name := range plugins.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			module, err := plugins.Module(name)
			if err != nil {
				t.Fatal(err)
			}
			conforms(t, module, name)
		})
	}
}

// TestPolledAdapterConforms runs the kit over the example that asks its upstream
// several times for one answer.
func TestPolledAdapterConforms(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine alone: make check runs it without the race detector")
	}
	conforms(t, conform.Build(t, "../../../examples/adapters/queue"), "queue")
}

// conforms runs the kit over an adapter and the transcripts in a folder.
func conforms(t *testing.T, module []byte, transcripts string) {
	t.Helper()
	files, err := conform.Files(filepath.Join("../../../testdata/transcripts", transcripts))
	if err != nil {
		t.Fatal(err)
	}
	r, err := conform.Run(t.Context(), conform.Options{Module: module, CacheDir: testkit.CacheDir}, files)
	if err != nil {
		t.Fatal(err)
	}
	variations := 0
	for _, x := range r.Results {
		variations += x.Variations
		for _, f := range x.Failures {
			t.Errorf("%s: %s\n%s", filepath.Base(x.File), f.Check, f.Text)
		}
	}
	t.Logf("%d transcripts, %d variations", len(r.Results), variations)
}

func TestMain(m *testing.M) { testkit.Main(m) }
