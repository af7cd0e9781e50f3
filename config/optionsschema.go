package config

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
)

// Bounds of the options in an adapter's manifest.
const (
	maxOptionsCUE   = 16 << 10 // bytes
	maxOptionsDepth = 32       // nested brackets
	maxAlternatives = 32       // of a disjunction
	maxLiteral      = 1024     // bytes of a constant
)

// CheckOptionsSchema reports whether CUE text may describe the options of an
// adapter. The text is foreign code for an evaluator, and 500 bytes of it can
// keep that busy for minutes, so only forms whose cost is plain are let in:
//
//   - fields, each given once, with plain names: keep_alive?: string
//   - struct and list literals, close({…}) and … for what may follow
//   - basic types, constants, bounds, regular expressions and what & joins of them
//   - disjunctions of at most 32 constants, types or conjunctions of them, with defaults
//
// Everything else, such as imports, references, comprehensions, interpolation
// and disjunctions inside of conjunctions, is refused by name and line.
func CheckOptionsSchema(src string) error {
	fields, err := parseOptions(src)
	if err == nil {
		_, err = compileOptions(cuecontext.New(), fields)
	}
	return err
}

// parseOptions parses and checks the text and gives the fields it declares.
func parseOptions(src string) ([]ast.Decl, error) {
	if len(src) > maxOptionsCUE {
		return nil, errors.New("are larger than 16 KiB")
	}
	if err := checkNesting(src); err != nil {
		return nil, err
	}
	file, err := parser.ParseFile("options", src)
	if err != nil {
		list := cueerrors.Errors(err)
		line := 0
		if len(list) > 0 {
			line = list[0].Position().Line()
		}
		return nil, fmt.Errorf("line %d: is not CUE", line)
	}
	decls := file.Decls
	// The whole may be one {…} or close({…}), which is the same since options
	// are closed.
	if fields, ok := embedded(decls); ok {
		decls = fields
	}
	c := optionsChecker{}
	c.fields(decls)
	return decls, c.err
}

// checkNesting bounds the depth of brackets before a recursive parser sees the
// text. Brackets inside of strings count too, which refuses nothing sensible.
func checkNesting(src string) error {
	depth := 0
	for i, c := range src {
		switch c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		}
		if depth > maxOptionsDepth {
			return fmt.Errorf("line %d: brackets are nested more than %d deep", 1+strings.Count(src[:i], "\n"), maxOptionsDepth)
		}
	}
	return nil
}

// embedded returns the fields of a text that is one struct.
func embedded(decls []ast.Decl) ([]ast.Decl, bool) {
	if len(decls) != 1 {
		return nil, false
	}
	embed, ok := decls[0].(*ast.EmbedDecl)
	if !ok {
		return nil, false
	}
	if s := structOf(embed.Expr); s != nil {
		return s.Elts, true
	}
	return nil, false
}

// structOf returns the struct of {…} or close({…}), or nil.
func structOf(x ast.Expr) *ast.StructLit {
	if call, ok := x.(*ast.CallExpr); ok {
		if f, ok := call.Fun.(*ast.Ident); ok && f.Name == "close" && len(call.Args) == 1 {
			x = call.Args[0]
		}
	}
	s, _ := x.(*ast.StructLit)
	return s
}

// optionsChecker keeps the first thing that is refused.
type optionsChecker struct{ err error }

func (c *optionsChecker) refuse(n ast.Node, what string) {
	if c.err == nil {
		c.err = fmt.Errorf("line %d: %s", n.Pos().Line(), what)
	}
}

func (c *optionsChecker) fields(decls []ast.Decl) {
	seen := map[string]bool{}
	for _, d := range decls {
		switch d := d.(type) {
		case *ast.Field:
			c.field(d, seen)
		case *ast.Ellipsis:
			if d.Type != nil {
				c.refuse(d, "... cannot have a type here")
			}
		case *ast.CommentGroup:
		case *ast.EmbedDecl:
			c.refuse(d, "a value without a name is not allowed")
		case *ast.ImportDecl:
			c.refuse(d, "import is not allowed")
		case *ast.Package:
			c.refuse(d, "package is not allowed")
		case *ast.LetClause:
			c.refuse(d, "let is not allowed")
		case *ast.Comprehension:
			c.refuse(d, "comprehensions (if, for) are not allowed")
		case *ast.Attribute:
			c.refuse(d, "attributes are not allowed")
		default:
			c.refuse(d, "this declaration is not allowed")
		}
	}
}

func (c *optionsChecker) field(f *ast.Field, seen map[string]bool) {
	var name string
	switch label := f.Label.(type) {
	case *ast.Ident:
		name = label.Name
		switch {
		case strings.HasPrefix(name, "#") || strings.HasPrefix(name, "_"):
			c.refuse(f, "definitions and hidden fields are not allowed")
		case isBasicType(name) || name == "close":
			// A field of this name would be what the word refers to.
			c.refuse(f, fmt.Sprintf("a field called %s needs quotes", name))
		}
	case *ast.BasicLit:
		unquoted, err := literal.Unquote(label.Value)
		if label.Kind != token.STRING || err != nil {
			c.refuse(f, "a field's name must be plain text")
			return
		}
		name = unquoted
	case *ast.ListLit:
		c.refuse(f, "patterns ([…]:) are not allowed")
		return
	default:
		c.refuse(f, "a field's name must be plain text")
		return
	}
	if seen[name] {
		c.refuse(f, fmt.Sprintf("%q is given twice", name))
	}
	seen[name] = true
	if f.Alias != nil {
		c.refuse(f, "aliases are not allowed")
	}
	if len(f.Attrs) > 0 {
		c.refuse(f, "attributes are not allowed")
	}
	c.expr(f.Value, true)
}

// expr checks a value. alternatives says that it may be a disjunction.
func (c *optionsChecker) expr(x ast.Expr, alternatives bool) {
	if c.err != nil {
		return
	}
	switch x := x.(type) {
	case *ast.ParenExpr:
		c.expr(x.X, alternatives)
	case *ast.StructLit:
		if !alternatives {
			c.refuse(x, "a struct is not allowed inside of & or |")
		}
		c.fields(x.Elts)
	case *ast.ListLit:
		c.list(x, alternatives)
	case *ast.CallExpr:
		s := structOf(x)
		if s == nil {
			c.refuse(x, "calls other than close({…}) are not allowed")
			return
		}
		c.expr(s, alternatives)
	case *ast.BinaryExpr:
		switch x.Op {
		case token.OR:
			if !alternatives {
				c.refuse(x, "a disjunction (|) is not allowed inside of &, | or *")
				return
			}
			c.disjunction(x)
		case token.AND:
			c.expr(x.X, false)
			c.expr(x.Y, false)
		default:
			c.refuse(x, fmt.Sprintf("the operator %s is not allowed", x.Op))
		}
	default:
		c.scalar(x)
	}
}

// list checks the items, whose alternatives do not multiply with others.
func (c *optionsChecker) list(x *ast.ListLit, alternatives bool) {
	for _, item := range x.Elts {
		if rest, ok := item.(*ast.Ellipsis); ok {
			if rest.Type != nil {
				c.expr(rest.Type, alternatives)
			}
			continue
		}
		c.expr(item, alternatives)
	}
}

// disjunction checks the alternatives of a | b | c, which the parser nests.
func (c *optionsChecker) disjunction(x ast.Expr) {
	var count int
	var walk func(ast.Expr)
	walk = func(x ast.Expr) {
		if b, ok := x.(*ast.BinaryExpr); ok && b.Op == token.OR {
			walk(b.X)
			walk(b.Y)
			return
		}
		if u, ok := x.(*ast.UnaryExpr); ok && u.Op == token.MUL {
			x = u.X
		}
		if count++; count == maxAlternatives+1 {
			c.refuse(x, fmt.Sprintf("a disjunction of more than %d is not allowed", maxAlternatives))
		}
		c.expr(x, false)
	}
	walk(x)
}

// scalar checks constants, types and bounds.
func (c *optionsChecker) scalar(x ast.Expr) {
	switch x := x.(type) {
	case *ast.Ident:
		if !isBasicType(x.Name) {
			c.refuse(x, fmt.Sprintf("the reference %s is not allowed", x.Name))
		}
	case *ast.BasicLit:
		c.constant(x)
	case *ast.UnaryExpr:
		switch x.Op {
		case token.LSS, token.LEQ, token.GTR, token.GEQ, token.NEQ, token.MAT, token.NMAT, token.SUB, token.ADD:
			operand := x.X
			if inner, ok := operand.(*ast.UnaryExpr); ok && (inner.Op == token.SUB || inner.Op == token.ADD) {
				operand = inner.X
			}
			lit, ok := operand.(*ast.BasicLit)
			if !ok {
				c.refuse(x, fmt.Sprintf("%s needs a constant after it", x.Op))
				return
			}
			c.constant(lit)
			if x.Op == token.MAT || x.Op == token.NMAT {
				c.pattern(lit)
			}
		case token.MUL:
			c.refuse(x, "a default (*) stands only directly in a disjunction (|)")
		default:
			c.refuse(x, fmt.Sprintf("the operator %s is not allowed", x.Op))
		}
	case *ast.Interpolation:
		c.refuse(x, "interpolation is not allowed")
	case *ast.SelectorExpr, *ast.IndexExpr, *ast.SliceExpr:
		c.refuse(x, "references are not allowed")
	case *ast.Comprehension:
		c.refuse(x, "comprehensions (if, for) are not allowed")
	case *ast.BottomLit:
		c.refuse(x, "_|_ is not allowed")
	default:
		c.refuse(x, "this expression is not allowed")
	}
}

// pattern checks a regular expression. CUE would find a bad one only when an
// option is compared with it, and call the option wrong.
func (c *optionsChecker) pattern(x *ast.BasicLit) {
	s, err := literal.Unquote(x.Value)
	if err == nil {
		_, err = regexp.Compile(s)
	}
	if err != nil {
		c.refuse(x, "this is not a regular expression")
	}
}

func (c *optionsChecker) constant(x *ast.BasicLit) {
	switch {
	case len(x.Value) > maxLiteral:
		c.refuse(x, "a constant of more than 1 KiB is not allowed")
	case x.Kind == token.INT || x.Kind == token.FLOAT:
		// 1e999999999 would be a number of that many digits.
		var n literal.NumInfo
		if err := literal.ParseNum(x.Value, &n); err != nil || len(x.Value) > 64 || tooLarge(x.Value) {
			c.refuse(x, "a number beyond the range of a float64 is not allowed")
		}
	case x.Kind == token.STRING && strings.HasPrefix(strings.TrimLeft(x.Value, "#"), "'"):
		c.refuse(x, "bytes ('…') are not allowed")
	}
}

// tooLarge reports whether a number's exponent is beyond a float64's. Notations
// without an exponent are bounded by their length.
func tooLarge(number string) bool {
	number = strings.ReplaceAll(number, "_", "")
	if strings.HasPrefix(number, "0x") || strings.HasPrefix(number, "0X") {
		return false
	}
	_, exponent, found := strings.Cut(strings.ToLower(number), "e")
	if !found {
		return false
	}
	e, err := strconv.Atoi(exponent)
	return err != nil || e < -308 || e > 308
}

func isBasicType(name string) bool {
	switch name {
	case "bool", "int", "float", "number", "string", "_",
		"uint", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64":
		return true
	}
	return false
}
