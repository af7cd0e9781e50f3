package fuel

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
