package sdk

// Level is the importance of a log line.
type Level int32

const (
	LevelDebug Level = -4
	LevelInfo  Level = 0
	LevelWarn  Level = 4
	LevelError Level = 8
)

// Log writes a line to the gateway's log, under the adapter's name. The gateway drops lines
// below the provider's log setting (default: warn), and more than 20 lines per second. Never
// log prompts.
func Log(level Level, text string) { logLine(level, text) }
