FITS = 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

# The first of these Pythons that is 3.11, 3.12 or 3.13.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c $(FITS) 2>/dev/null && echo "$$python" && break; done)
HOST ?= 127.0.0.1
PORT ?= 8000
ENGINE ?= $(firstword $(notdir $(shell command -v podman docker 2>/dev/null)))
IMAGE ?= music-origin
BIN := .venv/bin

.PHONY: serve scoring catalogue score extras test trust check train report bench bench-quick bench-training bench-scoring bench-page bench-replicas selection image coastlines sbom audit lock clean

serve: .venv/serve.installed
	exec env OPENBLAS_NUM_THREADS=1 $(BIN)/python -m service --host $(HOST) --port $(PORT)

extras: .venv/extras.installed

scoring: .venv/scoring.installed

ROWS ?= 10000000
catalogue: .venv/scoring.installed
	$(BIN)/python -m benchmarks.scoring.catalogue --rows $(ROWS) $(or $(OUT),build/catalogue)

score: .venv/scoring.installed
	@test -n "$(IN)" -a -n "$(OUT)" || { echo "Say what to score and where to: make score IN=catalogue OUT=scored" >&2; exit 1; }
	$(BIN)/python -m scoring "$(IN)" "$(OUT)" $(OPTIONS)

# Training takes minutes, for which it shares the cores with tests that only ask for right answers, and not for quick ones.
BESIDE_TRAINING := tests/benchmarks tests/deploy tests/scoring
test: .venv/dev.installed
	mkdir -p build
	$(BIN)/pytest $(BESIDE_TRAINING) > build/tests.log 2>&1 & beside=$$!; trap "kill $$beside" INT TERM; \
		$(BIN)/pytest tests/training; training=$$?; \
		wait $$beside; beside=$$?; cat build/tests.log; exit $$((training || beside))
	$(BIN)/pytest $(addprefix --ignore=,tests/training $(BESIDE_TRAINING))

trust: .venv/dev.installed
	$(BIN)/pytest tests/trust tests/deploy --long

check: .venv/dev.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

train report: .venv/training.installed
	$(BIN)/python -m training

coastlines: .venv/training.installed
	$(BIN)/python -m training.coastlines

bench: .venv/dev.installed
	$(BIN)/python -m benchmarks.serving

bench-quick: .venv/dev.installed
	$(BIN)/python -m benchmarks.serving --quick

bench-training: .venv/dev.installed
	$(BIN)/python -m benchmarks.training

bench-scoring: .venv/dev.installed
	$(BIN)/python -m benchmarks.scoring

bench-page: .venv/dev.installed
	$(BIN)/python -m benchmarks.page

bench-replicas: .venv/dev.installed
	$(BIN)/python -m benchmarks.replicas

selection: .venv/dev.installed
	$(BIN)/python -m benchmarks.selection

image:
	$(if $(ENGINE),,$(error Neither podman nor docker is installed))
	BUILDAH_FORMAT=docker $(ENGINE) build $(if $(PYTHON_IMAGE),--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE)) $(BUILD_FLAGS) -t $(IMAGE) .

# What the image installs, for those who must know: names, versions, hashes, licences.
sbom: .venv/dev.installed
	PYTHONPATH=. $(BIN)/python requirements/sbom.py build/sbom.json

# Asks PyPI what is known against the pinned packages; one that it cannot tell of is an error.
audit: .venv/dev.installed
	$(BIN)/pip-audit --requirement requirements/serve.txt --require-hashes --disable-pip --strict --progress-spinner off

# An install that was interrupted leaves its mark, and the next one starts afresh.
.venv/%.installed: requirements/%.txt
	@$(or $(PYTHON),false) -c $(FITS) || { echo "Python 3.11, 3.12 or 3.13 is needed: name it with PYTHON=/path/to/python" >&2; exit 1; }
	test -x $(BIN)/pip -a ! -e .venv/unfinished || $(PYTHON) -m venv --clear .venv
	touch .venv/unfinished
	$(BIN)/python -m pip install --disable-pip-version-check --only-binary :all: --require-hashes --requirement $<
	mv .venv/unfinished $@

COMPILE = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--no-annotate --no-header --generate-hashes

lock: .venv/dev.installed
	$(COMPILE) --upgrade --extra dev --output-file requirements/dev.txt
	$(COMPILE) --upgrade --extra training --constraint requirements/dev.txt --output-file requirements/training.txt
	$(COMPILE) --upgrade --extra scoring --constraint requirements/dev.txt --output-file requirements/scoring.txt
	$(COMPILE) --upgrade --extra arrow --extra telemetry --constraint requirements/dev.txt --output-file requirements/extras.txt
	$(COMPILE) --upgrade --constraint requirements/dev.txt --output-file requirements/serve.txt

clean:
	rm -rf .venv .bench build
