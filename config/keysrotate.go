package config

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// ErrNoSuchKey is the error of RotateKey if no entry has the name.
var ErrNoSuchKey = errors.New("there is no key of this name")

// Rotation is a new key that RotateKey puts into the entry of a name.
type Rotation struct {
	Name   string
	SHA256 Digest
	Now    time.Time
	Until  time.Time // what was there is refused from then on, or earlier if it said so
}

// RotateKey returns src with a new key in an entry. The keys that were there get an end. Those
// that ended a week ago are left out, or more recent ones if there is no room for so many.
// Everything else stays as it is.
//
//   - src, alone: as for AddKey
//   - error: ErrNoSuchKey, or why the entry must be edited by hand
func RotateKey(src []byte, alone bool, r Rotation) ([]byte, error) {
	d, err := openKeys(src, alone)
	if err != nil {
		return nil, err
	}
	entry, index := d.entryOf(r.Name)
	if entry == nil {
		return nil, ErrNoSuchKey
	}
	added, end := "{sha256: "+plain(hex.EncodeToString(r.SHA256[:]))+"}", r.Until.UTC().Format(time.RFC3339)
	var drop []bool
	if _, versions := pair(entry, "keys"); versions != nil {
		drop, err = d.rotateList(versions, added, end, r.Now)
	} else {
		err = d.rotateOne(entry, added, end)
	}
	if err != nil {
		return nil, err
	}
	return d.finish(func(keys []any) []any {
		entry, ok := keys[index].(map[string]any)
		if !ok {
			return nil // it has keys that are no text
		}
		keys = slices.Clone(keys)
		keys[index] = rotated(entry, hex.EncodeToString(r.SHA256[:]), end, drop)
		return keys
	})
}

var errByHand = errors.New("the key's entry is written in a way that must be edited by hand: give it keys, a list of {sha256, until}")

// rotateOne makes a list of the one key of an entry.
func (d *keysDocument) rotateOne(entry *yaml.Node, added, end string) error {
	for _, field := range []string{"sha256", "key"} {
		k, v := pair(entry, field)
		if v == nil {
			continue
		}
		raw, ok := d.raw(v)
		if !ok || k.Line != v.Line {
			return errByHand
		}
		old := plain(v.Value)
		from, to := d.offset(k.Line, k.Column), d.offset(v.Line, v.Column)+len(raw)
		d.edits = append(d.edits, edit{from, to, "keys: [" + added + ", {" + field + ": " + old + ", until: " + end + "}]"})
		return nil
	}
	return errByHand
}

// rotateList adds a key at the front of a list, and an end to those that have none or a later
// one. It returns which of those that were there it has left out.
func (d *keysDocument) rotateList(list *yaml.Node, added, end string, now time.Time) ([]bool, error) {
	if list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		return nil, errByHand
	}
	drop := d.over(list, now)
	switch first := list.Content[0]; {
	case list.Style&yaml.FlowStyle == 0 && drop[0]: // its lines go, but not what is before its dash
		d.insert(list.Line, list.Column, "- "+added+"\n")
	case list.Style&yaml.FlowStyle == 0:
		d.insert(list.Line, list.Column, "- "+added+"\n"+strings.Repeat(" ", list.Column-1))
	case slices.Contains(drop, false):
		d.insert(first.Line, first.Column, added+", ")
	default:
		d.insert(first.Line, first.Column, added)
	}
	for i, item := range list.Content {
		if drop[i] {
			d.leaveOut(list, i, drop)
		} else if err := d.endVersion(item, end); err != nil {
			return nil, err
		}
	}
	return drop, nil
}

// endVersion has a key of a list end, unless it does so before.
func (d *keysDocument) endVersion(item *yaml.Node, end string) error {
	_, until := pair(item, "until")
	v := until
	if v == nil {
		if _, v = pair(item, "sha256"); v == nil {
			_, v = pair(item, "key")
		}
	}
	raw, ok := "", false
	if v != nil {
		raw, ok = d.raw(v)
	}
	if !ok {
		return errByHand
	}
	at := d.offset(v.Line, v.Column)
	switch {
	case until != nil:
		if is, err := time.Parse(time.RFC3339, until.Value); err != nil {
			return errByHand
		} else if later(is, end) {
			d.edits = append(d.edits, edit{at, at + len(raw), end})
		}
	case item.Style&yaml.FlowStyle == 0:
		d.edits = append(d.edits, edit{at + len(raw), at + len(raw), "\n" + strings.Repeat(" ", item.Column-1) + "until: " + end})
	default:
		d.edits = append(d.edits, edit{at + len(raw), at + len(raw), ", until: " + end})
	}
	return nil
}

// later reports whether t is later than an instant as it is written.
func later(t time.Time, end string) bool {
	ends, _ := time.Parse(time.RFC3339, end)
	return t.After(ends)
}

// remembered is how long an expired key stays in its list, so that whoever still uses it is
// told when it expired.
const remembered = 7 * 24 * time.Hour

// over says which keys of a list to leave out when one more is added: those that expired long
// ago, and as many other expired ones as there is no room for. A key stays if it is written in
// a way that can't be cut out.
func (d *keysDocument) over(list *yaml.Node, now time.Time) []bool {
	drop, left := make([]bool, len(list.Content)), len(list.Content)+1
	ends := make([]time.Time, len(list.Content)) // of those that may go; zero: it may not
	for i, item := range list.Content {
		_, until := pair(item, "until")
		_, _, ok := d.extent(list, item)
		if !ok && list.Style&yaml.FlowStyle != 0 {
			return drop // nobody knows where the comma behind it is
		}
		if ok && until != nil {
			if t, err := time.Parse(time.RFC3339, until.Value); err == nil && !t.After(now) {
				ends[i] = t
			}
		}
	}
	for {
		oldest := -1
		for i, t := range ends {
			if !t.IsZero() && !drop[i] && (oldest < 0 || t.Before(ends[oldest])) {
				oldest = i
			}
		}
		if oldest < 0 || left <= maxVersions && now.Sub(ends[oldest]) < remembered {
			return drop
		}
		drop[oldest] = true
		left--
	}
}

// extent returns where an item of a list begins and ends in the source: on lines of its own,
// or in braces on one line. ok is false if it is written otherwise.
func (d *keysDocument) extent(list, item *yaml.Node) (from, to int, ok bool) {
	if item.Kind != yaml.MappingNode || len(item.Content) == 0 {
		return 0, 0, false
	}
	for _, n := range item.Content {
		if _, ok := d.raw(n); !ok {
			return 0, 0, false
		}
	}
	last := item.Content[len(item.Content)-1]
	raw, _ := d.raw(last)
	to = d.offset(last.Line, last.Column) + len(raw)
	if item.Style&yaml.FlowStyle != 0 {
		for to < len(d.src) && d.src[to] == ' ' {
			to++
		}
		if to >= len(d.src) || d.src[to] != '}' {
			return 0, 0, false
		}
		to++
	}
	if list.Style&yaml.FlowStyle != 0 {
		return d.offset(item.Line, item.Column), to, true
	}
	from = d.offset(item.Line, 1)
	dash := bytes.TrimSpace(d.src[from:d.offset(item.Line, item.Column)])
	return from, d.offset(last.Line+1, 1), string(dash) == "-"
}

// leaveOut cuts an item out of a list that extent knows.
func (d *keysDocument) leaveOut(list *yaml.Node, i int, drop []bool) {
	from, to, _ := d.extent(list, list.Content[i])
	if list.Style&yaml.FlowStyle == 0 {
		if i == 0 {
			from = d.offset(list.Line, list.Column)
		}
		d.edits = append(d.edits, edit{from, to, ""})
		return
	}
	switch next := i + 1; {
	case slices.Contains(drop[:i], false): // with the comma before it
		_, from, _ = d.extent(list, list.Content[i-1])
	case next < len(drop): // with the comma behind it
		to = d.offset(list.Content[next].Line, list.Content[next].Column)
	}
	d.edits = append(d.edits, edit{from, to, ""})
}

// rotated is what an entry must have become.
func rotated(entry map[string]any, digest, end string, drop []bool) map[string]any {
	entry = cloneMap(entry)
	ends, _ := time.Parse(time.RFC3339, end)
	versions := []any{map[string]any{"sha256": digest}}
	if old, listed := entry["keys"].([]any); listed {
		for i, v := range old {
			if drop[i] {
				continue
			}
			version, _ := v.(map[string]any)
			version = cloneMap(version)
			until, is := version["until"].(time.Time)
			if text, quoted := version["until"].(string); quoted {
				until, _ = time.Parse(time.RFC3339, text)
				is = true
			}
			if !is || until.After(ends) {
				version["until"] = ends
			}
			versions = append(versions, version)
		}
	} else {
		old := map[string]any{"until": ends}
		for _, field := range []string{"sha256", "key"} {
			if v, has := entry[field]; has {
				old[field] = v
				delete(entry, field)
			}
		}
		versions = append(versions, old)
	}
	entry["keys"] = versions
	return entry
}

func cloneMap(m map[string]any) map[string]any {
	clone := make(map[string]any, len(m)+1)
	for k, v := range m {
		clone[k] = v
	}
	return clone
}
