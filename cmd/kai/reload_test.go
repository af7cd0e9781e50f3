package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kai-gateway/kai/plugins"
)

// models gives the answer of /v1/models.
func (p *process) models() string {
	p.t.Helper()
	res, err := http.Get(p.url + "/models")
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return string(b)
}

func (p *process) write(file, content string) {
	p.t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

const demoConfig = "model_mapping: {one: {provider: demo, model: m}}\n"

func TestChangedConfigurationIsPickedUp(t *testing.T) {
	p := start(t, demoConfig)
	p.write(p.file, strings.ReplaceAll(demoConfig, "one", "two"))
	eventually(t, "the new alias is served", func() bool { return strings.Contains(p.models(), `"two"`) })

	// By a rename, as editors and configuration maps do it.
	p.write(p.file+".new", strings.ReplaceAll(demoConfig, "one", "three"))
	if err := os.Rename(p.file+".new", p.file); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the renamed file is served", func() bool { return strings.Contains(p.models(), `"three"`) })

	// A broken one is refused with its place, and the old one keeps serving.
	p.write(p.file, "model_maping: {}\n")
	eventually(t, "the mistake is in the log", func() bool {
		return strings.Contains(p.text(), "kai.yaml:1:1: model_maping: unknown key")
	})
	if got := p.models(); !strings.Contains(got, `"three"`) {
		t.Errorf("a broken configuration changed what is served: %s", got)
	}
	res, err := http.Get(strings.TrimSuffix(p.url, "/v1") + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); !strings.Contains(string(b), "was refused") || !strings.Contains(string(b), "degraded") {
		t.Errorf("/health does not tell: %s", b)
	}
	p.write(p.file, demoConfig)
	eventually(t, "the mended file is served", func() bool { return strings.Contains(p.models(), `"one"`) })
}

// TestReloadTellsWhatNeedsAStart changes what a running gateway can't.
func TestReloadTellsWhatNeedsAStart(t *testing.T) {
	p := start(t, demoConfig)
	p.write(p.file, demoConfig+"server: {read_header_timeout: 3s}\n")
	eventually(t, "it says that it takes a start", func() bool {
		return strings.Contains(p.text(), `"msg":"server.read_header_timeout changes with the next start only"`)
	})
	p.write(p.file, demoConfig+"shared: {url: \"redis://127.0.0.1:1\", secret: 0123456789abcdef}\n")
	eventually(t, "it says so of what is counted in", func() bool {
		return strings.Contains(p.text(), `"msg":"shared changes with the next start only"`)
	})
	p.write(p.file, demoConfig+"log: {format: text}\nadmin: {port: 1}\n")
	out, stderr, err := p.kai("reload")
	if want := "kai: warning: admin.host changes with the next start only\nkai: warning: admin.port changes with the next start only\nkai: warning: log.format changes with the next start only\n"; err != nil || stderr != want || !strings.HasPrefix(out, "reloaded ") {
		t.Errorf("kai reload: %v, %q, %q; want %q", err, out, stderr, want)
	}
}

func TestChangedModuleIsPickedUp(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mine.wasm")
	put := func(name string) {
		t.Helper()
		module, err := plugins.Module(name)
		if err != nil {
			t.Fatalf("%v (run \"make plugins\")", err)
		}
		if err := os.WriteFile(file, module, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("demo")
	p := start(t, "providers: {mine: {plugin: "+file+", base_url: \"http://127.0.0.1:9\"}}\nmodel_mapping: {m: {provider: mine, model: m}}\n")
	eventually(t, "demo is ready", func() bool { return strings.Contains(p.text(), `"plugin":"demo"`) })
	put("ollama")
	eventually(t, "ollama is swapped in", func() bool { return strings.Contains(p.text(), `"plugin":"ollama"`) })

	// Half a module is refused.
	module, _ := plugins.Module("openrouter")
	p.write(file, string(module[:len(module)/2]))
	eventually(t, "half a module is refused", func() bool { return strings.Contains(p.text(), "reload refused") })
	p.write(file, string(module))
	eventually(t, "the whole one is taken", func() bool { return strings.Contains(p.text(), `"plugin":"openrouter"`) })
}

// TestSwappedLinksAreFollowed replaces a folder behind two links, as Kubernetes
// updates a mounted ConfigMap.
func TestSwappedLinksAreFollowed(t *testing.T) {
	p := start(t, demoConfig)
	dir := filepath.Dir(p.file)
	publish := func(version, content string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		p.write(filepath.Join(dir, version, "kai.yaml"), content)
		link(t, version, filepath.Join(dir, "..data"))
	}
	publish("..1", strings.ReplaceAll(demoConfig, "one", "two"))
	link(t, "..data/kai.yaml", p.file)
	eventually(t, "the file behind the links is served", func() bool { return strings.Contains(p.models(), `"two"`) })
	publish("..2", strings.ReplaceAll(demoConfig, "one", "three"))
	eventually(t, "the file behind the new link is served", func() bool { return strings.Contains(p.models(), `"three"`) })
}

// link makes a symbolic link in one step, in place of what is there.
func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestChangeThatLooksLikeNoneIsPickedUp changes a file's content and neither its
// size nor its time.
func TestChangeThatLooksLikeNoneIsPickedUp(t *testing.T) {
	t.Parallel() // it takes until the files are read whatever they look like
	p := start(t, demoConfig)
	before, err := os.Stat(p.file)
	if err != nil {
		t.Fatal(err)
	}
	p.write(p.file, strings.ReplaceAll(demoConfig, "one", "two"))
	if err := os.Chtimes(p.file, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new alias is served", func() bool { return strings.Contains(p.models(), `"two"`) })
}

// TestPipesAreRefused names a pipe where a file belongs. Who opened it would wait
// for somebody to write.
func TestPipesAreRefused(t *testing.T) {
	p := start(t, demoConfig)
	pipe := filepath.Join(t.TempDir(), "pipe.wasm")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	plugin := "providers: {mine: {plugin: " + pipe + ", base_url: \"http://127.0.0.1:9\"}}\nmodel_mapping: {m: {provider: mine, model: m}}\n"
	secret := demoConfig + "auth: {enabled: true, api_keys: [{file: " + pipe + "}]}\n"
	for yaml, place := range map[string]string{
		plugin: "kai.yaml:1:28: providers.mine.plugin: ", secret: "kai.yaml:2:34: auth.api_keys[0]: ",
	} {
		p.write(p.file, yaml)
		eventually(t, "the pipe is refused at "+place, func() bool {
			for line := range strings.Lines(p.text()) {
				if strings.Contains(line, "reload refused") && strings.Contains(line, place) && strings.Contains(line, "not a regular file") {
					return true
				}
			}
			return false
		})
		var stderr bytes.Buffer
		if code := run(t.Context(), []string{"serve", "--config", p.file}, nil, io.Discard, &stderr); code != exitUsage {
			t.Errorf("exit code %d, want %d", code, exitUsage)
		}
		if !strings.Contains(stderr.String(), place) || !strings.Contains(stderr.String(), "not a regular file") {
			t.Errorf("a start says %q", stderr.String())
		}
	}
}

// kai runs a command beside the gateway, in the same runtime directory and with
// nothing else of its environment.
func (p *process) kai(args ...string) (stdout, stderr string, err error) {
	p.t.Helper()
	return p.kaiIn(p.t.TempDir(), args...)
}

// kaiIn is kai in a folder.
func (p *process) kaiIn(dir string, args ...string) (stdout, stderr string, err error) {
	p.t.Helper()
	path, err := exec.LookPath("kai")
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	cmd.Env = []string{"XDG_RUNTIME_DIR=" + p.runtime}
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	err = cmd.Run()
	return out.String(), errors.String(), err
}

func TestReloadCommandAndSIGHUP(t *testing.T) {
	p := start(t, demoConfig)
	port := strings.TrimSuffix(p.url[strings.LastIndexByte(p.url, ':')+1:], "/v1")
	kai := func() (string, string, error) { return p.kai("reload", "--port", port) }
	p.signal(syscall.SIGHUP) // who reads "serving" may do so at once
	want := fmt.Sprintf("reloaded the gateway with pid %d, which serves %s at http://localhost:%s\n", p.cmd.Process.Pid, p.file, port)
	if out, stderr, err := kai(); err != nil || out != want {
		t.Errorf("kai reload: %v, %q, %q; want %q", err, out, stderr, want)
	}
	sockets, _ := filepath.Glob(filepath.Join(p.runtime, "kai", "*.sock"))
	if len(sockets) != 1 {
		t.Fatalf("%d sockets", len(sockets))
	}
	if info, err := os.Stat(sockets[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode is %v (%v), want 0600", info.Mode(), err)
	}
	p.write(p.file, "- nonsense\n")
	if _, stderr, err := kai(); err == nil || !strings.Contains(stderr, "kai.yaml:1:1: ") || !strings.Contains(stderr, "refused by the gateway with pid ") || !strings.Contains(stderr, "the configuration before keeps serving") {
		t.Errorf("kai reload of a broken file: %v, %q", err, stderr)
	}
	p.write(p.file, strings.ReplaceAll(demoConfig, "one", "two"))
	p.signal(syscall.SIGHUP)
	eventually(t, "SIGHUP reloads", func() bool { return strings.Contains(p.models(), `"two"`) })

	p.signal(syscall.SIGTERM)
	p.wait()
	if _, err := os.Stat(sockets[0]); err == nil {
		t.Error("the socket is left behind")
	}
	if _, stderr, err := kai(); err == nil || !strings.Contains(stderr, "is it running") {
		t.Errorf("kai reload without a gateway: %v, %q", err, stderr)
	}
}

// TestReloadFindsItsGateway asks two gateways in one runtime directory. One has a
// secret in its environment that whoever asks doesn't have.
func TestReloadFindsItsGateway(t *testing.T) {
	t.Setenv("KAI_TEST_SECRET", "key-of-the-gateway")
	one := start(t, demoConfig+"auth: {enabled: true, api_keys: [\"${KAI_TEST_SECRET}\"]}\n")
	says := func(what, part string, args ...string) {
		t.Helper()
		out, stderr, _ := one.kai(append([]string{"reload"}, args...)...)
		if !strings.Contains(out+stderr, part) {
			t.Errorf("%s: kai reload %q says %q, %q; want %q", what, args, out, stderr, part)
		}
	}
	serves := func(p *process) string {
		return fmt.Sprintf("the gateway with pid %d, which serves %s at ", p.cmd.Process.Pid, p.file)
	}
	says("the only one", "reloaded "+serves(one))

	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	one.write(filepath.Join(dir, defaultFile), demoConfig)
	for _, command := range []string{"reload", "targets"} {
		want := "kai " + command + ": no gateway serves config/api.yaml, which is in this folder: name the one that is meant with --config or --port. There is " + serves(one)
		if out, stderr, err := one.kaiIn(dir, command); exitOf(err) != exitFailed || out != "" || !strings.HasPrefix(stderr, want) {
			t.Errorf("beside another configuration: kai %s: %v, %q, %q; want %q", command, err, out, stderr, want)
		}
	}

	two := start(t, demoConfig, "XDG_RUNTIME_DIR="+one.runtime)
	port := strings.TrimSuffix(two.url[strings.LastIndexByte(two.url, ':')+1:], "/v1")
	says("by its file, without its secrets", "reloaded "+serves(one), "--config", one.file)
	says("the other", "reloaded "+serves(two), "--config", two.file)
	says("none of two is named", "kai reload: choose with --config or --port. There is the gateway")
	says("a file that nobody serves", "kai reload: no gateway that serves other.yaml answers: is it running? There is the gateway", "--config", "other.yaml")
	says("the port of another file", "kai reload: it is not "+one.file+" that is served on port "+port+", but "+serves(two), "--config", one.file, "--port", port)
	says("both fit", "reloaded "+serves(two), "--config", two.file, "--port", port)

	third := kaiCommand(t, two.cmd.Path, []string{"XDG_RUNTIME_DIR=" + one.runtime}, "serve", "--config", two.file, "--host", "127.0.0.1", "--port", "0")
	if err := third.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { third.Process.Kill(); third.Wait() })
	eventually(t, "the third listens", func() bool {
		sockets, _ := filepath.Glob(filepath.Join(one.runtime, "kai", "*.sock"))
		return len(sockets) == 3
	})
	says("two serve the file", "kai reload: 2 gateways serve "+two.file+": choose with --port. There is ", "--config", two.file)
}
