package responses

import (
	"slices"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
)

// inputKind is what an item of the input is to Kai.
type inputKind uint8

const (
	inNothing inputKind = iota // it says nothing to a model

	inMessage
	inReasoning
	inAgentMessage
	inCompaction
	inTrigger // compaction_trigger
	inReference
	inTools // additional_tools

	inFunctionCall
	inCustomCall
	inSearchCall
	inLocalShellCall
	inShellCall
	inPatchCall

	inOutput // of a function or a custom tool
	inSearchOutput
	inLocalShellOutput
	inShellOutput
	inPatchOutput
)

// kindOfItem returns what an item of a type is; ok is false of a type that Kai can't take.
func kindOfItem(typ []byte) (kind inputKind, ok bool) {
	switch string(typ) {
	case "message":
		return inMessage, true
	case "reasoning":
		return inReasoning, true
	case "agent_message":
		return inAgentMessage, true
	case "compaction":
		return inCompaction, true
	case "compaction_trigger":
		return inTrigger, true
	case "item_reference":
		return inReference, true
	case "additional_tools":
		return inTools, true
	case "function_call":
		return inFunctionCall, true
	case "custom_tool_call":
		return inCustomCall, true
	case "tool_search_call":
		return inSearchCall, true
	case "local_shell_call":
		return inLocalShellCall, true
	case "shell_call":
		return inShellCall, true
	case "apply_patch_call":
		return inPatchCall, true
	case "function_call_output", "custom_tool_call_output":
		return inOutput, true
	case "tool_search_output":
		return inSearchOutput, true
	case "local_shell_call_output":
		return inLocalShellOutput, true
	case "shell_call_output":
		return inShellOutput, true
	case "apply_patch_call_output":
		return inPatchOutput, true
	case "web_search_call", "file_search_call", "image_generation_call", "code_interpreter_call", "mcp_list_tools":
		return inNothing, true // traces of hosted tools
	case "configuration_update", "context_compaction":
		return inNothing, true // names in Codex, never seen on the wire
	}
	return inNothing, false
}

// item is one item of the conversation.
type item struct {
	raw         sdk.JSON
	kind        inputKind
	at          int32 // its number in the input; inMemory, or wholeInput
	first, last int32 // its fields in reading.spans; none of an item that was not read there
}

// spot returns where the item stands.
func (i *item) spot() spot { return spot{item: int(i.at)} }

// newItem returns an item that does not stand in the request's body.
func newItem(raw sdk.JSON, at int) (item, *fault.Error) {
	it := item{raw: raw, at: int32(at)}
	f := it.walk()
	err := it.classify(&f)
	return it, err
}

func (i *item) notAnItem() *fault.Error {
	return i.spot().wrong(`must be an object such as {"role": "user", "content": "…"}`)
}

// classify notes what the item is.
func (i *item) classify(f *itemFields) *fault.Error {
	typ, ok := insideOf(f.typ)
	switch {
	case !isMap(i.raw):
		return i.notAnItem()
	case ok:
		if i.kind, ok = kindOfItem(unescaped(typ)); !ok {
			name, _ := f.typ.Str()
			return i.spot().in("type").unsupported("Kai knows no items of type" + shown(name) + "; leave it out, or send messages, calls and their outputs")
		}
	case isString(f.role):
		i.kind = inMessage
	case isString(f.id):
		i.kind = inReference
	default:
		return i.spot().in("type").wrong("must be a string such as message")
	}
	return nil
}

// itemFields are the fields of an item that Kai reads. A field that is null is absent.
type itemFields struct {
	typ, id, role, content, callID, name, namespace, arguments, input, output, summary,
	sealed, tools, action, operation, execution, status sdk.JSON
}

// field returns the field with a number, as itemFieldNames has them.
func (f *itemFields) field(number int) *sdk.JSON {
	switch number {
	case 0:
		return &f.typ
	case 1:
		return &f.id
	case 2:
		return &f.role
	case 3:
		return &f.content
	case 4:
		return &f.callID
	case 5:
		return &f.name
	case 6:
		return &f.namespace
	case 7:
		return &f.arguments
	case 8:
		return &f.input
	case 9:
		return &f.output
	case 10:
		return &f.summary
	case 11:
		return &f.sealed
	case 12:
		return &f.tools
	case 13:
		return &f.action
	case 14:
		return &f.operation
	case 15:
		return &f.execution
	}
	return &f.status
}

// fieldsOf returns the fields of an item.
func (r *reading) fieldsOf(i *item) itemFields {
	if i.last == i.first {
		return i.walk()
	}
	return i.read(r)
}

// read returns the fields of an item that was read with the request.
func (i *item) read(r *reading) (f itemFields) {
	for _, s := range r.spans[i.first:i.last] {
		*f.field(int(s.field)) = r.body[s.from:s.to]
	}
	return f
}

// walk returns the fields of another item.
func (i *item) walk() (f itemFields) {
	for it := body.FieldsOf(i.raw); it.Next(); {
		if n := slices.Index(itemFieldNames[:], string(it.Key())); n >= 0 && it.Kind() != sdk.KindNull {
			*f.field(n) = it.Value()
		}
	}
	return f
}
