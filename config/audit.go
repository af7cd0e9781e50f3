package config

import "fmt"

// Audit is a file with a line for each request.
type Audit struct {
	File string `json:"file"` // ready to be opened, or "stdout"; "": nothing is written
	Full string `json:"full"` // what happens if lines come faster than they are written: "drop" or "wait"

	at Problem // without a message: where the file names it
}

// Problem places what turns out to be wrong with the file only when it is opened.
func (a Audit) Problem(err error) Problem {
	problem := a.at
	problem.Message = fmt.Sprintf("can't be written: %v", err)
	return problem
}

func (l *loader) audit(root *value) (a Audit) {
	v := root.get("audit")
	if v == nil || v.kind == null || !l.decode("#Audit", v, "audit", &a) {
		return Audit{}
	}
	at := v.place
	if file := v.get("file"); file != nil {
		at = file.place
	}
	a.at = Problem{File: l.file, Line: at.line, Column: at.column, Path: "audit.file"}
	if a.File != "stdout" {
		a.File = l.resolve(a.File)
	}
	return a
}
