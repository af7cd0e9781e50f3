package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/live"
	"github.com/kai-gateway/kai/host/wasm/modfile"
	"github.com/kai-gateway/kai/plugins"
)

// defaultFile is the configuration if nobody names one and this file exists.
const defaultFile = "config/api.yaml"

// source returns where the configuration and the adapters come from. file is the
// configuration that the command line names, or "".
func source(file string) live.Source {
	return live.Source{File: func() string { return configFile(file) }, Shipped: plugins.Names(), Module: plugins.Module, Describe: shipped}
}

// shipped returns what is known of a shipped adapter before its module is decompressed.
func shipped(name string) (m modfile.Module, ok bool) {
	digest, manifest, ok := plugins.Describe(name)
	if !ok {
		return m, false
	}
	parsed, err := modfile.ParseManifest(manifest)
	return modfile.Module{
		Digest: digest, Manifest: parsed, Found: true, Read: func() ([]byte, error) { return plugins.Module(name) },
	}, err == nil
}

// configFile returns the configuration to use: the file that the command line names, else
// $KAI_CONFIG, else defaultFile if it exists, else "".
func configFile(file string) string {
	if file == "" {
		file = os.Getenv("KAI_CONFIG")
	}
	if file == "" {
		if _, err := os.Stat(defaultFile); !errors.Is(err, fs.ErrNotExist) {
			return defaultFile
		}
	}
	return file
}

// loadConfig reads the configuration. file is the one that the command line names, or "".
// If it fails, it says why on stderr.
func loadConfig(file string, stderr io.Writer) (*config.Config, *live.Files, bool) {
	files := live.NewFiles(source(file))
	c, err := files.Config()
	printProblems(stderr, err)
	return c, files, err == nil
}

// printProblems prints what err says is wrong; nothing for nil.
func printProblems(stderr io.Writer, err error) {
	for _, line := range problemLines(err) {
		fmt.Fprintln(stderr, line)
	}
}

// problemLines returns what err says is wrong, one line for each problem. It returns none
// for nil.
func problemLines(err error) []string {
	lines := live.Problems(err)
	if _, ok := errors.AsType[*config.Problems](err); !ok && err != nil {
		lines[0] = "kai: " + lines[0]
	}
	return lines
}
