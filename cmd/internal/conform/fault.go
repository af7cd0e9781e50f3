package conform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

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
// prove less than its author thinks.
func (c *check) checkTranscript() {
	known := sections(c.transcript.Op())
	for _, s := range c.transcript.Sections {
		if !slices.Contains(known, s.Name) {
			c.result.fail("the transcript can be read", "a section can't be called %q; the sections are %s", s.Name, strings.Join(known, ", "))
		}
	}
	if op := c.transcript.Op(); !c.kit.manifest.Profile().Serves(op, c.transcript.Options()) {
		c.result.fail("the manifest has the operation", "a gateway would not ask the adapter for %s: neither ops has it, nor optional_ops with an option that is set", op)
	}
	for _, text := range optionProblems(c.transcript.Options(), c.kit.manifest.Profile().Options) {
		c.result.fail("the options are what the manifest allows", "%s", text)
	}
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
// is the CUE of the manifest.
func optionProblems(options []byte, schema string) []string {
	var text bytes.Buffer
	if err := json.Compact(&text, options); err != nil {
		return []string{"options.json is not JSON: " + err.Error()}
	}
	// YAML doesn't have all of JSON's escapes.
	options = quoted.ReplaceAllFunc(text.Bytes(), func(literal []byte) []byte {
		var s string
		json.Unmarshal(literal, &s)
		return sdk.AppendQuote(nil, s)
	})
	const prefix = "model_mapping.m."
	yaml := fmt.Appendf(nil, "providers: {p: {plugin: p.wasm, base_url: http://localhost}}\nmodel_mapping: {m: {provider: p, model: m, options: %s}}\n",
		bytes.ReplaceAll(options, []byte("${"), []byte("$${")))
	_, err := config.Parse(transcript.SectionOptions, yaml, config.Options{
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
		all = append(all, strings.TrimPrefix(p.Path, prefix)+": "+p.Message)
	}
	return all
}
