// Package messages is the dialect of Anthropic's Messages API, POST /v1/messages: it turns
// a client's request into a chat completion, which is what adapters read, and the facts
// about its answer into what a client of that API gets.
//
// https://platform.claude.com/docs/en/api/messages
//
// What a provider wants back with the next request travels in the thinking blocks of an
// answer. Claude's own signatures stay as they are, if the text is the one that was signed.
// Package seal seals everything else into a signature. A sealed detail of type
// reasoning.text that has no text gets the text of its block. What belongs to a call
// travels in a block before it, which may be there for nothing else.
//
// The rules of an answer:
//
//   - A text, a refusal, a thought and a call are blocks, in the order in which they came.
//     Every change of kind ends a block and begins the next. An answer may have none.
//   - One block is open at a time. What follows a call waits until the JSON of its
//     arguments is complete, or until the answer ends. Arguments that come after that
//     and after another block make the answer fail, for the client may have run the tool.
//   - Every block of thinking has exactly one signature, at its end.
//   - The id of a call is the provider's, unless the conversation or the answer has it
//     already: clients drop a call whose id they know.
//   - Arguments that are no object are {"_invalid_arguments": TEXT} in a whole answer. A
//     stream passes their text on.
//   - message_start comes with the first block, so that an error before it still comes
//     before any answer. If a stream lacks something at its end, it ends with an error
//     event, and never in silence, which clients take for success.
//   - Counts are those at the end. Cached tokens are not among input_tokens.
//   - Log probabilities, images and citations have no place here and are dropped, and so
//     are all choices but the first.
package messages
