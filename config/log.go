package config

// Log says what the log has, and how it looks.
type Log struct {
	Level  string `json:"level"`  // "debug", "info", "warn" or "error"
	Format string `json:"format"` // "auto", "json" or "text"
	Access string `json:"access"` // which requests have a line: "all", "errors" or "off"
}

func (l *loader) log(root *value) (c Log) {
	l.decode("#Log", root.get("log"), "log", &c)
	return c
}
