package host

import (
	"testing"

	"github.com/kai-gateway/kai/host/upstream"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Behind a complete answer an error is no error to the client, but what was to be
// sent along with it must not be sent.
func TestNothingIsSentBesideAnError(t *testing.T) {
	for name, ems := range map[string][]abi.Emission{
		"the request before the error": {{Kind: abi.Request, Data: []byte("POST /\n")}, {Kind: abi.Error, Data: []byte("{}")}},
		"the error before the request": {{Kind: abi.Error, Data: []byte("{}")}, {Kind: abi.Request, Data: []byte("POST /\n")}},
	} {
		t.Run(name, func(t *testing.T) {
			e := exchange{next: &upstream.Request{}}
			e.batch.Emissions = ems
			if err := e.took(t.Context(), true, nil); err != nil || e.next != nil {
				t.Errorf("error %v, next request %v; want neither", err, e.next)
			}
		})
	}
}
