// Package responses is the dialect of OpenAI's Responses API. It makes a chat completion
// of a client's request, and items, events and objects of the facts about an answer.
//
// [Parse] reads a request. It passes over the client's bytes without decoding them: texts
// are spliced into the chat completion as they stand between their quotes, so long content
// goes by reference there as it does in a client's chat completion.
//
// Clients differ in what they read: Codex takes the items as they are done, both Agents
// SDKs take the last object only, the AI SDK and the helpers of OpenAI's SDKs take every
// step between. So everything is sent, always.
//
// # Items
//
//   - An answer is a list of items: messages with one text or one refusal, reasoning,
//     calls. Another kind of content begins another item, so a text after a call is a
//     message of its own. At most one message or reasoning is open at a time. Calls stay
//     open to the end, and the pieces of their arguments may come in any order.
//   - A call comes back in the kind in which its tool was declared, whatever the adapter
//     had to make of that: with its namespace apart, as the input of a custom tool, as a
//     search for tools, as a command or a patch.
//   - Clients run a call the moment it is done. So no call is done before the answer has
//     its end, and never one that was cut off: if the answer ended for its length or its
//     content, one whose arguments are no whole object, or were not begun. Such a call is
//     not in the output either.
//   - What was said of a message or reasoning before the answer was cut off is done, with
//     status incomplete, and so is the response.
//   - An answer without a message and without a call gets an empty message, because some
//     clients would ask for ever.
//   - The id of an item is the random part of the response's id with the item's index.
//
// # What providers want back
//
// Signatures and details of the reasoning travel as the encrypted_content of reasoning
// items, whether the client asked for that or not (see package seal). Those of a reasoning
// are in its own item. All others are in a reasoning without text: those of a call right
// before it, if they are known by then, and those of a message after it. The pieces of one
// detail are joined, as whoever reads them does. More than can be carried is left out.
//
// # Streams
//
//   - Events are numbered from 0 without gaps, whichever attempts and keep-alives there
//     are. The first two, response.created and response.in_progress, come with the first
//     event that shows something, or with the first keep-alive.
//   - A keep-alive is a response.in_progress, because some clients take no comment for a
//     sign of life.
//   - Exactly one of response.completed, response.incomplete and response.failed is the
//     last event. There is no [DONE].
//   - A stream that fails has an error before response.failed. It has both the shape of
//     OpenAI's documents and the one that OpenAI sends. It ends no item.
//   - Log probabilities go with the text of the same adapter call, else with the next text.
//
// # Objects
//
// Every response object has every field. What the client sent is repeated, except in
// keep-alives, and the rest is OpenAI's default. usage is null before the end, and if
// nobody counted. Fields that an adapter adds to an answer are in the last object, under
// their own names. A response that was completed or is incomplete can be remembered; one
// that failed is not.
//
// # Native answers
//
// A provider that speaks this API gets the request as it is, and its events pass: see
// package native. Then the response, its id and the numbers of its events are the
// provider's, and Kai remembers nothing of it. A keep-alive before the first of them is a
// comment, and a later one is an event "keepalive". Once a response of Kai's has begun, no
// native answer follows.
//
// # What has no place
//
// Choices but the first, citations, pictures and other extra fields of a message are
// dropped.
package responses
