package conform

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// Answer is an upstream's answer to a request.
type Answer struct {
	Status int
	Head   []byte // the headers that an adapter may see, each as "lower-case-name: value\n"
	Body   []byte // decompressed
	Broken error  // why the rest of Body is missing; nil: nothing is missing
}

// RecordOptions configures Record. Module, Request and Send are required.
type RecordOptions struct {
	Module   []byte
	Options  []byte // the adapter's, JSON; default {}
	Request  []byte // the client's body, with the upstream's model
	CacheDir string // where compiled code is kept; default: it is not kept

	// Send sends a request of the adapter: head and body are the payloads of REQUEST and
	// BODY. If the answer breaks off, it returns the part that came, and no error.
	Send func(ctx context.Context, framing abi.Framing, head, body []byte) (Answer, error)
}

// Record makes a real exchange with an adapter and returns its transcript. The transcript
// has no expectations; Run with Update writes them. An exchange ends when an answer breaks
// off. The error is the adapter's, or that of Send.
func Record(ctx context.Context, o RecordOptions) (*transcript.Transcript, error) {
	log := &keptLog{key: adapterText}
	engine := wasm.New(wasm.Options{CacheDir: o.CacheDir, Logger: slog.New(log)})
	defer engine.Close()
	k := &kit{engine: engine, module: o.Module, log: log}
	if len(o.Options) == 0 {
		o.Options = []byte("{}")
	}
	g, err := k.guest(ctx, o.Options)
	if err != nil {
		return nil, err
	}
	defer g.close()

	t := &transcript.Transcript{Sections: []transcript.Section{
		{Name: transcript.SectionOptions, Data: line(o.Options)},
		{Name: transcript.SectionClient, Data: line(o.Request)},
	}}
	for answered := 0; ; answered++ {
		r, err := t.Run(g)
		if err != nil {
			return nil, err
		}
		if len(r.Requests) == answered {
			if answered == 0 {
				return nil, fmt.Errorf("the adapter sends nothing upstream for this request:\n%s", r.Emissions())
			}
			return t, nil
		}
		if err := pause(ctx, r.Last.Wait); err != nil {
			return nil, err
		}
		a, err := o.Send(ctx, r.Last.Framing, r.Last.Head, r.Last.Body)
		if err != nil {
			return nil, err
		}
		t.Sections = append(t.Sections, transcript.Section{Name: transcript.SectionResponse, Data: a.section()})
	}
}

// section returns the answer as a section of a transcript.
func (a Answer) section() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\n%s", a.Status, http.StatusText(a.Status), a.Head)
	if a.Broken != nil {
		end := transcript.EndCut
		// A whole line may be an event, and half a line is none.
		if len(a.Body) > 0 && !bytes.HasSuffix(a.Body, []byte("\n")) {
			end = transcript.EndCutInLine
		}
		fmt.Fprintf(&b, "%s: %s\n", transcript.EndHeader, end)
	}
	b.WriteByte('\n')
	b.Write(line(a.Body))
	return b.Bytes()
}

// line returns text with a newline at its end.
func line(text []byte) []byte {
	return append(bytes.TrimSuffix(bytes.Clone(text), []byte("\n")), '\n')
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
