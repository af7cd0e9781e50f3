package adapters_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A toolchain compiles the adapters of one language.
type toolchain struct {
	language string
	needs    string // what to install, for people
	// build compiles the adapter in dir to the module out. The error is a missing
	// when a tool is not there.
	build func(dir, out string) error
}

// missing is the error of a tool chain that is not installed.
type missing struct{ tool string }

func (m missing) Error() string { return m.tool + " is not installed" }

var toolchains = []toolchain{
	{"go", "https://go.dev/doc/install", buildGo},
	{"rust", "apt-get install cargo rustc libstd-rust-dev-wasm32 lld, or rustup target add wasm32-unknown-unknown", buildRust},
	{"assemblyscript", "npm ci --prefix examples/adapters/assemblyscript", buildAssemblyScript},
	{"c", "apt-get install clang lld", buildC},
}

// module compiles the adapter in dir, or skips the test where the tool chain is
// missing. In CI nothing may be missing.
func (c toolchain) module(t testing.TB, dir string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "adapter.wasm")
	err := c.build(dir, out)
	if m, ok := err.(missing); ok && os.Getenv("CI") != "true" {
		t.Skipf("%v: %s", m, c.needs)
	}
	if err != nil {
		t.Fatalf("%v\n(needed: %s)", err, c.needs)
	}
	module, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func run(dir string, env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s in %s: %w\n%s", filepath.Base(name), dir, err, beginning(string(text)))
	}
	return nil
}

// beginning gives the first lines of what a compiler says, where the cause is.
func beginning(text string) string {
	const most = 20
	lines := strings.SplitAfter(text, "\n")
	if len(lines) <= most {
		return text
	}
	return strings.Join(lines[:most], "") + fmt.Sprintf("… and %d lines more", len(lines)-most)
}

func buildGo(dir, out string) error {
	return run(dir, []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0"}, "go", "build", "-buildmode=c-shared",
		"-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", out, ".")
}

func buildRust(dir, out string) error {
	rustc, err := findRust()
	if err != nil {
		return err
	}
	target := filepath.Join(filepath.Dir(out), "target")
	// The cargo beside a rustc is of its version.
	err = run(dir, []string{"RUSTC=" + rustc, "CARGO_TARGET_DIR=" + target}, filepath.Join(filepath.Dir(rustc), "cargo"),
		"build", "--quiet", "--offline", "--release", "--target", "wasm32-unknown-unknown")
	if err != nil {
		return err
	}
	modules, err := filepath.Glob(filepath.Join(target, "wasm32-unknown-unknown", "release", "*.wasm"))
	if err != nil || len(modules) != 1 {
		return fmt.Errorf("cargo made %d modules (%v)", len(modules), err)
	}
	return os.Rename(modules[0], out)
}

// findRust gives a rustc that can compile for WebAssembly: that of the PATH, or
// the distribution's behind one of rustup that has no such target.
func findRust() (string, error) {
	for _, name := range []string{"rustc", "/usr/bin/rustc"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		libraries, err := exec.Command(path, "--print", "target-libdir", "--target", "wasm32-unknown-unknown").Output()
		if err != nil {
			continue
		}
		if _, err := os.Stat(strings.TrimSpace(string(libraries))); err == nil {
			return path, nil
		}
	}
	return "", missing{"rustc with the target wasm32-unknown-unknown"}
}

func buildAssemblyScript(dir, out string) error {
	if _, err := exec.LookPath("node"); err != nil {
		return missing{"node"}
	}
	compiler, err := filepath.Abs("assemblyscript/node_modules/.bin/asc")
	if err != nil {
		return err
	}
	if _, err := os.Stat(compiler); err != nil {
		if compiler, err = exec.LookPath("asc"); err != nil {
			return missing{"asc, the compiler of AssemblyScript,"}
		}
	}
	return run(dir, nil, compiler, "--config", "asconfig.json", "--target", "release", "--outFile", out)
}

func buildC(dir, out string) error {
	for _, tool := range []string{"clang", "wasm-ld"} {
		if _, err := exec.LookPath(tool); err != nil {
			return missing{tool}
		}
	}
	sources, err := filepath.Glob(filepath.Join(dir, "*.c"))
	if err != nil {
		return err
	}
	// Optimised where it is compiled: clang would link with the wasm-opt of the path.
	link := []string{"--target=wasm32", "-nostdlib", "-Wl,--no-entry", "-Wl,--stack-first", "-Wl,--strip-all", "-o", out}
	for _, s := range sources {
		object := out + "." + filepath.Base(s) + ".o"
		if err := run(dir, nil, "clang", "--target=wasm32", "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding",
			"-mbulk-memory", "-c", "-o", object, filepath.Base(s)); err != nil {
			return err
		}
		link = append(link, object)
	}
	return run(dir, nil, "clang", link...)
}
