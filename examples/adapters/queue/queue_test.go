package main

import (
	"testing"

	"github.com/kai-gateway/kai/sdk/sdktest"
)

func TestTranscripts(t *testing.T) {
	sdktest.Run(t, Plugin(), "../../../testdata/transcripts/queue/*.txtar")
}
