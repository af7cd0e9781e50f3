package host_test

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit"
	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// TestTrapTwoTruths changes a limit in the file while a ledger remembers what was used under
// the one before. What the file says holds, and the admin listener shows it.
func TestTrapTwoTruths(t *testing.T) {
	up := mock.Start(t, says("fine"))
	ledger := filepath.Join(t.TempDir(), "ledger.db")
	yaml := func(limit string) string {
		return fmt.Sprintf("admin: {}\nledger: %q\nproviders: {up: {plugin: openai, base_url: %q, api_key: a}}\nmodel_mapping: {m: {provider: up, model: m}}\n"+
			"auth: {enabled: true, api_keys: [{name: app, key: key-of-app-123456, limits: {requests: %s}}]}\n", ledger, up.URL, limit)
	}
	g := newGateway(t, yaml("1/h"))
	g.postAs(t, "key-of-app-123456", answerOfM)
	if res, _ := g.postAs(t, "key-of-app-123456", answerOfM); res.StatusCode != 429 {
		t.Fatalf("the limit lets a second request in: %d", res.StatusCode)
	}
	if err := g.host.Swap(t.Context(), parse(t, yaml("3/h")), testkit.Module); err != nil {
		t.Fatal(err)
	}
	if res, answer := g.postAs(t, "key-of-app-123456", answerOfM); res.StatusCode != 200 {
		t.Errorf("what the file says now does not hold: %d %s", res.StatusCode, answer)
	}
	if l := adminState(t, withAdmin(t, g, nil)).Keys[0].Limits; len(l) != 1 || l[0].Max != 3 || l[0].Used != 2 {
		t.Errorf("the admin listener shows %+v", l)
	}
}

// TestTrapASettingIsShownAndNotSaved sends every method that changes something to every path
// of the admin listener: there are two actions, and they take no settings.
func TestTrapASettingIsShownAndNotSaved(t *testing.T) {
	g := newGateway(t, "admin: {console: true}\nmodel_mapping: {m: {provider: demo, model: demo}}\n")
	a := withAdmin(t, g, func(context.Context) error { return nil })
	for _, path := range []string{"state", "requests", "series", "usage", "targets/demo/demo", "keys", "limits", "models", "reload", "targets/demo/demo/reset"} {
		for _, method := range []string{"PUT", "PATCH", "DELETE", "POST"} {
			r, _ := http.NewRequest(method, a.URL+"/admin/v1/"+path, strings.NewReader(`{"limits":{"requests":"1/h"}}`))
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			action := method == "POST" && (path == "reload" || strings.HasSuffix(path, "/reset"))
			if action != (res.StatusCode == 200) {
				t.Errorf("%s %s is %d", method, path, res.StatusCode)
			}
		}
	}
}

// TestTrapTheAPINeedsTheConsole ends the admin listener, and takes its section away, while
// clients ask.
func TestTrapTheAPINeedsTheConsole(t *testing.T) {
	const models = "model_mapping: {m: {provider: demo, model: demo}}\n"
	g := newGateway(t, "admin: {console: true}\n"+models)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.host.ServeAdmin(ctx, l, nil) }()
	if status, _ := adminAsks(t, "GET", "http://"+l.Addr().String()+"/admin/v1/state"); status != 200 {
		t.Fatalf("the admin listener answers %d", status)
	}
	stop()
	<-ended
	if res, answer := g.post(t, answerOfM); res.StatusCode != 200 {
		t.Errorf("without the admin listener the API answers %d %s", res.StatusCode, answer)
	}
	if err := g.host.Swap(t.Context(), parse(t, models), testkit.Module); err != nil {
		t.Fatal(err)
	}
	if res, answer := g.post(t, answerOfM); res.StatusCode != 200 {
		t.Errorf("without an admin section the API answers %d %s", res.StatusCode, answer)
	}
}

// TestTrapNamesAreReadAsHTML looks for every way in which a script of the console could make
// elements of text. TestConsoleInABrowser shows it names that are markup.
func TestTrapNamesAreReadAsHTML(t *testing.T) {
	ways := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|setHTML|srcdoc|\beval\(|new Function|javascript:`)
	read := 0
	err := fs.WalkDir(os.DirFS("admin/console"), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".js") || path == "uplot.js" {
			return err
		}
		b, err := os.ReadFile(filepath.Join("admin/console", path))
		if found := ways.FindString(string(b)); found != "" {
			t.Errorf("%s has %s", path, found)
		}
		read++
		return err
	})
	if err != nil || read < 10 {
		t.Errorf("%d scripts were read: %v", read, err)
	}
}

// TestTrapCostByListPriceThoughTheProviderTold has a provider say what an answer cost, and
// look for it wherever money is shown.
func TestTrapCostByListPriceThoughTheProviderTold(t *testing.T) {
	up := mock.Start(t, mock.JSON(`{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":1000,"total_tokens":2000,"cost":0.125}}`))
	g := newGateway(t, fmt.Sprintf("admin: {}\nproviders: {up: {plugin: openrouter, base_url: %q, api_key: a}}\nmodel_mapping: {m: {provider: up, model: m, price: {reported: true, input: 1000, output: 1000}}}\n", up.URL))
	a := withAdmin(t, g, nil)
	g.post(t, answerOfM)
	counted(t, g, `kai_requests_total{alias="m",cache="",status="200"}`, "1")
	if got := metric(t, g, `kai_cost_total{model="m",provider="up"}`); got != "0.125" {
		t.Errorf("the metrics have a cost of %s", got)
	}
	if _, body := adminAsks(t, "GET", a.URL+"/admin/v1/requests"); !strings.Contains(body, `"cost":125000000,`) {
		t.Errorf("the requests are %s", body)
	}
}

// TestTrapContentIsKeptByDefault asks a gateway whose configuration says nothing of it: no
// file below its folders has what was asked or answered.
func TestTrapContentIsKeptByDefault(t *testing.T) {
	dir := t.TempDir()
	up := mock.Start(t, says("answer-canary"))
	g := newGateway(t, fmt.Sprintf("audit: {file: %q}\nledger: %q\nproviders: {up: {plugin: openai, base_url: %q, api_key: a}}\nmodel_mapping: {m: {provider: up, model: m}}\n",
		filepath.Join(dir, "audit.jsonl"), filepath.Join(dir, "ledger.db"), up.URL))
	for _, api := range clientAPIs {
		g.postTo(t, api.path, "", api.asks("prompt-canary", true))
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if b, _ := os.ReadFile(filepath.Join(dir, "audit.jsonl")); strings.Count(string(b), "\n") == len(clientAPIs) {
			break
		}
	}
	read := 0
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			b, _ := os.ReadFile(path)
			if read++; strings.Contains(string(b), "canary") {
				t.Errorf("%s has what was said", path)
			}
		}
		return err
	})
	if read != 2 {
		t.Errorf("%d files were read", read)
	}
}
