package responses

import (
	"crypto/sha256"
	"encoding/hex"
)

const (
	// bareNamespace is Codex's: its tools are known by their names alone.
	bareNamespace = "functions"

	separator  = "__" // between a namespace and a name
	longest    = 64   // bytes of a name that every provider takes
	hashLength = 8    // digits of a hash
)

// flatName returns the name of a tool upstream: letters, digits, _ and -, at most 64. It
// depends on nothing but the arguments, so it is the same in every request of a
// conversation.
func flatName(id identity) string {
	name := id.name
	if id.namespace != "" && id.namespace != bareNamespace {
		name = id.namespace + separator + id.name
	}
	if len(name) <= longest && clean(name) == name {
		return name
	}
	return hashedName(id)
}

// hashedName is flatName with a short hash at its end, for names that are too long, that
// have other characters, or that another tool has as its flat name, too.
func hashedName(id identity) string {
	name := clean(id.namespace + separator + id.name)
	if id.namespace == "" || id.namespace == bareNamespace {
		name = clean(id.name)
	}
	sum := sha256.Sum256([]byte(id.namespace + "\x00" + id.name))
	return name[:min(len(name), longest-hashLength-1)] + "_" + hex.EncodeToString(sum[:hashLength/2])
}

// clean replaces the bytes that names may not have.
func clean(name string) string {
	var out []byte
	for i := range len(name) {
		c := name[i]
		if c-'0' <= 9 || (c|0x20)-'a' <= 25 || c == '_' || c == '-' {
			continue
		}
		if out == nil {
			out = []byte(name)
		}
		out[i] = '_'
	}
	if out == nil {
		return name
	}
	return string(out)
}

// settle gives all tools their flat names. Of tools that would have the same one, those in
// namespaces get hashes.
func (d *declarations) settle() {
	count := make(map[string]int, len(d.list))
	for i := range d.list {
		t := &d.list[i]
		t.flat = flatName(identity{t.namespace, t.name})
		count[t.flat]++
	}
	for i := range d.list {
		t := &d.list[i]
		if count[t.flat] > 1 && t.namespace != "" && t.namespace != bareNamespace {
			t.flat = hashedName(identity{t.namespace, t.name})
		}
	}
}

// flat returns the flat name of a tool that a call or a choice names. The tool need not be
// declared any more.
func (d *declarations) flat(id identity) string {
	if i, ok := d.find(id); ok {
		return d.list[i].flat
	}
	return flatName(id)
}

// find returns the number of a declared tool.
func (d *declarations) find(id identity) (i int, ok bool) {
	if id.namespace == bareNamespace {
		id.namespace = ""
	}
	i, ok = d.index[id]
	return i, ok
}

// table returns the tools by their flat names, for the way back.
func (d *declarations) table() tools {
	if len(d.list) == 0 {
		return nil
	}
	t := make(tools, len(d.list))
	for i := range d.list {
		t[d.list[i].flat] = d.list[i].tool
	}
	return t
}
