// Package completions is the dialect of OpenAI's older text completions, POST
// /v1/completions, and of Mistral's form of them for editors, POST /v1/fim/completions.
// Both go on with a text, or fill the gap before its suffix. Adapters get requests in
// OpenAI's form.
//
// Several prompts go to a provider together if it takes them so, else one after the other.
// The choices of prompt p, counted from 0, are those from p × n on.
package completions
