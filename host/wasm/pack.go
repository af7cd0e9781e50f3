package wasm

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kai-gateway/kai/host/wasm/fuel"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Pack checks that module is an adapter which can be loaded, by loading it, and
// returns it with its manifest in the custom section, where everybody can read
// it without running the module.
func Pack(ctx context.Context, module []byte) ([]byte, Manifest, error) {
	e := New(Options{})
	defer e.Close()
	a := e.Adapter("pack", module, AdapterOptions{})
	defer a.Close()
	if err := a.Wait(ctx, time.Minute); err != nil {
		return nil, Manifest{}, err
	}
	m := a.Manifest()
	data, err := json.Marshal(m)
	if err != nil {
		return nil, Manifest{}, fmt.Errorf("write the manifest: %w", err)
	}
	packed, err := fuel.WithCustomSection(module, abi.ManifestSection, data)
	return packed, m, err
}
