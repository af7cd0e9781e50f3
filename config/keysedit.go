package config

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// NewKey is a key that AddKey adds.
type NewKey struct {
	Name    string
	SHA256  Digest
	Group   string    // "": none
	Models  []string  // empty: all
	Expires time.Time // zero: never
}

// KeysFile returns the path of the file that auth.keys_file of a configuration names, ready
// to be opened, or "" if it names none. The configuration need not be valid.
func KeysFile(name string, src []byte, lookupEnv func(string) (string, bool)) (string, error) {
	var c struct {
		Auth struct {
			KeysFile string `yaml:"keys_file"`
		} `yaml:"auth"`
	}
	if err := yaml.Unmarshal(src, &c); err != nil {
		return "", errors.New("the configuration is not one: \"kai validate\" says where")
	}
	e, err := expand(c.Auth.KeysFile, lookupEnv)
	if err == nil && e.unset != "" {
		err = fmt.Errorf("the variable %s is not set", e.unset)
	}
	if err != nil {
		return "", fmt.Errorf("auth.keys_file: %w", err)
	}
	if e.text == "" || filepath.IsAbs(e.text) {
		return e.text, nil
	}
	return filepath.Join(filepath.Dir(name), e.text), nil
}

// CheckKeyName says why a key can't have a name, or returns nil.
func CheckKeyName(name string) error {
	if !keyName.MatchString(name) {
		return errors.New("must be 1 to 64 letters, digits or . _ @ -")
	}
	return nil
}

// CheckKey says why a text can't be a key, or returns nil. The error has nothing of the text
// but a character that keys can't have.
func CheckKey(text string) error { return usable(text) }

// entryOf returns the last entry of the list that has a name, and its index; nil if none has.
func (d *keysDocument) entryOf(name string) (entry *yaml.Node, index int) {
	if d.list != nil && d.list.Kind == yaml.SequenceNode {
		for i, item := range d.list.Content {
			if _, v := pair(item, "name"); v != nil && v.Value == name {
				entry, index = item, i
			}
		}
	}
	return entry, index
}

// AddKey returns src with one more key at the end of its list. Everything else stays as
// it is, byte for byte. The result need not be a valid configuration: whoever writes it
// checks it first.
//
//   - src: a configuration, or with alone a file of keys; empty for a new one
//   - path: what a Problem with the new key has as its Path, or as the beginning of it
//   - error: src is not YAML, or written in a way that must be edited by hand
func AddKey(src []byte, alone bool, k NewKey) (out []byte, path string, err error) {
	d, err := openKeys(src, alone)
	if err != nil {
		return nil, "", err
	}
	if !alone {
		path = "auth.api_keys"
	}
	n := 0
	if d.list != nil {
		n = len(d.list.Content)
	}
	out, err = d.add(k)
	return out, joinIndex(path, n), err
}

// add adds a key at the end of the list.
func (d *keysDocument) add(k NewKey) ([]byte, error) {
	alone := d.alone
	entry := "- " + k.entry() + "\n"
	switch list := d.list; {
	case list != nil && list.Kind == yaml.SequenceNode && len(list.Content) > 0:
		if list.Style&yaml.FlowStyle != 0 {
			return nil, errors.New("the list of keys is written in [ ]: write each key on a line of its own that begins with a dash, and try again")
		}
		end := lastLine(list)
		d.insert(end+1, 1, d.newline(end)+strings.Repeat(" ", list.Column-1)+entry)
	case alone && list != nil && list.Kind == yaml.SequenceNode: // []
		d.replace(list.Line, list.Column, "[]", entry)
	case alone:
		d.insert(len(d.lines)+1, 1, d.newline(len(d.lines))+entry)
	case d.auth == nil:
		d.insert(len(d.lines)+1, 1, d.newline(len(d.lines))+"auth:\n  enabled: true\n  api_keys:\n    "+entry)
	case d.auth.Kind != yaml.MappingNode || d.auth.Style&yaml.FlowStyle != 0 || len(d.auth.Content) == 0:
		return nil, errors.New("auth is written in { }, or has nothing in it: write its keys on lines of their own, and try again")
	case list == nil:
		first := d.auth.Content[0]
		indent := strings.Repeat(" ", first.Column-1)
		d.insert(first.Line, 1, indent+"api_keys:\n"+indent+"  "+entry)
	default: // nothing, or []
		indent := strings.Repeat(" ", d.listKey.Column-1)
		if list.Kind == yaml.SequenceNode {
			d.replace(list.Line, list.Column, "[]", "")
		}
		d.insert(d.listKey.Line+1, 1, d.newline(d.listKey.Line)+indent+"  "+entry)
	}
	var added any
	if err := yaml.Unmarshal([]byte(k.entry()), &added); err != nil {
		return nil, err
	}
	return d.finish(func(keys []any) []any { return append(slices.Clone(keys), added) })
}

// entry returns the key as it stands in a file.
func (k NewKey) entry() string {
	text := "{name: " + plain(k.Name) + ", sha256: " + plain(hex.EncodeToString(k.SHA256[:]))
	if k.Group != "" {
		text += ", group: " + plain(k.Group)
	}
	if len(k.Models) > 0 {
		quoted := make([]string, len(k.Models))
		for i, m := range k.Models {
			quoted[i] = strconv.Quote(m)
		}
		text += ", models: [" + strings.Join(quoted, ", ") + "]"
	}
	if !k.Expires.IsZero() {
		text += ", expires: " + k.Expires.UTC().Format(time.RFC3339)
	}
	return text + "}"
}

// plain writes a text without quotes where YAML reads it as text.
func plain(text string) string {
	if n := (&yaml.Node{Kind: yaml.ScalarNode, Value: text}); plainText(text) && n.ShortTag() == "!!str" {
		return text
	}
	return strconv.Quote(text)
}

// plainText reports whether a text is of letters, digits and . _ - alone.
func plainText(text string) bool {
	return text != "" && text[0] != '-' && strings.Trim(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-") == ""
}

// keysDocument is a file with a list of keys that is edited as text, so that all that is
// not edited stays as it is.
type keysDocument struct {
	src           []byte
	lines         []int // where each begins
	alone         bool
	auth          *yaml.Node
	listKey, list *yaml.Node
	newLine       string // as the file ends its lines
	edits         []edit
}

// edit replaces src[from:to].
type edit struct {
	from, to int
	text     string
}

func openKeys(src []byte, alone bool) (*keysDocument, error) {
	root, second, err := parseYAML(src)
	if err != nil || second != nil || !utf8.Valid(src) {
		return nil, errors.New("the file is not one document of YAML: \"kai validate\" says where")
	}
	d := &keysDocument{src: src, alone: alone, newLine: "\n"}
	if i := bytes.IndexByte(src, '\n'); i > 0 && src[i-1] == '\r' {
		d.newLine = "\r\n"
	}
	for at := 0; at < len(src); {
		d.lines = append(d.lines, at)
		i := bytes.IndexByte(src[at:], '\n')
		if i < 0 {
			break
		}
		at += i + 1
	}
	if alone {
		if d.list = root; root != nil && root.ShortTag() == "!!null" {
			d.list = nil
		}
		return d, nil
	}
	_, d.auth = pair(root, "auth")
	d.listKey, d.list = pair(d.auth, "api_keys")
	return d, nil
}

// pair returns a key of a mapping and its value; nil if there is none.
func pair(n *yaml.Node, key string) (k, v *yaml.Node) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

// lastLine returns the last line on which something in n begins.
func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}

// offset returns where a line and a column, which counts characters, are in src.
func (d *keysDocument) offset(line, column int) int {
	if line > len(d.lines) {
		return len(d.src)
	}
	at := d.lines[line-1]
	for range column - 1 {
		_, size := utf8.DecodeRune(d.src[at:])
		at += size
	}
	return at
}

// newline returns what a text needs before it if line has no end.
func (d *keysDocument) newline(line int) string {
	if line >= len(d.lines) && len(d.src) > 0 && d.src[len(d.src)-1] != '\n' {
		return "\n"
	}
	return ""
}

func (d *keysDocument) insert(line, column int, text string) {
	at := d.offset(line, column)
	d.edits = append(d.edits, edit{at, at, text})
}

// replace replaces a text that should stand at a place. If it doesn't, finish notices.
func (d *keysDocument) replace(line, column int, old, text string) {
	at := d.offset(line, column)
	if bytes.HasPrefix(d.src[at:], []byte(old)) {
		d.edits = append(d.edits, edit{at, at + len(old), text})
	}
}

// raw returns a scalar as it is written, if that is on one line and without escapes.
func (d *keysDocument) raw(n *yaml.Node) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		return "", false
	}
	raw := n.Value
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		raw = `"` + raw + `"`
	case n.Style&yaml.SingleQuotedStyle != 0:
		raw = "'" + raw + "'"
	}
	return raw, bytes.HasPrefix(d.src[d.offset(n.Line, n.Column):], []byte(raw))
}

// finish makes the edits, and checks that the list has become what want makes of it, and
// that nothing else has changed.
func (d *keysDocument) finish(want func(keys []any) []any) ([]byte, error) {
	slices.SortStableFunc(d.edits, func(a, b edit) int { return a.from - b.from })
	var out []byte
	at := 0
	for _, e := range d.edits {
		out = append(append(out, d.src[at:e.from]...), strings.ReplaceAll(e.text, "\n", d.newLine)...)
		at = e.to
	}
	out = append(out, d.src[at:]...)
	before, rest, err := d.split(d.src)
	if err != nil {
		return nil, err
	}
	after, restAfter, err := d.split(out)
	if err != nil || !reflect.DeepEqual(after, want(before)) || !reflect.DeepEqual(rest, restAfter) {
		return nil, errors.New("the file is written in a way that must be edited by hand")
	}
	return out, nil
}

// split returns the keys of a file, and all else that is in it.
func (d *keysDocument) split(src []byte) (keys []any, rest map[string]any, err error) {
	if d.alone {
		err = yaml.Unmarshal(src, &keys)
		return keys, nil, err
	}
	if err = yaml.Unmarshal(src, &rest); err != nil {
		return nil, nil, err
	}
	auth, _ := rest["auth"].(map[string]any)
	keys, _ = auth["api_keys"].([]any)
	delete(auth, "api_keys")
	if d.auth == nil {
		delete(rest, "auth") // which is new
	}
	return keys, rest, nil
}
