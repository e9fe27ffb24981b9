# The laboratory's commands. All that they download or make stays in .lab/.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
SHELL := bash

LAB       := .lab
OUT       := $(LAB)/out
TEST      := $(LAB)/test# a home without runs, so that tests remember none
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))
GOFILES    = $(shell find . -path ./$(LAB) -prune -o -name '*.go' -print)
PURE      := ./cmd/... ./cli ./data ./sslkit/loss ./sslkit/pjrt ./sslkit/view # tested without cgo too
run_notebook = env/lab python env/execute.py

.PHONY: help run test examples verify fuzz faults race bench bench-gpu doors slurm records notebooks/records notebooks assignments assignments-check book lab setup plugin clean go-present backend

help: ## Show this list.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

run: setup ## Set up what is missing, run the quick start and show its table and where its plots are.
	@$(run_notebook) --out $(OUT) notebooks/0_quickstart.ipynb

test: setup examples ## Run all tests, and all notebooks with the smallest preset.
	env/lab go test -timeout 20m ./...
	CGO_ENABLED=0 env/lab go test -tags noxla $(PURE)
	@if $(LAB)/venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then $(MAKE) assignments-check ONLY=1; \
		else echo "assignments are not graded: nbgrader needs Python 3.11"; fi
	@rm -rf $(TEST) && mkdir -p $(TEST) $(LAB)/pjrt $(LAB)/data && ln -s ../pjrt ../data $(TEST)/
	@cp -r records $(TEST)/ && cp -r notebooks/records/. $(TEST)/records/
	@echo "notebooks, two at a time; the output of one that fails is shown:"
	@printf '%s\n' $(NOTEBOOKS) | SSLKIT_HOME='$(CURDIR)/$(TEST)' SSLKIT_RUNS= SSLKIT_RECORDS='$(CURDIR)/$(TEST)/records' SSLKIT_PRESET=smoke xargs -P 2 -I{} bash -c \
		'log=$(TEST)/$$(basename {}).log; if $(run_notebook) --out $(OUT)/test {} >"$$log" 2>&1; then tail -n 1 "$$log"; else cat "$$log"; exit 255; fi'

examples: go-present backend ## Build, vet and run the module of examples/.
	env/lab go -C examples/hypersphere vet ./...
	env/lab go -C examples/hypersphere test ./...

verify: go-present backend $(LAB)/bin/golangci-lint ## Check format, vet, lint, vulnerabilities, tidiness, imports; run the fast tests.
	@files=$$(gofmt -l $(GOFILES)); test -z "$$files" || { printf 'not formatted (gofmt -w):\n%s\n' "$$files"; exit 1; }
	env/lab go vet ./...
	CGO_ENABLED=0 env/lab go vet -tags noxla ./...
	env/lab golangci-lint run
	env/vulncheck
	go mod tidy -diff
	go -C tools mod tidy -diff
	go -C tools/lint mod tidy -diff
	go -C examples/hypersphere mod tidy -diff
	env/lab go test -short ./...
	@$(MAKE) fuzz FUZZTIME=300x

fuzz: go-present ## Run each fuzz target for FUZZTIME, 5s if not given (300x: so many inputs).
	@for package in $$(grep -l '^func Fuzz' $(filter %_test.go,$(GOFILES)) | xargs -n 1 dirname | sort -u); do \
		targets=$$(env/lab go test -list '^Fuzz' "$$package") || { echo "$$targets"; exit 1; }; \
		for target in $$(grep '^Fuzz' <<<"$$targets"); do \
			printf '%s %s: ' "$$package" "$$target"; \
			out=$$(env/lab go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(or $(FUZZTIME),5s) -fuzzminimizetime 10x "$$package" 2>&1) || { echo "$$out"; exit 1; }; \
			grep 'execs:' <<<"$$out" | tail -n 1; \
		done; \
	done

faults: go-present backend ## Damage 2,000 files and kill 200 processes: what is read is right, made again or refused.
	SSLKIT_FAULTS=2000 env/lab go test -count=1 -timeout 0 -v -run 'TestFaults|TestKills' ./data ./sslkit/runs ./sslkit/study

# Without checkptr, which -race switches on: compute's packing of matrices (v0.1.2, and v0.1.6 too) reckons with addresses as
# numbers, which checkptr refuses. Races are found all the same. A package at a time: it takes much memory.
race: go-present backend ## Run the fast tests with the race detector.
	env/lab go test -race -short -gcflags=all=-d=checkptr=0 -p 1 -timeout 90m ./...

bench: go-present backend $(LAB)/bench-venv/ready ## Compare training steps with JAX and PyTorch, which takes 2 GB of disk.
	@env/lab go run ./bench

bench-gpu: go-present ## Measure on a GPU: smoke runs, paper tests, steps beside JAX and PyTorch; see bench/gpu.
	@env/lab bench/gpu

doors: go-present backend $(LAB)/doors-venv/ready ## Check encoders that leave and come in by timm, PyTorch and onnxruntime, which takes 2 GB of disk.
	@env/step "sslkit command" env/lab go build -o $(LAB)/doors-venv/bin/sslkit ./cmd/sslkit
	@env/lab $(LAB)/doors-venv/bin/python env/doors.py

slurm: go-present backend ## Kill, cancel and drain tasks of an array of runs on a Slurm of its own; needs root and Debian's slurmd, slurmctld, slurm-client, munge.
	@env/step "sslkit command" env/lab go build -o $(LAB)/slurm/sslkit ./cmd/sslkit
	@env/lab python3 env/slurm.py $(LAB)/slurm/sslkit

records: setup ## Train what the lecture's claims need and has no record, and keep it in records/.
	env/lab sslkit claims --train --ship records --md docs/claims.md

notebooks/records: setup ## Keep the long ones of the runs that the notebooks' last test trained, which the next one then finds.
	@env/ship $(TEST)/runs $@

notebooks: setup ## Run the notebooks again and keep their new outputs in them.
	@$(run_notebook) $(NOTEBOOKS)

assignments: setup $(LAB)/venv/nbgrader ## Make the students' versions of the assignments in .lab/course, see docs/teaching.md.
	@env/lab python env/assignments.py $(LAB)/course

assignments-check: setup $(LAB)/venv/nbgrader ## Hand in solved, empty and broken assignments and have nbgrader grade them; ONLY=1,3 for some.
	@env/lab python env/assignments.py --check --only '$(ONLY)' $(TEST)-course

book: setup $(LAB)/book-venv/ready ## Build the chapters, assignments and results as a site, in .lab/book/site.
	@env/lab python env/book.py $(LAB)/book/pages
	@cp env/book.yml $(LAB)/book/mkdocs.yml
	@NO_MKDOCS_2_WARNING=1 $(LAB)/book-venv/bin/mkdocs build -q --strict -f $(LAB)/book/mkdocs.yml
	@env/lab python env/book.py --check $(LAB)/book/site
	@echo 'to read it: python3 -m http.server --bind 127.0.0.1 --directory $(LAB)/book/site'

lab: setup ## Open JupyterLab on copies of the notebooks, in .lab/notebooks.
	@[ -x $(LAB)/editor/gopls ] || { echo '  Completion and help come when gopls is compiled, in some minutes, and the kernel is restarted.'; \
		$(MAKE) $(LAB)/editor/gopls >$(LAB)/log/gopls.log 2>&1 </dev/null & }
	env/lab python -m jupyterlab --ServerApp.root_dir="$$(env/lab env/copies)" $(if $(filter 0,$(shell id -u)),--allow-root)

setup: go-present $(LAB)/venv/ready $(LAB)/bin/gonb backend ## Set up what is missing.
	@env/step "sslkit command" env/lab go build -o $(LAB)/bin/sslkit ./cmd/sslkit
	@env/step "packages that cells import" env/lab go build ./notebooks

plugin: go-present ## Look again for a C compiler and a PJRT plugin.
	@env/backend again

clean: ## Delete .lab/: the environment, caches, plugin and all runs.
	rm -rf $(LAB)

go-present:
	@go list -m >/dev/null || { echo "Go 1.26.5 or later is needed: https://go.dev/dl" >&2; exit 1; }

$(LAB)/venv/ready: env/requirements.txt env/venv
	@env/step "Jupyter" env PYTHON='$(PYTHON)' env/venv
	@touch $@

$(LAB)/venv/nbgrader: $(LAB)/venv/ready env/nbgrader.txt
	@env/step "nbgrader" env/nbgrader
	@touch $@

$(LAB)/book-venv/ready: env/book.txt
	@env/step "Material for MkDocs" bash -c "python3 -m venv --clear $(@D) && $(@D)/bin/python -m pip install --disable-pip-version-check --no-deps --require-hashes -r env/book.txt && $(@D)/bin/python -m pip check"
	@touch $@

$(LAB)/bench-venv/ready: bench/requirements.txt bench/venv
	@env/step "JAX and PyTorch" env PYTHON='$(PYTHON)' bench/venv
	@touch $@

$(LAB)/doors-venv/ready: env/doors.txt bench/venv
	@env/step "PyTorch, timm, onnxruntime and TensorBoard" env PYTHON='$(PYTHON)' bench/venv $(LAB)/doors-venv env/doors.txt
	@touch $@

$(LAB)/bin/gonb: tools/go.mod tools/go.sum tools/kernel/said.go env/kernel
	@env/step "Go kernel for Jupyter" env/kernel
	@touch $@

# Completion and help in JupyterLab; the largest of the tools, and of no use to a headless run.
$(LAB)/editor/gopls: tools/go.mod tools/go.sum
	@env/step "gopls" env CGO_ENABLED=0 go -C tools build -o ../$(LAB)/editor/ golang.org/x/tools/gopls
	@touch $@

$(LAB)/bin/golangci-lint: tools/lint/go.mod tools/lint/go.sum # and govulncheck beside it
	@env/step "golangci-lint" env CGO_ENABLED=0 go -C tools/lint build -o ../../$(LAB)/bin/ tool
	@touch $@

backend:
	@env/backend
