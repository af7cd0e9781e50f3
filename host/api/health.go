package api

import (
	"context"
	"encoding/json"
	"net/http"
)

// The states of the gateway and of its services.
const (
	Healthy   = "healthy"
	Degraded  = "degraded"  // some models can be served
	Unhealthy = "unhealthy" // as the gateway's status: no model can be served, which is a 503
)

// Health is what GET /health reports. It is about the gateway: no upstream is
// asked for it.
type Health struct {
	Status   string
	Services []Service // in the order they are shown
}

// Service is one entry of Health.
type Service struct {
	Key     string // its name among the services, such as "config" or "provider:ollama"
	Name    string
	Status  string
	Message string
}

// services is written as a JSON object that keeps the order of the list.
type services []Service

func (list services) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, s := range list {
		if i > 0 {
			out = append(out, ',')
		}
		key, err := json.Marshal(s.Key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(struct {
			Name    string `json:"name"`
			Status  string `json:"status"`
			Message string `json:"message"`
		}{s.Name, s.Status, s.Message})
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, key...), ':'), value...)
	}
	return append(out, '}'), nil
}

func (s *server) health(_ context.Context, x *Exchange) error {
	h := s.Health()
	status := http.StatusOK
	if h.Status == Unhealthy {
		status = http.StatusServiceUnavailable
	}
	return x.answer(status, struct {
		Status   string   `json:"status"`
		Services services `json:"services"`
		Version  string   `json:"version"`
	}{h.Status, h.Services, s.Version})
}

type state struct {
	Status string `json:"status"`
}

// hello answers a HEAD, which has no body.
func hello(_ context.Context, x *Exchange) error {
	x.Writer.WriteHeader(http.StatusOK)
	return nil
}

// livez reports that the process runs.
func (s *server) livez(_ context.Context, x *Exchange) error {
	return x.answer(http.StatusOK, state{"alive"})
}

// readyz reports whether requests should be sent to this gateway.
func (s *server) readyz(_ context.Context, x *Exchange) error {
	if !s.Ready() {
		return x.answer(http.StatusServiceUnavailable, state{"not ready"})
	}
	return x.answer(http.StatusOK, state{"ready"})
}
