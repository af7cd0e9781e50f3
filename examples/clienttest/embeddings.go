package main

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
)

// embeddings makes the mock answer requests for embeddings, in the shapes of OpenAI,
// OpenRouter, Ollama and Gemini. Each sends numbers, whatever was asked for.
func (p *provider) embeddings() {
	openAI := func(vectors [][]float64) object {
		data := make([]object, len(vectors))
		for i, v := range vectors {
			data[len(vectors)-1-i] = object{"object": "embedding", "index": i, "embedding": v} // the last comes first
		}
		return object{"object": "list", "data": data, "model": "mock", "usage": object{"prompt_tokens": 12, "total_tokens": 12}}
	}
	texts := func(body []byte) (texts []string, err error) {
		var asked struct{ Input json.RawMessage }
		if err := json.Unmarshal(body, &asked); err != nil {
			return nil, err
		}
		if json.Unmarshal(asked.Input, &texts) == nil {
			return texts, nil
		}
		texts = make([]string, 1)
		return texts, json.Unmarshal(asked.Input, &texts[0])
	}
	p.mux.HandleFunc("POST /openai/v1/embeddings", p.embed(texts, openAI))
	p.mux.HandleFunc("POST /api/v1/embeddings", p.embed(texts, openAI))
	p.mux.HandleFunc("POST /api/embed", p.embed(texts, func(vectors [][]float64) object {
		return object{"model": "mock", "embeddings": vectors, "prompt_eval_count": 12}
	}))
	p.mux.HandleFunc("POST /gemini/v1beta/models/script:batchEmbedContents", p.embed(func(body []byte) (texts []string, err error) {
		var asked struct {
			Requests []struct {
				Content struct{ Parts []struct{ Text string } }
			}
		}
		err = json.Unmarshal(body, &asked)
		for _, r := range asked.Requests {
			texts = append(texts, r.Content.Parts[0].Text)
		}
		return texts, err
	}, func(vectors [][]float64) object {
		list := make([]object, len(vectors))
		for i, v := range vectors {
			list[i] = object{"values": v}
		}
		return object{"embeddings": list}
	}))
}

// embed answers with a vector for each text of a request.
func (p *provider) embed(texts func(body []byte) ([]string, error), answer func([][]float64) object) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		asked, err := texts(body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			w.Write(encode(object{"error": object{"message": "the mock takes texts"}}))
			return
		}
		if m := markPattern.FindSubmatch(body); m != nil {
			p.mu.Lock()
			t := p.of(string(m[1]))
			t.Requests++
			t.Last = body
			t.Bodies = append(t.Bodies, body)
			p.mu.Unlock()
		}
		vectors := make([][]float64, len(asked))
		for i, text := range asked {
			vectors[i] = vectorOf(text)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(encode(answer(vectors)))
	}
}

// vectorOf returns 16 numbers, which only depend on the bytes of the text and have the
// length 1. The tests compute them, too.
func vectorOf(text string) []float64 {
	sum, square := 0, 0.0
	for _, b := range []byte(text) {
		sum += int(b)
	}
	v := make([]float64, 16)
	for i := range v {
		v[i] = math.Sin(float64(sum + i))
		square += v[i] * v[i]
	}
	for i := range v {
		v[i] /= math.Sqrt(square)
	}
	return v
}
