package config

// Responses says what is remembered for clients of the Responses API.
type Responses struct {
	Memory Size     `json:"memory"` // bytes; 0: nothing is remembered
	TTL    Duration `json:"ttl"`    // since the last use
}

func (l *loader) responses(root *value) Responses {
	var r Responses
	l.decode("#Responses", root.get("responses"), "responses", &r)
	return r
}
