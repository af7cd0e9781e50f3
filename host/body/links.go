package body

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/kai-gateway/kai/sdk"
)

// headOfLink is how many bytes of a string are looked at, as it is written in JSON. A
// longer string that begins like a link counts as one: an id of so many bytes is nobody's.
const headOfLink = 1 << 10

// AddLink adds a JSON string that is a link to a file which a provider keeps for its account:
// Moonshot's ms://, Google's gs://, and files of the Gemini API. Any other value is none. Of a long
// one only its beginning is added.
//
// https://platform.moonshot.ai/docs/guide/use-kimi-vision-model
// https://ai.google.dev/gemini-api/docs/files
func (s *IDs) AddLink(v sdk.JSON) {
	if len(v) < len(`"ms:/"`) || v[0] != '"' {
		return
	}
	switch v[1] | 0x20 { // nothing that counts begins with another letter, and long data need not be decoded to see that
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
	if len(v) < len(qwenFile)+2 || v[0] != '"' || !mayBegin(v[1:len(v)-1], qwenFile) {
		return
	}
	if head, _ := headOf(v); namesQwenFiles(strings.ToLower(head)) {
		s.Add(head)
	}
}

// qwenFile is what the name of a file begins with, in the text of a message.
const qwenFile = "fileid:/"

func namesQwenFiles(text string) bool { return strings.HasPrefix(text, qwenFile) }

// mayBegin reports whether the inside of a string may begin with a word in lower case, once
// headOf has decoded it. It reads only as far as it needs to exclude that, and decodes
// nothing. A string whose first character is beyond ASCII begins with no word.
func mayBegin(inside []byte, word string) bool {
	begun := 0 // bytes of the word
	for i := 0; i < len(inside) && begun < len(word); i++ {
		c := inside[i]
		switch {
		case c == '\\' && i+1 < len(inside):
			i++
			switch inside[i] {
			case 'n', 'r', 't': // headOf leaves them out
				continue
			case '/':
				c = '/'
			default:
				return true // it may be anything
			}
		case c == ' ' && begun == 0:
			continue
		case c >= utf8.RuneSelf:
			return i > 0 // some letters become others in lower case
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		}
		if c != word[begun] {
			return false
		}
		begun++
	}
	return begun == len(word)
}

// headOf returns the beginning of a string, decoded, without white space before it and without the
// characters that readers of URLs skip. long says that there is more of it.
func headOf(v sdk.JSON) (head string, long bool) {
	inside := v[1 : len(v)-1]
	long = len(inside) > headOfLink
	text := sdk.AppendUnquote(nil, inside[:min(len(inside), headOfLink)])
	return strings.TrimSpace(skippedInURLs.Replace(string(text))), long
}

var skippedInURLs = strings.NewReplacer("\t", "", "\n", "", "\r", "")

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
