package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// pluginBuild compiles the adapter in a folder, checks it and writes its manifest
// and its transcript, if it has one to go along, into custom sections.
func pluginBuild(ctx context.Context, args []string, s streams) int {
	f := flag.NewFlagSet("plugin build", flag.ContinueOnError)
	out := f.String("o", "", "")
	if code, ok := parse(f, args, 1, s.err); !ok {
		return code
	}
	dir := "."
	if f.NArg() == 1 {
		dir = f.Arg(0)
	}
	if err := checkOut("-o", *out); err != nil {
		fmt.Fprintf(s.err, "kai plugin build: %v\n", err)
		return exitUsage
	}
	if *out != "" {
		if err := writable(filepath.Dir(modulePath(*out, dir, "a"))); err != nil {
			return pluginFailed("build", fmt.Errorf("-o %s: %w", *out, err), s)
		}
	}
	b, err := build(ctx, dir, s.err)
	if err != nil {
		return pluginFailed("build", err, s)
	}
	where := modulePath(*out, dir, b.manifest.Name)
	if err := b.write(where); err != nil {
		return pluginFailed("build", err, s)
	}
	if b.warning != "" {
		fmt.Fprintln(s.err, "kai: warning: "+b.warning)
	}
	fmt.Fprintf(s.err, "kai: built %s %s from %s: %s, %s\n",
		b.manifest.Name, b.manifest.Version, b.language, where, bytesText(int64(len(b.module))))
	return exitDone
}

// built is an adapter fresh from its compiler, checked and packed.
type built struct {
	begin    time.Time // of the compiler
	language string
	module   []byte
	manifest wasm.Manifest
	warning  string
}

// write puts the module at path, as old as the sources that it was made of: one
// that is saved while the compiler runs is newer.
func (b *built) write(path string) error {
	return writeFile(path, b.module, b.begin)
}

// build compiles the adapter in dir. What its compiler says goes to stderr.
func build(ctx context.Context, dir string, stderr io.Writer) (*built, error) {
	l, err := languageOf(dir)
	if err != nil {
		return nil, err
	}
	if err := l.installed(dir); err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "kai-build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	raw, begin := filepath.Join(tmp, "module.wasm"), time.Now()
	if err := l.compile(ctx, compilation{dir: dir, out: raw, tmp: tmp, stderr: stderr}); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if _, failed := errors.AsType[*exec.ExitError](err); failed {
			err = fmt.Errorf("%s doesn't compile; what is wrong is above, by paths in that folder (%w)", folderName(dir), err)
		}
		return nil, err
	}
	module, err := os.ReadFile(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: the compiler left no module: %w", l.name, err)
	}
	name, text, err := embedded(dir)
	if err != nil {
		return nil, err
	}
	p, err := wasm.Pack(ctx, module, wasm.PackOptions{Transcript: text, CacheDir: wasm.DefaultCacheDir()})
	if err != nil {
		return nil, err
	}
	if err := config.CheckOptionsSchema(p.Manifest.Profile().Options); err != nil {
		return nil, fmt.Errorf("the options of the manifest: %w", err)
	}
	if name := p.Manifest.Name; name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return nil, fmt.Errorf("the name in the manifest, %q, can't be that of a file: take letters, digits and -", name)
	}
	b := &built{begin: begin, language: l.name, module: p.Module, manifest: p.Manifest}
	if p.Differs != nil {
		b.warning = fmt.Sprintf("no gateway will take this module, %v (%s; \"kai plugin test --update\" writes it anew, then build again)", p.Differs, name)
	}
	return b, nil
}

// embeddedName is the transcript that travels in the module.
const embeddedName = "embedded.txtar"

// embedded reads the transcript that goes into the module of the adapter in dir;
// nil if there is none.
func embedded(dir string) (name string, text []byte, err error) {
	for _, folder := range transcriptFolders {
		name = filepath.Join(dir, folder, embeddedName)
		switch text, err = os.ReadFile(name); {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return name, nil, err
		case len(text) > abi.MaxTranscript:
			return name, nil, fmt.Errorf("%s has %s; at most %s go into a module", name, bytesText(int64(len(text))), bytesText(abi.MaxTranscript))
		}
		if _, err := transcript.Parse(text); err != nil {
			return name, nil, fmt.Errorf("%s: %w", name, err)
		}
		return name, text, nil
	}
	return "", nil, nil
}

// language is one that adapters are written in.
type language struct {
	name    string
	marks   []string // files, one of which tells the language; may be patterns
	tools   []tool
	compile func(ctx context.Context, c compilation) error
}

// tool is a program that compiling needs.
type tool struct{ program, install string }

// compilation is one run of a compiler: the module of the adapter in dir goes to
// out, whatever else it needs for a while into tmp.
type compilation struct {
	dir, out, tmp string
	stderr        io.Writer
}

// languages are tried in this order: a mark of an earlier one may well lie beside
// C files.
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
		return language{}, fmt.Errorf("there is no %s: name the folder of an adapter (%s makes one)", dir, command("new", "NAME"))
	case err != nil:
		return language{}, err
	case !info.IsDir():
		return language{}, fmt.Errorf("%s is a file: name the folder of an adapter", dir)
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
	return language{}, fmt.Errorf("%s holds no adapter: there is no go.mod, Cargo.toml, asconfig.json, .go or .c file (\"kai plugin new\" makes one)", folderName(dir))
}

// installed says what to install when a tool is missing.
func (l language) installed(dir string) error {
	for _, t := range l.tools {
		if _, err := lookTool(dir, t.program); err != nil {
			return fmt.Errorf("%s needs %s, which is not installed: %s", l.name, t.program, t.install)
		}
	}
	return nil
}

// lookTool finds a program: of the adapter's own node_modules, else on the path.
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
	// So that it can remove its temporary files.
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

// rustTarget is what adapters in Rust are compiled for.
const rustTarget = "wasm32-unknown-unknown"

// compileRust compiles a cdylib crate. Panic messages hold source paths, which
// would give every folder another digest, so they are cut.
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
	// The cargo beside a rustc is of its version.
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

// findRust gives a rustc that can compile for WebAssembly: that of the path, or
// the distribution's behind one of rustup that lacks the target.
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
	return "", errors.New("Rust has no target " + rustTarget + ": rustup target add " + rustTarget + ", or apt-get install libstd-rust-dev-wasm32 lld")
}

// compileAssemblyScript compiles what asconfig.json names under "release".
func compileAssemblyScript(ctx context.Context, c compilation) error {
	return c.run(ctx, nil, "asc", "--config", "asconfig.json", "--target", "release", "--outFile", c.out)
}

// compileC compiles every C file of the folder into a module without a C library.
// It optimises when it compiles and not when it links: there, clang would run the
// wasm-opt of the path, of whatever version, and the module would depend on it.
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

// writeFile puts data at path in one step, compressed if path ends in .gz, so
// that a gateway which watches the file never sees half of it. The file gets the
// time as, unless that is zero.
func writeFile(path string, data []byte, as time.Time) error {
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
	if !as.IsZero() {
		if err := os.Chtimes(tmp.Name(), as, as); err != nil {
			return err
		}
	}
	return os.Rename(tmp.Name(), path)
}
