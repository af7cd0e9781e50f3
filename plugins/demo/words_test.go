package demo

import "testing"

func TestMentions(t *testing.T) {
	for name, tc := range map[string]struct {
		text, tool string
		want       bool
	}{
		"the last word of a name":          {"What is the weather?", "get_weather", true},
		"the last word of a name in humps": {"What is the weather?", "GetWeather", true},
		"a name that is one word":          {"Read it.", "Read", true},
		"the whole name":                   {"Call GetWeather now", "GetWeather", true},
		"a part of a word":                 {"What a command!", "get_com", false},
		"another word of the name":         {"Get it", "get_weather", false},
		"a name that ends with its sign":   {"Get it", "get_", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mentions(tc.text, tc.tool); got != tc.want {
				t.Errorf("mentions(%q, %q) = %t, want %t", tc.text, tc.tool, got, tc.want)
			}
		})
	}
}
