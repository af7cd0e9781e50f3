package config

// CORS says which web pages may call from a browser.
type CORS struct {
	Enabled      bool     `json:"enabled"`
	AllowOrigins []string `json:"allow_origins"` // "*" or origins such as "https://app.example.com"
}

func (l *loader) cors(root *value) CORS {
	var c CORS
	l.decode("#CORS", root.get("cors"), "cors", &c)
	return c
}
