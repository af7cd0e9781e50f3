package passed

import (
	"slices"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// whole appends the events of an answer that came as a whole, the RESULT among the emissions of
// an adapter call. Some models know no stream and ignore that one is asked for, such as whisper-1:
// https://platform.openai.com/docs/api-reference/audio/createTranscription
func (a *passing) whole(dst []byte, ems []abi.Emission, result int) ([]byte, error) {
	answer := sdk.JSON(ems[result].Data)
	size := 2 * int64(len(answer))
	if err := a.memory.Hold(size); err != nil {
		return dst, outOfMemory(err)
	}
	defer a.memory.Drop(size)
	events := eventsOf(answer)
	if events == nil {
		return dst, &fault.Error{
			Kind: fault.Upstream, Code: "upstream_error",
			Text: "The provider answered as a whole, although a stream was asked for. It may know none: ask without one.",
		}
	}
	begin := len(dst)
	for i, event := range events {
		said := []abi.Emission{{Kind: abi.Pass, At: abi.PassContent}}
		if i == len(events)-1 {
			said = append(slices.Delete(slices.Clone(ems), result, result+1), said[0], abi.Emission{Kind: abi.Finish, Data: []byte(abi.FinishStop)})
		}
		a.Came(dialect.ByType(), event, false)
		var err error
		if dst, err = a.Answer.Apply(dst, said); err != nil {
			return dst[:begin], err
		}
	}
	return dst, nil
}

// eventsOf returns the data of the events that say what a whole answer says: the text of a
// transcription, or pictures. They are nil if it is neither.
func eventsOf(answer sdk.JSON) (events [][]byte) {
	if text := answer.Get("text"); text.Kind() == sdk.KindString {
		delta := event("transcript.text.delta", sdk.JSON(`{}`), nil)
		delta.Key("delta").Raw(text)
		delta.End()
		done := event("transcript.text.done", answer, nil)
		done.End()
		return [][]byte{delta.Bytes(), done.Bytes()}
	}
	data := answer.Get("data")
	left := 0
	for it := sdk.Array(data); it.Next(); {
		left++
	}
	for it := sdk.Array(data); it.Next(); {
		without := []string{"data", "created", "usage"}
		if left--; left == 0 {
			without = without[:2] // all of them are counted, with the last one
		}
		w := event("image_generation.completed", answer, without)
		if created := answer.Get("created"); created.Kind() == sdk.KindNumber {
			w.Key("created_at").Raw(created)
		}
		for f := sdk.Object(it.Value()); f.Next(); {
			w.Key(string(f.Key())).Raw(f.Value())
		}
		w.End()
		events = append(events, w.Bytes())
	}
	return events
}

// event begins the data of an event of a type, with the fields of an answer but those without.
func event(kind string, answer sdk.JSON, without []string) *sdk.Writer {
	w := &sdk.Writer{}
	w.Object()
	w.Key("type").String(kind)
	for f := sdk.Object(answer); f.Next(); {
		if key := string(f.Key()); key != "type" && !slices.Contains(without, key) {
			w.Key(key).Raw(f.Value())
		}
	}
	return w
}
