package conform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// sections returns the sections that a transcript for an operation may have, in the order in
// which one reads them.
func sections(op abi.Op) []string {
	all := []string{transcript.SectionOp, transcript.SectionOptions, transcript.SectionClient}
	for _, v := range transcript.Views(op) {
		if v.Request != transcript.SectionClient {
			all = append(all, v.Request)
		}
	}
	all = append(all, transcript.SectionRequest, transcript.SectionResponse, transcript.SectionEmissions)
	for _, v := range transcript.Views(op) {
		all = append(all, v.Section)
	}
	return all
}

// checkTranscript finds mistakes in the transcript itself, because of which its replay would
// prove less than its author thinks. It reports whether a gateway takes the options.
func (c *check) checkTranscript() bool {
	known := sections(c.transcript.Op())
	for _, s := range c.transcript.Sections {
		if !slices.Contains(known, s.Name) {
			c.result.fail("the transcript can be read", "a section can't be called %q; the sections are %s", s.Name, strings.Join(known, ", "))
		}
	}
	for i, s := range c.transcript.Sections {
		if s.Name != transcript.SectionRequest && s.Name != transcript.SectionResponse &&
			slices.ContainsFunc(c.transcript.Sections[:i], func(o transcript.Section) bool { return o.Name == s.Name }) {
			c.result.fail("the transcript can be read", "the section %s stands there twice: keep one", s.Name)
		}
	}
	if op := c.transcript.Op(); !c.kit.manifest.Profile().Serves(op, c.transcript.Options()) {
		c.result.fail("the manifest has the operation", "a gateway would not ask the adapter for %s: neither ops has it, nor optional_ops with an option that is set", op)
	}
	options := c.transcript.Get(transcript.SectionOptions)
	if len(bytes.TrimSpace(options)) == 0 {
		return true
	}
	problems := optionProblems(c.transcript.file, c.transcript.lineOf(transcript.SectionOptions), options, c.kit.manifest.Profile().Options)
	if len(problems) > 0 {
		c.result.fail("the options are what the manifest allows", "%s", strings.Join(problems, "\n"))
	}
	return len(problems) == 0
}

// checkAnswered looks for requests that the transcript has no answer to.
func (c *check) checkAnswered() {
	if asked, has := len(c.recorded.Requests), len(c.transcript.Responses()); asked > has {
		c.result.fail("every request is answered", "the adapter sends %d, the transcript has %d of the section upstream-response: write what the upstream answers", asked, has)
	}
}

// checkAccepted looks for what a gateway refuses, though the replay accepted it: a request
// to a place that isn't the upstream's, for example.
func (c *check) checkAccepted(a *clientAnswer) {
	const misbehaved = `"code":"adapter_error"` // the gateway's own word, unless the adapter says it
	if bytes.Contains(a.text, []byte(misbehaved)) && !bytes.Contains(c.recorded.Emissions(), []byte(misbehaved)) {
		c.result.fail("a gateway takes what the adapter does", "it doesn't: %s\nand its client gets:\n%s", a.why, bytes.TrimSpace(a.text))
	}
}

// quoted matches a string in JSON.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// optionProblems checks options as a gateway does when it reads its configuration. schema
// is the CUE of the manifest. Each problem begins with its place in a file, in which the options
// begin with a line.
func optionProblems(file string, line int, options []byte, schema string) []string {
	if err := json.Unmarshal(options, new(any)); err != nil {
		where, column := line, 1
		if e, ok := errors.AsType[*json.SyntaxError](err); ok {
			before := options[:min(max(0, int(e.Offset)-1), len(options))]
			where += bytes.Count(before, []byte("\n"))
			column += utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
		}
		return []string{fmt.Sprintf("%s:%d:%d: %s is not JSON: %v", file, where, column, transcript.SectionOptions, err)}
	}
	const prefix = "model_mapping.m."
	// Where a configuration stands here, nobody else looks for a problem. So the options stay on the
	// lines and in the columns that they have in the file.
	yaml := []byte("{providers: {p: {plugin: p.wasm, base_url: 'http://localhost'}}, model_mapping: {m: {provider: p, model: m, options:")
	yaml = append(yaml, strings.Repeat("\n", line-1)...)
	yaml = append(append(yaml, inYAML(options)...), "\n}}}\n"...)
	_, err := config.Parse(file, yaml, config.Options{
		OptionsSchema: func(string, string) (config.Adapter, error) { return config.Adapter{OptionsCUE: schema}, nil },
	})
	var problems *config.Problems
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &problems):
		return []string{err.Error()}
	}
	var all []string
	for _, p := range problems.List {
		p.Path = strings.TrimPrefix(p.Path, prefix)
		all = append(all, p.String())
	}
	return all
}

// inYAML returns JSON as YAML in which everything begins where it did: YAML doesn't have all of
// JSON's escapes, no line may begin with a tab, and a colon stands on the line of its key. A
// reference to a variable is none.
func inYAML(options []byte) (out []byte) {
	for len(options) > 0 {
		if literal := quoted.Find(options); literal != nil && options[0] == '"' {
			var s string
			json.Unmarshal(literal, &s)
			same := bytes.ReplaceAll(sdk.AppendQuote(nil, s), []byte("${"), []byte("$${"))
			out = append(append(out, same...), strings.Repeat(" ", max(0, utf8.RuneCount(literal)-utf8.RuneCount(same)))...)
			options = options[len(literal):]
			continue
		}
		rest := bytes.TrimLeft(options, " \t\r\n")
		for _, c := range options[:len(options)-len(rest)] {
			switch {
			case c == '\n' && len(rest) > 0 && rest[0] == ':':
			case c == '\n':
				out = append(out, c)
			default:
				out = append(out, ' ')
			}
		}
		if options = rest; len(rest) > 0 && rest[0] != '"' {
			out = append(out, rest[0])
			options = rest[1:]
		}
	}
	return out
}
