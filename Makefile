# Everything a change needs. "make" alone lists the targets.

PLUGINS := demo ollama openrouter
DIST    := $(PLUGINS:%=plugins/dist/%.wasm.gz)
SDK     := $(shell find sdk plugins/internal -name '*.go' -not -name '*_test.go')

.DEFAULT_GOAL := help
.PHONY: help build run test check plugins fuzz bench wat clean

help: ## list the targets
	@sed -nE 's/^([a-z][a-z-]*):[^#]*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

build: plugins ## build bin/kai with its adapters inside
	go build -trimpath -o bin/kai ./cmd/kai

run: build ## build and serve config/api.yaml on port 9000
	./bin/kai serve --config config/api.yaml

plugins: $(DIST) ## compile the shipped adapters into plugins/dist

# Adapters are compiled by the program itself, as every author's are.
.SECONDEXPANSION:
plugins/dist/%.wasm.gz: $(SDK) $$(filter-out %_test.go,$$(wildcard plugins/$$*/*.go plugins/$$*/wasm/*.go))
	go run ./cmd/kai plugin build plugins/$*/wasm -o $@

test: check ## what CI runs

check: plugins ## format, vet, test with the race detector
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run gofmt on these"; exit 1; }
	go vet ./...
	go test -race -shuffle=on ./...

FUZZTIME ?= 5s

fuzz: plugins ## fuzz whatever parses foreign bytes, FUZZTIME (5s) each
	@grep -rHoE '^func Fuzz[A-Za-z]+' --include='*_test.go' . | sed 's/func //' | while IFS=: read -r file name; do \
		echo "fuzz $$(dirname $$file) $$name"; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$(dirname $$file)" > fuzz.log 2>&1 || { cat fuzz.log; exit 1; }; \
	done; rm -f fuzz.log

bench: build ## measure speed and memory against a bare proxy (5 minutes; BENCH='-h' tells the flags)
	go build -trimpath -tags kai_native -o bin/kai-native ./cmd/kai
	go build -trimpath -o bin/bench ./bench
	./bin/bench $(BENCH)

wat: ## assemble the hostile test guests (needs wabt)
	for f in host/wasm/testdata/hostile/*.wat; do wat2wasm --no-check $$f -o $${f%.wat}.wasm || exit 1; done

clean: ## remove what was built
	rm -rf bin plugins/dist/*.wasm.gz
