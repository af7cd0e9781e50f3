package body

import (
	"bytes"
	"net/url"
	"strings"

	"github.com/kai-gateway/kai/sdk"
)

// headOfLink is how many bytes are looked at of a string, as it is written in JSON. What is longer
// and begins like a link is one: an id of so many bytes is nobody's.
const headOfLink = 1 << 10

// AddLink adds a JSON string that is a link to a file which a provider keeps for its account:
// Moonshot's ms://, Google's gs://, and files of the Gemini API. Any other value is none. Of a long
// one only its beginning is added.
//
// https://platform.moonshot.ai/docs/guide/use-kimi-vision-model
// https://ai.google.dev/gemini-api/docs/files
func (s *IDs) AddLink(v sdk.JSON) {
	if len(v) < len(`"ms:/"`) || v[0] != '"' || bytes.HasPrefix(v, []byte(`"data:`)) {
		return
	}
	switch v[1] | 0x20 { // nothing that counts begins with another letter, and long data is not decoded for it
	case 'f', 'g', 'h', 'm', '/', '\\' | 0x20, ' ': // the last two may hide one of these
	default:
		return
	}
	head, long := headOf(v)
	link := strings.ToLower(head)
	switch {
	case strings.HasPrefix(link, "ms:/"), strings.HasPrefix(link, "gs:/"), namesQwenFiles(link), isKeptByGoogle(link, long):
		s.Add(head)
	}
}

// AddText adds a JSON string that is the text of a message by which Qwen's models get files of the
// account: it begins with fileid://. Any other text is none.
//
// https://help.aliyun.com/zh/model-studio/long-context-qwen-long
func (s *IDs) AddText(v sdk.JSON) {
	switch {
	case len(v) < len(`"fileid:/"`) || v[0] != '"':
		return
	case v[1]|0x20 == 'f', v[1] == '\\', v[1] == ' ':
		if head, _ := headOf(v); namesQwenFiles(strings.ToLower(head)) {
			s.Add(head)
		}
	}
}

func namesQwenFiles(text string) bool { return strings.HasPrefix(text, "fileid:/") }

// headOf returns the beginning of a string, decoded, without white space before it and without the
// characters that readers of URLs skip. long says that there is more of it.
func headOf(v sdk.JSON) (head string, long bool) {
	inside := v[1 : len(v)-1]
	long = len(inside) > headOfLink
	text := sdk.AppendUnquote(nil, inside[:min(len(inside), headOfLink)])
	return strings.TrimSpace(strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(string(text))), long
}

// isKeptByGoogle reports whether a link in lower case leads to what Google keeps for an account.
// What Google serves to everybody, such as its storage with public and signed links, is not that.
func isKeptByGoogle(link string, long bool) bool {
	scheme, rest, hasScheme := strings.Cut(link, ":")
	switch {
	case hasScheme && (scheme == "https" || scheme == "http"):
	case strings.HasPrefix(link, "//"):
		rest = link
	default:
		rest, hasScheme = link, false
	}
	rest = strings.TrimLeft(rest, `/\`)
	end := strings.IndexAny(rest, `/\?#`)
	if end < 0 {
		if long && hasScheme {
			return true // what stands before its path hides the host
		}
		end = len(rest)
	}
	host, path := rest[:end], unescaped(rest[end:])
	host = host[strings.LastIndexByte(host, '@')+1:]
	host, _, _ = strings.Cut(host, ":")
	host = strings.TrimRight(unescaped(host), ".")
	switch {
	case !strings.HasSuffix(host, ".googleapis.com") || strings.HasSuffix(host, "storage.googleapis.com"):
		return false
	case strings.Contains(host, "generativelanguage"):
		return true
	}
	return long || strings.Contains(path, "/files/")
}

// unescaped decodes the escapes of a URL's part. One that has others than these stays as it is.
func unescaped(part string) string {
	if decoded, err := url.PathUnescape(part); err == nil {
		return decoded
	}
	return part
}
