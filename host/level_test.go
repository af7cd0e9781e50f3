package host_test

import (
	"log/slog"
	"testing"

	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/internal/testkit"
)

// TestLevelOfTheLogChangesByReload starts with one level and reloads another.
func TestLevelOfTheLogChangesByReload(t *testing.T) {
	const demo = "model_mapping:\n  m: {provider: demo, model: demo}\n"
	level := &slog.LevelVar{}
	h, err := host.New(host.Options{Config: parse(t, demo+"log: {level: error}\n"), Module: testkit.Module, CacheDir: testkit.CacheDir, Level: level})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if level.Level() != slog.LevelError {
		t.Errorf("the level is %v at first, want ERROR", level)
	}
	if err := h.Swap(t.Context(), parse(t, demo+"log: {level: debug}\n"), testkit.Module); err != nil {
		t.Fatal(err)
	}
	if level.Level() != slog.LevelDebug {
		t.Errorf("the level is %v after a reload, want DEBUG", level)
	}
}
