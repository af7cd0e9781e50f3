package live_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/host/live"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/plugins"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var _ live.Gateway = (*host.Host)(nil)

// TestGatewayFollowsItsFiles runs a gateway as a program that uses Kai as a library
// would: nothing here is of cmd/kai.
func TestGatewayFollowsItsFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kai.yaml")
	write := func(alias string) {
		t.Helper()
		if err := os.WriteFile(file, []byte("model_mapping: {"+alias+": {provider: demo, model: m}}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	files := live.NewFiles(live.Source{
		File: func() string { return file }, Shipped: plugins.Names(), Module: plugins.Module,
	})
	c, err := files.Config()
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.New(host.Options{Config: c, Module: files.Module, CacheDir: testkit.CacheDir})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	r := live.New(live.Options{Gateway: h, Config: c, Files: files})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	defer func() { stop(); <-ended }()

	serves := func() string {
		var all []string
		for _, m := range h.Models() {
			all = append(all, m.Alias)
		}
		return strings.Join(all, " ")
	}
	write("two")
	for serves() != "two" { // as long as compiling takes; the test's own time-out ends it
		time.Sleep(5 * time.Millisecond)
	}
	write("{")
	var problems *config.Problems
	if _, err := r.Reload(ctx, "test"); !errors.As(err, &problems) || !strings.Contains(live.Problems(err)[0], "kai.yaml:1:") {
		t.Errorf("Reload of a broken file = %v, want a place in it", err)
	}
	write("three")
	if _, err := r.Reload(ctx, "test"); err != nil || serves() != "three" {
		t.Errorf("Reload = %v, and %q is served, want three", err, serves())
	}
	stop()
	<-ended
	if _, err := r.Reload(ctx, "test"); err == nil {
		t.Error("Reload succeeds when nothing runs")
	}
}
