// Package kai_test holds what is true of the repository as a whole.
package kai_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/kai-gateway/kai"

// layer says what the packages that match a pattern may import, beyond the
// standard library. Patterns are those of path.Match, on paths below module.
type layer struct {
	pattern string
	own     []string // packages of this module
	foreign []string // modules, or packages of them
	tests   []string // what only test files may import, of either kind
}

// layers are the import rules of docs/architecture.md. The first pattern that
// matches a package is its layer. Imports run cmd → host → host/* → sdk →
// sdk/abi, and each foreign module has one place.
var layers = []layer{
	{pattern: "."}, // the SDKs' source, embedded for authors
	{pattern: "sdk/abi"},
	{pattern: "sdk/sdktest", own: []string{"sdk", "sdk/transcript"}}, // the one of the SDK that imports testing
	{pattern: "sdk/transcript", own: []string{"sdk", "sdk/abi", "sdk/exchange", "sdk/frame"}},
	{pattern: "sdk/exchange", own: []string{"sdk/abi", "sdk/frame"}},
	{pattern: "sdk", own: []string{"sdk/abi"}, tests: []string{"sdk/*"}},
	{pattern: "sdk/*", own: []string{"sdk/abi"}, tests: []string{"sdk"}},

	{pattern: "plugins", tests: []string{"plugins/*", "config", "sdk", "sdk/abi"}},
	{pattern: "plugins/*", own: []string{"plugins/internal/*", "sdk", "sdk/abi"}, tests: []string{"sdk/*"}},
	{pattern: "plugins/internal/adaptertest", own: []string{"sdk", "sdk/*"}},                                                                                          // for the adapters' tests
	{pattern: "plugins/internal/openaichat", own: []string{"plugins/internal/errortext", "sdk", "sdk/abi"}, tests: []string{"plugins/internal/adaptertest", "sdk/*"}}, // what fails in a completion
	{pattern: "plugins/internal/passing", own: []string{"plugins/internal/errortext", "sdk", "sdk/abi"}, tests: []string{"plugins/internal/adaptertest", "sdk/*"}},    // what is a word of an error
	{pattern: "plugins/internal/*", own: []string{"sdk", "sdk/abi"}, tests: []string{"plugins/internal/adaptertest", "sdk/*"}},
	{pattern: "plugins/*/wasm", own: []string{"plugins/*", "sdk"}},

	{pattern: "examples/adapters", tests: []string{"host/wasm", "host/wasm/modfile", "sdk", "sdk/*"}},
	{pattern: "examples/adapters/*", own: []string{"sdk", "sdk/abi"}, tests: []string{"sdk/*"}},

	{pattern: "schema", foreign: []string{"go.yaml.in/yaml/v3"}},
	{pattern: "config", own: []string{"schema"}, foreign: []string{"cuelang.org/go", "go.yaml.in/yaml/v3"}},

	// Counts the bytes of what it keeps, which that library does not.
	{pattern: "host/cache", own: []string{"host/memory", "sdk", "sdk/abi"}, foreign: []string{"github.com/hashicorp/golang-lru/v2"}},
	{pattern: "host/limit/ledger", foreign: []string{"go.etcd.io/bbolt"}}, // knows no limits, only names and bytes
	// Counts in what gateways share, of which it knows only that it runs scripts.
	{pattern: "host/limit/fleet", own: []string{"host/limit"}, tests: []string{"host/shared", "internal/testkit/redis"}},
	// The one place of the store that gateways share.
	{pattern: "host/shared", tests: []string{"internal/testkit/mock", "internal/testkit/redis"}},
	{pattern: "internal/testkit/redis"},
	// Everybody's memory is counted in one place.
	{pattern: "host/memory"},
	{pattern: "host/buffer"}, // large slices of bytes, which outlive whom they were lent to
	// What may stand in a JSON string is checked in one place, too, by vectors where the processor has them.
	{pattern: "host/quoted", foreign: []string{"golang.org/x/sys/cpu"}},
	{pattern: "host/record"}, // what is known of a request, which all of host may show
	{
		pattern: "host/api", own: []string{"host/buffer", "host/fault", "host/dialect", "host/memory", "host/record", "sdk", "sdk/*"},
		foreign: []string{"github.com/julienschmidt/httprouter", "github.com/swaggest/swgui"},
	},
	{
		pattern: "host/wasm", own: []string{"host/fault", "host/memory", "host/quoted", "host/record", "host/wasm/*", "sdk", "sdk/*"},
		foreign: []string{"github.com/tetratelabs/wazero", "github.com/hashicorp/golang-lru/v2"},
		tests:   []string{"plugins"},
	},
	// What is about the files of modules needs no engine.
	{pattern: "host/wasm/modfile", own: []string{"host/wasm/fuel", "sdk", "sdk/abi", "sdk/transcript"}},
	{pattern: "host/wasm/*", own: []string{"sdk/abi"}, tests: []string{"github.com/tetratelabs/wazero"}},
	// What keeps a gateway at its files stands above the gateway, too.
	{
		pattern: "host/live", own: []string{"config", "host/wasm/modfile"}, foreign: []string{"github.com/fsnotify/fsnotify"},
		tests: []string{"host", "internal/testkit", "plugins"},
	},
	{pattern: "host/fault"}, // the kinds of failure, which all of host may use
	// What the APIs of clients share, and one package for each of them, which reads its
	// requests and makes its answers. Several make chat completions of theirs.
	{pattern: "host/dialect", own: []string{"host/body", "host/buffer", "host/facts", "host/fault", "host/memory", "sdk/abi"}},
	// What is sealed for two dialects knows neither of them.
	{pattern: "host/dialect/seal", own: []string{"host/facts", "host/fault", "sdk", "sdk/abi"}},
	// What passes as it came is no dialect's own.
	{pattern: "host/dialect/native", own: []string{"host/body", "host/dialect", "host/facts", "host/fault", "host/quoted", "sdk", "sdk/abi"}},
	// Nor is what requests that are no conversations have in common.
	{pattern: "host/dialect/plain", own: []string{"host/body", "host/dialect", "host/fault", "sdk"}},
	{
		pattern: "host/dialect/*", own: []string{"host/body", "host/buffer", "host/dialect", "host/dialect/chat", "host/dialect/native", "host/dialect/plain", "host/dialect/seal", "host/facts", "host/fault", "host/memory", "sdk", "sdk/abi"},
		foreign: []string{"github.com/tidwall/gjson"},
		tests:   []string{"plugins/*"}, // which take what dialects make
	},
	// What reads an audit needs no gateway.
	{pattern: "host/audit", own: []string{"host/record"}},
	// The one place of Prometheus and OpenTelemetry.
	{
		pattern: "host/observe", own: []string{"host/fault", "host/record"},
		foreign: []string{"github.com/prometheus/client_golang", "github.com/prometheus/client_model", "go.opentelemetry.io/proto/otlp", "google.golang.org/protobuf"},
	},
	{pattern: "host/upstream", own: []string{"host/fault", "host/memory", "host/upstream/*", "sdk", "sdk/*"}, tests: []string{"internal/testkit/mock", "internal/testkit/wire"}},
	{pattern: "host/upstream/h1", tests: []string{"internal/testkit/wire"}}, // knows nothing of providers
	{pattern: "host/*", own: []string{"host/fault", "host/memory", "host/quoted", "host/record", "sdk", "sdk/*"}},
	{
		pattern: "host", own: []string{"host/*", "host/limit/fleet", "host/limit/ledger", "host/wasm/modfile", "host/dialect/*", "config", "schema", "sdk", "sdk/*"},
		tests: []string{"internal/testkit", "internal/testkit/mock", "internal/testkit/redis", "plugins", "plugins/*", "host/wasm/*", "github.com/openai/openai-go/v3", "github.com/getkin/kin-openapi"},
	},
	// For tests of whole gateways, and for nothing else. Their upstreams know nothing of
	// Kai, so that tests inside of package host can have them, too.
	{pattern: "internal/testkit/mock"},
	{pattern: "internal/testkit/wire"}, // the same below HTTP
	{pattern: "internal/testkit/race"},
	{pattern: "internal/testkit", own: []string{"host", "host/buffer", "host/live", "host/wasm", "host/wasm/modfile", "config", "plugins"}},
	// Measures the program from outside, with modules it makes for that.
	{pattern: "cmd/bench", own: []string{"host/wasm", "host/wasm/*", "plugins", "sdk/abi"}},
	{pattern: "cmd/bench/linked", own: []string{"cmd/internal/logline", "cmd/internal/logqueue", "cmd/internal/pace", "host", "host/*", "host/wasm/modfile", "config", "plugins", "plugins/*", "sdk", "sdk/abi"}},
	// The kit for authors of adapters stands above the gateway it tests them with.
	{pattern: "cmd/internal/conform", own: []string{"host", "host/*", "host/wasm/modfile", "host/dialect/*", "config", "sdk", "sdk/*"}, tests: []string{"internal/testkit", "plugins"}},
	{
		pattern: "cmd/internal/author", own: []string{"cmd/internal/conform", "host/*", "host/dialect/chat", "host/wasm/modfile", "config", "plugins", "sdk", "sdk/*"},
		foreign: []string{module}, // the root, which has the source that projects are made of
	},
	{pattern: "cmd/internal/*"}, // programs of the Makefile
	{
		pattern: "cmd/*", own: []string{"cmd/internal/*", "host", "host/*", "host/wasm/modfile", "config", "schema", "plugins", "plugins/*", "sdk", "sdk/*"},
		tests: []string{"host/limit/ledger", "internal/testkit", "internal/testkit/mock", "internal/testkit/redis", "github.com/rogpeppe/go-internal", "github.com/openai/openai-go/v3"},
	},
}

// edge is an import: from is a package's path below module ("." for its root), to
// is what the source says.
type edge struct {
	from, to string
	test     bool // in a _test.go file
}

// refusal says why an edge breaks the rules; "" when it keeps them.
func refusal(e edge) string {
	own, isOwn := strings.CutPrefix(e.to, module+"/")
	first, _, _ := strings.Cut(e.to, "/")
	if !isOwn && !strings.Contains(first, ".") {
		return "" // the standard library
	}
	i := slices.IndexFunc(layers, func(l layer) bool { return matches(l.pattern, e.from) })
	if i < 0 {
		return fmt.Sprintf("%s has no layer: give it one in architecture_test.go", e.from)
	}
	l := layers[i]
	allowed := l.foreign
	if isOwn {
		allowed = l.own
	}
	if e.test {
		allowed = slices.Concat(allowed, l.tests)
		if isOwn && (own == e.from || own == "internal/testkit/race") {
			return "" // an external test imports what it tests, and any asks for the race detector
		}
	}
	for _, a := range allowed {
		if isOwn && matches(a, own) || !isOwn && (e.to == a || strings.HasPrefix(e.to, a+"/")) {
			return ""
		}
	}
	where := ""
	if e.test {
		where = " even in tests"
	}
	return fmt.Sprintf("%s must not import %s%s", e.from, strings.TrimPrefix(e.to, module+"/"), where)
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	if err != nil {
		panic(err)
	}
	return ok
}

// edges reads the imports of every Go file below root, of any platform. The
// tests in root itself are left out: they are about the repository.
func edges(root string) ([]edge, error) {
	var all []edge
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != root && (base == "testdata" || base == "node_modules" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil || !strings.HasSuffix(base, ".go") || dir == "." && strings.HasSuffix(base, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			all = append(all, edge{filepath.ToSlash(dir), to, strings.HasSuffix(base, "_test.go")})
		}
		return nil
	})
	return all, err
}

func TestImports(t *testing.T) {
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	all, err := edges(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("only %d imports were found in %s", len(all), root)
	}
	told := map[string]bool{}
	for _, e := range all {
		if why := refusal(e); why != "" && !told[why] {
			told[why] = true
			t.Error(why)
		}
	}
}

// TestProgramHoldsNoTests keeps package testing, and with it the flags of tests, out
// of the program.
func TestProgramHoldsNoTests(t *testing.T) {
	deps, err := exec.Command("go", "list", "-deps", "./cmd/kai").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Fields(string(deps))
	if !slices.Contains(all, module+"/sdk/transcript") {
		t.Fatalf("cmd/kai has %d dependencies, and sdk/transcript is none", len(all))
	}
	if slices.Contains(all, "testing") {
		t.Error("cmd/kai links package testing: what replays transcripts is in sdk/transcript, sdk/sdktest is for tests")
	}
}

// How long a file and a function may be, in lines.
const (
	maxFile     = 500
	maxFunction = 80
)

// tooLong are the files, and the functions as "file: name", that are longer. A list
// that only gets shorter: what isn't too long any more must leave it.
var tooLong = []string{
	"sdk/c/kai.h",                         // authors copy one file
	"sdk/assemblyscript/assembly/json.ts", // its functions share variables, which modules of AssemblyScript can't
}

// TestNothingIsTooLong measures the program's files and functions. Tests are not
// among them, nor is what a program wrote.
func TestNothingIsTooLong(t *testing.T) {
	found := map[string]int{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch base := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (base == "testdata" || base == "node_modules" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")):
			return fs.SkipDir
		case d.IsDir() || strings.HasSuffix(base, "_test.go"):
			return nil
		case slices.Contains([]string{".cue", ".js", ".css", ".rs", ".ts", ".h"}, path.Ext(base)):
			text, err := os.ReadFile(name)
			if n := bytes.Count(text, []byte("\n")); n > maxFile {
				found[filepath.ToSlash(name)] = n
			}
			return err
		case !strings.HasSuffix(base, ".go"):
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		if ast.IsGenerated(file) {
			return nil
		}
		slashed := filepath.ToSlash(name)
		if n := files.File(file.Pos()).LineCount(); n > maxFile {
			found[slashed] = n
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				if n := files.Position(f.End()).Line - files.Position(f.Pos()).Line + 1; n > maxFunction {
					found[slashed+": "+f.Name.Name] = n
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for what, n := range found {
		if !slices.Contains(tooLong, what) {
			t.Errorf("%s has %d lines; files may have %d, functions %d", what, n, maxFile, maxFunction)
		}
	}
	for _, what := range tooLong {
		if found[what] == 0 {
			t.Errorf("%s is not too long any more: take it out of tooLong", what)
		}
	}
}

// TestImportRules shows that TestImports fails where it should.
func TestImportRules(t *testing.T) {
	own := func(name string) string { return module + "/" + name }
	for name, tc := range map[string]struct {
		edge    edge
		refused bool
	}{
		"anybody may import the standard library":         {edge{"sdk/abi", "net/http", false}, false},
		"the host joins its leaves":                       {edge{"host", own("host/sse"), false}, false},
		"a leaf may import the sdk":                       {edge{"host/sse", own("sdk"), false}, false},
		"a leaf may count its memory":                     {edge{"host/sse", own("host/memory"), false}, false},
		"who counts it knows no other leaf":               {edge{"host/memory", own("host/api"), false}, true},
		"a leaf may not import another":                   {edge{"host/sse", own("host/upstream"), false}, true},
		"a leaf's test may not import another leaf":       {edge{"host/sse", own("host/upstream"), true}, true},
		"a leaf may import what is below itself":          {edge{"host/wasm", own("host/wasm/fuel"), false}, false},
		"what tells of changed files is in host/live":     {edge{"cmd/kai", "github.com/fsnotify/fsnotify", false}, true},
		"what follows files needs no gateway to know":     {edge{"host/live", own("host"), false}, true},
		"nobody else may import what is below a leaf":     {edge{"host/sse", own("host/wasm/fuel"), false}, true},
		"a leaf may not import the host":                  {edge{"host/api", own("host"), false}, true},
		"a leaf may not import the configuration":         {edge{"host/api", own("config"), false}, true},
		"an external test imports what it tests":          {edge{"host/route", own("host/route"), true}, false},
		"wazero is imported in host/wasm":                 {edge{"host/wasm", "github.com/tetratelabs/wazero/api", false}, false},
		"wazero is imported nowhere else":                 {edge{"host", "github.com/tetratelabs/wazero", false}, true},
		"not even below host/wasm":                        {edge{"host/wasm/fuel", "github.com/tetratelabs/wazero", false}, true},
		"but in the tests there":                          {edge{"host/wasm/fuel", "github.com/tetratelabs/wazero", true}, false},
		"CUE is imported in config":                       {edge{"config", "cuelang.org/go/cue", false}, false},
		"CUE is imported nowhere else":                    {edge{"cmd/kai", "cuelang.org/go/cue", false}, true},
		"httprouter is imported in host/api":              {edge{"host/api", "github.com/julienschmidt/httprouter", false}, false},
		"httprouter is imported nowhere else":             {edge{"host", "github.com/julienschmidt/httprouter", false}, true},
		"gjson reads requests in their dialects":          {edge{"host/dialect/chat", "github.com/tidwall/gjson", false}, false},
		"gjson stays out of the sdk":                      {edge{"sdk", "github.com/tidwall/gjson", false}, true},
		"the sdk has no dependency, nor have its tests":   {edge{"sdk", "github.com/openai/openai-go/v3", true}, true},
		"the sdk knows nothing of the host":               {edge{"sdk", own("host"), false}, true},
		"sdk/abi imports nothing":                         {edge{"sdk/abi", own("sdk"), false}, true},
		"an adapter imports the sdk":                      {edge{"plugins/ollama", own("sdk"), false}, false},
		"an adapter has no dependency":                    {edge{"plugins/ollama", "github.com/tidwall/gjson", false}, true},
		"adapters share what is internal to them":         {edge{"plugins/openai", own("plugins/internal/openaichat"), false}, false},
		"what they share knows none of them":              {edge{"plugins/internal/openaichat", own("plugins/openai"), false}, true},
		"an adapter does not import another":              {edge{"plugins/ollama", own("plugins/openrouter"), false}, true},
		"an adapter does not import the host":             {edge{"plugins/ollama", own("host"), false}, true},
		"an adapter's tests replay transcripts":           {edge{"plugins/ollama", own("sdk/sdktest"), true}, false},
		"the program may import everything of its own":    {edge{"cmd/kai", own("host/wasm"), false}, false},
		"the program has no dependency of its own":        {edge{"cmd/kai", "github.com/spf13/cobra", false}, true},
		"a module that shares a prefix is another module": {edge{"config", "cuelang.org/gopher", false}, true},
		"a package without a layer is told about":         {edge{"internal/util", own("sdk"), false}, true},
	} {
		t.Run(name, func(t *testing.T) {
			why := refusal(tc.edge)
			if (why != "") != tc.refused {
				t.Errorf("refusal(%+v) = %q, want refused: %v", tc.edge, why, tc.refused)
			}
		})
	}
}
