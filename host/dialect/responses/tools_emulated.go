package responses

// Parameters of functions that stand for tools of other types.
const (
	customParameters = `{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}`
	searchParameters = `{"type":"object","properties":{"query":{"type":"string"},"limit":{"type":"integer"}},"required":["query"]}`
)

// emulation is the function that stands for a type of tool that a client runs and that
// OpenAI's models know without a declaration. Its parameters are the fields of the action
// or operation in the calls that the client understands.
type emulation struct {
	name        string
	description string // without characters that JSON escapes
	parameters  string // JSON
}

var emulations = map[toolKind]emulation{
	toolSearch: {name: "tool_search"},
	localShell: {
		name:        "local_shell",
		description: "Runs a command on the user's machine, without a shell, and returns what it printed. To use a shell's features, run one: bash, -lc, and the line.",
		parameters: `{"type":"object","properties":{` +
			`"command":{"type":"array","items":{"type":"string"},"description":"The program and its arguments."},` +
			`"working_directory":{"type":"string"},` +
			`"timeout_ms":{"type":"integer","description":"Milliseconds after which the command is ended."},` +
			`"env":{"type":"object","additionalProperties":{"type":"string"},"description":"Environment variables to set."},` +
			`"user":{"type":"string","description":"The user to run the command as."}},` +
			`"required":["command"]}`,
	},
	shell: {
		name:        "shell",
		description: "Runs commands in a shell on the user's machine, each by itself, and returns what they printed and their exit codes.",
		parameters: `{"type":"object","properties":{` +
			`"commands":{"type":"array","items":{"type":"string"},"description":"Lines for the shell."},` +
			`"timeout_ms":{"type":"integer","description":"Milliseconds after which the commands are ended."},` +
			`"max_output_length":{"type":"integer","description":"The most characters of output to return of each command."}},` +
			`"required":["commands"]}`,
	},
	applyPatch: {
		name:        "apply_patch",
		description: "Creates, changes or deletes one file. A diff has lines that begin with a space (they stay), with - (they go) or with + (they come); @@ begins a new place in the file, and may name the line above it. The diff of a new file has only lines with +.",
		parameters: `{"type":"object","properties":{` +
			`"type":{"type":"string","enum":["create_file","update_file","delete_file"]},` +
			`"path":{"type":"string","description":"The file, relative to the working directory."},` +
			`"diff":{"type":"string","description":"What to change. Not for delete_file."}},` +
			`"required":["type","path"]}`,
	},
}
