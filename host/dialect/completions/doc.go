// Package completions is the dialect of OpenAI's older text completions, POST
// /v1/completions, and of Mistral's form of them for editors, POST /v1/fim/completions. Both
// go on with a text, or fill the gap before its suffix. Adapters get the former's requests.
//
// Several prompts go to a provider that takes them together, else one after the other. The
// alternatives of the prompt p, counted from 0, are the choices from p × n on.
package completions
