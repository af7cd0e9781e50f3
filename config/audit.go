package config

// Audit is a file with a line for each request.
type Audit struct {
	File string `json:"file"` // ready to be opened, or "stdout"; "": nothing is written
	Full string `json:"full"` // what happens if lines come faster than they are written: "drop" or "wait"
}

func (l *loader) audit(root *value) (a Audit) {
	v := root.get("audit")
	if v == nil || v.kind == null || !l.decode("#Audit", v, "audit", &a) {
		return Audit{}
	}
	if a.File != "stdout" {
		a.File = l.resolve(a.File)
	}
	return a
}
