package native

import (
	"bytes"

	"github.com/kai-gateway/kai/host/body"
	"github.com/kai-gateway/kai/sdk"
)

// find returns where a string stands in an object; to is 0 if it isn't there.
func find(object []byte, names []string) (from, to int) {
	at := object
	for i, name := range names {
		f := body.FieldsOf(at)
		for found := false; !found; {
			if !f.Next() {
				return 0, 0
			}
			if found = string(f.Key()) == name; found {
				v := f.Value()
				from += cap(at) - cap(v)
				to, at = from+len(v), v
			} else {
				f.Value()
			}
		}
		if i == len(names)-1 && (len(at) == 0 || at[0] != '"') {
			return 0, 0
		}
	}
	return from, to
}

// Text returns the string in an object to which the names lead from the top; "" if there is
// no such string.
func Text(object []byte, names ...string) string {
	from, to := find(object, names)
	if to == 0 {
		return ""
	}
	text, _ := sdk.JSON(object[from:to]).Str()
	return text
}

// Type returns the type of an event: its field of that name, or "message", which is what
// readers of event streams call an event without a name.
func Type(object []byte) []byte {
	from, to := find(object, typeField)
	if to == 0 || bytes.ContainsAny(object[from:to], "\\\n\r") {
		return []byte("message")
	}
	return object[from+1 : to-1]
}

var typeField = []string{"type"}
