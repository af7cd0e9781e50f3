package wasm

import (
	"reflect"
	"unsafe"

	"github.com/tetratelabs/wazero/api"
)

// wazero gives each function of an instance a stack on Go's heap, which grows as the
// guest recurses, up to 100 MB, and never shrinks. It is no part of the guest's
// memory, and nothing of wazero's tells how large it is. An instance that was kept
// would hold it, uncounted, for as long as its stream or its adapter lives.

// keptStack is how large the stack of a function may be whose instance is kept. Code
// that compilers make rarely needs a tenth of it.
const keptStack = 1 << 20

// stack is where an instance's function has its stack.
type stack struct{ bytes *[]byte }

// stackOf finds the stack of a function, none if it has none that is known: the
// interpreter's, or another version's of wazero.
func stackOf(fn api.Function) stack {
	v := reflect.ValueOf(fn)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return stack{}
	}
	field, ok := v.Elem().Type().FieldByName("stack")
	if !ok || field.Type != reflect.TypeFor[[]byte]() {
		return stack{}
	}
	return stack{(*[]byte)(unsafe.Add(v.UnsafePointer(), field.Offset))}
}

func (s stack) len() int {
	if s.bytes == nil {
		return 0
	}
	return len(*s.bytes)
}
