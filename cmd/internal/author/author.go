// Package author is what authors of adapters need: projects to begin with,
// compilers for each language, modules packed of what they leave, tests, recordings,
// and the loop that goes through it at every change.
//
// The commands of "kai plugin" are its users, and its errors speak of them: they
// know the flags and print, and what they do is here.
package author
