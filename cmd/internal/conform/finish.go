package conform

import (
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// checkFinish checks that no content comes after the FINISH of its choice, if there was
// content before it. If the stream broke between them, it would be a success without the
// rest.
func (c *check) checkFinish() {
	var spoke, finished [abi.MaxChoices]bool
	for i, call := range c.recorded.Calls {
		for _, e := range call {
			switch e.Kind {
			case abi.Finish:
				finished[e.Choice()] = spoke[e.Choice()]
			case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolID, abi.ToolName, abi.ToolArgs:
				if finished[e.Choice()] && len(e.Data) > 0 {
					c.result.fail("nothing comes after FINISH", "in call %d there is more of what was finished before; state FINISH when the upstream says that it is the end: %s", i+1, transcript.FormatEmission(e))
					return
				}
				spoke[e.Choice()] = spoke[e.Choice()] || len(e.Data) > 0
			case abi.Pass:
				spoke[0] = spoke[0] || e.At == abi.PassContent
			}
		}
	}
}
