package kai_test

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// witness is a test as docs/security.md names it: `host/api.TestCORS`.
var witness = regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz)[A-Za-z0-9_]+)`")

// TestSecurityDocument holds docs/security.md against the source: each promise
// names a test, and each test that it names is there and runs in "make test". So
// is each file.
func TestSecurityDocument(t *testing.T) {
	text, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	runs := newRunner(t)
	named := witness.FindAllStringSubmatch(string(text), -1)
	if len(named) < 40 {
		t.Errorf("only %d tests are named", len(named))
	}
	for _, m := range named {
		if why := runs.reason(m[1], m[2]); why != "" {
			t.Errorf("docs/security.md names %s in %s, which %s", m[2], m[1], why)
		}
	}
	for _, m := range regexp.MustCompile("`((?:host|config|cmd|plugins|sdk|schema)(?:/[a-zA-Z0-9_]+)*(?:/[a-zA-Z0-9_]+\\.[a-z]+)?)`").FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat(m[1]); err != nil {
			t.Errorf("docs/security.md names %s: %v", m[1], err)
		}
	}
	promises := 0
	inTable := false
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "| promise |"):
			inTable = true
		case !strings.HasPrefix(line, "|"):
			inTable = false
		case inTable && !strings.HasPrefix(line, "|---"):
			promises++
			cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
			if len(cells) < 3 || !witness.MatchString(cells[len(cells)-1]) {
				t.Errorf("docs/security.md names no test for the promise:%s", cells[0])
			}
		}
	}
	if promises < 30 {
		t.Errorf("only %d promises were found", promises)
	}
}

// runner knows which tests "make test" runs.
type runner struct {
	t     *testing.T
	heavy *regexp.Regexp     // names that it runs without the race detector
	where map[string]bool    // in these packages
	tests map[string]testsOf // by package
}

// testsOf are the functions of a package's tests that go test would see.
type testsOf map[string]*ast.FuncDecl

func newRunner(t *testing.T) *runner {
	t.Helper()
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{t: t, where: map[string]bool{}, tests: map[string]testsOf{}}
	names := regexp.MustCompile(`(?m)^HEAVY := (.*)$`).FindSubmatch(makefile)
	packages := regexp.MustCompile(`-run '\$\(HEAVY\)' (.*)`).FindSubmatch(makefile)
	all := regexp.MustCompile(`\$\(TEST\) .*-race.* \./\.\.\.\n`).Find(makefile)
	if names == nil || packages == nil || all == nil {
		t.Fatal("the Makefile doesn't run the tests as this test has it")
	}
	if regexp.MustCompile(`(?m)^\t.*\$\(TEST\).* -(short|skip)\b`).Match(makefile) {
		t.Fatal("the Makefile leaves tests out")
	}
	r.heavy = regexp.MustCompile(string(names[1]))
	for _, pattern := range strings.Fields(string(packages[1])) {
		dir, below := strings.CutSuffix(strings.TrimPrefix(pattern, "./"), "/...")
		r.where[dir] = true
		if below {
			filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					r.where[filepath.ToSlash(path)] = true
				}
				return nil
			})
		}
	}
	return r
}

// reason says why a test doesn't run, "" if it does. One that leaves itself out
// where something is missing on the machine counts as running.
func (r *runner) reason(dir, name string) string {
	if r.tests[dir] == nil {
		r.tests[dir] = readTests(r.t, dir)
	}
	fn := r.tests[dir][name]
	switch {
	case fn == nil:
		return "does not exist, or is built nowhere"
	case !takes(fn, name[:4]):
		return "is no test to go test"
	case len(fn.Body.List) == 0:
		return "is empty"
	}
	for _, s := range skips(fn.Body, "") {
		switch {
		case s == "" || s == "true":
			return "always skips itself"
		case strings.Contains(s, "Getenv(\"CI\")"), strings.Contains(s, "!race.Enabled"):
			return "skips itself where " + s
		case strings.Contains(s, "race.Enabled") && !(r.heavy.MatchString(name) && r.where[dir]):
			return "skips itself with the race detector, and the Makefile runs it with that only"
		}
	}
	return ""
}

// takes reports whether a function has the one parameter that go test gives it.
func takes(fn *ast.FuncDecl, kind string) bool {
	want := map[string]string{"Test": "T", "Fuzz": "F"}[kind]
	list := fn.Type.Params.List
	if len(list) != 1 || len(list[0].Names) > 1 || fn.Type.Results != nil {
		return false
	}
	star, ok := list[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	selected, ok := star.X.(*ast.SelectorExpr)
	return ok && selected.Sel.Name == want
}

// skips gives the condition of each call to Skip that ends the test itself, "" for
// one without. In a function literal, which is another test's, there is none.
func skips(n ast.Node, condition string) (found []string) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.IfStmt:
			found = append(found, skips(n.Body, text(n.Cond))...)
			if n.Else != nil {
				found = append(found, skips(n.Else, "not "+text(n.Cond))...)
			}
			return false
		case *ast.CaseClause, *ast.CommClause, *ast.RangeStmt:
			if condition == "" {
				condition = "a case of several"
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok && (f.Sel.Name == "Skip" || f.Sel.Name == "Skipf" || f.Sel.Name == "SkipNow") {
				found = append(found, condition)
			}
		}
		return true
	})
	return found
}

func text(e ast.Expr) string {
	var b strings.Builder
	printer.Fprint(&b, token.NewFileSet(), e)
	return b.String()
}

// readTests gives the functions of a package's test files that are built here.
func readTests(t *testing.T, dir string) testsOf {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Errorf("no tests in %s", dir)
	}
	tests := testsOf{}
	for _, file := range files {
		if built, err := build.Default.MatchFile(filepath.Dir(file), filepath.Base(file)); err != nil || !built {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Body != nil {
				tests[fn.Name.Name] = fn
			}
		}
	}
	return tests
}

// TestSecurityDocumentSeesThroughTests gives the check tests that don't run.
func TestSecurityDocumentSeesThroughTests(t *testing.T) {
	const source = `package p
func TestRuns(t *testing.T) { t.Run("", func(t *testing.T) { t.Skip() }); for range 3 { if missing { t.Skip("no browser here") } }; t.Error() }
func TestSkips(t *testing.T) { t.Log("x"); t.Skip("later") }
func TestSkipsInABlock(t *testing.T) { { t.SkipNow() } }
func TestSkipsIfTrue(t *testing.T) { if true { t.Skipf("later") } }
func TestHeavy(t *testing.T) { if race.Enabled { t.Skip() }; t.Error() }
func TestRacy(t *testing.T) { if testing.Short() || race.Enabled { t.Skip() }; t.Error() }
func TestInCI(t *testing.T) { if os.Getenv("CI") != "" { t.Skip() }; t.Error() }
func TestEmpty(t *testing.T) {}
func TestHelper(t *testing.T, more int) { t.Error() }
func FuzzTest(t *testing.T) { t.Error() }
func FuzzRuns(f *testing.F) { f.Fuzz(func(t *testing.T, s string) { t.Skip() }) }
`
	f, err := parser.ParseFile(token.NewFileSet(), "p_test.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{t: t, heavy: regexp.MustCompile("^TestHeavy"), where: map[string]bool{"p": true}, tests: map[string]testsOf{"p": {}}}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			r.tests["p"][fn.Name.Name] = fn
		}
	}
	for name, runs := range map[string]bool{
		"TestRuns": true, "TestHeavy": true, "FuzzRuns": true,
		"TestSkips": false, "TestSkipsInABlock": false, "TestSkipsIfTrue": false, "TestRacy": false, "TestInCI": false,
		"TestEmpty": false, "TestHelper": false, "FuzzTest": false, "TestNone": false,
	} {
		if why := r.reason("p", name); (why == "") != runs {
			t.Errorf("%s: %q, want that it runs: %v", name, why, runs)
		}
	}
}
