package wasm

import (
	"reflect"
	"unsafe"

	"github.com/tetratelabs/wazero/api"
)

// wazero gives each function of an instance a stack on Go's heap. The stack grows as
// the guest recurses, up to 100 MB, and never shrinks. It is not part of the guest's
// memory, and wazero has no way to ask for its size. An instance that is kept would
// hold its stacks for as long as its stream or its adapter lives, and nobody would
// count them.

// keptStack is how many bytes of stack an instance may have that is kept. Compiled code
// rarely needs a tenth of it.
const keptStack = 1 << 20

// stack points to the field in which wazero has the stack of a function.
type stack struct{ bytes *[]byte }

// stackOf finds the stack of a function. The result is empty if the function doesn't
// have the field, as in the interpreter or another version of wazero.
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
