package conform

import (
	"bytes"
	"os"
	"slices"

	"github.com/kai-gateway/kai/sdk/transcript"
)

// expect compares with what the transcript expects, or writes it. answer is what a client
// gets; nil: no client asked.
func (c *check) expect(answer []byte) {
	if c.kit.update {
		c.rewrite(answer)
	} else {
		c.compare(answer)
	}
}

// compare compares what the adapter did, and what a client gets, with what the transcript
// expects.
func (c *check) compare(answer []byte) {
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
	if expected := c.transcript.Get(transcript.SectionAnswer); expected != nil && !bytes.Equal(expected, answer) {
		c.result.fail("client response", "%s", diff(expected, answer))
	}
}

// rewrite writes what the adapter did, and what a client gets, into the transcript.
func (c *check) rewrite(answer []byte) {
	text := expecting(c.transcript.Transcript, c.recorded.Requests, c.recorded.Emissions(), answer).Format()
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
func expecting(t *transcript.Transcript, requests [][]byte, emissions, answer []byte) *transcript.Transcript {
	out := &transcript.Transcript{Comment: t.Comment}
	add := func(name string, data []byte) {
		out.Sections = append(out.Sections, transcript.Section{Name: name, Data: data})
	}
	kept := slices.DeleteFunc(slices.Clone(t.Sections), func(s transcript.Section) bool {
		return s.Name == transcript.SectionRequest || s.Name == transcript.SectionEmissions || s.Name == transcript.SectionAnswer
	})
	last := -1 // the last section before the results
	for i, s := range kept {
		if s.Name == transcript.SectionResponse || s.Name == transcript.SectionClient {
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
		if answer != nil {
			add(transcript.SectionAnswer, answer)
		}
	}
	return out
}
