package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kai-gateway/kai/host/wasm"
)

const pluginUsage = "kai plugin build DIR -o FILE"

// plugin is the family of commands for authors of adapters.
func plugin(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 || args[0] != "build" {
		fmt.Fprintf(stderr, "kai plugin: the usage is %s\n", pluginUsage)
		return exitUsage
	}
	f := flag.NewFlagSet("plugin build", flag.ContinueOnError)
	out := f.String("o", "", "")
	if code, ok := parse(f, args[1:], 1, stderr); !ok {
		return code
	}
	if f.NArg() != 1 || *out == "" {
		fmt.Fprintf(stderr, "kai plugin build: the usage is %s\n", pluginUsage)
		return exitUsage
	}
	if err := buildGo(ctx, f.Arg(0), *out, stderr); err != nil {
		fmt.Fprintf(stderr, "kai plugin build: %v\n", err)
		return exitFailed
	}
	return exitDone
}

// buildGo compiles the Go adapter in dir to the module out, checks that the
// gateway can load it, and writes its manifest into its custom section, where it
// is read without running the module.
func buildGo(ctx context.Context, dir, out string, stderr io.Writer) error {
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("the Go tool chain is not installed: https://go.dev/doc/install")
	}
	tmp, err := os.MkdirTemp("", "kai-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	raw := filepath.Join(tmp, "module.wasm")
	// Without -trimpath, -buildvcs=false and an empty build ID, the same source
	// would give another digest in every folder and at every commit.
	cmd := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -buildid=", "-o", raw, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = stderr, stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	module, err := os.ReadFile(raw)
	if err != nil {
		return err
	}
	packed, manifest, err := wasm.Pack(ctx, module)
	if err != nil {
		return err
	}
	if err := writeFile(out, packed); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "kai: built %s %s: %s, %d KiB\n", manifest.Name, manifest.Version, out, len(packed)>>10)
	return nil
}

// writeFile puts data at path in one step, compressed if path ends in .gz, so
// that a gateway which watches the file never sees half of it.
func writeFile(path string, data []byte) error {
	if strings.HasSuffix(path, ".gz") {
		var err error
		if data, err = compress(data); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".kai-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(data); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Chmod(tmp.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
