package kai_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ownStatuses are the files that may give a failure another status than that of its kind,
// because it is not the gateway's choice.
var ownStatuses = []string{
	"host/facts/error.go",             // an adapter states it
	"host/upstream/webpage.go",        // something in front of an upstream answers with it
	"host/dialect/messages/errors.go", // clients of the API know the kind by it
}

// knownCodes are the files that may compare the code of a failure, for nothing but its looks.
var knownCodes = []string{
	"host/dialect/messages/errors.go", // one of the dialect's own has details beside it
}

// ownChoices says where a file decides something about failures that only host/fault does:
// which status one has, or what follows from its code.
func ownChoices(name string, file *ast.File) (found []string) {
	knowsFaults := slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"`+module+`/host/fault"` })
	is := func(e ast.Expr, field string) bool {
		s, ok := e.(*ast.SelectorExpr)
		return ok && s.Sel.Name == field
	}
	status := func(e ast.Expr) {
		if id, ok := e.(*ast.Ident); (ok && id.Name == "OwnStatus" || is(e, "OwnStatus")) && !slices.Contains(ownStatuses, name) {
			found = append(found, "gives a failure a status of its own: make a kind of it in host/fault")
		}
	}
	code := func(e, with ast.Expr) {
		if text, ok := with.(*ast.BasicLit); ok && text.Value == `""` {
			return
		}
		if knowsFaults && is(e, "Code") && !slices.Contains(knownCodes, name) {
			found = append(found, "compares a failure's code: make a kind of it in host/fault")
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if n.Kind == token.INT && n.Value == "499" {
				found = append(found, "has the status 499: it is fault.StatusGone")
			}
		case *ast.KeyValueExpr:
			status(n.Key)
		case *ast.AssignStmt:
			for _, to := range n.Lhs {
				status(to)
			}
		case *ast.BinaryExpr:
			if n.Op == token.EQL || n.Op == token.NEQ {
				code(n.X, n.Y)
				code(n.Y, n.X)
			}
		case *ast.SwitchStmt:
			code(n.Tag, nil)
		}
		return true
	})
	return found
}

// TestOnlyKindsDecide: the table of host/fault alone knows the statuses of failures, and
// decisions depend on kinds. Adapters, which know no kinds, state statuses and codes.
func TestOnlyKindsDecide(t *testing.T) {
	read := 0
	for _, root := range []string{"host", "cmd", "config"} {
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			name = filepath.ToSlash(name)
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "testdata" || name == "host/fault"):
				return fs.SkipDir
			case path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			read++
			for _, what := range ownChoices(name, file) {
				t.Errorf("%s %s", name, what)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if read < 100 {
		t.Errorf("only %d files were read", read)
	}
}

// TestOwnChoicesAreFound shows that TestOnlyKindsDecide fails where it should.
func TestOwnChoicesAreFound(t *testing.T) {
	for name, tc := range map[string]struct {
		file, code string
		found      int
	}{
		"a status in a literal":                      {"host/a.go", `var e = &fault.Error{Kind: fault.Full, OwnStatus: 502}`, 1},
		"a status that is set":                       {"host/a.go", `func f(e *fault.Error) { e.Kind, e.OwnStatus = fault.Full, 502 }`, 1},
		"a status that an adapter stated":            {"host/facts/error.go", `func f(e *fault.Error) { e.OwnStatus = 422 }`, 0},
		"a kind":                                     {"host/a.go", `var e = &fault.Error{Kind: fault.NoFiles}`, 0},
		"the status of who hung up":                  {"host/a.go", `const gone = 499`, 1},
		"its name":                                   {"host/a.go", `const gone = fault.StatusGone`, 0},
		"a code that is compared":                    {"host/a.go", `func f(e *fault.Error) bool { return e.Code == "busy" }`, 1},
		"a code that is compared with a constant":    {"host/a.go", `func f(e *fault.Error) bool { return busy != e.Code }`, 1},
		"a code that is chosen by":                   {"host/a.go", `func f(e *fault.Error) { switch e.Code { case "busy": } }`, 1},
		"whether there is a code":                    {"host/a.go", `func f(e *fault.Error) bool { return e.Code != "" }`, 0},
		"a kind that is compared":                    {"host/a.go", `func f(e *fault.Error) bool { return e.Kind == fault.Full }`, 0},
		"a code of the dialect's, which has details": {"host/dialect/messages/errors.go", `func f(e *fault.Error) bool { return e.Code == own }`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := parser.ParseFile(token.NewFileSet(), tc.file, `package a
import "`+module+`/host/fault"
`+tc.code, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			if found := ownChoices(tc.file, file); len(found) != tc.found {
				t.Errorf("found %q in %s, want %d", found, tc.code, tc.found)
			}
		})
	}
}
