package config

import "errors"

// Load reads the file at path and makes a configuration of it.
//
//   - path: relative paths in the file are relative to its directory
//   - error: *Problems when the content is at fault, else the error of reading
//
// See Parse.
func Load(path string, o Options) (*Config, error) { return nil, errors.ErrUnsupported }

// Parse makes a configuration of src.
//
//   - name: the file's name in messages; relative paths in it are relative to its directory
//   - error: *Problems with everything that is wrong
func Parse(name string, src []byte, o Options) (*Config, error) { return nil, errors.ErrUnsupported }

// Default gives the built-in configuration: the models of api.yaml in this
// folder, served on 127.0.0.1:9000 only.
func Default(o Options) *Config { return nil }
