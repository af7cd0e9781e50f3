package host

import (
	"slices"
	"testing"

	"github.com/kai-gateway/kai/config"
)

func TestKeysShareWhatIsOfTheirGroups(t *testing.T) {
	c := config.Auth{
		Groups: []config.Group{{Name: "company"}, {Name: "team", Parent: "company"}},
		Keys: []config.Key{
			{Name: "a", Group: "team", Allowed: []string{"m", "n"}},
			{Name: "b", Group: "team", Allowed: []string{"m", "n"}},
			{Name: "c"},
		},
	}
	keys := keysOf(&c)
	if want := []string{"team", "company"}; !slices.Equal(keys[0].Groups, want) || &keys[0].Groups[0] != &keys[1].Groups[0] {
		t.Errorf("groups %q and %q, want %q once", keys[0].Groups, keys[1].Groups, want)
	}
	if keys[0].Models == nil || keys[0].Models != keys[1].Models {
		t.Errorf("models %p and %p, want one set", keys[0].Models, keys[1].Models)
	}
	if keys[2].Groups != nil || keys[2].Models != nil {
		t.Errorf("a key without a group: %+v", keys[2])
	}
}
