package messages

import (
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/facts"
)

// appendModel appends a model. Nobody knows when it was made.
func appendModel(dst []byte, m dialect.Model) []byte {
	dst = facts.AppendString(append(dst, `{"type":"model","id":`...), m.ID)
	dst = facts.AppendString(append(dst, `,"display_name":`...), m.ID)
	return dialect.AppendAbilities(append(dst, `,"created_at":"1970-01-01T00:00:00Z"`...), m)
}

// appendModels appends a list of models, all of them on one page.
func appendModels(dst []byte, models []dialect.Model) []byte {
	dst = append(dst, `{"data":[`...)
	for i, m := range models {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendModel(dst, m)
	}
	dst = append(dst, `],"has_more":false,"first_id":`...)
	if len(models) == 0 {
		return append(dst, `null,"last_id":null}`...)
	}
	dst = facts.AppendString(dst, models[0].ID)
	dst = facts.AppendString(append(dst, `,"last_id":`...), models[len(models)-1].ID)
	return append(dst, '}')
}
