package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/upstream/h1"
)

// Codes of the errors this package makes.
const (
	codeAdapter  = "adapter_error"
	codeUpstream = "upstream_error"
	codeTimeout  = "upstream_timeout"
)

// badRequest returns the error for a request that the adapter may not make.
func (c *Client) badRequest(err error) *fault.Error {
	return &fault.Error{
		Kind: fault.Adapter, Code: codeAdapter,
		Text:  "The adapter of provider '" + c.provider + "' asked for an upstream request that is not allowed",
		Cause: err,
	}
}

// failed returns an upstream_error. Its text is the provider's name, followed by text.
func (c *Client) failed(text string, err error) *fault.Error {
	return &fault.Error{
		Kind: fault.Upstream, Code: codeUpstream,
		Text:  "Provider '" + c.provider + "' " + text,
		Cause: c.redact.error(err),
	}
}

// notReachable returns the error for a request that got no connection. It names the
// address only if that is on this machine, and so no secret.
func (c *Client) notReachable(why string, err error) *fault.Error {
	at := ""
	if c.base.loopback() {
		at = " at " + c.base.url.Scheme + "://" + c.base.url.Host
	}
	e := c.failed("is not reachable"+at+": "+why, err)
	e.Kind = fault.Unsent
	return e
}

// failure returns the error for the caller, for an error of the network or of a client for
// HTTP. It must be called before x is closed, while x is still in the stage that failed.
func (c *Client) failure(x carrier, err error) error {
	if cause := x.Cause(); cause != nil {
		if late, ok := errors.AsType[*h1.Timeout](cause); ok {
			return c.late(late.Stage, late)
		}
		return cause
	}
	switch x.Stage() {
	case h1.Connecting:
		return c.unreachable(err)
	case h1.Answering:
		return c.failed(c.noAnswer(err), err)
	default:
		return c.failed(brokenAnswer(err), err)
	}
}

// late returns the error for a stage that took too long.
func (c *Client) late(at h1.Stage, err error) *fault.Error {
	var e *fault.Error
	kind := fault.Slow
	switch at {
	case h1.Connecting:
		e = c.notReachable("no connection in time. Is its base_url right, and is it running?", err)
		kind = fault.UnsentSlow
	case h1.Answering:
		e = c.failed("did not answer in time (timeouts.first_byte)", err)
		if late, ok := errors.AsType[*h1.Timeout](err); ok {
			e = c.failed(fmt.Sprintf("did not answer within %v (timeouts.first_byte)", late.After), err)
		}
	default:
		e = c.failed("stopped answering in the middle of its answer", err)
	}
	e.Kind, e.Code = kind, codeTimeout
	return e
}

// unreachable returns the error that says why a request got no connection.
func (c *Client) unreachable(err error) *fault.Error {
	if netErr, ok := errors.AsType[net.Error](err); ok && netErr.Timeout() {
		return c.late(h1.Connecting, err)
	}
	why := "the connection failed. Is its base_url right?"
	_, refused := errors.AsType[*refusedError](err)
	_, dns := errors.AsType[*net.DNSError](err)
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	_, wrongName := errors.AsType[x509.HostnameError](err)
	invalid, expired := errors.AsType[x509.CertificateInvalidError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	switch {
	case refused:
		why = "its base_url leads to an address that is only used when base_url names it as a number"
	case dns:
		why = "its host name was not found. Is its base_url right, and is there a network?"
	case errors.Is(err, syscall.ECONNREFUSED):
		why = "connection refused. Is it running?"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		why = "Kai has as many files and connections open as the system allows. Raise its limit (ulimit -n)"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		why = "no route to its host"
	case wrongName:
		why = "its TLS certificate is for another name. Is its base_url right?"
	case expired && invalid.Reason == x509.Expired:
		why = "its TLS certificate has expired, or this machine's clock is wrong"
	case unverified, authority:
		why = "its TLS certificate is not trusted. One of an authority of your own needs SSL_CERT_FILE in Kai's environment"
	case notTLS:
		why = "it does not speak TLS. Should its base_url start with http://?"
	case alert:
		why = "it refused the TLS connection"
	}
	e := c.notReachable(why, err)
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		e.Kind = fault.NoFiles // our own limit; it says nothing about the provider's health
	}
	return e
}

// noAnswer says why no head of an answer came. The text follows the provider's name.
func (c *Client) noAnswer(err error) string {
	_, refused := errors.AsType[*h1.FormatError](err)
	switch text := err.Error(); {
	case refused, strings.Contains(text, "malformed HTTP"), strings.Contains(text, "malformed MIME"), strings.Contains(text, "unsupported transfer encoding"):
		return "sent something that is not an HTTP answer. Is its base_url right?"
	case errors.Is(err, h1.ErrHeadTooLong), strings.Contains(text, "response headers exceeded"):
		return "sent an answer with too many headers"
	}
	if c.base.url.Scheme == "http" {
		return "closed the connection without an answer. Should its base_url start with https://?"
	}
	return "closed the connection without an answer"
}

// brokenAnswer says how an answer broke off. The text follows the provider's name.
func brokenAnswer(err error) string {
	if encoding, ok := errors.AsType[*encodingError](err); ok {
		return "sent an answer that cannot be decompressed (" + encoding.what + ")"
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed) {
		return "closed the connection before its answer was complete"
	}
	return "broke off its answer"
}

// tooLong returns the error for something that has more bytes than a limit.
func (c *Client) tooLong(what string, limit int) *fault.Error {
	return c.failed(fmt.Sprintf("sent %s of more than %s", what, fault.Size(int64(limit))), nil)
}
