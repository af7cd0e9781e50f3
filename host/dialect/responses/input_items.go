package responses

import (
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
func kindOfItem(typ string) (kind inputKind, ok bool) {
	switch typ {
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
	raw  sdk.JSON
	kind inputKind
	at   int // its number in the input; inMemory, or wholeInput
}

// spot returns where the item stands.
func (i *item) spot() spot { return spot{item: i.at} }

// newItem returns an item of the conversation.
func newItem(raw sdk.JSON, at int) (item, *fault.Error) {
	it := item{raw: raw, at: at}
	if !isMap(raw) {
		return it, it.spot().wrong(`must be an object such as {"role": "user", "content": "…"}`)
	}
	typ, ok := raw.Get("type").Str()
	switch {
	case ok:
		if it.kind, ok = kindOfItem(typ); !ok {
			return it, it.spot().in("type").unsupported("Kai knows no items of type" + shown(typ) + "; leave it out, or send messages, calls and their outputs")
		}
	case isString(raw.Get("role")):
		it.kind = inMessage
	case isString(raw.Get("id")):
		it.kind = inReference
	default:
		return it, it.spot().in("type").wrong("must be a string such as message")
	}
	return it, nil
}

// itemFields are the fields that Kai reads of an item. What is null is absent.
type itemFields struct {
	id, role, content, callID, name, namespace, arguments, input, output, summary, sealed,
	tools, action, operation, execution, status sdk.JSON
}

// fields reads the fields of an item.
func (i *item) fields() (f itemFields) {
	for it := sdk.Object(i.raw); it.Next(); {
		v := it.Value()
		if v.Kind() == sdk.KindNull {
			continue
		}
		switch string(it.Key()) {
		case "id":
			f.id = v
		case "role":
			f.role = v
		case "content":
			f.content = v
		case "call_id":
			f.callID = v
		case "name":
			f.name = v
		case "namespace":
			f.namespace = v
		case "arguments":
			f.arguments = v
		case "input":
			f.input = v
		case "output":
			f.output = v
		case "summary":
			f.summary = v
		case "encrypted_content":
			f.sealed = v
		case "tools":
			f.tools = v
		case "action":
			f.action = v
		case "operation":
			f.operation = v
		case "execution":
			f.execution = v
		case "status":
			f.status = v
		}
	}
	return f
}
