package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"
)

// newTranslator returns a server of OpenAI's streamed chat completions from Ollama, as one
// writes it in an afternoon: structs, encoding/json, a scanner. It knows only text. Of
// Ollama's vectors it makes base64, in a plain loop of ParseFloat. The part of a request's
// path before /v1 is the path of the upstream's API.
func newTranslator(base string) http.Handler {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 512
	t.MaxIdleConns = 0
	t.Proxy = nil
	client := &http.Client{Transport: t}

	mux := http.NewServeMux()
	mux.HandleFunc("POST /ndjson/{chunks}/{every}/v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		var asked openAIRequest
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body, err := json.Marshal(ollamaRequest{
			Model: asked.Model, Messages: asked.Messages, Stream: true,
			Options: ollamaOptions{Temperature: asked.Temperature, NumPredict: asked.MaxTokens},
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		path := "/ndjson/" + r.PathValue("chunks") + "/" + r.PathValue("every") + "/api/chat"
		req, err := http.NewRequestWithContext(r.Context(), "POST", base+path, bytes.NewReader(body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := client.Do(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		translate(w, res, asked.Model)
	})
	mux.HandleFunc("POST "+vectorsPath+embeddingsPath, func(w http.ResponseWriter, r *http.Request) {
		res, err := client.Post(base+vectorsPath+"/api/embed", "application/json", r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		pack(w, res)
	})
	return mux
}

// pack writes the vectors of an answer of Ollama as OpenAI's base64. It looks at nothing
// else and checks nothing.
func pack(w http.ResponseWriter, res *http.Response) {
	body, err := io.ReadAll(res.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	out := []byte(`{"object":"list","model":"embeddings","data":[`)
	_, rest, _ := bytes.Cut(body, []byte("[["))
	list, _, _ := bytes.Cut(rest, []byte("]]"))
	var packed []byte
	n := 0
	for vector := range bytes.SplitSeq(list, []byte("],[")) {
		packed = packed[:0]
		for number := range bytes.SplitSeq(vector, []byte(",")) {
			x, err := strconv.ParseFloat(string(number), 32)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(float32(x)))
		}
		if n > 0 {
			out = append(out, ',')
		}
		out = fmt.Appendf(out, `{"object":"embedding","index":%d,"embedding":"`, n)
		out = append(base64.StdEncoding.AppendEncode(out, packed), `"}`...)
		n++
	}
	out = fmt.Appendf(out, `],"usage":{"prompt_tokens":%d,"total_tokens":%[1]d}}`, n)
	w.Header().Set("Content-Type", "application/json")
	w.Write(out)
}

func translate(w http.ResponseWriter, res *http.Response, model string) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	rc := http.NewResponseController(w)
	id, created := fmt.Sprintf("chatcmpl-%d", time.Now().UnixNano()), time.Now().Unix()
	send := func(delta openAIDelta, reason *string) error {
		event, err := json.Marshal(openAIChunk{
			ID: id, Object: "chat.completion.chunk", Created: created, Model: model,
			Choices: []openAIChoice{{Delta: delta, FinishReason: reason}},
		})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", event); err != nil {
			return err
		}
		return rc.Flush()
	}
	if send(openAIDelta{Role: "assistant"}, nil) != nil {
		return
	}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		var line ollamaLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return
		}
		if line.Message.Content != "" && send(openAIDelta{Content: line.Message.Content}, nil) != nil {
			return
		}
		if line.Done {
			if send(openAIDelta{}, &line.DoneReason) != nil {
				return
			}
			fmt.Fprint(w, "data: [DONE]\n\n")
			return
		}
	}
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type openAIRequest struct {
	Model       string    `json:"model"`
	Messages    []message `json:"messages"`
	Temperature *float64  `json:"temperature"`
	MaxTokens   *int      `json:"max_tokens"`
}

type openAIDelta struct {
	Role    string `json:"role,omitempty"`
	Content string `json:"content,omitempty"`
}

type openAIChoice struct {
	Index        int         `json:"index"`
	Delta        openAIDelta `json:"delta"`
	FinishReason *string     `json:"finish_reason"`
}

type openAIChunk struct {
	ID      string         `json:"id"`
	Object  string         `json:"object"`
	Created int64          `json:"created"`
	Model   string         `json:"model"`
	Choices []openAIChoice `json:"choices"`
}

type ollamaOptions struct {
	Temperature *float64 `json:"temperature,omitempty"`
	NumPredict  *int     `json:"num_predict,omitempty"`
}

type ollamaRequest struct {
	Model    string        `json:"model"`
	Messages []message     `json:"messages"`
	Stream   bool          `json:"stream"`
	Options  ollamaOptions `json:"options"`
}

type ollamaLine struct {
	Model      string  `json:"model"`
	CreatedAt  string  `json:"created_at"`
	Message    message `json:"message"`
	Done       bool    `json:"done"`
	DoneReason string  `json:"done_reason"`
	PromptEval int     `json:"prompt_eval_count"`
	Eval       int     `json:"eval_count"`
}
