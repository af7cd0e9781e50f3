package author

// Starter makes projects in one language: the worked example under another name, with the
// SDK beside it.
type Starter struct {
	lang, language string
	also           []string    // other names of the language, in lower case
	needs          string      // what has to be installed, for people
	Prepare        string      // the command to run before the first build; "": none
	source         string      // the adapter's source file, for people
	files          [][2]string // files of the example and of the SDK: where in Kai's source, and where in the project
	templates      [][2]string // the same for templates
	edits          []edit
}

// edit changes a file of the project. It is an error if the old text isn't there exactly
// once: then the example has changed, and the edit must change, too.
type edit struct{ file, old, new string }

// nameMark is the text in edits that the project's name replaces.
const nameMark = "NAME"

func starters() []Starter {
	return []Starter{
		{
			lang: "go", also: []string{"golang"}, language: "Go", source: "adapter.go",
			needs: "Go " + goVersion() + " or later",
			files: [][2]string{
				{"examples/adapters/go/parrot.go", "adapter.go"},
				{"sdk", "kai-sdk/sdk"}, {"LICENSE", "kai-sdk/LICENSE"},
			},
			templates: [][2]string{
				{"go.mod.tmpl", "go.mod"}, {"sdk.mod.tmpl", "kai-sdk/go.mod"}, {"adapter_test.go.tmpl", "adapter_test.go"},
			},
			edits: []edit{
				{"adapter.go", "// Command parrot is an adapter for Parrot, the small upstream that README.md in\n// the folder above describes. It is the example of docs/sdk-go.md.\n",
					"// Command NAME is an adapter for Parrot, the small upstream that README.md\n// describes. Change it until it speaks your upstream's language.\n"},
				{"adapter.go", "Name:           \"parrot\"", "Name:           \"NAME\""},
				{"adapter.go", "Version:        \"1.0.0\"", "Version:        \"0.1.0\""},
				{"adapter.go", "Provider:       \"parrot\"", "Provider:       \"NAME\""},
			},
		},
		{
			lang: "rust", also: []string{"rs"}, language: "Rust", source: "src/lib.rs",
			needs: "cargo with the target wasm32-unknown-unknown (`rustup target add wasm32-unknown-unknown`, or Debian's cargo, libstd-rust-dev-wasm32 and lld)",
			files: [][2]string{
				{"examples/adapters/rust/Cargo.toml", "Cargo.toml"}, {"examples/adapters/rust/src", "src"},
				{"sdk/rust/Cargo.toml", "kai-sdk/Cargo.toml"}, {"sdk/rust/src", "kai-sdk/src"}, {"LICENSE", "kai-sdk/LICENSE"},
			},
			edits: []edit{
				{"Cargo.toml", `name = "parrot"`, `name = "NAME"`},
				{"Cargo.toml", `version = "1.0.0"`, `version = "0.1.0"`},
				{"Cargo.toml", `path = "../../../sdk/rust"`, `path = "kai-sdk"`},
				{"src/lib.rs", "//! An adapter for Parrot, the small upstream that README.md in the folder above\n//! describes. It is the example of docs/sdk-rust.md.\n",
					"//! An adapter for Parrot, the small upstream that README.md describes. Change it\n//! until it speaks your upstream's language.\n"},
				{"src/lib.rs", "\n        name: \"parrot\"", "\n        name: \"NAME\""},
				{"src/lib.rs", `version: "1.0.0"`, `version: "0.1.0"`},
				{"src/lib.rs", `provider: "parrot"`, `provider: "NAME"`},
			},
		},
		{
			lang: "assemblyscript", also: []string{"as", "asc", "ts", "typescript"}, language: "AssemblyScript", source: "assembly/index.ts", Prepare: "npm install",
			needs: "Node.js 20 or later with npm, which fetches the compiler",
			files: [][2]string{
				{"examples/adapters/assemblyscript/package.json", "package.json"},
				{"examples/adapters/assemblyscript/asconfig.json", "asconfig.json"},
				{"examples/adapters/assemblyscript/assembly", "assembly"},
				{"sdk/assemblyscript/package.json", "kai-sdk/package.json"}, {"sdk/assemblyscript/assembly", "kai-sdk/assembly"},
				{"LICENSE", "kai-sdk/LICENSE"},
			},
			edits: []edit{
				{"package.json", `"name": "parrot"`, `"name": "NAME"`},
				{"package.json", `"version": "1.0.0"`, `"version": "0.1.0"`},
				{"asconfig.json", "../../../sdk/assemblyscript/assembly/abort", "kai-sdk/assembly/abort"},
				{"asconfig.json", "build/parrot.wasm", "build/NAME.wasm"},
				{"assembly/index.ts", "// An adapter for Parrot, the small upstream that README.md in the folder above\n// describes. It is the example of docs/sdk-assemblyscript.md.\n",
					"// An adapter for Parrot, the small upstream that README.md describes. Change it\n// until it speaks your upstream's language.\n"},
				{"assembly/index.ts", `"../../../../sdk/assemblyscript/assembly"`, `"../kai-sdk/assembly"`},
				{"assembly/index.ts", `"../../../../sdk/assemblyscript/assembly/exports"`, `"../kai-sdk/assembly/exports"`},
				{"assembly/index.ts", `new Manifest("parrot", "1.0.0", "parrot")`, `new Manifest("NAME", "0.1.0", "NAME")`},
			},
		},
		{
			lang: "c", language: "C", source: "adapter.c",
			needs: "clang 14 or later and lld",
			files: [][2]string{
				{"examples/adapters/c/parrot.c", "adapter.c"}, {"sdk/c/kai.h", "kai-sdk/kai.h"}, {"LICENSE", "kai-sdk/LICENSE"},
			},
			edits: []edit{
				{"adapter.c", "/* An adapter for Parrot, the small upstream that README.md in the folder above\n * describes. It is the example of docs/sdk-c.md. */\n",
					"/* An adapter for Parrot, the small upstream that README.md describes. Change it\n * until it speaks your upstream's language. */\n"},
				{"adapter.c", `"../../../sdk/c/kai.h"`, `"kai-sdk/kai.h"`},
				{"adapter.c", `.name = "parrot"`, `.name = "NAME"`},
				{"adapter.c", `.version = "1.0.0"`, `.version = "0.1.0"`},
				{"adapter.c", `.provider = "parrot"`, `.provider = "NAME"`},
			},
		},
	}
}
