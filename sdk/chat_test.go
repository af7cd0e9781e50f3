package sdk_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk"
)

// TestParseChat names every field of a Chat by its JSON name, and some that it has
// no place for.
func TestParseChat(t *testing.T) {
	names := map[string]string{"TopP": "top_p", "N": "n"} // by the field's name, where it isn't plain
	var body strings.Builder
	body.WriteString(`{"kai":1,"gone":null`)
	fields := reflect.TypeFor[sdk.Chat]()
	for i := range fields.NumField() {
		name := names[fields.Field(i).Name]
		if name == "" {
			for j, c := range fields.Field(i).Name {
				if c < 'a' && j > 0 {
					name += "_"
				}
				name += strings.ToLower(string(c))
			}
		}
		body.WriteString(`,"` + name + `":null,"` + name + `":"` + fields.Field(i).Name + `"`)
	}
	others := map[string]string{}
	c, err := sdk.ParseChat(sdk.JSON(body.String()+"}"), func(key string, v sdk.JSON) { others[key] = string(v) })
	if err != nil {
		t.Fatal(err)
	}
	for i := range fields.NumField() {
		if got, _ := reflect.ValueOf(c).Field(i).Interface().(sdk.JSON).Str(); got != fields.Field(i).Name {
			t.Errorf("%s is %q", fields.Field(i).Name, got)
		}
	}
	if want := map[string]string{"kai": "1"}; !reflect.DeepEqual(others, want) {
		t.Errorf("other fields are %v, want %v", others, want)
	}
	if c, err := sdk.ParseChat(sdk.JSON(`{"x":1,"n":null}`), nil); err != nil || !reflect.DeepEqual(c, sdk.Chat{}) {
		t.Errorf("nothing known gives %+v, %v", c, err)
	}
	if _, err := sdk.ParseChat(sdk.JSON(`{"n":`), nil); err == nil {
		t.Error("half an object is parsed without an error")
	}
}

func TestChatLimit(t *testing.T) {
	for body, want := range map[string]string{
		`{}`: "", `{"max_tokens":1}`: "1", `{"max_completion_tokens":2,"max_tokens":1}`: "2", `{"max_completion_tokens":null,"max_tokens":1}`: "1",
	} {
		c, err := sdk.ParseChat(sdk.JSON(body), nil)
		if got := string(c.Limit()); err != nil || got != want {
			t.Errorf("the limit of %s is %s, %v; want %s", body, got, err, want)
		}
	}
}
