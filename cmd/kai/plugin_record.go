package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kai-gateway/kai/cmd/internal/author"
	"github.com/kai-gateway/kai/sdk"
)

// pluginRecord sends a request through a configured provider and saves the
// exchange as a transcript.
func pluginRecord(ctx context.Context, args []string, s streams) int {
	f := flag.NewFlagSet("plugin record", flag.ContinueOnError)
	file := f.String("config", "", "")
	model := f.String("model", "", "")
	streamed := f.Bool("stream", false, "")
	out := f.String("o", "", "")
	timeout := f.Duration("timeout", 0, "")
	if code, ok := parse(f, args, 0, s.err); !ok {
		return code
	}
	if *timeout < 0 {
		fmt.Fprintf(s.err, "kai plugin record: --timeout %v must be more than 0\n", *timeout)
		return exitUsage
	}
	if err := author.FreeTranscript(*out); err != nil {
		return pluginFailed("record", err, s)
	}
	c, files, ok := loadConfig(*file, s.err)
	if !ok {
		return exitUsage
	}
	var body []byte
	var err error
	asked := *model == ""
	if asked {
		if body, err = readRequest(ctx, s); err != nil {
			return pluginFailed("record", err, s)
		}
		*model, _ = sdk.JSON(body).Get("model").Str()
	}
	r, err := author.NewRecording(c, files.Module, *model)
	if err != nil {
		fmt.Fprintf(s.err, "kai plugin record: %v\n", err)
		return exitUsage
	}
	if !asked {
		if body, err = readRequest(ctx, s); err != nil {
			return pluginFailed("record", err, s)
		}
	}
	r.Timeout = *timeout
	r.Note = func(text string) { fmt.Fprintln(s.err, "kai: "+text) }
	text, err := r.Run(ctx, body, *streamed)
	if err != nil {
		return pluginFailed("record", err, s)
	}
	if *out == "" {
		s.out.Write(text)
		return exitDone
	}
	if err := author.WriteFile(*out, text, time.Time{}); err != nil {
		return pluginFailed("record", err, s)
	}
	fmt.Fprintf(s.err, "kai: recorded provider %s with model %s: %s\n", r.Provider.Name, r.Model.Model, *out)
	return exitDone
}

// maxRequest is how many bytes of a request are read. It is more than a client may send.
const maxRequest = 64 << 20

// readRequest reads standard input to its end, or until ctx ends. In that case the
// goroutine that reads lives on until the process ends.
func readRequest(ctx context.Context, s streams) ([]byte, error) {
	if f, ok := s.in.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			fmt.Fprintln(s.err, "kai: reading the request, a JSON object with messages, from standard input")
		}
	}
	var body []byte
	var err error
	read := make(chan struct{})
	go func() {
		body, err = io.ReadAll(io.LimitReader(s.in, maxRequest))
		close(read)
	}()
	select {
	case <-read:
		return bytes.TrimSpace(body), err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
