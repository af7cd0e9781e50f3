package conform

import (
	"bytes"
	"os"
	"slices"
	"strings"

	"github.com/kai-gateway/kai/sdk/transcript"
)

// seen is what the client of a view gets, as in the transcript's section.
type seen struct {
	view transcript.View
	text []byte
}

// expect compares with what the transcript expects, or writes it. all is what clients get
// of the views that the transcript has, and of chat completions in any case.
func (c *check) expect(all []seen) {
	if c.kit.update {
		c.rewrite(all)
	} else {
		c.compare(all)
	}
}

// compare compares what the adapter did, and what clients get, with what the transcript
// expects.
func (c *check) compare(all []seen) {
	const hint = " (\"kai plugin test --update\" writes it)"
	for _, d := range c.transcript.Compare(c.recorded.Replay) {
		name := "upstream request"
		if d.Section == transcript.SectionEmissions {
			name = "emissions"
		}
		if d.Want == nil || d.Got == nil {
			c.result.fail(name, "%s%s\n%s%s", d, hint, d.Want, d.Got)
		} else {
			c.result.fail(name, "%s", diff(d.Want, d.Got))
		}
	}
	for _, v := range transcript.Views(c.transcript.Op()) {
		var got []byte
		for _, s := range all {
			if s.view == v {
				got = s.text
			}
		}
		if expected := c.transcript.Get(v.Section); c.transcript.Shows(v) && !bytes.Equal(expected, got) {
			c.result.fail(checkName(v), "%s", diff(expected, got))
		}
	}
}

// checkName is the name of the check of a view.
func checkName(v transcript.View) string {
	return strings.TrimSpace("client response " + strings.TrimPrefix(strings.TrimPrefix(v.Section, transcript.SectionAnswer), "."))
}

// rewrite writes what the adapter did, and what clients get, into the transcript.
func (c *check) rewrite(all []seen) {
	text := expecting(c.transcript.Transcript, c.recorded.Requests, c.recorded.Emissions(), all).Format()
	if bytes.Equal(text, c.transcript.text) {
		return
	}
	if err := os.WriteFile(c.transcript.file, text, 0o644); err != nil {
		c.result.fail("update", "%v", err)
		return
	}
	c.result.Updated = true
}

// expecting returns the transcript with new expectations, where a reader looks for them:
// requests are before their answers, and the results are after the last answer.
func expecting(t *transcript.Transcript, requests [][]byte, emissions []byte, all []seen) *transcript.Transcript {
	out := &transcript.Transcript{Comment: t.Comment}
	add := func(name string, data []byte) {
		out.Sections = append(out.Sections, transcript.Section{Name: name, Data: data})
	}
	kept := slices.DeleteFunc(slices.Clone(t.Sections), func(s transcript.Section) bool {
		return s.Name == transcript.SectionRequest || s.Name == transcript.SectionEmissions || strings.HasPrefix(s.Name, transcript.SectionAnswer)
	})
	last := -1 // the last section before the results
	for i, s := range kept {
		if s.Name == transcript.SectionResponse || strings.HasPrefix(s.Name, "client-request.") {
			last = i
		}
	}
	for i, s := range kept {
		if s.Name == transcript.SectionResponse && len(requests) > 0 {
			add(transcript.SectionRequest, requests[0])
			requests = requests[1:]
		}
		out.Sections = append(out.Sections, s)
		if i != last {
			continue
		}
		for _, r := range requests { // the transcript has no answers to these
			add(transcript.SectionRequest, r)
		}
		add(transcript.SectionEmissions, emissions)
		for _, s := range all {
			add(s.view.Section, s.text)
		}
	}
	return out
}
