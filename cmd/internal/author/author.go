// Package author has what authors of adapters need: projects to start with, the compilers
// of each language, the packing of modules, tests, recordings, and the loop that builds and
// tests at every change.
//
// The commands of "kai plugin" use it. They parse flags and print; the work is done here.
// Errors mention the commands.
package author
