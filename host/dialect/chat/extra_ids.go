package chat

import (
	"bytes"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/host/dialect/native"
)

// messageForm is the form of a message's extra fields, as far as they have ids in them: of
// sound that the next request can refer to, and of files that are cited.
var messageForm = native.Form{
	Grammar: body.Grammar{
		Places: append([]body.Node{
			body.Top: {Fields: []body.Field{{Name: "audio", Place: inMessage + body.WithID}, {Name: "annotations", Place: inMessage}}}, body.Model: {},
		}, body.NodesOfIDs(inMessage)...),
	},
	Roles: native.Roles{inMessage + body.WithID: native.ID},
}.Indexed()

// inMessage is the first place of messageForm.
const inMessage = body.First

// note notes the ids in the extra fields of a message.
func (a *answer) note(extra []byte) {
	if a.noteID == nil || !bytes.Contains(extra, []byte(`"audio"`)) && !bytes.Contains(extra, []byte(`"annotations"`)) || !bytes.Contains(extra, []byte(`id"`)) {
		return
	}
	for _, id := range native.IDs(extra, &messageForm) {
		a.noteID(id)
	}
}
