package ledger

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// TestSetsAreKept: what was put is there again when the file is opened, in its set, and what was
// removed is not; also behind bytes of a write that never became one.
func TestSetsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	open := func(sets ...string) (*File, []map[string][]byte) {
		t.Helper()
		f, all, err := Open(path, sets...)
		if err != nil {
			t.Fatal(err)
		}
		return f, all
	}
	f, all := open("counts 1")
	if len(all) != 1 || len(all[0]) != 0 {
		t.Errorf("a new file has %v", all)
	}
	if err := f.Put(map[string][]byte{"a": []byte("1"), "b": {}}); err != nil {
		t.Fatal(err)
	}
	f.Close()

	f, all = open("counts 1", "made 1")
	if want := []map[string][]byte{{"a": []byte("1"), "b": {}}, {}}; !reflect.DeepEqual(all, want) {
		t.Errorf("it has %v, want %v", all, want)
	}
	if err := f.Put(map[string][]byte{"a": nil, "never there": nil}, map[string][]byte{"a": []byte("2")}); err != nil {
		t.Fatal(err)
	}
	f.Close()

	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("half of a page"); err != nil {
		t.Fatal(err)
	}
	file.Close()
	f, all = open("made 1", "counts 1")
	if want := []map[string][]byte{{"a": []byte("2")}, {"b": {}}}; !reflect.DeepEqual(all, want) {
		t.Errorf("it has %v, want %v", all, want)
	}
	f.Close()
}

// TestAWriteIsAllOrNothing: of a write that fails, no set has anything.
func TestAWriteIsAllOrNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	f, _, err := Open(path, "counts 1", "made 1")
	if err != nil {
		t.Fatal(err)
	}
	if f.Put(map[string][]byte{"a": []byte("1")}, map[string][]byte{"": []byte("a value without a name")}) == nil {
		t.Error("a value without a name is kept")
	}
	f.Close()
	f, all, err := Open(path, "counts 1", "made 1")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(all[0])+len(all[1]) > 0 {
		t.Errorf("it has %v", all)
	}
}
