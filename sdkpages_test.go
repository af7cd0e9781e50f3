package kai_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// signature is a public function as its language writes it.
type signature struct{ group, name, text, about string }

// TestSDKPages holds the pages of the SDKs against their sources: each page ends in
// the signatures of all public functions. KAI_UPDATE=1 writes them.
func TestSDKPages(t *testing.T) {
	const begin, end = "<!-- signatures: written by KAI_UPDATE=1 go test -run TestSDKPages . -->\n", "<!-- end of signatures -->\n"
	for language, sdk := range map[string]struct {
		comment string
		all     func(*testing.T) []signature
		has     []string // a few that must be among them
	}{
		"go":             {"//", goSignatures, []string{"Register", "New", "Out.TextJSON", "Run", "JSON.Get", "Messages", "Adapter.Event"}},
		"rust":           {"//", rustSignatures, []string{"Adapter::event", "Json::get", "Error::refused", "Out::tool_args_json", "messages", "adapter!", "Writer::raw_string"}},
		"c":              {"/*", cSignatures, []string{"KAI", "kai_add", "kai_added", "kai_write_end", "kai_fail", "kai_log", "KAI_ADAPTER"}},
		"assemblyscript": {"//", assemblyScriptSignatures, []string{"Adapter.event", "Failure.refused", "Json.get", "Messages.next", "splitDataURL", "new Upstream", "Writer.rawString"}},
	} {
		t.Run(language, func(t *testing.T) {
			all := sdk.all(t)
			for _, name := range sdk.has {
				if !slices.ContainsFunc(all, func(s signature) bool { return s.name == name }) {
					t.Errorf("%s is not found in the sources", name)
				}
			}
			want := begin + page(language, sdk.comment, all) + "\n" + end
			file := "docs/sdk-" + language + ".md"
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text := string(data)
			i, j := strings.Index(text, begin), strings.Index(text, end)
			if i < 0 || j < i {
				t.Fatalf("%s has no signatures: it needs the lines\n%s%s", file, begin, end)
			}
			if text[i:j+len(end)] == want {
				return
			}
			if os.Getenv("KAI_UPDATE") == "1" {
				if err := os.WriteFile(file, []byte(text[:i]+want+text[j+len(end):]), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, s := range all {
				if !strings.Contains(text[i:j], s.text) {
					t.Errorf("%s lacks %s", file, s.text)
				}
			}
			t.Errorf("%s differs from the sources: KAI_UPDATE=1 go test -run TestSDKPages . writes it", file)
		})
	}
}

// page writes signatures, a block for each group.
func page(language, comment string, all []signature) string {
	if language == "assemblyscript" {
		language = "ts"
	}
	var b strings.Builder
	group := ""
	for i, s := range all {
		if i == 0 || s.group != group {
			if group = s.group; i > 0 {
				b.WriteString("```\n")
			}
			fmt.Fprintf(&b, "\n%s:\n\n```%s\n", group, language)
		}
		line := s.text
		if s.about != "" {
			line += " " + comment + " " + s.about
			if comment == "/*" {
				line += " */"
			}
		}
		b.WriteString(line + "\n")
	}
	b.WriteString("```\n")
	return b.String()
}

// sentence gives the first sentence of a comment, in one line.
func sentence(text string) string {
	text, _, _ = strings.Cut(text, "\n\n")
	text = strings.Join(strings.Fields(text), " ")
	if m := regexp.MustCompile(`\.(?: [A-Z]|$)`).FindStringIndex(text); m != nil {
		text = text[:m[0]]
	}
	return strings.TrimRight(text, ":")
}

// goSignatures reads the packages below sdk.
func goSignatures(t *testing.T) []signature {
	var all []signature
	err := filepath.WalkDir("sdk", func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if d.Name() == "testdata" || d.Name() == "internal" {
			return fs.SkipDir
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			return err
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") && !strings.HasSuffix(file, "_wasm.go") {
				all = append(all, goFile(t, filepath.ToSlash(dir), file)...)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func goFile(t *testing.T, dir, file string) []signature {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	embedding := map[string][]string{} // exported structs, by the types they embed
	ast.Inspect(parsed, func(n ast.Node) bool {
		if named, ok := n.(*ast.TypeSpec); ok && named.Name.IsExported() {
			if s, ok := named.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					if len(f.Names) == 0 {
						of := receiver(f.Type)
						embedding[of] = append(embedding[of], named.Name.Name)
					}
				}
			}
		}
		return true
	})
	ast.FileExports(parsed)
	var all []signature
	add := func(name, about string, node any) {
		var b bytes.Buffer
		if err := printer.Fprint(&b, set, node); err != nil {
			t.Fatal(err)
		}
		all = append(all, signature{"Package `" + dir + "`", name, strings.Join(strings.Fields(b.String()), " "), sentence(about)})
	}
	for _, d := range parsed.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				add(d.Name.Name, d.Doc.Text(), &ast.FuncDecl{Name: d.Name, Type: d.Type})
				continue
			}
			of := receiver(d.Recv.List[0].Type)
			if ast.IsExported(of) {
				add(of+"."+d.Name.Name, d.Doc.Text(), &ast.FuncDecl{Recv: d.Recv, Name: d.Name, Type: d.Type})
				continue
			}
			for _, outer := range embedding[of] { // which has the method, too
				recv := &ast.FieldList{List: []*ast.Field{{Type: &ast.StarExpr{X: ast.NewIdent(outer)}}}}
				add(outer+"."+d.Name.Name, d.Doc.Text(), &ast.FuncDecl{Recv: recv, Name: d.Name, Type: d.Type})
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				named, _ := s.(*ast.TypeSpec)
				if named == nil {
					continue
				}
				methods, _ := named.Type.(*ast.InterfaceType)
				if methods == nil {
					continue
				}
				for _, m := range methods.Methods.List {
					if f, ok := m.Type.(*ast.FuncType); ok {
						name := named.Name.Name + "." + m.Names[0].Name
						recv := &ast.FieldList{List: []*ast.Field{{Type: ast.NewIdent(named.Name.Name)}}}
						add(name, m.Doc.Text(), &ast.FuncDecl{Recv: recv, Name: m.Names[0], Type: f})
					}
				}
			}
		}
	}
	return all
}

// receiver gives the name of a method's type.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return "?"
}

// rustSignatures reads what lib.rs of the crate makes public.
func rustSignatures(t *testing.T) []signature {
	public := map[string]bool{}
	modules := []string{}
	hidden := false
	for line := range strings.Lines(mustRead(t, "sdk/rust/src/lib.rs")) {
		if m := regexp.MustCompile(`^pub use (\w+)::\{?([^};]+)`).FindStringSubmatch(line); m != nil && !hidden {
			modules = append(modules, m[1])
			for name := range strings.SplitSeq(m[2], ",") {
				public[strings.TrimSpace(name)] = true
			}
		}
		hidden = strings.Contains(line, "#[doc(hidden)]")
	}
	var all []signature
	for _, module := range slices.Compact(modules) {
		owner, about := "", ""
		hidden, exported := false, false
		lines := strings.Split(mustRead(t, "sdk/rust/src/"+module+".rs"), "\n")
		for i := 0; i < len(lines); i++ {
			line := lines[i]
			trimmed := strings.TrimSpace(line)
			add := func(name, text string) {
				all = append(all, signature{"`" + module + ".rs`", name, text, sentence(about)})
			}
			switch {
			case strings.HasPrefix(trimmed, "///"):
				about += strings.TrimPrefix(trimmed, "///") + "\n"
				continue
			case strings.HasPrefix(trimmed, "#["):
				hidden = hidden || strings.Contains(trimmed, "doc(hidden)")
				exported = exported || strings.Contains(trimmed, "macro_export")
				continue
			case line == "}":
				owner = ""
			case strings.HasPrefix(line, "macro_rules!") && exported:
				name := strings.Fields(line)[1] + "!"
				add(name, "kai::"+name)
			case strings.HasPrefix(line, "impl"), strings.HasPrefix(line, "pub trait"), strings.HasPrefix(line, "pub mod"):
				owner = "-"
				if m := regexp.MustCompile(`^(?:impl(?:<[^>]*>)?|pub trait) (\w+)`).FindStringSubmatch(line); m != nil && public[m[1]] && !strings.Contains(line, " for ") && !hidden {
					owner = m[1]
				}
			}
			isTrait := owner != "" && slices.ContainsFunc(lines[:i+1], func(l string) bool { return strings.HasPrefix(l, "pub trait "+owner) })
			m := regexp.MustCompile(`^(?:    )?(pub )?(?:const )?fn (\w+)`).FindStringSubmatch(line)
			if m != nil && !hidden && (m[1] != "" || isTrait) && owner != "-" && (owner != "" || public[m[2]]) {
				text := trimmed
				for !strings.ContainsAny(text, "{;") || strings.Count(text, "(") > strings.Count(text, ")") {
					i++
					text += " " + strings.TrimSpace(lines[i])
				}
				text = strings.TrimSpace(strings.TrimRight(regexp.MustCompile(`\s*(\{.*|;)$`).ReplaceAllString(text, ""), " "))
				text = strings.NewReplacer("( ", "(", ", )", ")").Replace(text)
				name := m[2]
				if owner != "" {
					text, name = strings.Replace(text, "fn "+name, "fn "+owner+"::"+name, 1), owner+"::"+name
				}
				add(name, text)
			}
			about, hidden, exported = "", false, false
		}
	}
	return all
}

// cSignatures reads what stands before the implementation in kai.h.
func cSignatures(t *testing.T) []signature {
	text := mustRead(t, "sdk/c/kai.h")
	text = text[strings.Index(text, "/* ---- bytes"):strings.Index(text, "#endif /* KAI_H */")]
	const comment = `/\*(?:[^*]|\*[^/])*\*/`
	pattern := regexp.MustCompile(`(?m)(?:^(` + comment + `)\n)?^(?:(#define) (KAI(?:_ADAPTER)?)(\([^)]*\))|((?:static inline )?(?:const )?[a-z_0-9]+ \*?)(kai_[a-z_0-9]*[a-z0-9])(\([^;{]*\))\s*(?:;|\{[^\n]*\})[ ]*(` + comment + `)?)|^(/\* ---- [^\n]*)`)
	words := func(s string) string {
		return strings.Join(strings.Fields(strings.NewReplacer("/*", " ", "*/", " ", "\n *", " ").Replace(s)), " ")
	}
	var all []signature
	group := ""
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		switch {
		case m[9] != "":
			group = strings.Trim(words(m[9]), "- ")
		case m[2] != "":
			all = append(all, signature{"Of " + group, m[3], "#define " + m[3] + m[4], sentence(words(m[1]))})
		default:
			about := m[8]
			if about == "" {
				about = m[1]
			}
			all = append(all, signature{"Of " + group, m[6], strings.TrimPrefix(m[5], "static inline ") + m[6] + words(m[7]) + ";", sentence(words(about))})
		}
	}
	return all
}

// assemblyScriptSignatures reads what index.ts of the SDK exports.
func assemblyScriptSignatures(t *testing.T) []signature {
	var all []signature
	for _, export := range regexp.MustCompile(`(?m)^export \{([^}]*)\} from "\./(\w+)"`).FindAllStringSubmatch(mustRead(t, "sdk/assemblyscript/assembly/index.ts"), -1) {
		public := map[string]bool{}
		for name := range strings.SplitSeq(export[1], ",") {
			public[strings.TrimSpace(name)] = true
		}
		lines := strings.Split(mustRead(t, "sdk/assemblyscript/assembly/"+export[2]+".ts"), "\n")
		class, about := "", ""
		for i := 0; i < len(lines); i++ {
			line := lines[i]
			if m := regexp.MustCompile(`^(?:export )?(?:abstract )?class (\w+)`).FindStringSubmatch(line); m != nil {
				class = ""
				if public[m[1]] {
					class = m[1]
				}
			}
			trimmed := strings.TrimSpace(line)
			switch {
			case line == "}":
				class = ""
			case strings.HasPrefix(trimmed, "/**"), strings.HasPrefix(trimmed, "*"), strings.HasPrefix(trimmed, "//"):
				about += strings.Trim(trimmed, "/* ") + "\n"
				continue
			case strings.HasPrefix(trimmed, "@"):
				continue
			}
			method := regexp.MustCompile(`^  ((?:abstract |static |get )*)(\w+)(?:<\w+>)?\(`).FindStringSubmatch(line)
			function := regexp.MustCompile(`^export function (\w+)(?:<\w+>)?\(`).FindStringSubmatch(line)
			isMethod := method != nil && class != ""
			if isMethod || function != nil && public[function[1]] {
				text := trimmed
				for strings.Count(text, "(") > strings.Count(text, ")") {
					i++
					text += " " + strings.TrimSpace(lines[i])
				}
				text = regexp.MustCompile(`/\*\*?.*?\*/\s*`).ReplaceAllString(text, "")
				text = regexp.MustCompile(`\s*(\{[^}]*\}?|;)$`).ReplaceAllString(text, "")
				text = strings.NewReplacer("( ", "(", ", )", ")", "export ", "", "abstract ", "", "readonly ", "", "public ", "", "private ", "").Replace(text)
				name := ""
				switch {
				case !isMethod:
					name = function[1]
				case method[2] == "constructor":
					name = "new " + class
					text = strings.Replace(text, "constructor", name, 1)
				default:
					name = class + "." + method[2]
					text = strings.Replace(strings.Replace(text, "static ", "", 1), method[2], name, 1)
					if strings.HasPrefix(text, "get ") {
						text = strings.Replace(strings.TrimPrefix(text, "get "), "()", "", 1)
					}
				}
				all = append(all, signature{"`" + export[2] + ".ts`", name, text, sentence(about)})
			}
			about = ""
		}
	}
	return all
}

func mustRead(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
