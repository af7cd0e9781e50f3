// Package messages is the dialect of Anthropic's Messages API, POST /v1/messages: it turns
// a client's request into a chat completion, which is what adapters read, and the facts
// about its answer into what a client of that API gets.
//
// https://platform.claude.com/docs/en/api/messages
//
// What a provider wants back with the next request travels in the thinking blocks of an
// answer. Claude's own signatures stay as they are, everything else is sealed into a
// signature by package seal. A sealed detail of type reasoning.text that has no text gets
// the text of its block.
package messages

// asked is what an answer needs to know of its request. It never changes.
type asked struct {
	// names are the client's names of the tools whose names were shortened for the
	// provider, by the short name; nil: none was.
	names map[string]string

	// ids reports whether a call in the request's history has that id.
	ids func(id string) bool
}

// fullName returns the client's name of a tool, which the provider calls name.
func (a *asked) fullName(name string) string {
	if full, ok := a.names[name]; ok {
		return full
	}
	return name
}
