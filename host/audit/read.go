package audit

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
)

// maxLine is how many bytes a line may have. No audit has a longer one.
const maxLine = 64 << 10

// Read reads the lines of an audit, compressed with gzip or not. What isn't a whole line, such
// as one that a full disk cut off, is left out and counted.
//
//   - take: gets each line
//   - error: that of reading
func Read(from io.Reader, take func(*Line)) (unread int, err error) {
	r := bufio.NewReaderSize(from, maxLine)
	if magic, _ := r.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(r)
		if err != nil {
			return 0, err
		}
		r = bufio.NewReaderSize(unzipped, maxLine)
	}
	long := false // the line before was too long, and this is its rest
	for {
		b, err := r.ReadSlice('\n')
		whole := !long && err != bufio.ErrBufferFull
		switch {
		case err == bufio.ErrBufferFull && !long:
			unread++
		case whole && len(bytes.TrimSpace(b)) > 0:
			var l Line
			if json.Unmarshal(b, &l) != nil || l.Time.IsZero() {
				unread++
			} else {
				take(&l)
			}
		}
		long = err == bufio.ErrBufferFull
		if errors.Is(err, io.EOF) {
			return unread, nil
		}
		if err != nil && !long {
			return unread, err
		}
	}
}
