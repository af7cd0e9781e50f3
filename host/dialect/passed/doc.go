// Package passed is the dialect of those parts of OpenAI's API, and of what others have
// added to it in the same manner, that Kai passes on: moderations, rerank, images, speech
// and transcriptions.
//
// Clients and providers speak the same API there, so nothing is translated. The gateway
// reads what it has to know of a request, refuses what can't be right, and puts in the
// upstream's name of the model. In the answer it changes nothing but the name of the model,
// which becomes the alias that the client knows.
package passed
