package live_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/host/live"
	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/plugins"
)

// TestAFileOfKeysIsFollowed changes and breaks the file that auth.keys_file names.
func TestAFileOfKeysIsFollowed(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("kai.yaml", "model_mapping: {one: {provider: demo, model: m}}\nauth: {enabled: true, keys_file: keys.yaml}\n")
	write("keys.yaml", "- {name: a, key: first}\n")
	files := live.NewFiles(live.Source{
		File: func() string { return filepath.Join(dir, "kai.yaml") }, Shipped: plugins.Names(), Module: plugins.Module,
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
	admits := func(key string) bool {
		r := httptest.NewRequest("GET", "/v1/models", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, r)
		return w.Code == http.StatusOK
	}
	if !admits("first") || admits("second") {
		t.Fatalf("at first: first %t, second %t", admits("first"), admits("second"))
	}
	write("keys.yaml", "- {name: a, key: second}\n")
	for !admits("second") || admits("first") { // until the change is noticed; the test's own time-out ends it
		time.Sleep(5 * time.Millisecond)
	}
	write("keys.yaml", "- {name: a, key: third}\n- {nam: b}\n")
	if _, err := r.Reload(ctx, "test"); err == nil || !strings.Contains(live.Problems(err)[0], "keys.yaml:2:") {
		t.Errorf("Reload with a broken file of keys = %v, want a place in it", err)
	}
	if !admits("second") || admits("third") {
		t.Error("a broken file of keys changed who may call")
	}
}
