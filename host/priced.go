package host

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/price"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// units are what may be billed instead of tokens, by operation.
var units = map[abi.Op]struct {
	what, key string
	known     func(*price.Price) bool
}{
	abi.Transcriptions: {"an hour of sound", "audio_hour", (*price.Price).KnowsSound},
	abi.Images:         {"a picture", "image", (*price.Price).KnowsPictures},
	abi.Speech:         {"a million characters of speech", "speech", (*price.Price).KnowsSpeech},
}

// checkUnits refuses what may be billed by something other than tokens, if a budget has to
// pay for it and a target has no price for that.
func (c *call) checkUnits(a *admission) error {
	unit, ok := units[c.request.Op]
	if !ok || !a.spends() {
		return nil
	}
	for i := range c.plan.Targets {
		if prices := c.gateway.prices; prices == nil || !unit.known(prices[c.plan.Targets[i].ID]) {
			return &fault.Error{
				Kind: fault.Unpriced, Code: "unsupported_operation", Param: "model",
				Text: fmt.Sprintf("A budget pays for this request, and what the model '%s' costs for %s is not configured (price.%s; 0 if the provider counts tokens).", c.plan.Alias, unit.what, unit.key),
			}
		}
	}
	return nil
}

// usualPrice are the fields with which a client chooses what its tokens cost, and the values with
// which they cost at most what they usually do:
// https://developers.openai.com/api/docs/guides/priority-processing,
// https://platform.claude.com/docs/en/build-with-claude/fast-mode and
// https://platform.claude.com/docs/en/build-with-claude/data-residency
var usualPrice = map[string][]string{
	"service_tier":  {"auto", "default", "standard", "standard_only", "flex", "on_demand"},
	"speed":         {"standard"},
	"inference_geo": {"global"},
}

// checkPrice refuses a request that asks for more expensive tokens, if a budget has to pay for
// them: the configured price is the usual one.
func (c *call) checkPrice(a *admission) error {
	if c.asksNoModel() || c.request.Op == abi.Transcriptions || !a.spends() || c.costsNothing() {
		return nil
	}
	b, err := c.http.Body()
	if err != nil {
		return err
	}
	field := dearer(b, c.request.Op == abi.Speech)
	if field == "" {
		return nil
	}
	return &fault.Error{
		Kind: fault.Unpriced, Code: "unsupported_operation", Param: field,
		Text: field + ": a budget pays for this request, and what it costs with this value is not known; leave it out",
	}
}

// costsNothing reports whether the request is free wherever it may go.
func (c *call) costsNothing() bool {
	for i := range c.plan.Targets {
		if prices := c.gateway.prices; prices == nil || !prices[c.plan.Targets[i].ID].IsFree() {
			return false
		}
	}
	return true
}

// dearer returns the first of the top-level fields by which a request asks for more
// expensive tokens; "" if there is none.
//
//   - b: a request that was parsed
//   - spoken: the field speed says how fast the answer is spoken
func dearer(b []byte, spoken bool) string {
	for f := body.FieldsOf(bytes.TrimPrefix(b, []byte("\ufeff"))); f.Next(); {
		name := string(body.Fold(f.Key()))
		usual, known := usualPrice[name]
		if !known || f.Kind() == sdk.KindNull || spoken && name == "speed" {
			continue
		}
		if value, _ := sdk.JSON(f.Value()).Str(); !slices.Contains(usual, value) {
			return name
		}
	}
	return ""
}
