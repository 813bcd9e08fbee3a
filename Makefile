# Everything to set up, show and check persona. Two goals for most people: demo and test.
#
#   make demo    environment, build, and an avatar of the project's own sample photo in out/
#   make test    environment, build, all checks and all tests
#   make check   formatting, lint, types, import direction, architecture
#   make quality make a quick avatar of a generated person, and fail if it is worse than the baseline
#   make fuzz    build the native core with AddressSanitizer and call it 100,000 times at random
#   make fuzz-motions  open 10,000 damaged motion files of every format
#   make fuzz-messages  throw 100,000 damaged messages at a live page's server
#   make page    build the live page from web/ (needs Node.js)
#   make cross-arm  compile the native core for 64-bit ARM, and try it where an emulator is
#   make readers  install other people's readers of what we export, for tests; needs Node.js
#   make clean   forget build results and stamps, keep the environment
#
# PYTHON chooses the interpreter of the environment: make demo PYTHON=python3.12

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
STAMPS := $(VENV)/stamps
OUT := out
# The checker's version is pinned: asking for news would need a network.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

NATIVE_SOURCES := CMakeLists.txt $(shell find native -type f 2>/dev/null)

.PHONY: help demo test check unit quality fuzz fuzz-motions fuzz-messages page cross-arm readers clean
help:
	@sed -n 's/^#   //p' Makefile

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] < (3, 13); \
	  sys.exit(None if ok else f"persona needs Python 3.11 or 3.12 (MediaPipe has no wheels for others); $(PYTHON) is {sys.version.split()[0]}.\nName another: make demo PYTHON=python3.11")'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) lacks the venv module. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

# Packages first and alone, so that editing our own code never installs them again.
$(STAMPS)/packages: $(STAMPS)/venv pyproject.toml constraints.txt tools/requirements.py
	$(PIP) install -c constraints.txt $$($(BIN)/python tools/requirements.py build run)
	@touch $@

$(STAMPS)/dev: $(STAMPS)/packages
	$(PIP) install -c constraints.txt $$($(BIN)/python tools/requirements.py dev)
	@touch $@

$(STAMPS)/build: $(STAMPS)/packages $(NATIVE_SOURCES) src/persona/__init__.py
	@command -v $${CXX:-c++} >/dev/null || { \
	  echo "No C++ compiler found. On Debian or Ubuntu: apt-get install build-essential" >&2; exit 1; }
	$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

# MediaPipe's cv2 links to it; a server without a screen often lacks it.
$(STAMPS)/libraries: $(STAMPS)/packages
	@$(BIN)/python -c 'import ctypes; ctypes.CDLL("libGL.so.1"); ctypes.CDLL("libglib-2.0.so.0")' || { \
	  echo "A system library that cv2 needs is missing (see above)." >&2; \
	  echo "On Debian or Ubuntu: apt-get install libgl1 libglib2.0-0" >&2; exit 1; }
	@touch $@

demo: $(STAMPS)/build $(STAMPS)/libraries
	@mkdir -p $(OUT)
	$(BIN)/persona sample --out $(OUT)/sample.png
	$(BIN)/persona create $(OUT)/sample.png --out $(OUT)/sample.persona

test: check unit

unit: $(STAMPS)/build $(STAMPS)/dev $(STAMPS)/libraries
	$(BIN)/python -m pytest --quiet --numprocesses 2 --dist loadfile

check: $(STAMPS)/build $(STAMPS)/dev $(STAMPS)/libraries
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright
	$(BIN)/python -m pytest --quiet tests/architecture

# About 35 s of processor. The long one: persona evaluate truth --gate.
quality: $(STAMPS)/build $(STAMPS)/libraries
	$(BIN)/persona evaluate benchmarks/quality/small.toml --out build/quality \
	  --gate --baseline benchmarks/quality/small.json

# FUZZ adds arguments: make fuzz FUZZ='--seed 7 --calls 1000'
fuzz: $(STAMPS)/build
	cmake -S . -B build/sanitize -G Ninja -DPERSONA_SANITIZE=ON
	cmake --build build/sanitize
	LD_PRELOAD=$$($${CXX:-c++} -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 \
	  $(BIN)/python tools/fuzz_native.py --library build/sanitize/libpersona_native.so $(FUZZ)

fuzz-motions: $(STAMPS)/build
	$(BIN)/python -m tools.fuzz_motions --files 10000 $(FUZZ)

fuzz-messages: $(STAMPS)/build
	test -e $(OUT)/sample.persona || $(MAKE) demo
	$(BIN)/python tools/fuzz_messages.py $(OUT)/sample.persona $(FUZZ)

# The result is kept in the repository, so that nobody else needs Node.js.
page:
	cd web && npm ci && npm run build

# One program that needs nothing of the machine it runs on; the emulator is Debian's qemu-user-static.
cross-arm: $(STAMPS)/build
	$(PIP) install -c constraints.txt $$($(BIN)/python tools/requirements.py cross)
	@mkdir -p build/cross-arm
	$(BIN)/python -m ziglang cc -target aarch64-linux-musl -O2 -Wall -Wextra -Inative/include \
	  -c tests/native/smoke.c -o build/cross-arm/smoke.o
	$(BIN)/python -m ziglang c++ -target aarch64-linux-musl -static -std=gnu++17 -O2 -Wall -Wextra \
	  -Wno-psabi -Wno-unknown-pragmas -fno-math-errno -fno-trapping-math -ffp-contract=fast \
	  -fopenmp-simd -DPERSONA_X86=0 -DPERSONA_ISA=baseline -Inative/include -Inative/src \
	  native/src/*.cpp build/cross-arm/smoke.o -o build/cross-arm/smoke
	@emulator=$$(command -v qemu-aarch64-static || command -v qemu-aarch64) || { \
	  echo "Compiled. No emulator here to run it: apt-get install qemu-user-static"; exit 0; }; \
	  $$emulator build/cross-arm/smoke

readers:
	cd tests/export/readers && npm install --no-audit --no-fund --no-package-lock

clean:
	rm -rf build dist $(OUT) $(STAMPS) src/persona/_native/*.so .pytest_cache .ruff_cache .hypothesis .import_linter_cache
