package shared

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// refusedOver returns what to check in the configuration, if err says that the server answers
// and lets nobody in so; "" for any other error, and for nil.
func refusedOver(err error) string {
	r, refused := errors.AsType[refusal](err)
	if !refused {
		return ""
	}
	text := string(r)
	switch code, _, _ := strings.Cut(text, " "); {
	case code == "NOAUTH", code == "WRONGPASS", code == "NOPERM", code == "ERR" && strings.Contains(text, "AUTH"):
		return "shared.password, and the user in shared.url"
	case code == "ERR" && (strings.Contains(text, "DB index") || strings.Contains(text, "SELECT")):
		return "the database in shared.url"
	}
	return ""
}

// withoutPassword returns a refusal of AUTH by its code: servers and proxies that don't know the
// command repeat its arguments, in words of their own.
func (r refusal) withoutPassword() refusal {
	code, text, _ := strings.Cut(string(r), " ")
	if strings.Contains(text, "AUTH") {
		code += " to AUTH"
	}
	return refusal(code)
}

// Refused returns what to check in the configuration, if the store answers and refuses; ""
// where it doesn't answer, or lets this gateway in.
func (c *Client) Refused() string {
	what, _ := c.refused.Load().(string)
	return what
}

// tell logs that the store is there or away, once for each change of that or of what is refused.
func (c *Client) tell(err error) {
	what := refusedOver(err)
	c.refused.Store(what)
	switch {
	case what != "":
		c.o.Logger.Error("the shared store refuses this gateway", slog.String("check", what), slog.Any("err", err))
	case err != nil:
		c.o.Logger.Error("the shared store can't be reached", slog.Any("err", err))
	default:
		c.o.Logger.Info("the shared store is reached")
	}
}

// noTLS adds to the error of a handshake what to do where the server seems to speak no TLS:
// a server of plain text waits for more of what it can't read, or hangs up.
func noTLS(err error) error {
	if _, spoken := errors.AsType[*tls.CertificateVerificationError](err); spoken {
		return err
	}
	return fmt.Errorf("no TLS with the shared store: %w; where it has none, shared.url starts with redis:// instead of rediss://", err)
}
