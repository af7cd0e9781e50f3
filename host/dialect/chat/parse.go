package chat

import (
	"context"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Parse reads a request to POST /v1/chat/completions. It is a [dialect.Parse].
func Parse(_ context.Context, b []byte, _ dialect.Caller) (*dialect.Request, error) {
	r, err := ParseRequest(b)
	if err != nil {
		return nil, err
	}
	usage := r.IncludeUsage
	return &dialect.Request{
		Op: abi.Chat, Model: r.Model, Stream: r.Stream, Lasting: r.Store, Body: r, Size: r.Size(), IDs: r.IDs(),
		Whole:    func(i dialect.Info) dialect.Answer { return NewWhole(infoOf(i)) },
		Streamed: func(i dialect.Info) dialect.Stream { return newStream(i, usage) },
	}, nil
}

// Answers returns what makes whole and streamed answers in the form of chat completions,
// for requests of another API.
//
//   - usage: a stream's last chunk has the usage
func Answers(usage bool) (whole func(dialect.Info) dialect.Answer, streamed func(dialect.Info) dialect.Stream) {
	return func(i dialect.Info) dialect.Answer { return NewWhole(infoOf(i)) },
		func(i dialect.Info) dialect.Stream { return newStream(i, usage) }
}

func infoOf(i dialect.Info) Info {
	return Info{ID: "chatcmpl-" + i.ID, Created: i.Created, Model: i.Model, NoteID: i.NoteID, Memory: i.Memory, MaxHeld: i.MaxHeld}
}

// chunkStream is the client's view of a streamed answer: the chunks of one attempt.
type chunkStream struct {
	dialect.OpenAIEvents
	info Info
}

func newStream(i dialect.Info, usage bool) chunkStream {
	info := infoOf(i)
	info.IncludeUsage = usage
	return chunkStream{info: info}
}

func (s chunkStream) Begin() dialect.Answer { return NewChunks(s.info) }
