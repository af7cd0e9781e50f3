package body

import (
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk"
)

const geminiFiles = "https://generativelanguage.googleapis.com/v1beta/files/"

// TestLinksToWhatIsKept: however a link is written that a provider follows with its account's rights,
// it is one; what anybody may read is none.
func TestLinksToWhatIsKept(t *testing.T) {
	long := strings.Repeat("x", 2*headOfLink)
	for link, want := range map[string]bool{
		"ms://a": true, `ms:\/\/a`: true, "MS://a": true, ` ms://a`: true, `\u006ds://a`: true, `m\ts://a`: true, "ms://" + long: true,
		"gs://bucket/a": true, "fileid://a": true,

		geminiFiles + "a": true, geminiFiles + "a?" + long: true, "//generativelanguage.googleapis.com/files/a": true, "generativelanguage.googleapis.com/files/a": true,
		"https://generativelanguage.googleapis.com/files/a":                     true,
		"https://generativelanguage.googleapis.com:443/v1beta/files/a":          true,
		"https://generativelanguage.googleapis.com./v1beta/files/a":             true,
		"https://generativelanguage.googleapis.com/v1beta/%66iles/a":            true,
		"https://generativelanguage%2Egoogleapis.com/v1beta/files/a":            true,
		"https://a:b@generativelanguage.googleapis.com/v1beta/files/a":          true,
		"https://" + long + "@generativelanguage.googleapis.com/v1beta/files/a": true,
		`https:\\\\generativelanguage.googleapis.com\\files\\a`:                 true,
		"HTTPS://GenerativeLanguage.googleapis.com/v1/corpora/a":                true,
		"https://www.googleapis.com/drive/v3/%66iles/a":                         true,

		"": false, "a": false, "ms": false, "gs": false, "https://": false, "http methods": false, "ms: a unit": false, long: false, "h" + long: false, "https://example.com/" + long: false,
		"https://example.com/files/a": false, "https://example.com/?u=" + geminiFiles + "a": false, "https://generativelanguage.googleapis.com.example.com/files/a": false,
		"https://storage.googleapis.com/bucket/files/a": false, "https://bucket.storage.googleapis.com/files/a?" + long: false,
		"https://firebasestorage.googleapis.com/v0/b/c/o/files%2Fa": false, "https://maps.googleapis.com/maps/api/staticmap?center=a": false,
		"data:image/png;base64,AAAA": false,
	} {
		var s IDs
		s.AddLink(sdk.JSON(`"` + link + `"`))
		if got := len(s.All()) == 1; got != want || s.Size() > headOfLink+idBytes {
			t.Errorf("%.100s is a link to what is kept: %v, of %d bytes", link, got, s.Size())
		}
	}
	var s IDs
	s.AddLink(sdk.JSON(`null`))
	s.AddLink(sdk.JSON(`{"ms://":1}`))
	if len(s.All()) > 0 {
		t.Errorf("what is no string is %q", s.All())
	}
}

func TestTextsThatNameFiles(t *testing.T) {
	for text, want := range map[string]bool{
		"fileid://a": true, "fileid://a,fileid://b": true, `\u0066ileid://a`: true, ` FileID://a`: true, `\n\nfileid://a`: true,
		"": false, "file": false, `\n`: false, "see fileid://a": false, "files": false, "ms://a": false, "fileids are names": false,
	} {
		var s IDs
		s.AddText(sdk.JSON(`"` + text + `"`))
		if got := len(s.All()) == 1; got != want {
			t.Errorf("%s names files: %v", text, got)
		}
	}
}

// FuzzLinks: whatever a string is, reading it ends, and what is kept of it is bounded. A text that
// is seen not to name files, without decoding it, names none.
func FuzzLinks(f *testing.F) {
	for _, link := range []string{`"ms://a"`, `"https://a@generativelanguage.googleapis.com:1/%66iles/"`, `"\u0066`, `"`, `"h`, `" fileid://`, `"\nf\rİleid:\/a"`, `"\\f\u0069leid://"`} {
		f.Add([]byte(link))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if sdk.JSON(b).Valid() != nil {
			return
		}
		var s IDs
		s.AddLink(b)
		s.AddText(b)
		var texts, decoded IDs
		texts.AddText(b)
		if len(b) > len(`"fileid:/`) && b[0] == '"' && (b[1]|0x20 == 'f' || b[1] == '\\' || b[1] == ' ') {
			if head, _ := headOf(b); namesQwenFiles(strings.ToLower(head)) {
				decoded.Add(head)
			}
		}
		if len(texts.All()) != len(decoded.All()) {
			t.Errorf("%q names %q, but decoded %q", b, texts.All(), decoded.All())
		}
		if s.Size() > 2*(3*headOfLink+idBytes) {
			t.Errorf("of %q, %d bytes are kept", b, s.Size())
		}
	})
}
