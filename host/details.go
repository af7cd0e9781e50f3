package host

import (
	"regexp"
	"strings"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/record"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// details collects what spans say of an answer besides what every record has. Of what a
// provider says, it takes only what can't be content.
type details struct {
	looks   int // how many more events, or whole answers, are looked at
	id      string
	model   string
	finish  [maxFinish]string // by choice; "": none yet
	calling [maxFinish]bool   // a tool is called
}

const (
	maxFinish = 8        // choices whose reasons to end are told
	maxLooks  = 4        // events that are read for an id and a model: the first ones have them
	maxLooked = 64 << 10 // bytes of each
)

// detail begins to collect the details of a request whose spans are sent. b is what the
// client has sent.
func (c *call) detail(b []byte) {
	if !c.gateway.host.tracer.Wanted(c.http.Record) {
		return
	}
	c.details = &details{}
	c.http.Record.Asked = askedIn(b)
}

// askedIn reads the numbers with which a request controls the model. All APIs have the same
// names for them.
func askedIn(b []byte) *record.Asked {
	asked := &record.Asked{}
	for f := body.FieldsOf(b); f.Next(); {
		switch string(f.Key()) {
		case "max_tokens", "max_completion_tokens", "max_output_tokens":
			if n, ok := f.Value().Int(); ok && n > 0 {
				asked.MaxTokens = n
			}
		case "temperature":
			asked.Temperature = floatOf(f.Value())
		case "top_p":
			asked.TopP = floatOf(f.Value())
		}
	}
	return asked
}

func floatOf(v sdk.JSON) *float64 {
	if f, ok := v.Float(); ok {
		return &f
	}
	return nil
}

// begin forgets the answer of an attempt, since another one begins.
func (d *details) begin() {
	if d != nil {
		*d = details{looks: maxLooks}
	}
}

// readEvent looks for the id and the model in what the upstream sent: at the top level, or in the
// object about the answer that some APIs have there.
func (d *details) readEvent(data []byte) {
	if d == nil || d.looks == 0 || d.id != "" && d.model != "" {
		return
	}
	d.looks--
	d.read(data[:min(len(data), maxLooked)], true)
}

func (d *details) read(object []byte, top bool) {
	for f := body.FieldsOf(object); f.Next(); {
		switch string(f.Key()) {
		case "id", "responseId":
			if d.id == "" {
				d.id, _ = f.Value().Str()
			}
		case "model", "modelVersion":
			if d.model == "" {
				d.model, _ = f.Value().Str()
			}
		case "message", "response":
			if top {
				d.read(f.Value(), false)
			}
		}
	}
}

// add notes why choices end.
func (d *details) add(ems []abi.Emission) {
	if d == nil {
		return
	}
	for _, m := range ems {
		n := m.Choice()
		switch {
		case n >= maxFinish:
		case m.Kind == abi.Finish:
			d.finish[n] = string(m.Data)
		case m.Kind == abi.ToolName:
			d.calling[n] = true
		}
	}
}

// responseID matches providers' ids of answers: a word or two, and many letters and digits.
// Words that people write have no digits among their letters.
var responseID = regexp.MustCompile(`^(?:[a-z]{2,10}[-_]){0,2}(?:[A-Za-z]*[0-9][A-Za-z]*[0-9][A-Za-z0-9]{6,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]{8,12}-[A-Za-z0-9]+)$`)

// version is what follows a model's name in a provider's answer.
var version = regexp.MustCompile(`^(?:[-@.]?[0-9]+)*$`)

// reported returns what was collected. It leaves out an id that doesn't look like one, and a model
// that is neither the one asked for nor a version of it.
//
//   - model: the asked one
func (d *details) reported(model string) *record.Reported {
	if d == nil {
		return nil
	}
	t := &record.Reported{}
	if len(d.id) <= 100 && responseID.MatchString(d.id) {
		t.ID = d.id
	}
	short := model[strings.LastIndexByte(model, '/')+1:]
	for _, name := range []string{model, short} {
		if rest, ok := strings.CutPrefix(d.model, name); ok && name != "" && len(rest) <= 40 && version.MatchString(rest) {
			t.Model = d.model
		}
	}
	for i, reason := range d.finish {
		switch reason {
		case abi.FinishStop:
			if d.calling[i] {
				reason = abi.FinishToolCalls
			}
		case abi.FinishLength, abi.FinishToolCalls, abi.FinishContentFilter, abi.FinishFunctionCall:
		default:
			continue
		}
		t.Finish = append(t.Finish, reason)
	}
	return t
}
