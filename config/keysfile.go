package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Bounds of auth.keys_file, which may have a hundred thousand keys.
const (
	maxKeysFile = 16 << 20 // bytes
	pieceSize   = 64 << 10 // of what is parsed at one time
	maxTold     = 100      // problems, after which reading ends
)

// readFile reads the file of keys that v names. Its problems have their places in it.
//
// The file is parsed piece by piece, so that of a large one only the keys are held. And
// since CUE takes about a millisecond for a key, it checks only one of those that differ
// in nothing but name, digest and expiry (see known).
func (r *keyReader) readFile(v *value) {
	if !v.isText() {
		return
	}
	path := r.resolve(v.scalar)
	src, err := r.options.ReadFile(path)
	if err != nil {
		if pathError, ok := errors.AsType[*fs.PathError](err); ok {
			err = pathError.Err
		}
		r.fault(v, "auth.keys_file", path+" cannot be read: "+err.Error()+"; a path is relative to the configuration's folder")
		return
	}
	in := *r.loader
	in.report, in.dir = &report{file: path}, filepath.Dir(path)
	r.more = append(r.more, in.report)
	outer := r.loader
	r.loader = &in
	defer func() { r.loader = outer }()
	if len(src) > maxKeysFile {
		r.add(place{1, 1}, "", "is larger than 16 MiB, the limit of a file of keys")
		return
	}
	if checkText(src, in.report) {
		r.readPieces(src)
	}
}

// readPieces reads a list of keys in pieces. Each is a document of its own to the parser,
// which is the same as one document, but for aliases to what stands in another piece.
func (r *keyReader) readPieces(src []byte) {
	index, line := 0, 0
	for len(src) > 0 {
		piece := firstPiece(src)
		document, second, err := parseYAML(piece)
		switch {
		case err != nil:
			r.reportPiece(piece, line)
			return
		case second != nil:
			r.add(place{line + second.Line, second.Column}, "", "a second YAML document begins here: a file of keys is one document, remove the --- line")
			return
		case document == nil:
			// nothing but comments
		case document.Kind != yaml.SequenceNode:
			if document.ShortTag() != "!!null" {
				r.add(place{document.Line, document.Column}, "", "must be a list of keys such as - {name: …, sha256: …}, without a key above it")
				return
			}
		case !r.readItems(document.Content, line, index):
			return
		default:
			index += len(document.Content)
		}
		line += bytes.Count(piece, []byte{'\n'})
		src = src[len(piece):]
	}
}

// reportPiece reports why a piece that begins after line lines is no YAML.
func (r *keyReader) reportPiece(piece []byte, line int) {
	padded := append(bytes.Repeat([]byte{'\n'}, line), piece...) // so that lines have their numbers
	_, _, err := parseYAML(padded)
	of := &report{file: r.file}
	reportSyntax(padded, err, of)
	for _, p := range of.problems {
		if line > 0 && strings.Contains(err.Error(), "unknown anchor") {
			p.Message = "an alias (*name) refers to an anchor that is not there, or too far above: write out what it stands for"
		}
		r.add(place{p.Line, p.Column}, p.Path, p.Message)
	}
}

// firstPiece returns the lines up to an item of the list that begins after pieceSize
// bytes.
func firstPiece(src []byte) []byte {
	dash := firstDash.Find(src)
	if dash == nil {
		return src
	}
	dash = append([]byte{'\n'}, bytes.TrimLeft(dash, "\n")...)
	if len(src) <= pieceSize {
		return src
	}
	i := bytes.Index(src[pieceSize:], dash)
	if i < 0 {
		return src
	}
	return src[:pieceSize+i+1]
}

// firstDash finds the dash before the first item of a list, with its indentation.
var firstDash = regexp.MustCompile(`(?m)^ *- `)

// readItems reads keys, which begin after line lines of the file with the number index.
// It reports whether the file is worth reading on.
func (r *keyReader) readItems(items []*yaml.Node, line, index int) bool {
	element := r.whole.keys().get("auth").keys().get("api_keys").element()
	b := builder{report: r.report, open: map[*yaml.Node]bool{}, line: line}
	for i, node := range items {
		path := joinIndex("", index+i)
		item := b.build(node, spot{path: path, form: element}, 1)
		if b.stopped {
			return false
		}
		unnamed := fmt.Sprintf("keys_file %d", index+i+1)
		id := formOfKey(item)
		if key, known := r.known(id, item); known {
			r.addKey(key, unnamed, item, path)
		} else {
			before := len(r.problems)
			r.cutSecrets(element, item, path)
			r.check(element, item, path, item.place)
			if key, ok := r.key(item, path); ok {
				if id != "" && len(r.problems) == before {
					r.forms[id] = key
				}
				r.addKey(key, unnamed, item, path)
			}
		}
		if len(r.problems) >= maxTold {
			r.add(place{item.place.line + 1, 1}, "", "what follows was not read, since so much is wrong above")
			return false
		}
	}
	return true
}

// Of what differs from key to key, the notations that need no other check. The schema has
// them for name and sha256, and package time takes the third.
var sha256Text = regexp.MustCompile(`^[0-9A-Fa-f]{64}$`)

// formOfKey returns all of a key's entry but its name, its digest and its expiry, which
// are well written; "" if the entry has none of that kind.
func formOfKey(item *value) string {
	if item.kind != mapping || !item.sound() {
		return ""
	}
	var b strings.Builder
	for _, e := range item.entries {
		switch e.key {
		case "name":
			if !e.value.isText() || !keyName.MatchString(e.value.scalar) {
				return ""
			}
			b.WriteString("name,")
		case "sha256":
			if !e.value.isText() || !sha256Text.MatchString(e.value.scalar) {
				return ""
			}
			b.WriteString("sha256,")
		case "expires":
			if _, err := time.Parse(time.RFC3339, e.value.scalar); !e.value.isText() || err != nil {
				return ""
			}
			b.WriteString("expires,")
		case "key", "keys":
			return ""
		default:
			b.WriteString(strconv.Quote(e.key))
			if !writeForm(&b, e.value) {
				return ""
			}
		}
	}
	return b.String()
}

// writeForm writes a value so that no other one is written alike. It fails for one whose
// text has to be filled in.
func writeForm(b *strings.Builder, v *value) bool {
	fmt.Fprintf(b, ":%d%t%s", v.kind, v.plain, strconv.Quote(v.scalar))
	if v.kind == text && strings.Contains(v.scalar, "${") {
		return false
	}
	for _, item := range v.items {
		b.WriteByte('[')
		if !writeForm(b, item) {
			return false
		}
	}
	for _, e := range v.entries {
		b.WriteByte('{')
		b.WriteString(strconv.Quote(e.key))
		if !writeForm(b, e.value) {
			return false
		}
	}
	b.WriteByte(';')
	return true
}

// known returns the key of an entry, if one that differs in nothing but name, digest and
// expiry was found good before.
func (r *keyReader) known(id string, item *value) (Key, bool) {
	key, ok := r.forms[id]
	if !ok || id == "" {
		return key, false
	}
	key.Name = item.get("name").scalar
	if digest := item.get("sha256"); digest.isText() {
		key.SHA256.UnmarshalText([]byte(digest.scalar)) // well written, as formOfKey says
	}
	if expires := item.get("expires"); expires.isText() {
		key.Expires, _ = time.Parse(time.RFC3339, expires.scalar)
	}
	return key, true
}
