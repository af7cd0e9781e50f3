package host_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit"
)

// attack is a page that asks the gateway for its models and for an answer, with
// and without what makes a browser ask before, and reports what it got.
const attack = `<!doctype html><script>
const asks = {
  models: ["/v1/models", {}],
  chat: ["/v1/chat/completions", {method: "POST", headers: {"Content-Type": "application/json"}, body: BODY}],
  blind: ["/v1/chat/completions", {method: "POST", mode: "no-cors", headers: {"Content-Type": "text/plain"}, body: BODY}],
};
(async () => {
  const got = {};
  for (const [name, [path, init]] of Object.entries(asks)) {
    try {
      const res = await fetch(TARGET + path, init);
      got[name] = res.type == "opaque" ? "opaque" : String(res.status);
    } catch (e) { got[name] = "failed"; }
  }
  await fetch(REPORT, {method: "POST", mode: "no-cors", body: JSON.stringify(got)});
})();
</script>`

// TestDNSRebinding opens pages in a real browser, whose resolver says that
// evil.test is this machine. A page whose server becomes the gateway once it is
// loaded is one whose name was pointed elsewhere in between.
func TestDNSRebinding(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium on this machine: Debian's package of that name has it")
	}
	type answers struct{ Models, Chat, Blind string }
	const (
		demo   = "model_mapping: {m: {provider: demo, model: m}}\n"
		narrow = "cors: {allow_origins: ['https://app.example.com']}\n"
		all    = "server: {host: 0.0.0.0}\n"
		body   = `'{"model":"m","messages":[{"role":"user","content":"hi"}]}'`
	)
	cases := map[string]struct {
		yaml   string
		page   string // the host of the page
		other  bool   // the page's server stays another one than the gateway
		want   answers
		logged string // what the gateway answered to what the page can't see
	}{
		"re-pointed, serving this machine":      {yaml: demo, page: "evil.test", want: answers{"403", "403", "403"}},
		"re-pointed, serving all":               {yaml: demo + all + narrow, page: "evil.test", want: answers{"200", "403", "403"}},
		"re-pointed, serving all, without CORS": {yaml: demo + all + "cors: {enabled: false}\n", page: "evil.test", want: answers{"200", "403", "403"}},
		"its own page, by a configured name":    {yaml: demo + narrow + "server: {hosts: [evil.test]}\n", page: "evil.test", want: answers{"200", "200", "415"}},
		"its own page, by address":              {yaml: demo + narrow, page: "127.0.0.1", want: answers{"200", "200", "415"}},
		"its own page, by localhost":            {yaml: demo + narrow, page: "localhost", want: answers{"200", "200", "415"}},
		"another site":                          {yaml: demo + narrow, page: "evil.test", other: true, want: answers{"failed", "failed", "opaque"}, logged: `"status":403`},
		"another site, all may":                 {yaml: demo + all + "cors: {enabled: true, allow_origins: ['*']}\n", page: "evil.test", other: true, want: answers{"200", "200", "opaque"}, logged: `"status":415`},
	}

	type report struct {
		name string
		answers
	}
	reports := make(chan report, len(cases))
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got := report{name: r.URL.Query().Get("case")}
		if json.Unmarshal(b, &got.answers) == nil {
			reports <- got
		}
	}))
	defer collector.Close()
	var frames strings.Builder
	gateways := map[string]*gateway{}
	for name, tc := range cases {
		g := newGateway(t, tc.yaml)
		gateways[name] = g
		target := ""
		if tc.other {
			target = g.URL
		}
		html := strings.NewReplacer("TARGET", quoted(target), "BODY", body,
			"REPORT", quoted(collector.URL+"/?case="+strings.ReplaceAll(name, " ", "+"))).Replace(attack)
		site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/page" {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				io.WriteString(w, html)
				return
			}
			g.host.Handler().ServeHTTP(w, r)
		}))
		defer site.Close()
		fmt.Fprintf(&frames, "<iframe src=%q></iframe>\n", strings.Replace(site.URL, "127.0.0.1", tc.page, 1)+"/page")
	}
	start := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "<!doctype html>"+frames.String())
	}))
	defer start.Close()

	dir, err := os.MkdirTemp("", "kai-browser")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	words := &testkit.Log{}
	browser := exec.Command(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
		"--user-data-dir="+dir, "--host-resolver-rules=MAP evil.test 127.0.0.1, MAP localhost 127.0.0.1",
		// With it, headless Chromium stays open.
		"--remote-debugging-port=0", start.URL)
	browser.Stderr = words
	browser.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := browser.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		syscall.Kill(-browser.Process.Pid, syscall.SIGKILL) // its children, too
		browser.Wait()
	}()
	late := time.After(2 * time.Minute)
	for range cases {
		select {
		case got := <-reports:
			tc, g := cases[got.name], gateways[got.name]
			if got.answers != tc.want {
				t.Errorf("%s: the page got %+v, want %+v", got.name, got.answers, tc.want)
			}
			if log := g.log.String(); !strings.Contains(log, tc.logged) {
				t.Errorf("%s: the log has no %s:\n%s", got.name, tc.logged, log)
			}
		case <-late:
			t.Fatalf("the browser does not report: %s", words)
		}
	}
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }
