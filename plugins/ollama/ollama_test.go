package ollama_test

import (
	"testing"

	"github.com/kai-gateway/kai/plugins/ollama"
	"github.com/kai-gateway/kai/sdk/sdktest"
)

// transcripts are what the tests replay; the first line of each says what it
// shows and where it is from.
const transcripts = "../../testdata/transcripts/ollama/*.txtar"

func TestTranscripts(t *testing.T) {
	sdktest.Run(t, ollama.Plugin(), transcripts)
}
