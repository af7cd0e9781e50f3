package h1

import (
	"bufio"
	"bytes"
	"io"
)

// body reads the body of an answer, without its framing. It reads no byte behind it from
// the buffer. The zero value is a body that ends at once.
type body struct {
	in      *bufio.Reader
	framing framing
	left    int64 // bytes left, of the body or of the present chunk
	behind  bool  // the line end behind a chunk is still to be read
	last    bool  // only trailers are left
	excess  int64 // see chunkSize
	err     error // why there are no more bytes
}

// ended is the error of a read when there is nothing left to read.
func (b *body) ended() error {
	if b.err == nil {
		return io.EOF
	}
	return b.err
}

// read reads at least one byte, if there are any, and besides only what is in the buffer.
// Its errors are io.EOF at the end, perhaps with the last bytes, io.ErrUnexpectedEOF, a
// *FormatError, or one of the connection. After one of those all further reads fail.
func (b *body) read(p []byte) (n int, err error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	switch b.framing {
	case counted:
		n, b.err = b.readSome(p)
		if b.left == 0 {
			b.err = io.EOF
		}
	case chunked:
		n, b.err = b.readChunks(p)
	case untilClose:
		n, b.err = b.in.Read(p)
	default:
		b.err = io.EOF
	}
	return n, b.err
}

// readSome reads a part of what is left.
func (b *body) readSome(p []byte) (int, error) {
	n, err := b.in.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, cut(err)
}

// readChunks reads from one chunk, or from several if they are in the buffer.
func (b *body) readChunks(p []byte) (n int, err error) {
	for {
		switch {
		case b.last:
			if end, _ := b.in.Peek(min(b.in.Buffered(), 2)); n > 0 && string(end) != "\r\n" {
				return n, nil // trailers may have to be waited for
			}
			return n, b.trailers()
		case b.behind:
			if n > 0 && b.in.Buffered() < 2 {
				return n, nil
			}
			if err := b.lineEnd(); err != nil {
				return n, err
			}
			b.behind = false
		case b.left == 0:
			if n > 0 && !b.hasLine() {
				return n, nil
			}
			if b.left, err = b.chunkSize(); err != nil {
				return n, err
			}
			b.last = b.left == 0
		case n > 0 && (len(p) == 0 || b.in.Buffered() == 0):
			return n, nil
		default:
			m, err := b.readSome(p)
			n, p, b.behind = n+m, p[m:], b.left == 0
			if err != nil {
				return n, err
			}
		}
	}
}

// hasLine reports whether a whole line is in the buffer.
func (b *body) hasLine() bool {
	waiting, _ := b.in.Peek(b.in.Buffered())
	return bytes.IndexByte(waiting, '\n') >= 0
}

// lineEnd reads the line end behind the bytes of a chunk.
func (b *body) lineEnd() error {
	end, err := b.in.Peek(2)
	if err != nil {
		return cut(err)
	}
	if string(end) != "\r\n" {
		return malformed("a chunk is longer than it says")
	}
	b.in.Discard(2)
	return nil
}

// line reads a line, which is valid until the next read, and returns it without its end.
// Within bodies only CR LF ends a line.
func (b *body) line() ([]byte, error) {
	line, err := b.in.ReadSlice('\n')
	switch {
	case err == bufio.ErrBufferFull:
		return nil, refused("a line within the body is too long")
	case err != nil:
		return nil, cut(err)
	}
	if i := bytes.IndexByte(line, '\r'); i < 0 || i != len(line)-2 {
		return nil, refused("a line within the body has a wrong end")
	}
	return line[:len(line)-2], nil
}

// chunkSize reads the line before a chunk. What else is in it, extensions, is passed over.
//
// A server may send many small chunks, and extensions, but not more of both than bytes: each
// chunk may take 16 bytes and twice as many as it brings, and 16 KiB may be more than that.
func (b *body) chunkSize() (int64, error) {
	line, err := b.line()
	if err != nil {
		return 0, err
	}
	n, digits := int64(0), 0
	for digits < len(line) {
		d := hexDigit(line[digits])
		if d < 0 {
			break
		}
		if n = n<<4 | int64(d); n > maxChunk {
			return 0, refused("a chunk is too large")
		}
		digits++
	}
	rest := bytes.TrimRight(line[digits:], " \t")
	switch {
	case digits == 0:
		return 0, malformed("the size of a chunk is not a number")
	case digits > 16:
		return 0, malformed("the size of a chunk has too many digits")
	case len(rest) > 0 && rest[0] != ';':
		return 0, malformed("something stands behind the size of a chunk")
	}
	if b.excess = max(b.excess+int64(len(line))+2-16-2*n, 0); b.excess > 16<<10 {
		return 0, malformed("chunks have more around them than in them")
	}
	return n, nil
}

func hexDigit(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// trailers reads what stands behind the last chunk, and forgets it. The error is io.EOF if
// the body has come to its end.
func (b *body) trailers() error {
	for size := 0; ; {
		line, err := b.line()
		switch {
		case err != nil:
			return err
		case len(line) == 0:
			return io.EOF
		}
		if size += len(line) + 2; size > maxTrailers {
			return refused("trailers are too long")
		}
		if _, _, err := parseField(string(line)); err != nil {
			return err
		}
	}
}
