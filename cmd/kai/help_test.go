package main

import (
	"runtime/debug"
	"testing"
)

func TestVersionNamesTheCommit(t *testing.T) {
	setting := func(key, value string) debug.BuildSetting { return debug.BuildSetting{Key: key, Value: value} }
	revision := setting("vcs.revision", "8f59f3c0123456789abcdef0123456789abcdef0")
	for name, tc := range map[string]struct {
		settings []debug.BuildSetting
		want     string
	}{
		"a commit with its day":  {[]debug.BuildSetting{revision, setting("vcs.time", "2026-11-28T09:00:00Z"), setting("vcs.modified", "false")}, " (commit 8f59f3c01234 of 2026-11-28)"},
		"a commit with changes":  {[]debug.BuildSetting{revision, setting("vcs.modified", "true")}, " (commit 8f59f3c01234, with changes)"},
		"a build without either": {nil, " (commit unknown)"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := commitOf(&debug.BuildInfo{Settings: tc.settings}); got != tc.want {
				t.Errorf("commitOf(%v) = %q, want %q", tc.settings, got, tc.want)
			}
		})
	}
}
