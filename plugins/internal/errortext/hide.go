package errortext

import (
	"slices"
	"strings"
)

// hide replaces the words of a sentence that clients must not see: by [key], [account], [id],
// [address] for a server that is not public, and [link] for a public page that is not
// documentation. links reports whether there was such a page.
func hide(sentence string) (shown string, links bool) {
	var b strings.Builder
	for sentence != "" {
		end := strings.IndexAny(sentence, separators)
		if end >= 0 && strings.Contains(sentence[:end], "://") {
			end = strings.IndexAny(sentence, linkEnds)
		}
		if end < 0 {
			end = len(sentence)
		}
		word := strings.TrimRight(sentence[:end], ".,:;!?-")
		stand := standIn(word)
		if stand == "" {
			b.WriteString(word)
		} else {
			b.WriteString(stand)
			links = links || stand == link
		}
		end = min(end+1, len(sentence))
		b.WriteString(sentence[len(word):end])
		sentence = sentence[end:]
	}
	return b.String(), links
}

// separators are between words. Punctuation at the end of a word is one, too. linkEnds end a
// link, which may contain the other separators.
const (
	separators = " \"'`(){}<>,;=|"
	linkEnds   = " \"'`)}<>"
)

const link = "[link]"

// standIn returns what is shown in place of a word, or "" if the word may be shown.
func standIn(word string) string {
	switch scheme, rest, isURL := strings.Cut(word, "://"); {
	case isURL && isInternal(authority(rest)):
		return "[address]"
	case isURL && scheme == "https" && strings.Contains(rest, "docs") && !strings.Contains(rest, "?"):
		return ""
	case isURL:
		return link
	case hasMark(word, keyMarks[:]), isKeyLike(word):
		return "[key]"
	case hasMark(word, accountMarks[:]):
		return "[account]"
	case isUUID(word):
		return "[id]"
	case slices.ContainsFunc(strings.FieldsFunc(word, inPaths), isAddress): // /10.1.2.3:80 and localhost/127.0.0.1:80 are Java's
		return "[address]"
	}
	return ""
}

// inPaths reports whether a character separates an address from a path, or a path from what
// follows it.
func inPaths(r rune) bool { return r == '/' || r == '?' || r == '#' }

// How providers' keys, and the ids of their customers' accounts, begin.
var (
	keyMarks = [...]string{"sk-", "gsk_", "csk-", "xai-", "pplx-", "nvapi-", "tgp_v1_", "hf_", "fw_", "AIza", "AKIA",
		"ya29.", "eyJ", "ghp_", "github_pat_"}
	accountMarks = [...]string{"org-", "org_", "proj_"}
)

// hasMark reports whether the word, or a part of it, begins with one of the marks. "key:sk-1"
// does, and "task-1" doesn't.
func hasMark(word string, marks []string) bool {
	for _, mark := range marks {
		i := strings.Index(word, mark)
		if i == 0 || i > 0 && !isAlphanumeric(word[i-1]) {
			return true
		}
	}
	return false
}

// isKeyLike reports whether a word has 32 letters and digits in a row, and both among them.
// Keys without a mark are like that, and names of models are not.
func isKeyLike(word string) bool {
	run, letters, digits := 0, false, false
	for i := range len(word) {
		c := word[i]
		if !isAlphanumeric(c) {
			run, letters, digits = 0, false, false
			continue
		}
		run++
		letters, digits = letters || c > '9', digits || c <= '9'
		if run >= 32 && letters && digits {
			return true
		}
	}
	return false
}

func isAlphanumeric(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// isUUID reports whether a word is a UUID. An account at Anthropic is, for example.
func isUUID(word string) bool {
	if len(word) != 36 {
		return false
	}
	for i := range len(word) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (word[i] == '-') {
			return false
		}
	}
	return only(word, "0123456789abcdefABCDEF-")
}

// authority returns the part before the path: "10.0.0.7:80" of "10.0.0.7:80/v1".
func authority(s string) string {
	if i := strings.IndexFunc(s, inPaths); i >= 0 {
		s = s[:i]
	}
	return s
}

// isInternal reports whether the authority of a URL is not that of a public site. The name of
// a public site has a dot, and needs neither a port nor a password.
func isInternal(authority string) bool {
	return isAddress(authority) || !strings.Contains(authority, ".") || strings.ContainsAny(authority, "@:")
}

// isAddress reports whether a word is an IP address, a host with a port, or a name in a
// network that is not public: 10.1.2.3, [::1]:80, ::1, ollama.example.com:80, vllm:8000,
// vllm.internal. A model with a tag (tiny:8) isn't one, and std::bad_alloc isn't either.
func isAddress(word string) bool {
	word = strings.TrimRight(strings.TrimLeft(word, "["), "]:.")
	word, _, _ = strings.Cut(word, "%") // a zone: fe80::1%eth0
	if strings.Contains(word, "::") || strings.Count(word, ":") == 7 {
		return only(word, "0123456789abcdefABCDEF:.]")
	}
	host, port := word, ""
	if colon := strings.LastIndexByte(word, ':'); colon >= 0 {
		host, port = word[:colon], word[colon+1:]
	}
	if isIPv4(host) || isIPv4(port) { // port is the address in addr:10.1.2.3
		return true
	}
	for _, domain := range privateDomains {
		if len(host) > len(domain) && strings.EqualFold(host[len(host)-len(domain):], domain) {
			return true
		}
	}
	if port == "" || !only(port, "0123456789") {
		return false
	}
	if strings.Contains(host, ".") {
		return len(port) >= 2
	}
	return len(port) >= 4 && len(port) <= 5 && isName(host)
}

func isIPv4(s string) bool { return strings.Count(s, ".") == 3 && only(s, "0123456789.") }

// privateDomains are the ends of host names that no public network knows.
var privateDomains = [...]string{
	".internal", ".local", ".localdomain", ".lan", ".intranet", ".corp", ".private", ".home.arpa", ".svc", ".docker",
}

// isName reports whether a word may name a host without a domain: "vllm-0".
func isName(word string) bool {
	for i := range len(word) {
		if c := word[i]; !isAlphanumeric(c) && c != '-' {
			return false
		}
	}
	return word != "" && word[0] > '9'
}

// only reports whether a word has only characters of set.
func only(word, set string) bool { return strings.Trim(word, set) == "" }

// isUnreachable reports whether a sentence says that a host could not be reached. Such a
// sentence names the host, which may look like any other word.
func isUnreachable(sentence string) bool {
	for _, part := range [...]string{
		"ConnectionPool(host=", "connect to host", // Python: requests, aiohttp
		"getaddrinfo", "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", // Node
		"no such host",                                // Go
		"lookup address", "Name or service not known", // Rust, glibc
		"resolve host", // curl
	} {
		if strings.Contains(sentence, part) {
			return true
		}
	}
	return false
}
