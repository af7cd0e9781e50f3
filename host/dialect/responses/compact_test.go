package responses

import (
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect/seal"
)

func TestSummaryIsSealedAndOpened(t *testing.T) {
	for name, summary := range map[string]string{
		"words":             "The file was read.",
		"escapes stay":      `A \"quote\",\na line end and \ud83d\ude00.`,
		"a very long one":   strings.Repeat("We did this and then that. ", 10_000),
		"nothing":           "",
		"what ends strings": `\"},{\"`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := openSummary(sealSummary([]byte(summary)))
			if string(got) != summary || err != nil {
				t.Errorf("the summary comes back as %q, %v", got, err)
			}
		})
	}
}

func TestForeignSummaryIsIgnored(t *testing.T) {
	for name, sealed := range map[string]string{
		"OpenAI's":              "gAAAA",
		"sealed without detail": seal.Prefix,
		"sealed reasoning":      seal.Seal(seal.Content{Details: raws(`{"type":"reasoning.text","text":"x"}`)}),
		"two details":           seal.Seal(seal.Content{Details: raws(`{"type":"kai.summary","text":"x"}`, `{"type":"kai.summary","text":"y"}`)}),
		"no text":               seal.Seal(seal.Content{Details: raws(`{"type":"kai.summary","text":1}`)}),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := openSummary(sealed); got != nil || err != nil {
				t.Errorf("openSummary = %q, %v, want nothing", got, err)
			}
		})
	}
}
