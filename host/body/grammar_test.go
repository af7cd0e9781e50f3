package body

import "testing"

func TestAnIndexChangesNoPlace(t *testing.T) {
	plain := Grammar{Places: append([]Node{Top: {Fields: []Field{{Name: "model", Place: Model}, {Name: "", Place: First}}, Other: First}, Model: {}}, NodesOfIDs(First)...)}
	plain.Folds = true
	indexed := plain.Indexed()
	for p := range Place(len(plain.Places) + 1) {
		for _, name := range []string{"", "model", "models", "nodel", "id", "file_id", "file_ids", "container", "container_id", "temperature", "\x00", "é", "Model", "FILE_ID", "É", "ſtream"} {
			if got, want := indexed.field(p, []byte(name)), plain.field(p, []byte(name)); got != want {
				t.Errorf("field %q of place %d is place %d, want %d", name, p, got, want)
			}
		}
	}
}
