package openrouter_test

import (
	"testing"

	"github.com/kai-gateway/kai/plugins/openrouter"
	"github.com/kai-gateway/kai/sdk/sdktest"
)

const transcripts = "../../testdata/transcripts/openrouter/*.txtar"

func TestTranscripts(t *testing.T) {
	sdktest.Run(t, openrouter.Plugin(), transcripts)
}
