package modfile

import (
	"encoding/json"
	"fmt"

	"github.com/kai-gateway/kai/host/wasm/fuel"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// ReadTranscript returns the transcript in a module. found is false if there is none.
func ReadTranscript(module []byte) (t *transcript.Transcript, found bool, err error) {
	data, found := fuel.CustomSection(module, abi.TranscriptSection)
	if !found {
		return nil, false, nil
	}
	t, err = ParseTranscript(data)
	return t, true, err
}

// ParseTranscript reads and checks a transcript from a module, or for one.
func ParseTranscript(data []byte) (*transcript.Transcript, error) {
	if len(data) > abi.MaxTranscript {
		return nil, fmt.Errorf("transcript: %d bytes; at most %d are allowed", len(data), abi.MaxTranscript)
	}
	t, err := transcript.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	return t, nil
}

// Sections returns an empty module with the sections that Kai reads of a module: its
// manifest and its transcript.
func Sections(module []byte) ([]byte, error) {
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, name := range []string{abi.ManifestSection, abi.TranscriptSection} {
		data, found := fuel.CustomSection(module, name)
		if !found {
			continue
		}
		var err error
		if out, err = fuel.WithCustomSection(out, name, data); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// WithoutTranscript returns the module without its transcript, for tools that replay
// transcripts themselves.
func WithoutTranscript(module []byte) ([]byte, error) {
	if _, found := fuel.CustomSection(module, abi.TranscriptSection); !found {
		return module, nil
	}
	return fuel.WithCustomSection(module, abi.TranscriptSection, nil)
}

// Pack returns a copy of module with its manifest and a transcript in custom sections.
// They replace those that the module had. Without a transcript, the copy has none.
func Pack(module []byte, m Manifest, transcript []byte) ([]byte, error) {
	manifest, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write the manifest: %w", err)
	}
	out, err := fuel.WithCustomSection(module, abi.ManifestSection, manifest)
	if err != nil {
		return nil, err
	}
	return fuel.WithCustomSection(out, abi.TranscriptSection, transcript)
}
