package dialect

import "github.com/kai-gateway/kai/host/facts"

// Model is an alias, as clients are shown it.
type Model struct {
	ID           string
	Operations   []string // what it can be asked for, such as "chat" and "count"; empty: nobody knows yet
	Capabilities []string // what its adapter says that it can do, such as "tools" and "vision"
}

// appendOpenAIModel appends a model as OpenAI's API has it.
func appendOpenAIModel(dst []byte, m Model) []byte {
	dst = facts.AppendString(append(dst, `{"id":`...), m.ID)
	dst = append(dst, `,"object":"model","created":0,"owned_by":"kai"`...)
	return AppendAbilities(dst, m)
}

func appendOpenAIModels(dst []byte, models []Model) []byte {
	dst = append(dst, `{"object":"list","data":[`...)
	for i, m := range models {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendOpenAIModel(dst, m)
	}
	return append(dst, "]}"...)
}

// AppendAbilities appends what a model can do, which is in no API but Kai's, and the end
// of the object.
func AppendAbilities(dst []byte, m Model) []byte {
	if len(m.Operations) == 0 {
		return append(dst, '}')
	}
	dst = appendStrings(append(dst, `,"operations":`...), m.Operations)
	dst = appendStrings(append(dst, `,"capabilities":`...), m.Capabilities)
	return append(dst, '}')
}

func appendStrings(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = facts.AppendString(dst, s)
	}
	return append(dst, ']')
}
