package host_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/respjson"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/shared"

	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// The tests of this file use the gateway as programs written for OpenAI do:
// with OpenAI's own client, of which only the base URL is changed.

// newOpenAI gives a client that repeats nothing unless opts say otherwise.
func newOpenAI(g *gateway, opts ...option.RequestOption) openai.Client {
	return openai.NewClient(append([]option.RequestOption{
		option.WithBaseURL(g.URL + "/v1"), option.WithAPIKey("not-needed"), option.WithMaxRetries(0),
	}, opts...)...)
}

// say is a request with one message of the user.
func say(model, text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:    model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)},
	}
}

// recordings stands in for the providers: it answers a request for the model
// "openrouter/stream-ok" as the transcript of that name does.
type recordings struct{ *mock.Upstream }

// got gives the bodies of the requests for a model, which must be n.
func (r recordings) got(t *testing.T, model string, n int) (bodies []string) {
	t.Helper()
	for _, asked := range r.Requests() {
		if modelOf(t, asked.Body) == model {
			bodies = append(bodies, asked.Body)
		}
	}
	if len(bodies) != n {
		t.Fatalf("the upstream got %d requests for %s, want %d", len(bodies), model, n)
	}
	return bodies
}

func modelOf(t *testing.T, body string) string {
	t.Helper()
	var asked struct{ Model string }
	if err := json.Unmarshal([]byte(body), &asked); err != nil {
		t.Errorf("the upstream got %q: %v", body, err)
	}
	return asked.Model
}

// newRecordings gives a gateway whose models are demo and the transcripts.
func newRecordings(t *testing.T) (*gateway, recordings) {
	t.Helper()
	up := mock.Start(t, func(x *mock.Exchange) {
		tr := readRecorded(t, "../testdata/transcripts/"+modelOf(t, x.Body)+".txtar")
		play(tr.Responses()[0], cutters["whole"]())(x)
	})
	var yaml strings.Builder
	fmt.Fprintf(&yaml, "providers: {ollama: {base_url: %q}, openrouter: {base_url: %q, api_key: sk-upstream}}\n", up.URL, up.URL)
	yaml.WriteString("model_mapping:\n  demo: {provider: demo, model: demo}\n")
	for _, plugin := range []string{"ollama", "openrouter"} {
		for _, file := range transcripts(t, plugin) {
			model := plugin + "/" + strings.TrimSuffix(filepath.Base(file), ".txtar")
			fmt.Fprintf(&yaml, "  %s: {provider: %s, model: %s}\n", model, plugin, model)
		}
	}
	return newGateway(t, yaml.String()), recordings{up}
}

// oneProvider configures a plugin with an upstream at url; the model is "live".
func oneProvider(plugin, url string) string {
	return fmt.Sprintf("providers: {up: {plugin: %s, base_url: %q}}\n"+
		"model_mapping: {live: {provider: up, model: upstream/model}}\n", plugin, url)
}

// absent lists the fields that OpenAI's API always sends and a decoded answer
// lacks. null counts as sent.
func absent(answer any) []string { return absentIn(reflect.ValueOf(answer), "") }

func absentIn(v reflect.Value, path string) (missing []string) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			missing = append(missing, absentIn(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
	case reflect.Struct:
		sent := v.FieldByName("JSON")
		if !sent.IsValid() {
			return nil
		}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			meta := sent.FieldByName(field.Name)
			if !meta.IsValid() {
				continue
			}
			name := path + "." + field.Tag.Get("json")
			switch raw := meta.Interface().(respjson.Field).Raw(); {
			// Constants such as object have no mark, only a default.
			case raw == "" && (field.Tag.Get("api") == "required" || field.Tag.Get("default") != ""):
				missing = append(missing, name)
			case raw != "" && raw != "null":
				missing = append(missing, absentIn(v.Field(i), name)...)
			}
		}
	}
	return missing
}

// checkHead checks what every answer and every chunk says of itself.
func checkHead(t *testing.T, id, object, model string, created int64, wantObject, wantModel string) {
	t.Helper()
	if !strings.HasPrefix(id, "chatcmpl-") || object != wantObject || model != wantModel || created != testkit.Time.Unix() {
		t.Errorf("id %q, object %q, model %q, created %d; want chatcmpl-…, %q, %q, %d", id, object, model, created, wantObject, wantModel, testkit.Time.Unix())
	}
}

// ask sends a request and checks the form of the answer.
func ask(t *testing.T, c openai.Client, p openai.ChatCompletionNewParams) *openai.ChatCompletion {
	t.Helper()
	answer, err := c.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if missing := absent(*answer); missing != nil {
		t.Errorf("the answer lacks %v: %s", missing, answer.RawJSON())
	}
	checkHead(t, answer.ID, string(answer.Object), answer.Model, answer.Created, "chat.completion", p.Model)
	if !answer.JSON.Usage.Valid() || answer.Usage.PromptTokens <= 0 ||
		answer.Usage.TotalTokens != answer.Usage.PromptTokens+answer.Usage.CompletionTokens {
		t.Errorf("usage %s", answer.Usage.RawJSON())
	}
	return answer
}

// askStreamed sends a request for a stream, checks the form of its chunks, and
// gives what OpenAI's accumulator makes of them.
func askStreamed(t *testing.T, c openai.Client, p openai.ChatCompletionNewParams) (*openai.ChatCompletion, []openai.ChatCompletionChunk) {
	t.Helper()
	stream := c.Chat.Completions.NewStreaming(t.Context(), p)
	defer stream.Close()
	var all openai.ChatCompletionAccumulator
	var chunks []openai.ChatCompletionChunk
	for stream.Next() {
		chunk := stream.Current()
		if missing := absent(chunk); missing != nil {
			t.Errorf("a chunk lacks %v: %s", missing, chunk.RawJSON())
		}
		checkHead(t, chunk.ID, string(chunk.Object), chunk.Model, chunk.Created, "chat.completion.chunk", p.Model)
		if len(chunks) > 0 && chunk.ID != chunks[0].ID {
			t.Errorf("the id changed from %q to %q", chunks[0].ID, chunk.ID)
		}
		if !all.AddChunk(chunk) {
			t.Errorf("the accumulator refused %s", chunk.RawJSON())
		}
		chunks = append(chunks, chunk)
	}
	if err := stream.Err(); err != nil {
		t.Fatalf("after %d chunks: %v", len(chunks), err)
	}
	if len(chunks) == 0 {
		t.Fatal("no chunks")
	}
	for _, choice := range all.Choices {
		if choice.FinishReason == "" {
			t.Errorf("choice %d never finished", choice.Index)
		}
	}
	return &all.ChatCompletion, chunks
}

func TestOpenAIClientChats(t *testing.T) {
	g, _ := newRecordings(t)
	c := newOpenAI(g)
	for model, want := range map[string]string{ // how the answer begins
		"demo":                    "This is Kai",
		"ollama/chat-nonstream":   "Hello! I am a tiny test model.",
		"openrouter/nonstream-ok": "Hello! How can I assist you today?",
	} {
		t.Run(model, func(t *testing.T) {
			choice := ask(t, c, say(model, "Hello!")).Choices[0]
			if !strings.HasPrefix(choice.Message.Content, want) || choice.FinishReason != "stop" || choice.Message.Role != "assistant" {
				t.Errorf("the choice is %s", choice.RawJSON())
			}
			if raw := choice.Message.JSON.Refusal.Raw(); raw != "null" {
				t.Errorf("refusal is %q, want null", raw)
			}
		})
	}
}

func TestOpenAIClientStreams(t *testing.T) {
	g, _ := newRecordings(t)
	c := newOpenAI(g)
	for model, want := range map[string]struct{ begin, finish string }{
		"demo":                           {"This is Kai", "stop"},
		"ollama/chat-stream":             {"Hello! I am a tiny test model.", "stop"},
		"ollama/v0.33.0-rc2-chat-stream": {"Hello! I am", "length"},
		"openrouter/stream-ok":           {"Hello, how are you?", "stop"},
		"openrouter/stream-comments":     {"Hello", "stop"},
	} {
		t.Run(model, func(t *testing.T) {
			answer, chunks := askStreamed(t, c, say(model, "Hello!"))
			choice := answer.Choices[0]
			if !strings.HasPrefix(choice.Message.Content, want.begin) || choice.FinishReason != want.finish {
				t.Errorf("%q, finished with %q", choice.Message.Content, choice.FinishReason)
			}
			if len(chunks) < 4 || chunks[0].Choices[0].Delta.Role != "assistant" {
				t.Errorf("%d chunks, the first is %s", len(chunks), chunks[0].RawJSON())
			}
			for _, chunk := range chunks {
				if chunk.JSON.Usage.Raw() != "" {
					t.Errorf("usage that nobody asked for: %s", chunk.RawJSON())
				}
			}
			if model != "demo" {
				return
			}
			if whole := ask(t, c, say(model, "Hello!")); whole.Choices[0].Message.Content != choice.Message.Content {
				t.Errorf("streamed %q, whole %q", choice.Message.Content, whole.Choices[0].Message.Content)
			}
		})
	}
}

func TestOpenAIClientMetersStreams(t *testing.T) {
	g, _ := newRecordings(t)
	c := newOpenAI(g)
	for _, model := range []string{"demo", "ollama/chat-stream", "openrouter/stream-ok", "openrouter/stream-usage-empty-choices"} {
		t.Run(model, func(t *testing.T) {
			p := say(model, "Hello!")
			p.StreamOptions.IncludeUsage = openai.Bool(true)
			answer, chunks := askStreamed(t, c, p)
			for i, chunk := range chunks {
				if last := i == len(chunks)-1; chunk.JSON.Usage.Valid() != last || (len(chunk.Choices) == 0) != last || chunk.JSON.Usage.Raw() == "" {
					t.Errorf("chunk %d of %d: %s", i, len(chunks), chunk.RawJSON())
				}
			}
			if u := answer.Usage; u.PromptTokens <= 0 || u.CompletionTokens <= 0 || u.TotalTokens != u.PromptTokens+u.CompletionTokens {
				t.Errorf("usage %+v", u)
			}
		})
	}
}

var weatherTools = []openai.ChatCompletionToolUnionParam{
	function("get_weather", "city"), function("get_time", "zone"),
}

// function is a tool with one parameter, a string.
func function(name, parameter string) openai.ChatCompletionToolUnionParam {
	return openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name: name,
		Parameters: shared.FunctionParameters{
			"type":       "object",
			"properties": map[string]any{parameter: map[string]any{"type": "string"}},
			"required":   []string{parameter},
		},
	})
}

// checkCalls checks the tool calls of an answer: their functions, in order, that
// their arguments are JSON objects, and that ids are unique.
func checkCalls(t *testing.T, choice openai.ChatCompletionChoice, want ...string) {
	t.Helper()
	if choice.FinishReason != "tool_calls" {
		t.Errorf("finish_reason is %q", choice.FinishReason)
	}
	var got []string
	ids := map[string]bool{}
	for _, call := range choice.Message.ToolCalls {
		got = append(got, call.Function.Name)
		ids[call.ID] = true
		var arguments map[string]string
		if err := json.Unmarshal([]byte(call.Function.Arguments), &arguments); err != nil || len(arguments) != 1 || call.Type != "function" || call.ID == "" {
			t.Errorf("tool call %+v: %v", call, err)
		}
	}
	if !slices.Equal(got, want) || len(ids) != len(want) {
		t.Errorf("calls of %v with %d ids, want %v", got, len(ids), want)
	}
}

func TestOpenAIClientCallsTools(t *testing.T) {
	g, _ := newRecordings(t)
	c := newOpenAI(g)
	weather, both := []string{"get_weather"}, []string{"get_weather", "get_time"}
	twice := []string{"get_weather", "get_weather"}
	for name, tc := range map[string]struct {
		whole, streamed         string // models
		text                    string
		wantWhole, wantStreamed []string
	}{
		"demo":                    {"demo", "demo", "What is the weather in Oslo?", weather, weather},
		"demo in parallel":        {"demo", "demo", "The weather and the time in Oslo?", both, both},
		"ollama":                  {"ollama/chat-tools-nonstream", "ollama/chat-tools-stream", "Oslo?", both, both},
		"openrouter":              {"openrouter/nonstream-tools", "openrouter/stream-tools", "Oslo?", weather, twice},
		"openrouter, without ids": {"openrouter/nonstream-tools", "openrouter/stream-tools-no-id", "Oslo?", weather, twice},
	} {
		t.Run(name, func(t *testing.T) {
			p := say(tc.whole, tc.text)
			p.Tools = weatherTools
			whole := ask(t, c, p).Choices[0]
			checkCalls(t, whole, tc.wantWhole...)
			if raw := whole.Message.JSON.Content.Raw(); raw != "null" {
				t.Errorf("content is %q, want null", raw)
			}
			p.Model = tc.streamed
			answer, chunks := askStreamed(t, c, p)
			checkCalls(t, answer.Choices[0], tc.wantStreamed...)
			checkCallDeltas(t, chunks)
		})
	}
}

// checkCallDeltas checks that the first delta of a tool call names it and that
// later ones leave out what they do not change.
func checkCallDeltas(t *testing.T, chunks []openai.ChatCompletionChunk) {
	t.Helper()
	seen := map[int64]bool{}
	for _, chunk := range chunks {
		for _, choice := range chunk.Choices {
			for _, call := range choice.Delta.ToolCalls {
				first := !seen[call.Index]
				seen[call.Index] = true
				if sent := call.JSON.ID.Valid() && call.JSON.Type.Valid() && call.Function.JSON.Name.Valid(); sent != first || !call.Function.JSON.Arguments.Valid() {
					t.Errorf("a delta of tool call %d (the first: %v) is %s", call.Index, first, call.RawJSON())
				}
				if strings.Contains(call.RawJSON(), "null") {
					t.Errorf("null in a delta of a tool call: %s", call.RawJSON())
				}
			}
		}
	}
}

// TestOpenAIClientAnswersTools sends the assistant's message back with what the
// tools gave, as every program with tools does.
func TestOpenAIClientAnswersTools(t *testing.T) {
	g, up := newRecordings(t)
	c := newOpenAI(g)
	p := say("demo", "The weather and the time in Oslo?")
	p.Tools = weatherTools
	asked := ask(t, c, p).Choices[0].Message
	p.Messages = append(p.Messages, asked.ToParam())
	for _, call := range asked.ToolCalls {
		p.Messages = append(p.Messages, openai.ToolMessage("result of "+call.Function.Name, call.ID))
	}
	for _, content := range []string{
		ask(t, c, p).Choices[0].Message.Content,
		func() string { a, _ := askStreamed(t, c, p); return a.Choices[0].Message.Content }(),
	} {
		for _, call := range asked.ToolCalls {
			if !strings.Contains(content, "result of "+call.Function.Name) {
				t.Errorf("%q does not use the result of %s", content, call.Function.Name)
			}
		}
	}

	// What is sent back reaches the upstream as the client wrote it.
	p.Model = "openrouter/nonstream-ok"
	ask(t, c, p)
	var sent struct {
		Messages []struct {
			Role       string
			ToolCalls  []struct{ ID string } `json:"tool_calls"`
			ToolCallID string                `json:"tool_call_id"`
		}
	}
	body := up.got(t, p.Model, 1)[0]
	if err := json.Unmarshal([]byte(body), &sent); err != nil || len(sent.Messages) != 4 {
		t.Fatalf("the upstream got %s (%v)", body, err)
	}
	for i, call := range sent.Messages[1].ToolCalls {
		if call.ID != asked.ToolCalls[i].ID || sent.Messages[2+i].ToolCallID != call.ID {
			t.Errorf("the upstream got %s", body)
		}
	}
}

func TestOpenAIClientGetsStructuredOutput(t *testing.T) {
	type event struct {
		Name         string
		Day          string
		Participants []string
	}
	schema := map[string]any{
		"type": "object",
		"properties": map[string]any{
			"name":         map[string]any{"type": "string"},
			"day":          map[string]any{"type": "string", "enum": []string{"monday", "friday"}},
			"participants": map[string]any{"type": "array", "items": map[string]any{"type": "string"}},
		},
		"required":             []string{"name", "day", "participants"},
		"additionalProperties": false,
	}
	var strict, object openai.ChatCompletionNewParamsResponseFormatUnion
	strict.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{
		JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "event", Strict: openai.Bool(true), Schema: schema},
	}
	object.OfJSONObject = &shared.ResponseFormatJSONObjectParam{}

	g, up := newRecordings(t)
	c := newOpenAI(g)
	t.Run("demo", func(t *testing.T) {
		p := say("demo", "Alice and Bob meet on Friday.")
		p.ResponseFormat = strict
		streamed, _ := askStreamed(t, c, p)
		for _, content := range []string{ask(t, c, p).Choices[0].Message.Content, streamed.Choices[0].Message.Content} {
			var got event
			if err := json.Unmarshal([]byte(content), &got); err != nil || got.Name == "" || got.Day == "" || got.Participants == nil {
				t.Errorf("%q is no event: %v", content, err)
			}
		}
		p.ResponseFormat = object
		if content := ask(t, c, p).Choices[0].Message.Content; !json.Valid([]byte(content)) || content[0] != '{' {
			t.Errorf("%q is no JSON object", content)
		}
	})
	for model, want := range map[string][2]string{
		"ollama/chat-format-schema": {`"format":{"additionalProperties":false,`, `"format":"json"`},
		"openrouter/nonstream-ok":   {`"response_format":{"json_schema":{"name":"event","strict":true,"schema":{`, `"response_format":{"type":"json_object"}`},
	} {
		t.Run(model, func(t *testing.T) {
			p := say(model, "Alice and Bob meet on Friday.")
			p.ResponseFormat = strict
			ask(t, c, p)
			p.ResponseFormat = object
			ask(t, c, p)
			for i, body := range up.got(t, model, 2) {
				if !strings.Contains(body, want[i]) {
					t.Errorf("the upstream got %s without %s", body, want[i])
				}
			}
		})
	}
}

func TestOpenAIClientSendsImages(t *testing.T) {
	image := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("an image ", 1000)))
	g, up := newRecordings(t)
	for model, want := range map[string]string{
		"ollama/chat-nonstream":   `"images":["` + image + `"]`,
		"openrouter/nonstream-ok": `{"image_url":{"url":"data:image/png;base64,` + image + `"},"type":"image_url"}`,
	} {
		t.Run(model, func(t *testing.T) {
			p := say(model, "")
			p.Messages = []openai.ChatCompletionMessageParamUnion{openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
				openai.TextContentPart("What is this?"),
				openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: "data:image/png;base64," + image}),
			})}
			ask(t, newOpenAI(g), p)
			if body := up.got(t, model, 1)[0]; !strings.Contains(body, want) {
				t.Errorf("the upstream got %.300s…, without the image", body)
			}
		})
	}
}

func TestOpenAIClientSeesReasoning(t *testing.T) {
	extra := func(fields map[string]respjson.Field, name string) (s string) {
		json.Unmarshal([]byte(fields[name].Raw()), &s)
		return s
	}
	g, _ := newRecordings(t)
	c := newOpenAI(g)
	for name, tc := range map[string]struct{ whole, streamed, want string }{
		"ollama":     {"ollama/chat-think-true-nonstream", "ollama/chat-think-default-stream", "The user says something, so I will greet them.\n\n"},
		"openrouter": {"openrouter/nonstream-reasoning", "openrouter/stream-reasoning", "Compare the decimals."},
	} {
		t.Run(name, func(t *testing.T) {
			message := ask(t, c, say(tc.whole, "Think!")).Choices[0].Message
			answer, chunks := askStreamed(t, c, say(tc.streamed, "Think!"))
			if answer.Choices[0].Message.Content == "" {
				t.Error("the streamed answer has no content beside its reasoning")
			}
			for _, field := range []string{"reasoning_content", "reasoning"} {
				if got := extra(message.JSON.ExtraFields, field); got != tc.want {
					t.Errorf("%s of the message is %q, want %q", field, got, tc.want)
				}
				streamed := ""
				for _, chunk := range chunks {
					for _, choice := range chunk.Choices {
						streamed += extra(choice.Delta.JSON.ExtraFields, field)
					}
				}
				if streamed != tc.want {
					t.Errorf("%s of the stream is %q, want %q", field, streamed, tc.want)
				}
			}
		})
	}
}

// apiError gives the typed error that an SDK makes of an answer.
func apiError(t *testing.T, err error) *openai.Error {
	t.Helper()
	var e *openai.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v (%T) is no API error", err, err)
	}
	if missing := absent(*e); missing != nil {
		t.Errorf("the error lacks %v: %s", missing, e.RawJSON())
	}
	if e.Message == "" || e.Response.Header.Get("x-request-id") == "" {
		t.Errorf("an error without a message or a request id: %s", e.RawJSON())
	}
	return e
}

func TestOpenAIClientGetsTypedErrors(t *testing.T) {
	g, _ := newRecordings(t)
	c := newOpenAI(g)
	hello := func(model string) openai.ChatCompletionNewParams { return say(model, "Hello!") }
	tooWarm, silent := hello("demo"), hello("demo")
	tooWarm.Temperature = openai.Float(5)
	silent.Messages = []openai.ChatCompletionMessageParamUnion{}
	for name, tc := range map[string]struct {
		ask               openai.ChatCompletionNewParams
		status            int
		kind, code, param string
		message           string // part of it
		retry             string // x-should-retry
		wait              string // retry-after
	}{
		"parameter":           {ask: tooWarm, status: 400, kind: "invalid_request_error", param: "temperature", message: "from 0 to 2", retry: "false"},
		"unknown model":       {ask: hello("nope"), status: 400, kind: "invalid_request_error", message: "Model 'nope' not found in configuration", retry: "false"},
		"no messages":         {ask: silent, status: 400, kind: "invalid_request_error", param: "messages", retry: "false"},
		"refused upstream":    {ask: hello("openrouter/error-400"), status: 400, kind: "invalid_request_error", retry: "false"},
		"no credentials":      {ask: hello("openrouter/error-401"), status: 502, kind: "server_error", code: "upstream_auth", retry: "false"},
		"no money":            {ask: hello("openrouter/error-402"), status: 502, kind: "server_error", code: "insufficient_quota", retry: "false"},
		"no such model there": {ask: hello("ollama/chat-unknown-model"), status: 404, kind: "not_found_error", code: "model_not_found", param: "model", message: "ollama pull", retry: "false"},
		"too often":           {ask: hello("openrouter/error-429-upstream"), status: 429, kind: "rate_limit_error", code: "rate_limit_exceeded", wait: "18"},
		"broken upstream":     {ask: hello("openrouter/error-502"), status: 502, kind: "server_error", code: "upstream_error"},
		"error inside a 200":  {ask: hello("openrouter/nonstream-200-error-429"), status: 429, kind: "rate_limit_error", code: "rate_limit_exceeded", wait: "4"},
		"truncated answer":    {ask: hello("ollama/answer-truncated"), status: 502, kind: "server_error", code: "upstream_error"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Chat.Completions.New(t.Context(), tc.ask)
			stream := c.Chat.Completions.NewStreaming(t.Context(), tc.ask)
			for stream.Next() {
				t.Errorf("a chunk: %s", stream.Current().RawJSON())
			}
			for how, err := range map[string]error{"whole": err, "streamed": stream.Err()} {
				e := apiError(t, err)
				if e.StatusCode != tc.status || e.Type != tc.kind || e.Code != tc.code || e.Param != tc.param || !strings.Contains(e.Message, tc.message) {
					t.Errorf("%s: status %d, %s", how, e.StatusCode, e.RawJSON())
				}
				if got := e.Response.Header.Get("x-should-retry"); got != tc.retry {
					t.Errorf("%s: x-should-retry is %q, want %q", how, got, tc.retry)
				}
				if got := e.Response.Header.Get("retry-after"); got != tc.wait {
					t.Errorf("%s: retry-after is %q, want %q", how, got, tc.wait)
				}
			}
		})
	}
}

// TestOpenAIClientGetsErrorsWithinStreams: the head was sent, so the error comes
// as an event, and what was said before it is the client's.
func TestOpenAIClientGetsErrorsWithinStreams(t *testing.T) {
	g, _ := newRecordings(t)
	c := newOpenAI(g)
	for model, want := range map[string]string{
		"openrouter/midstream-error":     "Rate limit exceeded",
		"openrouter/stream-cut":          "upstream_error",
		"ollama/midstream-error-chat":    "upstream_error",
		"ollama/server-killed-midstream": "upstream_error",
	} {
		t.Run(model, func(t *testing.T) {
			stream := c.Chat.Completions.NewStreaming(t.Context(), say(model, "Hello!"))
			text := ""
			for stream.Next() {
				if chunk := stream.Current(); len(chunk.Choices) > 0 {
					text += chunk.Choices[0].Delta.Content
				}
			}
			var e *ssestream.StreamError
			if !errors.As(stream.Err(), &e) || !strings.Contains(e.Message, want) {
				t.Errorf("the stream ended with %v", stream.Err())
			}
			if text == "" {
				t.Error("the text before the error is lost")
			}
		})
	}
}

func TestOpenAIClientRepeatsOnlyWhatHelps(t *testing.T) {
	g, up := newRecordings(t)
	c := newOpenAI(g, option.WithMaxRetries(1))
	for model, want := range map[string]int{ // requests to the upstream
		"openrouter/error-502": 2,
		"openrouter/error-401": 1,
		"openrouter/error-402": 1,
		"openrouter/error-400": 1,
	} {
		t.Run(model, func(t *testing.T) {
			if _, err := c.Chat.Completions.New(t.Context(), say(model, "Hello!")); err == nil {
				t.Error("no error")
			}
			up.got(t, model, want)
		})
	}
}

// TestOpenAIClientWaitsThroughComments: a slow model's stream begins with a
// comment, which clients have to take for nothing.
func TestOpenAIClientWaitsThroughComments(t *testing.T) {
	proceed := make(chan struct{})
	up := mock.Start(t, mock.Steps(mock.SSE(), mock.Wait(proceed),
		mock.Send(`data: {"choices":[{"index":0,"delta":{"content":"late"},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")))
	g := newGateway(t, "server: {stream_head_wait: 1ms}\n"+oneProvider("openrouter", up.URL))
	c := newOpenAI(g)
	stream := c.Chat.Completions.NewStreaming(t.Context(), say("live", "Hello!"))
	close(proceed) // the head has come, and with it the comment
	text := ""
	for stream.Next() {
		text += stream.Current().Choices[0].Delta.Content
	}
	if text != "late" || stream.Err() != nil {
		t.Errorf("%q, %v", text, stream.Err())
	}
}

// TestOpenAIClientHangsUp: what the client no longer waits for, the upstream
// need not produce.
func TestOpenAIClientHangsUp(t *testing.T) {
	for name, tc := range map[string]struct {
		plugin string
		begin  mock.Answer
		chat   func(context.Context, openai.Client) error
	}{
		"within an OpenRouter stream": {
			plugin: "openrouter",
			begin:  mock.SSE(`data: {"choices":[{"index":0,"delta":{"content":"word "}}]}` + "\n\n"),
			chat:   readOneChunk,
		},
		"within an Ollama stream": {
			plugin: "ollama",
			begin:  mock.NDJSON(line("word ")),
			chat:   readOneChunk,
		},
		"before the answer, at its timeout": {
			plugin: "openrouter",
			begin:  mock.Steps(),
			chat: func(ctx context.Context, c openai.Client) error {
				_, err := c.Chat.Completions.New(ctx, say("live", "Hello!"), option.WithRequestTimeout(time.Second))
				if !errors.Is(err, context.DeadlineExceeded) {
					return fmt.Errorf("ended with %v", err)
				}
				return nil
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			gone := make(chan struct{})
			up := mock.Start(t, mock.Steps(tc.begin, mock.Hang, func(*mock.Exchange) { close(gone) }))
			g := newGateway(t, oneProvider(tc.plugin, up.URL))
			if err := tc.chat(t.Context(), newOpenAI(g)); err != nil {
				t.Error(err)
			}
			select {
			case <-gone:
			case <-time.After(time.Minute):
				t.Error("the upstream is still asked")
			}
		})
	}
}

func readOneChunk(ctx context.Context, c openai.Client) error {
	stream := c.Chat.Completions.NewStreaming(ctx, say("live", "Hello!"))
	if !stream.Next() {
		return fmt.Errorf("no chunk: %w", stream.Err())
	}
	return stream.Close()
}

func TestOpenAIClientListsModels(t *testing.T) {
	g := newGateway(t, "model_mapping:\n  zebra: {provider: demo, model: demo}\n  a/b c: {provider: demo, model: demo}\n  demo: {provider: demo, model: demo}\n")
	c := newOpenAI(g)
	want := []string{"zebra", "a/b c", "demo"}
	var got []string
	for all := c.Models.ListAutoPaging(t.Context()); ; {
		if !all.Next() {
			if err := all.Err(); err != nil {
				t.Fatal(err)
			}
			break
		}
		m := all.Current()
		got = append(got, m.ID)
		if missing := absent(m); missing != nil || m.Object != "model" || m.OwnedBy != "kai" {
			t.Errorf("the model %s lacks %v", m.RawJSON(), missing)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the models are %q, want %q", got, want)
	}
	for _, id := range want {
		m, err := c.Models.Get(t.Context(), id)
		if err != nil || m.ID != id {
			t.Errorf("the model %q: %v, %v", id, m, err)
		}
	}
	_, err := c.Models.Get(t.Context(), "gpt-9")
	if e := apiError(t, err); e.StatusCode != 404 || e.Type != "not_found_error" || e.Code != "model_not_found" {
		t.Errorf("an unknown model: status %d, %s", e.StatusCode, e.RawJSON())
	}
	vectors, err := c.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: "demo", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"x", "y"}}})
	if err != nil || len(vectors.Data) != 2 || len(vectors.Data[1].Embedding) != 8 || vectors.Data[1].Index != 1 || vectors.Model != "demo" {
		t.Errorf("embeddings: %+v, %v", vectors, err)
	}
}

func TestOpenAIClientAuthenticates(t *testing.T) {
	g := newGateway(t, `
auth: {enabled: true, api_keys: ["sk-everything", {name: guest, key: "sk-guest", models: [demo]}]}
model_mapping:
  demo: {provider: demo, model: demo}
  other: {provider: demo, model: demo}
`)
	for name, tc := range map[string]struct {
		key    string
		models []string // nil: 401
		other  int      // the status of a chat with the model other
	}{
		"a key for everything": {"sk-everything", []string{"demo", "other"}, 200},
		"a key for one model":  {"sk-guest", []string{"demo"}, 403},
		"a wrong key":          {"sk-wrong", nil, 401},
	} {
		t.Run(name, func(t *testing.T) {
			c := newOpenAI(g, option.WithAPIKey(tc.key))
			list, err := c.Models.List(t.Context())
			_, other := c.Chat.Completions.New(t.Context(), say("other", "Hello!"))
			if tc.models == nil {
				for _, err := range []error{err, other} {
					if e := apiError(t, err); e.StatusCode != 401 || e.Type != "authentication_error" || e.Code != "invalid_api_key" {
						t.Errorf("status %d, %s", e.StatusCode, e.RawJSON())
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range list.Data {
				got = append(got, m.ID)
			}
			if !slices.Equal(got, tc.models) {
				t.Errorf("the models are %v, want %v", got, tc.models)
			}
			ask(t, c, say("demo", "Hello!"))
			if status := 200; other != nil {
				if status = apiError(t, other).StatusCode; status != tc.other {
					t.Errorf("the other model answers %d, want %d", status, tc.other)
				}
			} else if tc.other != 200 {
				t.Errorf("the other model answers, want %d", tc.other)
			}
		})
	}
}
