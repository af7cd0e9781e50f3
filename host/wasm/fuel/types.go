package fuel

import "strings"

// Kind says what an import or export is.
type Kind byte

const (
	Function Kind = iota
	Table
	Memory
	GlobalVar
)

var kindNames = [...]string{Function: "function", Table: "table", Memory: "memory", GlobalVar: "global"}

// String returns "function", "table", "memory", "global", or "unknown kind".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown kind"
}

// FuncType is the signature of a function, with one byte for each value, as in the
// binary format. Both slices are parts of the original module.
type FuncType struct {
	Params, Results []byte
}

// String returns a text such as "(i32, i64) -> i32" or "() -> ()".
func (t FuncType) String() string {
	list := func(values []byte) string {
		names := make([]string, len(values))
		for i, v := range values {
			names[i] = valueNames[v]
		}
		return strings.Join(names, ", ")
	}
	if len(t.Results) == 1 {
		return "(" + list(t.Params) + ") -> " + list(t.Results)
	}
	return "(" + list(t.Params) + ") -> (" + list(t.Results) + ")"
}

var valueNames = map[byte]string{
	typeI32: "i32", typeI64: "i64", typeF32: "f32", typeF64: "f64",
	typeV128: "v128", typeFunc: "funcref", typeExtern: "externref",
}

// Import is one import of the original module. It is a function, because nothing else
// is accepted.
type Import struct {
	Module, Name string
	Kind         Kind
	Type         FuncType
}

// Export is one export of the original module.
type Export struct {
	Name  string
	Kind  Kind
	Index uint32
	Type  FuncType // of a function
}

// Pages is the size of the memory in pages of 64 KiB.
type Pages struct {
	Min uint32
	Max uint32 // 65,536 if the module names none
}
