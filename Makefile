# Everything a change needs. "make" alone lists the targets.

PLUGINS := anthropic demo gemini ollama openai openrouter
DIST    := $(PLUGINS:%=plugins/dist/%.wasm.gz)
SDK     := $(shell find sdk plugins/internal -name '*.go' -not -name '*_test.go')

.DEFAULT_GOAL := help
.PHONY: help build run install test check plugins needs-go fuzz bench bench-records soak test-clients test-python test-node test-npm test-console sdks wat clean

# Everything is compiled with the same flags, by make and by the tests, so that
# nothing is compiled twice.
export GOFLAGS := $(strip $(shell go env GOFLAGS 2>/dev/null) -trimpath)

# Nothing needs C but the race detector. Without it the program is static, and starts
# and idles with a little less.
export CGO_ENABLED := 0

# "kai version" names the commit, where git knows it.
VCS := $(if $(shell git rev-parse HEAD 2>/dev/null),auto,false)

# BEAT says every 20 s that the command behind it still runs.
BEAT = (while sleep 20 >/dev/null 2>&1; do echo "      … still at it"; done) & beat=$$!; trap "kill $$beat" EXIT;

help: ## list the targets
	@sed -nE 's/^([a-z][a-z-]*):[^#]*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

build: plugins ## build bin/kai with its adapters inside
	@echo "Linking bin/kai with its adapters inside (a few seconds)."
	@go build -buildvcs=$(VCS) -ldflags="-s -w" -o bin/kai ./cmd/kai

run: build ## build and serve config/api.yaml on port 9000
	@./bin/kai serve --config config/api.yaml

PREFIX ?= /usr/local

install: ## copy bin/kai to PREFIX/bin (/usr/local/bin), after "make build"
	@test -x bin/kai || { echo 'There is no bin/kai yet: run "make build" first.' >&2; exit 1; }
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 bin/kai $(DESTDIR)$(PREFIX)/bin/kai

# Adapters are compiled by the program itself, as every author's are: first by one
# that has none inside yet, of the same parts as bin/kai.
plugins: needs-go ## compile the shipped adapters into plugins/dist
	@$(MAKE) --silent --question $(DIST) 2>/dev/null || { \
		echo "Compiling Kai (1 minute on two cores the first time, a few seconds from then on)."; \
		$(BEAT) go build -o bin/kai-bare ./cmd/kai && $(MAKE) --silent $(DIST); }

needs-go:
	@command -v go >/dev/null || { echo "Kai is compiled by Go 1.26 or later, which is not installed: https://go.dev/doc/install" >&2; exit 1; }

.SECONDEXPANSION:
plugins/dist/%.wasm.gz: $(SDK) $$(filter-out %_test.go,$$(wildcard plugins/$$*/*.go plugins/$$*/wasm/*.go))
	@echo "Compiling the adapter $*$(if $(filter $*,$(firstword $(PLUGINS))), (the first takes 10 seconds or so))."
	@bin/kai-bare plugin build plugins/$*/wasm -o $@

test: check ## what CI runs

# Adapters are compiled once for all tests, and first without the race detector,
# with which that takes ten times as long. wazero keeps their code for its own version,
# which the program knows and most tests don't, unless they are told.
TEST = KAI_TEST_CACHE="$(CURDIR)/bin/cache" bin/gotest \
	-ldflags "-X github.com/tetratelabs/wazero/internal/version.version=$$(go list -m -f '{{.Version}}' github.com/tetratelabs/wazero)"

# Tests that measure memory, which the race detector needs for itself, that do more
# without it, or that it can find nothing in, since one goroutine is all they have or
# what they test is a program without it. KitNotices only compiles an adapter for the
# others.
HEAVY := ^Test(Hostile|Swap|Canary|CompileBombs|SpecSuite|GoGuest|Heights|ShippedAdapters|Examples|SDKs|TranscriptsEndToEnd|Dev|BrokenAdapters|NewInEvery|LongAnswers|MemoryAttacks|LargestRequests|RequestsWait|InstancesOfAProvider|ModulesOfOldSDKs|WhatCompilersMake|EveryPathPays|JoinedSegments|NoSecretIsShown|ValidKnowsEvery|Polled|KitNotices)

check: plugins ## format, vet, test with the race detector
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run gofmt on these"; exit 1; }
	@echo "Vetting (1 of 3)."
	@$(BEAT) go vet ./...
	@go build -o bin/gotest ./cmd/internal/gotest
	@echo "Tests that the race detector would slow down for nothing (2 of 3)."
	@$(TEST) -vet=off -timeout 60m -run '$(HEAVY)' ./host ./cmd/kai ./host/wasm/... ./cmd/internal/conform ./examples/adapters ./config ./host/quoted
	@echo "All others, with the race detector (3 of 3)."
	@# ./host comes first, because it takes longest.
	@CGO_ENABLED=1 $(TEST) -vet=off -race -shuffle=on -timeout 90m ./host ./...

FUZZTIME ?= 5s

# Go's fuzzer now and then takes the end of its own time for a failure, without an input. Then
# the target gets its time once more.
fuzz: plugins ## fuzz whatever parses foreign bytes, FUZZTIME (5s) each
	@grep -rHoE '^func Fuzz[A-Za-z]+' --include='*_test.go' . | sed 's/func //' | while IFS=: read -r file name; do \
		echo "fuzz $$(dirname $$file) $$name"; \
		fuzz() { go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$(dirname $$file)" > fuzz.log 2>&1; }; \
		fuzz || { grep -q 'context deadline exceeded' fuzz.log && ! grep -q 'Failing input' fuzz.log && fuzz; } || { cat fuzz.log; exit 1; }; \
	done && rm -f fuzz.log

bench: build ## measure speed and memory against a bare proxy (7 minutes; BENCH='-h' tells the flags)
	go build -o bin/kai-linked ./cmd/bench/linked
	go build -o bin/bench ./cmd/bench
	./bin/bench $(BENCH)
	$(if $(BENCH),,go test -run '^$$' -bench FuelOverhead ./host/wasm)
	$(if $(BENCH),,go test -run '^$$' -bench '^Benchmark(Admission|NoLimits|OpenConsole)$$' ./host)
	$(if $(BENCH),,@command -v redis-server >/dev/null || $(call skip,what a shared store costs: it needs redis-server); go test -run '^$$' -bench '^BenchmarkAdmission$$' ./host/limit/fleet)
	$(if $(BENCH),,@$(MAKE) --no-print-directory bench-records)

# What a request costs that is counted, written down and traced, against what it may.
bench-records: ## measure what metrics, audit, traces and the console's memory cost a request
	go test -run '^$$' -bench '^Benchmark(Request|Scrape|TraceOfATenth|Add)$$' ./host/observe ./host/audit ./host/admin

SOAK ?= 10m

soak: build ## keep up two loads for SOAK (10m) each, with everything on, and watch memory, descriptors and goroutines
	go build -o bin/bench ./cmd/bench
	./bin/bench -native '' -soak $(SOAK)

CLIENTS := examples/clienttest/clients

# What can't be installed or run is skipped with a word, but not in CI.
skip = { echo "skipped $(1)"; test "$$CI" != true; exit; }

test-clients: build ## test with real clients (installs them in .venv and in node_modules below examples)
	@$(MAKE) --no-print-directory test-python
	@$(MAKE) --no-print-directory test-node
	@$(MAKE) --no-print-directory test-npm

test-python:
	@python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
		$(call skip,the clients in Python: they need python3 with venv and at least 3.10); \
	$(MAKE) --no-print-directory .venv/installed || $(call skip,the clients in Python: pip can't install them); \
	set -ex; \
	go run ./examples/clienttest .venv/bin/python examples/clienttest/test_openai.py; \
	for client in responses anthropic native agents embeddings more docs; do \
		go run ./examples/clienttest .venv/bin/python $(CLIENTS)/test_$$client.py; done; \
	PYTHONPATH=.venv/anthropic-0 go run ./examples/clienttest .venv/bin/python $(CLIENTS)/test_anthropic.py; \
	for api in openai responses messages embeddings completions; do \
		go run ./examples/clienttest .venv/bin/python examples/$${api}_client.py; done; \
	for api in rerank audio; do \
		go run ./examples/clienttest .venv/bin/python examples/$${api}_client.py --model openai/script; done

test-node:
	@npm --version >/dev/null 2>&1 && node -e 'process.exit(+(parseInt(process.versions.node) < 20))' || \
		$(call skip,the examples for Node: they need npm and at least Node 20); \
	$(MAKE) --no-print-directory examples/node_modules/installed || $(call skip,the examples for Node: npm can't install what they need); \
	set -ex; \
	go run ./examples/clienttest node --test --test-reporter=spec examples/clienttest/openai.test.mjs; \
	for api in openai responses messages embeddings completions; do \
		go run ./examples/clienttest node examples/$${api}_client.mjs; done; \
	for api in rerank audio; do \
		go run ./examples/clienttest node examples/$${api}_client.mjs --model openai/script; done

# These want Node 22, which npm has for Linux; elsewhere the machine's own must do.
test-npm:
	@npm --version >/dev/null 2>&1 || $(call skip,the clients from npm: they need npm); \
	$(MAKE) --no-print-directory $(CLIENTS)/node_modules/installed || $(call skip,the clients from npm: it can't install them); \
	export PATH="$(CURDIR)/$(CLIENTS)/node_modules/.bin:$$PATH"; \
	node -e 'process.exit(+(parseInt(process.versions.node) < 22))' || \
		$(call skip,the clients from npm: they need at least Node 22); \
	set -x; go run ./examples/clienttest -limit 10m node --test --test-concurrency=2 --test-reporter=spec $(CLIENTS)/*.test.mjs

$(CLIENTS)/node_modules/installed: $(CLIENTS)/package-lock.json
	cd $(CLIENTS) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

# The console in a real browser: every page, under load.
test-console: plugins host/consoletest/node_modules/installed ## test the console in Chromium (installs playwright-core below host/consoletest)
	@command -v chromium >/dev/null || $(call skip,the console: it needs chromium); \
	go test -count=1 -run '^TestConsoleInABrowser$$' ./host

host/consoletest/node_modules/installed: host/consoletest/package-lock.json
	cd host/consoletest && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

.venv/installed: examples/requirements.txt $(CLIENTS)/requirements.txt $(CLIENTS)/requirements-anthropic-0.txt
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -r $(CLIENTS)/requirements.txt
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .venv/anthropic-0 -r $(CLIENTS)/requirements-anthropic-0.txt
	touch $@

examples/node_modules/installed: examples/package.json
	cd examples && npm install --no-package-lock --no-audit --no-fund
	touch $@

# "make check" runs these tests, too, and skips a language whose compiler is missing.
sdks: examples/adapters/assemblyscript/node_modules/installed ## compare the SDKs for Go, Rust, AssemblyScript and C (needs their compilers)
	CI=true go test -count=1 ./examples/adapters/...
	cd sdk/rust && cargo test --quiet --offline

examples/adapters/assemblyscript/node_modules/installed: examples/adapters/assemblyscript/package-lock.json
	cd examples/adapters/assemblyscript && npm ci --no-audit --no-fund
	touch $@

wat: ## assemble the test guests (needs wabt)
	for f in host/wasm/testdata/*/*.wat; do wat2wasm --no-check $$f -o $${f%.wat}.wasm || exit 1; done

clean: ## remove what was built
	rm -rf bin plugins/dist/*.wasm.gz
