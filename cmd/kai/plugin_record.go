package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kai-gateway/kai/host/live"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/cmd/internal/conform"
	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/request"
	"github.com/kai-gateway/kai/host/upstream"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
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
	if err := freeTranscript(*out); err != nil {
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
	r, err := newRecording(c, files, *model)
	if err != nil {
		fmt.Fprintf(s.err, "kai plugin record: %v\n", err)
		return exitUsage
	}
	if !asked {
		if body, err = readRequest(ctx, s); err != nil {
			return pluginFailed("record", err, s)
		}
	}
	r.timeout, r.stderr = *timeout, s.err
	text, err := r.run(ctx, body, *streamed)
	if err != nil {
		if ctx.Err() == nil {
			err = errors.New(r.conceal(clientText(err)))
		}
		return pluginFailed("record", err, s)
	}
	if *out == "" {
		s.out.Write(text)
		return exitDone
	}
	if err := writeFile(*out, text, time.Time{}); err != nil {
		return pluginFailed("record", err, s)
	}
	fmt.Fprintf(s.err, "kai: recorded provider %s with model %s: %s\n", r.provider.Name, r.model.Model, *out)
	return exitDone
}

// freeTranscript refuses a file that would not be found or is there already,
// before a request is paid for.
func freeTranscript(out string) error {
	if out == "" {
		return nil
	}
	if filepath.Ext(out) != ".txtar" {
		return fmt.Errorf("-o %s must end in .txtar, as the names of transcripts do", out)
	}
	if _, err := os.Lstat(out); err == nil {
		return fmt.Errorf("%s is there already: remove it, or take another name", out)
	}
	return writable(filepath.Dir(out))
}

// writable says why nothing can be written into dir, or into the nearest folder
// above it that exists.
func writable(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir:
		return writable(filepath.Dir(dir))
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is a file and no folder", dir)
	}
	tmp, err := os.CreateTemp(dir, ".kai-*")
	if err != nil {
		return err
	}
	return errors.Join(tmp.Close(), os.Remove(tmp.Name()))
}

// maxRequest is more than a client may send.
const maxRequest = 64 << 20

// readRequest reads standard input to its end. A reader that waits for more than
// ctx lives on until the process ends.
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

// clientText is an error with the detail that a client would not get.
func clientText(err error) string {
	var e *fault.Error
	if errors.As(err, &e) && e.Cause != nil {
		return e.Text + " (" + e.Cause.Error() + ")"
	}
	return err.Error()
}

// recording is one exchange with a provider.
type recording struct {
	timeout time.Duration // of the upstream's silence; 0: the provider's
	stderr  io.Writer
	broken  error // why the answer broke off

	provider config.Provider
	model    config.Model
	module   []byte
	secret   string
}

// newRecording finds the provider of a model alias; "" is the default model.
func newRecording(c *config.Config, files *live.Files, alias string) (*recording, error) {
	if alias == "" {
		alias = c.DefaultModel
	}
	i := slices.IndexFunc(c.Models, func(m config.Model) bool { return m.Alias == alias })
	if i < 0 {
		var known []string
		for _, m := range c.Models {
			known = append(known, m.Alias)
		}
		if alias == "" {
			return nil, fmt.Errorf("which model? Name it with --model or in the request; the configuration has %s", strings.Join(known, ", "))
		}
		return nil, fmt.Errorf("the model %q is not in the configuration, which has %s", alias, strings.Join(known, ", "))
	}
	r := &recording{model: c.Models[i]}
	for _, p := range c.Providers {
		if p.Name == r.model.Provider {
			r.provider = p
		}
	}
	if r.provider.Unset != "" {
		return nil, fmt.Errorf("provider %s has no API key: set the environment variable %s", r.provider.Name, r.provider.Unset)
	}
	if r.provider.BaseURL == "" {
		return nil, fmt.Errorf("provider %s has no base_url, so there is nothing to record", r.provider.Name)
	}
	if !r.provider.APIKey.IsZero() {
		r.secret = r.provider.APIKey.Reveal()
	}
	var err error
	r.module, err = files.Module(r.provider.Plugin)
	return r, err
}

func (r *recording) run(ctx context.Context, body []byte, streamed bool) ([]byte, error) {
	if streamed {
		body = withStream(body)
	}
	chat, err := request.ParseChat(body)
	if err != nil {
		return nil, fmt.Errorf("the request on standard input: %w", err)
	}
	client, err := r.client()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	t, err := conform.Record(ctx, conform.RecordOptions{
		Module: r.module, Options: r.model.Options, Request: chat.Body(r.model.Model), CacheDir: wasm.DefaultCacheDir(),
		Send: func(ctx context.Context, framing abi.Framing, head, body []byte) (conform.Answer, error) {
			return r.send(ctx, client, upstream.Request{Head: head, Body: body, Framing: framing})
		},
	})
	if err != nil {
		return nil, err
	}
	t.Comment = fmt.Sprintf("Recorded from %s on %s.\n", hostOf(r.provider.BaseURL), time.Now().UTC().Format(time.DateOnly))
	if r.broken != nil {
		why := strings.Join(strings.Fields(r.conceal(clientText(r.broken))), " ")
		t.Comment += "The answer broke off: " + why + ".\n"
		fmt.Fprintf(r.stderr, "kai: the answer broke off: %s; the transcript has what came, and replays the break (%s: %s)\n", why, transcript.EndHeader, transcript.EndCut)
	}
	text, err := r.expecting(ctx, []byte(r.conceal(string(t.Format()))))
	if err == nil && r.inPieces(text) {
		return nil, errors.New("the answer repeats the provider's key, in pieces that can't be taken out: nothing was saved")
	}
	return text, err
}

// withStream asks for a stream, unless the request says what it wants.
func withStream(body []byte) []byte {
	if sdk.JSON(body).Kind() != sdk.KindObject || sdk.JSON(body).Get("stream") != nil || bytes.Equal(bytes.Join(bytes.Fields(body), nil), []byte("{}")) {
		return body
	}
	return append([]byte(`{"stream":true,`), bytes.TrimLeft(body, "{ \t\r\n")...)
}

// client reaches the provider with all the rules and limits of the gateway.
func (r *recording) client() (*upstream.Client, error) {
	p := r.provider
	o := upstream.Options{
		Provider: p.Name, BaseURL: p.BaseURL, Proxy: p.Proxy,
		Connect: time.Duration(p.Timeouts.Connect), FirstByte: time.Duration(p.Timeouts.FirstByte), Idle: time.Duration(p.Timeouts.Idle),
	}
	if r.timeout > 0 {
		o.Connect, o.FirstByte, o.Idle = r.timeout, r.timeout, r.timeout
	}
	d, err := wasm.Inspect(r.module)
	if err != nil {
		return nil, err
	}
	if r.secret != "" && d.Manifest == nil {
		return nil, fmt.Errorf("%s holds no manifest that says where the secret goes: \"kai plugin build\" writes it", p.Plugin)
	}
	if d.Manifest != nil {
		if a := d.Manifest.Profile().Auth; a.Header != "" && r.secret != "" {
			o.Secret = upstream.Secret{Header: a.Header, Value: a.Value(r.secret)}
		}
	}
	return upstream.New(o)
}

// quietWait is how long a silent upstream is waited for without a word.
const quietWait = 5 * time.Second

// send asks the provider. The answer is taken in one piece, so that a transcript
// has its bytes as they came, comments included.
func (r *recording) send(ctx context.Context, client *upstream.Client, what upstream.Request) (conform.Answer, error) {
	var told sync.WaitGroup
	told.Add(1)
	notice := time.AfterFunc(quietWait, func() {
		defer told.Done()
		fmt.Fprintf(r.stderr, "kai: waiting for the answer of provider %s at %s; Ctrl-C ends it, --timeout 10s gives up by itself\n", r.provider.Name, hostOf(r.provider.BaseURL))
	})
	t, err := client.Take(ctx, what)
	if notice.Stop() {
		told.Done()
	}
	told.Wait()
	if err != nil {
		return conform.Answer{}, err
	}
	r.broken = t.Broken
	if t.Broken != nil {
		t.Body = r.withoutHalfASecret(t.Body)
	}
	return conform.Answer{Status: t.Status, Head: t.Head, Body: t.Body, Broken: t.Broken}, nil
}

// withoutHalfASecret replaces the beginning of the secret that a body broke off in.
func (r *recording) withoutHalfASecret(body []byte) []byte {
	const tells = 8 // bytes; as few may well be something else
	for _, form := range r.secretForms() {
		for n := len(form) - 1; n >= tells; n-- {
			if bytes.HasSuffix(body, []byte(form[:n])) {
				return append(body[:len(body)-n:len(body)-n], "[redacted]"...)
			}
		}
	}
	return body
}

// expecting writes into a transcript what the adapter makes of it.
func (r *recording) expecting(ctx context.Context, text []byte) ([]byte, error) {
	dir, err := os.MkdirTemp("", "kai-record-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "recorded.txtar")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	report, err := conform.Run(ctx, conform.Options{Module: r.module, CacheDir: wasm.DefaultCacheDir(), Update: true}, []string{file})
	if err != nil {
		return nil, err
	}
	// What else the kit finds wrong is for "kai plugin test".
	for _, f := range report.Results[0].Failures {
		if f.Check == conform.FramingCheck {
			fmt.Fprintf(r.stderr, "kai: warning: %s\n", f.Text)
		}
	}
	return os.ReadFile(file)
}

// conceal replaces the secret in what the author wrote, as text and as the inside
// of a JSON string, and anywhere in hexadecimal. Package upstream already kept it
// out of what the provider answered, in the forms in which servers repeat keys.
func (r *recording) conceal(text string) string {
	for _, form := range r.secretForms() {
		text = strings.ReplaceAll(text, form, "[redacted]")
	}
	return text
}

func (r *recording) secretForms() []string {
	if r.secret == "" {
		return nil
	}
	inside := string(sdk.AppendQuote(nil, r.secret))
	inside = inside[1 : len(inside)-1]
	return []string{
		r.secret, inside, strings.ReplaceAll(inside, "/", `\/`),
		fmt.Sprintf("%x", r.secret), fmt.Sprintf("%X", r.secret),
	}
}

// inPieces reports whether a transcript holds the secret cut in pieces, as a
// model says it that was told it: a word, or less, in each event.
func (r *recording) inPieces(text []byte) bool {
	t, err := transcript.Parse(text)
	if err != nil {
		return false
	}
	said := map[string]string{} // by what precedes the text of an emission: "TEXT 0 "
	for line := range strings.Lines(string(t.Get(transcript.SectionEmissions))) {
		what, text, _ := strings.Cut(line, `"`)
		if text, ok := sdk.JSON(`"` + strings.TrimSuffix(text, "\n")).Str(); ok {
			said[what] += text
		}
	}
	for _, text := range said {
		if r.conceal(text) != text {
			return true
		}
	}
	return false
}

// hostOf names an upstream without what a URL may hold besides.
func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return "an upstream"
	}
	return u.Host
}
