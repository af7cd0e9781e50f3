package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/host/api"
)

// announce logs where the gateway serves, and what its operator should know.
func announce(log *slog.Logger, c *config.Config, at net.Addr) {
	log.Info("serving", "url", "http://"+reachable(at)+"/v1", "config", servedFile(c), "models", len(c.Models))
	for _, w := range c.Warnings {
		log.Warn(w)
	}
	if text := openTo(c, at); text != "" {
		log.Info(text)
	}
}

// servedFile names the configuration for people.
func servedFile(c *config.Config) string {
	if c.File == "" {
		return "the built-in configuration (no " + defaultFile + " here)"
	}
	return c.File
}

// openTo says who may use the gateway without a key, and what to set. It returns "" if
// only programs on this machine may.
func openTo(c *config.Config, at net.Addr) string {
	if c.Auth.Enabled {
		return ""
	}
	a, ok := at.(*net.TCPAddr)
	network := ok && !a.IP.IsLoopback()
	pages := c.CORS.Enabled && slices.Contains(c.CORS.AllowOrigins, "*")
	const keys = "set auth.enabled and auth.api_keys"
	switch {
	case network && pages:
		return "anybody on the network, and any web page opened there, may use these models; to choose who may, " + keys + ", or server.host: 127.0.0.1 and cors.allow_origins"
	case network:
		return "anybody on the network may use these models; to choose who may, " + keys + ", or server.host: 127.0.0.1"
	case pages:
		return "any web page opened on this machine may use these models; to choose which may, set cors.allow_origins, or " + keys[len("set "):]
	}
	return ""
}

// shownModels is how many models the invitation lists.
const shownModels = 20

// invite is the last message of a start. It waits until every adapter is ready, and says
// where the gateway is, what each model still needs, and how a first request looks. A
// person gets a text; otherwise it is a line of the log. It says nothing if ctx ends
// before.
func invite(ctx context.Context, stderr io.Writer, person bool, log *slog.Logger, h *host.Host, c *config.Config, at net.Addr) {
	h.WaitReady(ctx) // the log says which adapters failed
	if ctx.Err() != nil {
		return
	}
	base := "http://" + reachable(at)
	models := h.Models()
	first := firstRequest(base, h.Example(), c.Auth.Enabled)
	more := max(0, len(models)-shownModels)
	models = models[:len(models)-more]
	if !person {
		var list []string
		for _, m := range models {
			list = append(list, m.Alias+": "+ready(m))
		}
		if more > 0 {
			list = append(list, fmt.Sprintf("%d more", more))
		}
		log.Info("ready", "version", version, "url", base+"/v1", "docs", base+"/docs", "models", list, "try", first)
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nKai %s serves %s at %s/v1. The API is described at %s/docs.\n\n", version, servedFile(c), base, base)
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	for _, m := range models {
		fmt.Fprintf(w, "  %s\t%s\n", m.Alias, ready(m))
	}
	w.Flush()
	if more > 0 {
		fmt.Fprintf(&b, "  and %d more: GET /v1/models lists them\n", more)
	}
	fmt.Fprintf(&b, "\nTry it:\n\n  %s\n\n", first)
	io.WriteString(stderr, b.String())
}

// ready says whether a model is ready, as far as Kai knows without asking its upstream.
func ready(m host.Model) string {
	if m.Needs == "" {
		return "ready"
	}
	return m.Needs
}

// firstRequest returns a command that sends a request to a model.
func firstRequest(base, model string, needsKey bool) string {
	key := ""
	if needsKey {
		key = "-H 'Authorization: Bearer YOUR_KEY' "
	}
	name, err := json.Marshal(model)
	if err != nil {
		name = []byte(`""`) // never happens with a string
	}
	body := `{"model":` + string(name) + `,"messages":[{"role":"user","content":"Hello!"}]}`
	return fmt.Sprintf("curl %s %s-H 'Content-Type: application/json' -d '%s'", base+api.ChatPath, key, strings.ReplaceAll(body, "'", `'\''`))
}

// reachable returns the address as a browser on this machine would use it.
func reachable(at net.Addr) string {
	a, ok := at.(*net.TCPAddr)
	if !ok {
		return at.String()
	}
	if a.IP.IsUnspecified() || a.IP.IsLoopback() {
		return "localhost:" + strconv.Itoa(a.Port)
	}
	return a.String()
}
