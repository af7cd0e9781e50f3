package author

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// language is a programming language that adapters are written in.
type language struct {
	name    string
	marks   []string // patterns of files; a project with one of them is in this language
	tools   []tool
	compile func(ctx context.Context, c compilation) error
}

// tool is a program that compiling needs.
type tool struct{ program, install string }

// compilation is one run of a compiler. The adapter's sources are in dir, the module goes
// to out, and temporary files go into tmp.
type compilation struct {
	dir, out, tmp string
	stderr        io.Writer
}

// languages returns the languages in the order in which they are tried: a Rust project, for
// example, may have C files, too.
func languages() []language {
	return []language{
		{"Rust", []string{"Cargo.toml"}, []tool{
			{"cargo", "apt-get install cargo libstd-rust-dev-wasm32 lld, or https://rustup.rs and rustup target add wasm32-unknown-unknown"},
		}, compileRust},
		{"AssemblyScript", []string{"asconfig.json"}, []tool{
			{"node", "apt-get install nodejs npm, or https://nodejs.org"},
			{"asc", "npm install in the adapter's folder, or npm install -g assemblyscript"},
		}, compileAssemblyScript},
		{"Go", []string{"go.mod", "*.go"}, []tool{
			{"go", "https://go.dev/doc/install"},
		}, compileGo},
		{"C", []string{"*.c"}, []tool{
			{"clang", "apt-get install clang"},
			{"wasm-ld", "apt-get install lld"},
		}, compileC},
	}
}

func languageOf(dir string) (language, error) {
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return language{}, wrongUsage("there is no %s: name the folder of an adapter (%s makes one)", dir, Command("new", "NAME"))
	case err != nil:
		return language{}, err
	case !info.IsDir():
		return language{}, wrongUsage("%s is a file: name the folder of an adapter", dir)
	}
	if _, err := os.ReadDir(dir); err != nil {
		return language{}, err
	}
	for _, l := range languages() {
		for _, mark := range l.marks {
			if found, _ := filepath.Glob(filepath.Join(escapeGlob(dir), mark)); len(found) > 0 {
				return l, nil
			}
		}
	}
	return language{}, wrongUsage("%s holds no adapter: there is no go.mod, Cargo.toml, asconfig.json, .go or .c file (\"kai plugin new\" makes one)", folderName(dir))
}

// installed returns an error that says what to install if a tool is missing.
func (l language) installed(dir string) error {
	for _, t := range l.tools {
		if _, err := lookTool(dir, t.program); err != nil {
			return fmt.Errorf("%s needs %s, which is not installed: %s", l.name, t.program, t.install)
		}
	}
	return nil
}

// lookTool finds a program, in the adapter's own node_modules or else on the path.
func lookTool(dir, program string) (string, error) {
	own, err := filepath.Abs(filepath.Join(dir, "node_modules", ".bin", program))
	if err == nil {
		if _, err := os.Stat(own); err == nil {
			return own, nil
		}
	}
	return exec.LookPath(program)
}

// compilerGrace is how long an interrupted compiler may take to end.
const compilerGrace = 5 * time.Second

// run runs a compiler in the adapter's folder.
func (c compilation) run(ctx context.Context, env []string, program string, args ...string) error {
	path, err := lookTool(c.dir, program)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = c.stderr, c.stderr
	// An interrupted compiler can remove its temporary files.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = compilerGrace
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(program), err)
	}
	return nil
}

// compileGo compiles a main package. Without -trimpath, -buildvcs=false and an
// empty build ID, the same source would give another digest in every folder and
// at every commit.
func compileGo(ctx context.Context, c compilation) error {
	return c.run(ctx, []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0"}, "go",
		"build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", c.out, ".")
}

// rustTarget is the target that adapters in Rust are compiled for.
const rustTarget = "wasm32-unknown-unknown"

// compileRust compiles a cdylib crate. It shortens the source paths in panic messages, with
// which every folder would give another digest.
func compileRust(ctx context.Context, c compilation) error {
	rustc, err := findRust(ctx)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(c.dir)
	if err != nil {
		return err
	}
	target := filepath.Join(c.tmp, "target")
	env := []string{
		"RUSTC=" + rustc,
		"RUSTFLAGS=" + strings.TrimSpace(os.Getenv("RUSTFLAGS")+" --remap-path-prefix="+dir+"=."),
	}
	// The cargo beside a rustc has the same version.
	cargo := filepath.Join(filepath.Dir(rustc), "cargo")
	if _, err := os.Stat(cargo); err != nil {
		cargo = "cargo"
	}
	if err := c.run(ctx, env, cargo, "build", "--quiet", "--release", "--target", rustTarget, "--target-dir", target); err != nil {
		return err
	}
	found, _ := filepath.Glob(filepath.Join(target, rustTarget, "release", "*.wasm"))
	if len(found) != 1 {
		return fmt.Errorf("cargo left %d modules instead of one: is crate-type = [\"cdylib\"] in Cargo.toml?", len(found))
	}
	return os.Rename(found[0], c.out)
}

// findRust returns a rustc that can compile for WebAssembly: the first on the path, or the
// one of the distribution, if rustup's is first and lacks the target.
func findRust(ctx context.Context) (string, error) {
	for _, name := range []string{"rustc", "/usr/bin/rustc"} {
		program, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		libraries, err := exec.CommandContext(ctx, program, "--print", "target-libdir", "--target", rustTarget).Output()
		if err != nil {
			continue
		}
		if _, err := os.Stat(strings.TrimSpace(string(libraries))); err == nil {
			return program, nil
		}
	}
	return "", errors.New("there is no target " + rustTarget + " for Rust: rustup target add " + rustTarget + ", or apt-get install libstd-rust-dev-wasm32 lld")
}

// compileAssemblyScript compiles what asconfig.json names under "release".
func compileAssemblyScript(ctx context.Context, c compilation) error {
	return c.run(ctx, nil, "asc", "--config", "asconfig.json", "--target", "release", "--outFile", c.out)
}

// compileC compiles every C file of the folder into a module without a C library. It
// optimises when it compiles and not when it links. When linking, clang would run the
// wasm-opt on the path, and the module would depend on its version.
func compileC(ctx context.Context, c compilation) error {
	sources, err := filepath.Glob(filepath.Join(c.dir, "*.c"))
	if err != nil {
		return err
	}
	link := []string{"--target=wasm32", "-nostdlib", "-Wl,--no-entry", "-Wl,--stack-first", "-Wl,--strip-all", "-o", c.out}
	for _, s := range sources {
		s = filepath.Base(s)
		object := filepath.Join(c.tmp, s+".o")
		if err := c.run(ctx, nil, "clang", "--target=wasm32", "-std=c99", "-O2", "-Wall", "-Wextra", "-ffreestanding", "-mbulk-memory", "-I", ".", "-c", "-o", object, s); err != nil {
			return err
		}
		link = append(link, object)
	}
	return c.run(ctx, nil, "clang", link...)
}
