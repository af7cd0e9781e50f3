package fuel

import (
	"errors"
	"slices"
)

// header is at the start of every module: the magic number and version 1.
var header = [8]byte{0, 'a', 's', 'm', 1, 0, 0, 0}

// section is one section of a module, by offsets in the module.
type section struct {
	id          byte
	start       int // of the id
	body        int // of the content
	end         int
	customName  string // of a custom section
	customStart int    // of a custom section's data
}

// newReader returns a reader of what follows the header of module.
func newReader(module []byte) reader {
	r := reader{data: module, end: len(module)}
	if len(module) < len(header) || [8]byte(module) != header {
		r.err = errors.New("not a WebAssembly module of version 1")
		r.pos = r.end
		return r
	}
	r.pos = len(header)
	return r
}

// section reads the id, the size and the name of the next section, and skips its
// content.
func (r *reader) section() section {
	s := section{start: r.pos}
	s.id = r.byte()
	size := r.u32()
	s.body = r.pos
	if uint64(size) > uint64(r.left()) {
		r.failAt(s.start, "section %d has %d bytes, the module %d more", s.id, size, r.left())
		return s
	}
	content := r.sub(int(size))
	s.end = content.end
	if s.id == sectionCustom {
		s.customName = content.name()
		s.customStart = content.pos
		if content.err != nil {
			r.fail(content.err)
		}
	}
	return s
}

// CustomSection returns the data of the module's first custom section of that name. It
// reads no contents of sections, so it is cheap for any module. If the module is
// malformed before the section, there is none. The result is a part of module.
func CustomSection(module []byte, name string) ([]byte, bool) {
	for r := newReader(module); r.err == nil && r.left() > 0; {
		s := r.section()
		if r.err == nil && s.id == sectionCustom && s.customName == name {
			return module[s.customStart:s.end:s.end], true
		}
	}
	return nil, false
}

// WithCustomSection returns a copy of module that has exactly one custom section of
// that name, at its end, with the given data; or none, if data is nil. It reads no
// contents of sections, so it accepts modules that [Instrument] refuses.
func WithCustomSection(module []byte, name string, data []byte) ([]byte, error) {
	out := make([]byte, 0, len(module)+len(name)+len(data)+16)
	out = append(out, header[:]...)
	r := newReader(module)
	for r.err == nil && r.left() > 0 {
		s := r.section()
		if r.err == nil && (s.id != sectionCustom || s.customName != name) {
			out = append(out, module[s.start:s.end]...)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	if data == nil {
		return out, nil
	}
	content := slices.Concat(appendU32(nil, uint32(len(name))), []byte(name), data)
	return appendSection(out, sectionCustom, content), nil
}

func appendSection(out []byte, id byte, content []byte) []byte {
	out = append(out, id)
	out = appendU32(out, uint32(len(content)))
	return append(out, content...)
}
