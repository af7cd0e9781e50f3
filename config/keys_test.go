package config

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestKeysThatEnd(t *testing.T) {
	sum := func(key string) Digest { return sha256.Sum256([]byte(key)) }
	may := func(day, hour int) time.Time { return time.Date(2027, 5, day, hour, 0, 0, 0, time.UTC) }
	o := testOptions()
	o.Now = func() time.Time { return may(10, 0) }
	cfg, err := Parse("api.yaml", []byte(models+fmt.Sprintf(`
auth:
  enabled: true
  api_keys:
    - {name: until-june, key: a, expires: 2027-06-01T00:00:00Z}
    - {name: over, key: b, expires: 2027-05-09T12:00:00+02:00}
    - {name: "off", key: c, disabled: true}
    - name: moving
      keys:
        - {sha256: %x, until: 2027-05-31T00:00:00Z}
        - {key: new}
        - newer
`, sum("old"))), o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range cfg.Auth.Keys { // whose zone tells nothing
		if k := &cfg.Auth.Keys[i]; !k.Expires.IsZero() {
			k.Expires = k.Expires.UTC()
		}
	}
	want := []Key{
		{Name: "until-june", SHA256: sum("a"), Expires: may(32, 0)},
		{Name: "over", SHA256: sum("b"), Expires: may(9, 10)},
		{Name: "off", SHA256: sum("c"), Disabled: true},
		{Name: "moving", Keys: []KeyVersion{{SHA256: sum("old"), Until: may(31, 0)}, {SHA256: sum("new")}, {SHA256: sum("newer")}}},
	}
	if !reflect.DeepEqual(cfg.Auth.Keys, want) {
		t.Errorf("keys\n%+v, want\n%+v", cfg.Auth.Keys, want)
	}
	if got := strings.Join(cfg.Warnings, "\n"); !strings.HasSuffix(got, "auth.api_keys[1].expires: is over: the key is refused") || len(cfg.Warnings) != 1 {
		t.Errorf("warnings: %s", got)
	}
}
