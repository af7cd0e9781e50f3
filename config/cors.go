package config

// CORS says which web pages may call from a browser.
type CORS struct {
	Enabled      bool     // default true
	AllowOrigins []string // "*" or origins such as "https://app.example.com"; default ["*"]
}

type corsForm struct {
	Enabled      bool
	AllowOrigins []string `json:"allow_origins"`
}

func (l *loader) cors(root *value) CORS {
	var f corsForm
	l.decode("#CORS", root.get("cors"), "cors", &f)
	return CORS(f)
}
