package author

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kai-gateway/kai/cmd/internal/conform"
	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/dialect/chat"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/upstream"
	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// FreeTranscript refuses a file for a transcript that exists already, or that tests would
// not find by its name. It is called before a request is sent, which may cost money.
func FreeTranscript(out string) error {
	if out == "" {
		return nil
	}
	if filepath.Ext(out) != ".txtar" {
		return wrongUsage("-o %s must end in .txtar, as the names of transcripts do", out)
	}
	if _, err := os.Lstat(out); err == nil {
		return fmt.Errorf("%s is there already: remove it, or take another name", out)
	}
	return Writable(filepath.Dir(out))
}

// clientText returns the text of an error, with the details that a client would not get.
func clientText(err error) string {
	var e *fault.Error
	if errors.As(err, &e) && e.Cause != nil {
		return e.Text + " (" + e.Cause.Error() + ")"
	}
	return err.Error()
}

// Recording records one exchange with a provider.
type Recording struct {
	Provider config.Provider
	Model    config.Model

	Timeout time.Duration     // how long the upstream may be silent; 0: as the provider is configured
	Note    func(text string) // gets messages about the progress; not nil

	module []byte
	secret string
	broken error // why the answer broke off
}

// leads returns the model of an alias, or of a name that one with * stands for, as if it had one
// target: the first one of its lowest tier.
func leads(c *config.Config, alias string) (m config.Model, ok bool) {
	rest := ""
	for _, other := range c.Models {
		prefix, open := strings.CutSuffix(other.Alias, "*")
		switch {
		case other.Alias == alias:
			m, ok, rest = other, true, "*"
		case open && len(alias) > len(prefix) && strings.HasPrefix(alias, prefix) && rest != "*" && (!ok || len(prefix) > len(m.Alias)-1):
			m, ok, rest = other, true, alias[len(prefix):]
		}
	}
	for len(m.Targets) > 0 {
		first := slices.MinFunc(m.Targets, func(a, b config.Target) int { return cmp.Compare(a.Tier, b.Tier) })
		if first.Alias == "" {
			m.Provider, m.Model, m.Options, m.Targets = first.Provider, first.Model, first.Options, nil
			break
		}
		m = c.Models[slices.IndexFunc(c.Models, func(other config.Model) bool { return other.Alias == first.Alias })]
	}
	if rest != "*" {
		m.Model = strings.Replace(m.Model, "*", rest, 1)
	}
	return m, ok
}

// NewRecording finds the provider of a model alias. "" means the default model. module
// returns the modules of the configuration's adapters.
func NewRecording(c *config.Config, module func(plugin string) ([]byte, error), alias string) (*Recording, error) {
	if alias == "" {
		alias = c.DefaultModel
	}
	model, ok := leads(c, alias)
	if !ok {
		var known []string
		for _, m := range c.Models {
			known = append(known, m.Alias)
		}
		if alias == "" {
			return nil, fmt.Errorf("which model? Name it with --model or in the request; the configuration has %s", strings.Join(known, ", "))
		}
		return nil, fmt.Errorf("the model %q is not in the configuration, which has %s", alias, strings.Join(known, ", "))
	}
	r := &Recording{Model: model}
	for _, p := range c.Providers {
		if p.Name == r.Model.Provider {
			r.Provider = p
		}
	}
	if r.Provider.Unset != "" {
		return nil, fmt.Errorf("provider %s has no API key: set the environment variable %s", r.Provider.Name, r.Provider.Unset)
	}
	if r.Provider.BaseURL == "" {
		return nil, fmt.Errorf("provider %s has no base_url, so there is nothing to record", r.Provider.Name)
	}
	if !r.Provider.APIKey.IsZero() {
		r.secret = r.Provider.APIKey.Reveal()
	}
	var err error
	r.module, err = module(r.Provider.Plugin)
	return r, err
}

// Run sends the request in body and returns the transcript of the exchange. With streamed,
// it asks for a stream unless the request says what it wants. Neither the transcript nor
// the error contains the provider's secret.
func (r *Recording) Run(ctx context.Context, body []byte, streamed bool) ([]byte, error) {
	text, err := r.run(ctx, body, streamed)
	if _, wrong := errors.AsType[*UsageError](err); err != nil && ctx.Err() == nil && !wrong {
		err = errors.New(r.conceal(clientText(err)))
	}
	return text, err
}

func (r *Recording) run(ctx context.Context, body []byte, streamed bool) ([]byte, error) {
	if streamed {
		body = withStream(body)
	}
	asked, err := chat.ParseRequest(body)
	if err != nil {
		return nil, wrongUsage("the request on standard input: %s", r.conceal(clientText(err)))
	}
	client, err := r.client()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	t, err := conform.Record(ctx, conform.RecordOptions{
		Module: r.module, Options: r.Model.Options, Request: asked.Body(r.Model.Model), CacheDir: wasm.DefaultCacheDir(),
		Send: func(ctx context.Context, framing abi.Framing, head, body []byte) (conform.Answer, error) {
			return r.send(ctx, client, upstream.Request{Head: head, Body: body, Framing: framing})
		},
	})
	if err != nil {
		return nil, err
	}
	t.Comment = fmt.Sprintf("Recorded from %s on %s.\n", hostOf(r.Provider.BaseURL), time.Now().UTC().Format(time.DateOnly))
	if r.broken != nil {
		why := strings.Join(strings.Fields(r.conceal(clientText(r.broken))), " ")
		t.Comment += "The answer broke off: " + why + ".\n"
		r.Note(fmt.Sprintf("the answer broke off: %s; the transcript has what came, and replays the break (%s: %s)", why, transcript.EndHeader, transcript.EndCut))
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

// client returns a client for the provider, with all the rules and limits of the gateway.
func (r *Recording) client() (*upstream.Client, error) {
	p := r.Provider
	o := upstream.Options{
		Provider: p.Name, BaseURL: p.BaseURL, Proxy: p.Proxy,
		Connect: time.Duration(p.Timeouts.Connect), FirstByte: time.Duration(p.Timeouts.FirstByte), Idle: time.Duration(p.Timeouts.Idle),
	}
	if r.Timeout > 0 {
		o.Connect, o.FirstByte, o.Idle = r.Timeout, r.Timeout, r.Timeout
	}
	d, err := modfile.Inspect(r.module)
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

// quietWait is how long Run waits for a silent upstream before it says so.
const quietWait = 5 * time.Second

// send sends a request to the provider. It reads the answer in one piece, so that the
// transcript has its bytes as they came, including comments.
func (r *Recording) send(ctx context.Context, client *upstream.Client, what upstream.Request) (conform.Answer, error) {
	var told sync.WaitGroup
	told.Add(1)
	notice := time.AfterFunc(quietWait, func() {
		defer told.Done()
		r.Note(fmt.Sprintf("waiting for the answer of provider %s at %s; Ctrl-C ends it, --timeout 10s gives up by itself", r.Provider.Name, hostOf(r.Provider.BaseURL)))
	})
	t, err := client.Record(ctx, what)
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

// withoutHalfASecret replaces the beginning of the secret at the end of a body that broke
// off within it.
func (r *Recording) withoutHalfASecret(body []byte) []byte {
	const tells = 8 // bytes; fewer may well be something else
	for _, form := range r.secretForms() {
		for n := len(form) - 1; n >= tells; n-- {
			if bytes.HasSuffix(body, []byte(form[:n])) {
				return append(body[:len(body)-n:len(body)-n], "[redacted]"...)
			}
		}
	}
	return body
}

// expecting writes into a transcript what the adapter makes of the exchange.
func (r *Recording) expecting(ctx context.Context, text []byte) ([]byte, error) {
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
	// "kai plugin test" reports everything else that the kit finds.
	for _, f := range report.Results[0].Failures {
		if f.Check == conform.FramingCheck {
			r.Note("warning: " + f.Text)
		}
	}
	return os.ReadFile(file)
}

// conceal replaces the secret in text: as it is, as the inside of a JSON string, and in
// hexadecimal. This is for what the author wrote. Package upstream has already replaced it
// in what the provider answered, in the forms in which servers repeat keys.
func (r *Recording) conceal(text string) string {
	for _, form := range r.secretForms() {
		text = strings.ReplaceAll(text, form, "[redacted]")
	}
	return text
}

func (r *Recording) secretForms() []string {
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

// inPieces reports whether a transcript has the secret in pieces, as if a model that knows
// it had said it: a word or less in each event.
func (r *Recording) inPieces(text []byte) bool {
	t, err := transcript.Parse(text)
	if err != nil {
		return false
	}
	said := map[string]string{} // texts, by what comes before the text in a line: "TEXT 0 "
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

// hostOf returns only the host of an upstream's URL.
func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return "an upstream"
	}
	return u.Host
}
