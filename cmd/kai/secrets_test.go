package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// canary is the secret that the test below looks for everywhere.
const canary = "sk-canary-5d21c0ffee"

// TestNoSecretIsTold puts a secret at every place that the configuration's schema
// has for one, in every way to give it and in ways to get it wrong, has a gateway
// that runs take it, and looks for it in whatever the program says: what validate
// and a reload answer, /health, answers with and without a key, and the log.
func TestNoSecretIsTold(t *testing.T) {
	upstream := mock.Start(t, func(x *mock.Exchange) {
		mock.Whole(401, "application/json", fmt.Sprintf(`{"error":{"message":"wrong key: %s"}}`, x.Header.Get("Authorization")))(x)
	})
	t.Setenv("CANARY", canary)
	t.Setenv("CANARY_SPACE", canary+" "+canary)
	p := start(t, demoConfig)
	dir := filepath.Dir(p.file)
	p.write(filepath.Join(dir, "key"), canary+"\n")
	p.write(filepath.Join(dir, "keys"), canary+"\n"+canary+"\n")

	valid := []any{canary, "${CANARY}", map[string]any{"file": "key"}}
	broken := []any{
		canary + " " + canary, "'" + canary + "'", "${" + canary + "}", "${CANARY_SPACE}", []any{canary},
		map[string]any{canary: canary}, map[string]any{"file": "keys"}, map[string]any{"file": map[string]any{canary: 1}},
	}
	places := 0
	for _, f := range config.Fields() {
		if !f.Secret {
			continue
		}
		places++
		for i, v := range append(valid, broken...) {
			yaml := withSecret(t, upstream.URL, f, v)
			said, isTaken := p.sayOf(yaml)
			if want := i < len(valid); isTaken != want {
				t.Errorf("%s as %v: taken %v, want %v: %s\n%s", f.Path, v, isTaken, want, said, yaml)
			}
			if strings.Contains(said, "canary") {
				t.Errorf("%s as %v: %s", f.Path, v, said)
			}
		}
	}
	if places < 3 {
		t.Errorf("the schema has %d secrets", places)
	}
	if log := p.text(); strings.Contains(log, "canary") || !strings.Contains(log, "reload refused") {
		t.Errorf("the log tells a secret, or nothing of a refused reload")
	}
}

// withSecret gives a configuration, in JSON, with a value at one field's place.
func withSecret(t *testing.T, upstream string, f config.Field, v any) string {
	t.Helper()
	root := map[string]any{
		"providers":     map[string]any{"openrouter": map[string]any{"base_url": upstream}},
		"model_mapping": map[string]any{"a": map[string]any{"provider": "openrouter", "model": "m"}},
		"auth":          map[string]any{"enabled": true, "api_keys": []any{"key-of-the-test"}},
	}
	if strings.HasPrefix(f.Path, "shared.") { // which nothing connects to before the next start
		root["shared"] = map[string]any{"url": "redis://127.0.0.1:1", "secret": "another-secret-of-many"}
	}
	path := f.Path
	switch f.Type {
	case "list":
		path += "[]"
	case "mapping":
		path += ".NAME"
	}
	at := root
	segments := strings.Split(path, ".")
	for i, segment := range segments {
		if segment == strings.ToUpper(segment) {
			segment = "openrouter"
		}
		name, inList := strings.CutSuffix(segment, "[]")
		next, _ := at[name].(map[string]any)
		if next == nil {
			next = map[string]any{}
		}
		var set any = next
		if inList && name != "keys" { // which belong to a key that has a name
			next["name"] = "other"
		}
		if i == len(segments)-1 {
			set = v
		}
		if inList {
			list, _ := at[name].([]any)
			set = append(list, set)
		}
		at[name], at = set, next
	}
	b, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// sayOf has the program check and take a configuration, and gives all that it says
// of it and afterwards.
func (p *process) sayOf(yaml string) (said string, isTaken bool) {
	p.t.Helper()
	var out bytes.Buffer
	p.write(p.file, yaml)
	validate([]string{p.file}, &out, &out)
	port := strings.TrimSuffix(p.url[strings.LastIndexByte(p.url, ':')+1:], "/v1")
	answer, err := ask(filepath.Join(p.runtime, "kai", port+".sock"), "reload")
	fmt.Fprintln(&out, answer, err)
	root := strings.TrimSuffix(p.url, "/v1")
	for _, url := range []string{root + "/health", root + "/readyz", p.url + "/models"} {
		for _, key := range []string{"", "wrong", "key-of-the-test"} {
			p.ask(&out, "GET", url, key, "")
		}
	}
	for _, key := range []string{"", "wrong", "key-of-the-test"} {
		p.ask(&out, "POST", p.url+"/chat/completions", key, `{"model":"a","messages":[{"role":"user","content":"hi"}]}`)
	}
	return out.String(), taken(answer)
}

// ask writes the whole of an answer.
func (p *process) ask(out io.Writer, method, url, key, body string) {
	p.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := res.Write(out); err != nil {
		p.t.Fatal(err)
	}
}
