package responses

import (
	"slices"
	"strconv"

	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/sdk"
)

// form is how calls of one kind of tool look.
type form struct {
	prefix, typ string // of the item's id, and its type
	named       bool   // the item tells the tool's name
	empty       string // the last fields of an item without arguments
	open, close string // what is around the item's text

	// resolve makes the item's text of the arguments, which are what the model wrote, in
	// whatever form. nil: the text is the arguments.
	resolve func(dst, arguments []byte) []byte
}

// The items of tools that only clients can run. Adapters get all of them as functions.
var (
	functionForm = form{
		prefix: "fc_", typ: "function_call", named: true,
		empty: `,"arguments":""`, open: `,"arguments":"`, close: `"`,
	}
	customForm = form{
		prefix: "ctc_", typ: "custom_tool_call", named: true,
		empty: `,"input":""`, open: `,"input":"`, close: `"`, resolve: appendInput,
	}
	searchForm = form{
		prefix: "tsc_", typ: "tool_search_call",
		empty: `,"execution":"client","arguments":{}`, open: `,"execution":"client","arguments":`, resolve: appendObject,
	}
	localShellForm = form{
		prefix: "lsh_", typ: "local_shell_call",
		empty: `,"action":{"type":"exec","command":[],"env":{}}`, open: `,"action":`, resolve: appendExec,
	}
	shellForm = form{
		prefix: "sh_", typ: "shell_call",
		empty: `,"environment":{"type":"local"},"action":{"commands":[],"timeout_ms":null,"max_output_length":null}`,
		open:  `,"environment":{"type":"local"},"action":`, resolve: appendShell,
	}
	patchForm = form{
		prefix: "apc_", typ: "apply_patch_call",
		empty: `,"operation":{"type":"update_file","path":"","diff":""}`, open: `,"operation":`, resolve: appendPatch,
	}
)

// form returns how calls of a kind of tool look.
func (k toolKind) form() *form {
	switch k {
	case custom:
		return &customForm
	case toolSearch:
		return &searchForm
	case localShell:
		return &localShellForm
	case shell:
		return &shellForm
	case applyPatch:
		return &patchForm
	}
	return &functionForm
}

// inputs returns the fields of an object; none of anything else.
func inputs(arguments []byte) sdk.ObjectIter {
	if !isObject(arguments) {
		return sdk.Object(nil)
	}
	return sdk.Object(arguments)
}

// isObject reports whether arguments are one whole JSON object.
func isObject(arguments []byte) bool {
	v := sdk.JSON(arguments)
	return v.Kind() == sdk.KindObject && v.Valid() == nil
}

// appendInput appends the input of a custom tool, as the inside of a JSON string literal:
// the field "input" that the model was asked for, or else the only string, or else what the
// model wrote, as it stands.
func appendInput(dst, arguments []byte) []byte {
	input, found := sdk.JSON(arguments).AppendStr(nil)
	strings := 0
	for it := inputs(arguments); it.Next() && !found; {
		if it.Value().Kind() == sdk.KindString {
			input, found = it.Value().AppendStr(input[:0])
			found = found && string(it.Key()) == "input"
			strings++
		}
	}
	if !found && strings != 1 {
		input = arguments
	}
	return facts.Text{Data: input}.AppendTo(dst)
}

// appendObject appends arguments as an object on one line. Anything else becomes a field of
// an object, under the name that the request's half gives it, too.
func appendObject(dst, arguments []byte) []byte {
	switch {
	case isObject(arguments):
		return appendLine(dst, arguments)
	case isBlank(arguments):
		return append(dst, "{}"...)
	}
	dst = append(dst, `{"_invalid_arguments":`...)
	dst = facts.AppendString(dst, string(arguments))
	return append(dst, '}')
}

// appendLine appends valid JSON on one line, with U+FFFD for every half of a character,
// because some clients refuse the whole event for one.
func appendLine(dst, value []byte) []byte {
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\n' || c == '\r':
		case c != '\\':
			dst = append(dst, c)
		case !isSurrogate(value[i:], '8', 'f'):
			dst = append(dst, c, value[i+1])
			i++
		case isSurrogate(value[i:], '8', 'b') && isSurrogate(value[i+6:], 'c', 'f'):
			dst = append(dst, value[i:i+12]...)
			i += 11
		default:
			dst = append(dst, `\ufffd`...)
			i += 5
		}
	}
	return dst
}

// isSurrogate reports whether b begins with the escape of a half of a character, \ud and
// then a digit between two.
func isSurrogate(b []byte, from, to byte) bool {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' || b[2]|0x20 != 'd' {
		return false
	}
	c := b[3]
	if c >= 'A' {
		c |= 0x20
	}
	return from <= c && c <= to
}

// appendExec appends the action of a local_shell call.
func appendExec(dst, arguments []byte) []byte {
	var command, timeout, dir, env, user sdk.JSON
	for it := inputs(arguments); it.Next(); {
		switch string(it.Key()) {
		case "command":
			command = it.Value()
		case "timeout_ms":
			timeout = it.Value()
		case "working_directory":
			dir = it.Value()
		case "env":
			env = it.Value()
		case "user":
			user = it.Value()
		}
	}
	dst = append(dst, `{"type":"exec","command":[`...)
	if line, ok := command.Str(); ok { // models like to write a line for a shell
		dst = append(dst, `"bash","-lc",`...)
		dst = facts.AppendString(dst, line)
	} else {
		dst = appendStrings(dst, command)
	}
	dst = append(dst, `],"timeout_ms":`...)
	dst = appendInt(dst, timeout)
	dst = append(dst, `,"working_directory":`...)
	dst = appendStr(dst, dir)
	dst = append(dst, `,"env":{`...)
	sep := ""
	for it := sdk.Object(env); it.Next(); {
		if value, ok := it.Value().Str(); ok {
			dst = append(dst, sep...)
			dst = facts.AppendString(dst, string(it.Key()))
			dst = append(dst, ':')
			dst = facts.AppendString(dst, value)
			sep = ","
		}
	}
	dst = append(dst, `},"user":`...)
	dst = appendStr(dst, user)
	return append(dst, '}')
}

// appendShell appends the action of a shell call.
func appendShell(dst, arguments []byte) []byte {
	var commands, timeout, length sdk.JSON
	for it := inputs(arguments); it.Next(); {
		switch string(it.Key()) {
		case "commands":
			commands = it.Value()
		case "timeout_ms":
			timeout = it.Value()
		case "max_output_length":
			length = it.Value()
		}
	}
	dst = append(dst, `{"commands":[`...)
	if line, ok := commands.Str(); ok {
		dst = facts.AppendString(dst, line)
	} else {
		dst = appendStrings(dst, commands)
	}
	dst = append(dst, `],"timeout_ms":`...)
	dst = appendInt(dst, timeout)
	dst = append(dst, `,"max_output_length":`...)
	dst = appendInt(dst, length)
	return append(dst, '}')
}

// appendPatch appends the operation of an apply_patch call. One that can't be read becomes
// an update of no file, so that the client, which knows the tool, tells the model.
func appendPatch(dst, arguments []byte) []byte {
	var kind, path, diff string
	for it := inputs(arguments); it.Next(); {
		s, _ := it.Value().Str()
		switch string(it.Key()) {
		case "type":
			kind = s
		case "path":
			path = s
		case "diff":
			diff = s
		}
	}
	switch kind {
	case "create_file", "update_file", "delete_file":
	default:
		kind = "update_file"
	}
	if !isObject(arguments) {
		diff = string(arguments)
	}
	dst = append(dst, `{"type":"`...)
	dst = append(dst, kind...)
	dst = append(dst, `","path":`...)
	dst = facts.AppendString(dst, path)
	if kind != "delete_file" {
		dst = append(dst, `,"diff":`...)
		dst = facts.AppendString(dst, diff)
	}
	return append(dst, '}')
}

// appendStrings appends those elements of an array that are strings, without brackets.
func appendStrings(dst []byte, array sdk.JSON) []byte {
	sep := ""
	for it := sdk.Array(array); it.Next(); {
		if s, ok := it.Value().Str(); ok {
			dst = append(dst, sep...)
			dst = facts.AppendString(dst, s)
			sep = ","
		}
	}
	return dst
}

// appendInt appends an integer, or null for anything else.
func appendInt(dst []byte, v sdk.JSON) []byte {
	n, ok := v.Int()
	if !ok {
		return append(dst, "null"...)
	}
	return strconv.AppendInt(dst, n, 10)
}

// appendStr appends a string, or null for anything else.
func appendStr(dst []byte, v sdk.JSON) []byte {
	s, ok := v.Str()
	if !ok {
		return append(dst, "null"...)
	}
	return facts.AppendString(dst, s)
}

// isBlank reports whether arguments are nothing but white space.
func isBlank(arguments []byte) bool {
	return !slices.ContainsFunc(arguments, func(c byte) bool { return c != ' ' && c != '\n' && c != '\r' && c != '\t' })
}
