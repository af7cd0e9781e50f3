package messages

import "github.com/kai-gateway/kai/host/dialect"

// newCount makes the answer to a request to count tokens: {"input_tokens":123}.
func newCount(i dialect.Info) dialect.Answer { return dialect.NewCount(i, `{"input_tokens":`) }
