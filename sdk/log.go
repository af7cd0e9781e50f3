package sdk

// Level is how much a log line matters.
type Level int32

const (
	LevelDebug Level = -4
	LevelInfo  Level = 0
	LevelWarn  Level = 4
	LevelError Level = 8
)

// Log writes a line to the gateway's log, under the adapter's name. The gateway
// drops what is below the provider's log setting (default: warn) and more than
// 20 lines a second. Never log prompts.
func Log(level Level, text string) { logLine(level, text) }
