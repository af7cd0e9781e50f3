package observe

import (
	"strings"

	common "go.opentelemetry.io/proto/otlp/common/v1"
)

// Names of OpenTelemetry's conventions. Those for generative AI are of v0.1.0, whose
// attributes are still in development. Names that were different until v1.41 of the general
// conventions have the old one beside them.
const (
	attrHTTPMethod = "http.request.method"
	attrHTTPRoute  = "http.route"
	attrHTTPStatus = "http.response.status_code"
	attrErrorType  = "error.type"

	attrOperation    = "gen_ai.operation.name"
	attrProvider     = "gen_ai.provider.name"
	attrModel        = "gen_ai.request.model"
	attrStream       = "gen_ai.request.stream"
	attrFirstChunk   = "gen_ai.response.time_to_first_chunk" // seconds
	attrInput        = "gen_ai.usage.input_tokens"
	attrOutput       = "gen_ai.usage.output_tokens"
	attrCacheRead    = "gen_ai.usage.cache_read.input_tokens"
	attrCacheWrite   = "gen_ai.usage.cache_write.input_tokens"
	attrCacheWrite41 = "gen_ai.usage.cache_creation.input_tokens" // until v1.41
	attrReasoning    = "gen_ai.usage.reasoning.output_tokens"

	attrMaxTokens     = "gen_ai.request.max_tokens"
	attrTemperature   = "gen_ai.request.temperature"
	attrTopP          = "gen_ai.request.top_p"
	attrResponseID    = "gen_ai.response.id"
	attrResponseModel = "gen_ai.response.model"
	attrFinish        = "gen_ai.response.finish_reasons"
	attrServer        = "server.address"
	attrPort          = "server.port"

	attrInputMessages  = "gen_ai.input.messages"
	attrOutputMessages = "gen_ai.output.messages"

	// The gateway's own.
	attrRequestID = "kai.request_id"
	attrAlias     = "kai.alias"
	attrInstead   = "kai.alias.instead" // that served the request, since a budget was spent
	attrKey       = "kai.key"           // its name
	attrGroup     = "kai.group"         // of the key
	attrTarget    = "kai.provider"
	attrCode      = "kai.error.code"
	attrEstimated = "kai.usage.estimated"
)

// operationOf returns what the conventions call the operation of an endpoint.
func operationOf(endpoint string) string {
	switch {
	case strings.HasSuffix(endpoint, "/embeddings"):
		return "embeddings"
	case strings.HasSuffix(endpoint, "/chat/completions"):
		return "chat"
	case strings.HasSuffix(endpoint, "/completions"):
		return "text_completion"
	case strings.HasSuffix(endpoint, "/messages"), strings.HasSuffix(endpoint, "/responses"):
		return "chat"
	}
	return endpoint[strings.LastIndexByte(endpoint, '/')+1:]
}

// systems are what the conventions call the APIs that shipped adapters speak.
var systems = map[string]string{"openai": "openai", "anthropic": "anthropic", "gemini": "gcp.gemini", "ollama": "ollama", "openrouter": "openrouter"}

// System returns what the conventions call the API of a provider: by its adapter, or else
// the provider's own name.
func System(provider, plugin string) string {
	if name := systems[plugin]; name != "" {
		return name
	}
	return provider
}

// Server is where a provider is asked. The zero value is that of a provider that answers by
// itself.
type Server struct {
	Address string // a name or an IP address, without brackets
	Port    int64
}

// appendServer appends the attributes of a server.
func appendServer(to []*common.KeyValue, s Server) []*common.KeyValue {
	if s.Address == "" {
		return to
	}
	return append(to, text(attrServer, s.Address), number(attrPort, s.Port))
}
