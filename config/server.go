package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// maxDuration bounds every duration of a configuration.
const maxDuration = 24 * time.Hour

// Bounds of sizes, in bytes.
const (
	maxBody   = 1 << 30
	maxBodies = 1 << 40
)

func defaultWorkers() int { return runtime.GOMAXPROCS(0) }

// duration reads Go's notation.
type duration time.Duration

func (d *duration) UnmarshalText(b []byte) error {
	x, err := time.ParseDuration(string(b))
	*d = duration(x)
	return err
}

// size reads a number of bytes or a text such as "32MiB".
type size int64

func (s *size) UnmarshalJSON(b []byte) error {
	var unquoted string
	if err := json.Unmarshal(b, &unquoted); err != nil {
		unquoted = string(b)
	}
	x, ok := parseSize(unquoted)
	if !ok {
		return fmt.Errorf("not a size")
	}
	*s = size(x)
	return nil
}

func parseSize(s string) (int64, bool) {
	factor := int64(1)
	for _, unit := range [...]struct {
		name   string
		factor int64
	}{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
		{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1},
	} {
		if digits, found := strings.CutSuffix(s, unit.name); found {
			s, factor = strings.TrimSuffix(digits, " "), unit.factor
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > maxBodies/factor {
		return 0, false
	}
	return n * factor, true
}

type serverForm struct {
	Host              string
	Hosts             []string
	Port              int
	Workers           int
	StreamHeadWait    duration `json:"stream_head_wait"`
	WriteTimeout      duration `json:"write_timeout"`
	ShutdownTimeout   duration `json:"shutdown_timeout"`
	ReadHeaderTimeout duration `json:"read_header_timeout"`
	ReadTimeout       duration `json:"read_timeout"`
	LoadWait          duration `json:"load_wait"`
	MaxBody           size     `json:"max_body"`
	MaxBodies         size     `json:"max_bodies"`
}

func (l *loader) server(root *value) Server {
	v := root.get("server")
	if host := v.get("host"); host.isText() && strings.Contains(host.scalar, ":") {
		if _, err := netip.ParseAddr(host.scalar); err != nil {
			l.fault(host, "server.host", "must be an IP address or a host name; a port goes into server.port")
		}
	}
	for _, name := range [...]string{"stream_head_wait", "shutdown_timeout"} {
		l.checkDuration(v.get(name), join("server", name), 0)
	}
	for _, name := range [...]string{"write_timeout", "read_header_timeout", "read_timeout", "load_wait"} {
		l.checkDuration(v.get(name), join("server", name), time.Millisecond)
	}
	l.checkSize(v.get("max_body"), "server.max_body", maxBody, "1GiB")
	l.checkSize(v.get("max_bodies"), "server.max_bodies", maxBodies, "1TiB (1024GiB)")

	var f serverForm
	if !l.decode("#Server", v, "server", &f) {
		return Server{}
	}
	if f.MaxBodies < f.MaxBody {
		culprit, path := v.get("max_bodies"), "server.max_bodies"
		if culprit == nil || culprit.kind == null {
			culprit, path = v.get("max_body"), "server.max_body"
		}
		l.fault(culprit, path, "max_bodies, which is for all requests together, must be at least max_body, which is for one")
	}
	s := Server{
		Host: f.Host, Hosts: f.Hosts, Port: f.Port, Workers: f.Workers,
		StreamHeadWait:    time.Duration(f.StreamHeadWait),
		WriteTimeout:      time.Duration(f.WriteTimeout),
		ShutdownTimeout:   time.Duration(f.ShutdownTimeout),
		ReadHeaderTimeout: time.Duration(f.ReadHeaderTimeout),
		ReadTimeout:       time.Duration(f.ReadTimeout),
		LoadWait:          time.Duration(f.LoadWait),
		MaxBody:           int64(f.MaxBody), MaxBodies: int64(f.MaxBodies),
	}
	if s.Workers == 0 {
		s.Workers = defaultWorkers()
	}
	return s
}

// checkDuration checks what the schema cannot say of a duration.
func (l *loader) checkDuration(v *value, path string, least time.Duration) {
	if !v.isText() {
		return
	}
	d, err := time.ParseDuration(v.scalar)
	switch {
	case err != nil || d > maxDuration:
		l.fault(v, path, "must be at most 24h")
	case d < least:
		l.fault(v, path, fmt.Sprintf("must be at least %v", least))
	}
}

func (l *loader) checkSize(v *value, path string, most int64, words string) {
	if v == nil || v.bad || v.kind == null {
		return
	}
	n, ok := parseSize(v.scalar)
	switch {
	case !ok || n > most:
		l.fault(v, path, "must be at most "+words)
	case n < 1:
		l.fault(v, path, "must be at least 1 byte")
	}
}

// isText reports whether there is a text that can be looked at further.
func (v *value) isText() bool { return v != nil && !v.bad && v.kind == text }

// decode unifies a section, which may be absent, with its definition and gives the result, with
// defaults. A section with a problem inside of it gives none.
func (l *loader) decode(definition string, v *value, path string, into any) bool {
	if v == nil || v.kind == null {
		v = &value{kind: mapping}
	}
	if !v.sound() {
		return false
	}
	unified := l.definition(definition).Unify(l.cue.BuildExpr(v.given().expression()))
	err := unified.Validate(cueConcrete)
	if err == nil {
		var b []byte
		if b, err = unified.MarshalJSON(); err == nil {
			err = json.Unmarshal(b, into)
		}
	}
	if err != nil {
		// check has found every difference there is, so this names a gap in it.
		l.add(v.place, path, "does not fit schema/config.cue "+definition)
		return false
	}
	return true
}

// sound reports whether no problem was found in a value or below it.
func (v *value) sound() bool {
	if v.bad {
		return false
	}
	for _, item := range v.items {
		if !item.sound() {
			return false
		}
	}
	for _, e := range v.entries {
		if !e.value.sound() {
			return false
		}
	}
	return true
}

type corsForm struct {
	Enabled      bool
	AllowOrigins []string `json:"allow_origins"`
}

func (l *loader) cors(root *value) CORS {
	var f corsForm
	l.decode("#CORS", root.get("cors"), "cors", &f)
	return CORS(f)
}
