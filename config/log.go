package config

import "strings"

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

// checkLog warns of a log that has the words of providers in it.
func (l *loader) checkLog(root *value, c *Config) {
	var told []string
	for _, p := range c.Providers {
		if p.Log == "debug" {
			told = append(told, p.Name)
		}
	}
	if c.Log.Level == "debug" && len(told) > 0 {
		l.warn(root.get("log").get("level").place, "log.level", "shows what providers say in their errors, which may repeat prompts, for those whose log is debug, too: "+strings.Join(told, ", "))
	}
}
