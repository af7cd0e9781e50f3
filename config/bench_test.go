package config

import "testing"

// Reading the configuration is part of every start: a small file must take no
// more than some milliseconds.
func BenchmarkLoad(b *testing.B) {
	o := testOptions()
	for b.Loop() {
		if _, err := Load("api.yaml", o); err != nil {
			b.Fatal(err)
		}
	}
}
