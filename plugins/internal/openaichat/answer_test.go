package openaichat

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/plugins/internal/adaptertest"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// reserved is plain for a server that tells what clients must not see.
type reserved struct{ plain }

func (reserved) Event(e *sdk.Event, s *State, out *sdk.Out) error {
	d := dialect
	d.PrivateUsage = []string{"private"}
	return d.Event(e, s, out)
}

// TestPrivateUsageIsNeverPassedOn, also where what is written is as long as what came: a key that
// is no UTF-8 becomes longer, and white space is left out.
func TestPrivateUsageIsNeverPassedOn(t *testing.T) {
	for spaces := range 20 {
		usage := `{"private":0,"` + strings.Repeat("\xff", 10) + `"` + strings.Repeat(" ", spaces) + `:1}`
		emitted, _, err := adaptertest.Call(t, sdk.New(sdk.Manifest{Name: "plain", Version: "1", Provider: "plain"}, reserved{}),
			sdk.Input{Event: &sdk.Event{Data: sdk.JSON(`{"choices":[],"usage":` + usage + `}`)}})
		if err != nil {
			t.Fatal(err)
		}
		told := 0
		for _, e := range emitted {
			if e.Kind == abi.Usage {
				told++
			}
			if bytes.Contains(e.Data, []byte("private")) {
				t.Errorf("of %q, %q is passed on", usage, e.Data)
			}
		}
		if told != 1 {
			t.Errorf("of %q, there are %d usages", usage, told)
		}
	}
}
