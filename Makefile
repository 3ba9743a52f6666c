# Two commands set everything up: `make demo` and `make test`. Both start with `make env`.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
EDGE   := .venv-edge
MEDIAPIPE := .venv-mediapipe
AUDIT  := .venv-audit
ATHERIS := .venv-atheris
PACKAGING := setup.cfg pyproject.toml

.PHONY: env demo test test-slow lint audit hostile clean

# The stamp is written last, so an interrupted installation is done again.
env: $(VENV)/.stamp
$(VENV)/.stamp: $(PACKAGING)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[edge,tflite-runtime,serve,train-cpu,export,dev]'
	touch $@

# A device's environment: no TensorFlow. The tests run the edge package in it.
$(EDGE)/.stamp: $(PACKAGING)
	$(PYTHON) -m venv $(EDGE)
	$(EDGE)/bin/pip install --quiet --disable-pip-version-check --editable '.[edge]'
	touch $@

# MediaPipe wants NumPy 2 and another OpenCV than tflite-support; the interoperability tests run a program in here.
$(MEDIAPIPE)/.stamp: Makefile
	$(PYTHON) -m venv $(MEDIAPIPE)
	$(MEDIAPIPE)/bin/pip install --quiet --disable-pip-version-check 'mediapipe>=1.2,<2'
	touch $@

$(AUDIT)/.stamp: Makefile
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/pip install --quiet --disable-pip-version-check 'bandit>=1.7' 'pip-audit>=2.7'
	touch $@

$(ATHERIS)/.stamp: Makefile
	$(PYTHON) -m venv $(ATHERIS)
	$(ATHERIS)/bin/pip install --quiet --disable-pip-version-check 'atheris>=2.3' 'numpy<2' 'opencv-python-headless<4.12' click
	touch $@

demo: $(VENV)/.stamp
	PATH="$(CURDIR)/$(BIN):$$PATH" bash demo.sh

test: $(VENV)/.stamp $(EDGE)/.stamp $(MEDIAPIPE)/.stamp
	$(BIN)/python -m pytest

test-slow: $(VENV)/.stamp $(EDGE)/.stamp $(MEDIAPIPE)/.stamp
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.stamp
	$(BIN)/ruff check .
	$(BIN)/mypy

# The project's own code, then every package of .venv against the published advisories: that needs the network, and
# says so (--strict) where a package could not be looked up.
audit: $(VENV)/.stamp $(AUDIT)/.stamp
	$(AUDIT)/bin/bandit --quiet -c pyproject.toml -r vision training calibration export edge
	$(BIN)/pip freeze --exclude-editable > $(AUDIT)/installed.txt
	$(AUDIT)/bin/pip-audit --strict --no-deps --disable-pip -r $(AUDIT)/installed.txt

# Damaged files for every reader, kills, full disks: about half an hour. The counts stand in docs/reliability.md.
hostile: $(VENV)/.stamp $(ATHERIS)/.stamp
	$(BIN)/python benchmarks/hostile.py --to docs/results/hostile.json
	$(BIN)/python benchmarks/faults.py --to docs/results/faults.json
	$(BIN)/python docs/fill.py

clean:
	rm -rf $(VENV) $(EDGE) $(MEDIAPIPE) $(AUDIT) $(ATHERIS) demo-output build *.egg-info
