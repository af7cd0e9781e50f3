package config

import (
	"net"
	"strconv"
	"strings"
)

// Shared is the store that several gateways share.
type Shared struct {
	URL      string   `json:"url"`
	Sentinel string   `json:"sentinel"` // "": there are no sentinels
	Password Secret   `json:"password"`
	Secret   Secret   `json:"secret"` // under which everything there is sealed
	CA       string   `json:"ca"`     // a file, ready to be opened; "": the certificates of the machine
	Prefix   string   `json:"prefix"`
	Timeout  Duration `json:"timeout"`
	OnOutage string   `json:"on_outage"` // "local", "deny" or "allow"

	Enabled   bool     `json:"-"` // there is such a section; without it the rest is empty
	Addresses []string `json:"-"` // of URL: host:port, or the path of a socket
	Socket    bool     `json:"-"`
	TLS       bool     `json:"-"`
	User      string   `json:"-"`
	Database  int      `json:"-"`
}

// leastSecret is how many bytes a secret has that nobody guesses.
const leastSecret = 16

func (l *loader) shared(root *value) (s Shared) {
	v := root.get("shared")
	if v == nil || v.kind == null && !v.bad || !l.decode("#Shared", v, "shared", &s) {
		return Shared{}
	}
	s.Enabled = true
	if why := s.parse(); why != "" {
		l.fault(v.get("url"), "shared.url", why)
	}
	if len(s.Secret.Reveal()) < leastSecret {
		l.fault(v.get("secret"), "shared.secret", "is too short, since whoever guesses it can read and make up what is kept: take at least 16 characters that nobody can guess, such as those that openssl rand -hex 32 makes")
	}
	if s.CA != "" {
		if !s.TLS {
			l.fault(v.get("ca"), "shared.ca", "is for a url that starts with rediss://")
		}
		s.CA = l.resolve(s.CA)
	}
	return s
}

// parse reads the URL. It returns why it can't.
func (s *Shared) parse() string {
	scheme, rest, _ := strings.Cut(s.URL, "://")
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		s.User, rest = rest[:i], rest[i+1:]
		if strings.ContainsRune(s.User, ':') {
			return "must not hold a password: it goes into shared.password"
		}
	}
	if scheme == "unix" {
		s.Addresses, s.Socket = []string{rest}, true
		if !strings.HasPrefix(rest, "/") {
			return "must be unix:// and the whole path of a socket, such as unix:///run/redis.sock"
		}
		if s.Sentinel != "" {
			return "must have the addresses of sentinels, since there is shared.sentinel"
		}
		return ""
	}
	s.TLS = scheme == "rediss"
	hosts, database, _ := strings.Cut(rest, "/")
	if database != "" {
		n, err := strconv.Atoi(database)
		if err != nil || n < 0 || n > 1<<16 {
			return "has something behind its / that is not the number of a database"
		}
		s.Database = n
	}
	port := "6379"
	if s.Sentinel != "" {
		port = "26379"
	}
	for host := range strings.SplitSeq(hosts, ",") {
		address := host
		if _, p, err := net.SplitHostPort(host); err != nil {
			address = net.JoinHostPort(strings.Trim(host, "[]"), port)
		} else if !validPort(p) {
			return "has a port that is not a number from 1 to 65535"
		}
		if name, _, err := net.SplitHostPort(address); err != nil || name == "" || strings.ContainsAny(name, "?#") {
			return "has no host, or one that is none: redis://redis.example:6379 is a good one"
		}
		s.Addresses = append(s.Addresses, address)
	}
	if s.Database != 0 && len(s.Addresses) > 1 && s.Sentinel == "" {
		return "names a database, of which a cluster has but one: leave it away"
	}
	return ""
}
