package responses

// toolKind is how a tool was declared, and so how calls of it come back. Upstream all of
// them are functions.
type toolKind uint8

const (
	function   toolKind = iota // function_call
	custom                     // custom_tool_call; its arguments are {"input": "…"}
	toolSearch                 // tool_search_call; its arguments are an object
	localShell                 // local_shell_call; its arguments are the fields of action
	shell                      // shell_call; its arguments are the fields of action
	applyPatch                 // apply_patch_call; its arguments are the fields of operation
)

// tool is a tool in the client's terms.
type tool struct {
	kind      toolKind
	name      string
	namespace string // "" for none
}

// tools are the tools of a request, by the flat names that models know them by.
type tools map[string]tool

// named returns the tool with a flat name. A model may call what nobody declared: that
// counts as a function.
func (t tools) named(flat string) tool {
	if known, ok := t[flat]; ok {
		return known
	}
	return tool{name: flat}
}
