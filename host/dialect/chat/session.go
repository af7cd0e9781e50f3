package chat

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/tidwall/gjson"
)

// Conversation identifies which conversation the request belongs to: by
// prompt_cache_key, else by the first system and the first user message, which stay the
// same while it grows.
func (r *Request) Conversation() string {
	text := textOf(r.Whole())
	if key := gjson.Get(text, "prompt_cache_key"); key.Type == gjson.String && key.Str != "" {
		return "key " + key.Str
	}
	h := sha256.New()
	system := false
	gjson.Get(text, "messages").ForEach(func(_, m gjson.Result) bool {
		switch m.Get("role").Str {
		case "system", "developer":
			if system {
				return true
			}
			system = true
		case "user":
		default:
			return true
		}
		h.Write([]byte(m.Get("content").Raw))
		h.Write([]byte{0})
		return m.Get("role").Str != "user"
	})
	return "begins " + hex.EncodeToString(h.Sum(nil)[:16])
}

// User is who the client says the request is for: user, else safety_identifier.
func (r *Request) User() string {
	text := textOf(r.Whole())
	for _, field := range [...]string{"user", "safety_identifier"} {
		if v := gjson.Get(text, field); v.Type == gjson.String && v.Str != "" {
			return v.Str
		}
	}
	return ""
}

// MaxOutput is how many tokens all choices together may have; 0 if the request doesn't say.
func (r *Request) MaxOutput() int64 {
	return min(r.maxOutput, 1<<40) * max(1, r.choices)
}

// Tokens estimates how many tokens the request has: a quarter of its bytes, and a thousand
// for each image, sound or file.
func (r *Request) Tokens() int64 {
	return (int64(len(r.Whole()))-r.mediaBytes)/4 + 1000*r.media
}
