package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCheckOptionsSchemaAccepts(t *testing.T) {
	alternatives := make([]string, maxAlternatives)
	for i := range alternatives {
		alternatives[i] = fmt.Sprint(i)
	}
	for name, src := range map[string]string{
		"nothing":                       "",
		"only a comment":                "// none",
		"types":                         "a?: int\nb?: string, c?: bool, d?: number, e?: float, f?: _, g?: uint16, h?: null",
		"required and defaulted":        "a!: string\nb: *5 | int\nc: int | *5",
		"bounds":                        "a?: int & >=1 & <=5 & !=3\nb?: >-1.5\nc?: number & <1e6",
		"a conjunction with a default":  "a: *4096 | int & >=1",
		"a regular expression":          `a?: =~"^[a-z]+$" & !~"b"`,
		"lists":                         `a?: [...string]` + "\n" + `b?: [int, int]` + "\n" + `c?: [...("x" | "y")]` + "\n" + `d: *[] | [...string]`,
		"structs":                       "a?: {b?: int, c?: {d?: string, ...}}\ne?: close({f?: int})",
		"a text or a list":              "a?: string | [...string]",
		"a union of types":              "a?: string | int | bool | null",
		"the most alternatives":         "a?: " + strings.Join(alternatives, " | "),
		"quoted names":                  `"a-b"?: int, "string"?: int`,
		"the whole in braces":           "{a?: int}",
		"the whole closed":              "close({a?: int})",
		"open options":                  "a?: int\n...",
		"comments":                      "// what a is\na?: int // and more",
		"signs":                         "a?: int & >=-1 & <= +5",
		"numbers with suffix and marks": "a?: int & <=1_000 & >=0x10 & <=8Ki",
	} {
		t.Run(name, func(t *testing.T) {
			if err := CheckOptionsSchema(src); err != nil {
				t.Errorf("CheckOptionsSchema(%q) = %v", src, err)
			}
		})
	}
}

func TestCheckOptionsSchemaRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ src, want string }{
		"an import":                   {"import \"time\"\na?: int", "line 1: import is not allowed"},
		"a package":                   {"package x\na?: int", "line 1: package is not allowed"},
		"a reference":                 {"a?: int\nb?: a", "line 2: the reference a is not allowed"},
		"a selector":                  {"a?: strings.MinRunes", "line 1: references are not allowed"},
		"a call":                      {"a?: len(5)", "line 1: calls other than close({…}) are not allowed"},
		"a builtin validator":         {"a?: and([1, 2])", "line 1: calls other than close({…}) are not allowed"},
		"a comprehension in a struct": {"a?: int\nif true {b?: int}", "line 2: comprehensions (if, for) are not allowed"},
		"a comprehension in a list":   {"a: [for x in [1, 2] {x}]", "line 1: comprehensions (if, for) are not allowed"},
		"interpolation":               {`a: "\(1)"`, "line 1: interpolation is not allowed"},
		"an interpolated name":        {`"\(1)": 1`, "line 1: a field's name must be plain text"},
		"a dynamic name":              {`(a): 1`, "line 1: a field's name must be plain text"},
		"a pattern":                   {"[string]: int", "line 1: patterns ([…]:) are not allowed"},
		"a definition":                {"#A: int", "line 1: definitions and hidden fields are not allowed"},
		"a hidden field":              {"_a: int", "line 1: definitions and hidden fields are not allowed"},
		"let":                         {"let x = 1", "line 1: let is not allowed"},
		"an alias of a field":         {"x=a: int", "line 1: a field's name must be plain text"},
		"an attribute of a field":     {"a?: int @x(y)", "line 1: attributes are not allowed"},
		"an attribute":                {"@x(y)", "line 1: attributes are not allowed"},
		"an embedded value":           {"a?: int\n{b?: int}", "line 2: a value without a name is not allowed"},
		"a repeated name":             {"a?: 1 | 2\na?: 2 | 3", `line 2: "a" is given twice`},
		"a repeated name in quotes":   {"a?: 1 | 2\n\"a\"?: 2 | 3", `line 2: "a" is given twice`},
		"a repeated name inside":      {"a?: {b?: 1 | 2\nb?: 1}", `line 2: "b" is given twice`},
		"a name that hides a type":    {"string: 1 | 2\nb?: string", "line 1: a field called string needs quotes"},
		"a disjunction in &":          {"a?: (1 | 2) & int", "line 1: a disjunction (|) is not allowed inside of &, | or *"},
		"a disjunction in |":          {"a?: (1 | 2) & 1 | 3", "line 1: a disjunction (|) is not allowed inside of &, | or *"},
		"a disjunction in a list in |": {"a?: [...(1 | 2)] | 3",
			"line 1: a disjunction (|) is not allowed inside of &, | or *"},
		"a struct in |":            {"a?: {b: 1} | {b: 2}", "line 1: a struct is not allowed inside of & or |"},
		"a closed struct in &":     {"a?: close({b: 1}) & close({b: 1})", "line 1: a struct is not allowed inside of & or |"},
		"too many alternatives":    {"a?: 0" + strings.Repeat(" | 1", maxAlternatives), "line 1: a disjunction of more than 32 is not allowed"},
		"a default without |":      {"a: *5", "line 1: a default (*) stands only directly in a disjunction (|)"},
		"arithmetic":               {"a: 1 + 2", "line 1: the operator + is not allowed"},
		"multiplication":           {`a: 1000 * [1]`, "line 1: the operator * is not allowed"},
		"a comparison":             {"a: 1 < 2", "line 1: the operator < is not allowed"},
		"a bound without number":   {"a: >=int", "line 1: >= needs a constant after it"},
		"negation":                 {"a: !true", "line 1: the operator ! is not allowed"},
		"bottom":                   {"a: _|_", "line 1: _|_ is not allowed"},
		"bytes":                    {"a: 'x'", "line 1: bytes ('…') are not allowed"},
		"bytes in many lines":      {"a: '''\n\tx\n\t'''", "line 1: bytes ('…') are not allowed"},
		"a number out of range":    {"a?: <1e999999999", "line 1: a number beyond the range of a float64 is not allowed"},
		"a small number":           {"a?: <1e-999999999", "line 1: a number beyond the range of a float64 is not allowed"},
		"a long constant":          {`a: "` + strings.Repeat("x", maxLiteral) + `"`, "line 1: a constant of more than 1 KiB is not allowed"},
		"deep nesting":             {"a: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "line 1: brackets are nested more than 32 deep"},
		"too much text":            {strings.Repeat("// x\n", 4000), "are larger than 16 KiB"},
		"no CUE":                   {"a?: int\n}", "line 2: is not CUE"},
		"a bad regular expression": {`a?: =~"("`, "line 1: this is not a regular expression"},
		"contradiction":            {`a: 1 & 2`, "contradict"},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckOptionsSchema(tc.src)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("CheckOptionsSchema(%q) = %v, want %s", tc.src, err, tc.want)
			}
		})
	}
}

// A product of disjunctions keeps CUE busy for minutes, in any of the forms that
// unify one with another.
func TestCheckOptionsSchemaRefusesBombs(t *testing.T) {
	var choice []string
	for i := range 12 {
		choice = append(choice, fmt.Sprintf("{x%d: 1}", i))
	}
	any12 := strings.Join(choice, " | ")
	for name, src := range map[string]string{
		"a product of disjunctions":  "a: " + strings.Repeat("("+any12+") & ", 7) + "{}",
		"the same field again":       strings.Repeat("a: "+any12+"\n", 8),
		"embedded disjunctions":      "a: {" + strings.Repeat(any12+"\n", 8) + "}",
		"scalars":                    "a: " + strings.Repeat("(1|2|3|4|5|6|7|8|int|number) & ", 15) + "_",
		"a field that is a disjunct": "a: " + strings.Repeat("{b: 1|2|3, c: 1|2|3} | ", 30) + "null",
		"operators in a row":         "a: " + strings.Repeat("-", 16000) + "1",
		"conjunctions in a row":      "a: int" + strings.Repeat("&1", 8000),
		"a regular expression":       `a: =~"((((x{1000}){1000}){1000}){1000})"`,
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_ = CheckOptionsSchema(src)
			if took := time.Since(start); took > time.Minute { // what is not refused takes hours
				t.Errorf("took %v", took)
			}
			if strings.Contains(src, "|") && CheckOptionsSchema(src) == nil {
				t.Errorf("accepted")
			}
		})
	}
}
