package passed

import (
	"slices"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// whole appends the events for an answer that came as a whole, which is the RESULT among
// the emissions of an adapter call. Some models, such as whisper-1, can't stream, and
// ignore that a stream is asked for:
// https://platform.openai.com/docs/api-reference/audio/createTranscription
func (a *passing) whole(dst []byte, ems []abi.Emission, result int) ([]byte, error) {
	answer := sdk.JSON(ems[result].Data)
	size := 2 * int64(len(answer)) // of an event, before it is in dst, where it is counted
	if err := a.memory.Hold(size); err != nil {
		return dst, outOfMemory(err)
	}
	defer a.memory.Drop(size)
	a.ReceivedAll()
	begin := len(dst)
	tell := func(event []byte, ems ...abi.Emission) (err error) {
		a.Receive(dialect.ByType(), event, false)
		dst, err = a.Answer.Apply(dst, append([]abi.Emission{{Kind: abi.Pass, At: abi.PassContent}}, ems...))
		return err
	}
	last := append(slices.Delete(slices.Clone(ems), result, result+1), abi.Emission{Kind: abi.Finish, Data: []byte(abi.FinishStop)})
	if err := asEvents(answer, tell, last); err != nil {
		return dst[:begin], err
	}
	return dst, nil
}

// asEvents turns a whole answer into the events of its API: the text of a transcription, or
// pictures. What last states comes with the last event. The error is a *fault.Error.
func asEvents(answer sdk.JSON, tell func(event []byte, ems ...abi.Emission) error, last []abi.Emission) error {
	if text := answer.Get("text"); text.Kind() == sdk.KindString {
		delta := event("transcript.text.delta")
		delta.Key("delta").Raw(text)
		delta.End()
		if err := tell(delta.Bytes()); err != nil {
			return err
		}
		done := event("transcript.text.done")
		addFields(done, answer)
		done.End()
		return tell(done.Bytes(), last...)
	}
	pictures := answer.Get("data")
	left := 0
	for it := sdk.Array(pictures); it.Next(); left++ {
		if it.Value().Kind() != sdk.KindObject {
			return notEvents()
		}
	}
	if left == 0 || left > abi.MaxChoices {
		return notEvents()
	}
	for it := sdk.Array(pictures); it.Next(); {
		picture := event("image_generation.completed")
		for _, name := range [...]string{"background", "output_format", "quality", "size"} { // which all have
			if v := answer.Get(name); !v.Empty() && len(v) < 64 {
				picture.Key(name).Raw(v)
			}
		}
		if created := answer.Get("created"); created.Kind() == sdk.KindNumber {
			picture.Key("created_at").Raw(created)
		}
		addFields(picture, it.Value())
		ems := []abi.Emission(nil)
		if left--; left == 0 {
			if usage := answer.Get("usage"); usage.Kind() == sdk.KindObject { // of all of them
				picture.Key("usage").Raw(usage)
			}
			ems = last
		}
		picture.End()
		if err := tell(picture.Bytes(), ems...); err != nil {
			return err
		}
	}
	return nil
}

func notEvents() *fault.Error {
	return &fault.Error{
		Kind: fault.Upstream, Code: "upstream_error",
		Text: "The provider answered as a whole, although a stream was asked for. It may not have streams: ask without one.",
	}
}

// event begins the data of an event of a type.
func event(kind string) *sdk.Writer {
	w := &sdk.Writer{}
	w.Object()
	w.Key("type").String(kind)
	return w
}

// addFields adds those of an object, but its type.
func addFields(w *sdk.Writer, object sdk.JSON) {
	for f := sdk.Object(object); f.Next(); {
		if key := string(f.Key()); key != "type" {
			w.Key(key).Raw(f.Value())
		}
	}
}
