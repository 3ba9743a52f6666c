# Two commands set everything up: `make demo` and `make test`. Both start with `make env`.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
EDGE   := .venv-edge
MEDIAPIPE := .venv-mediapipe
PACKAGING := setup.cfg pyproject.toml

.PHONY: env demo test test-slow lint clean

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

demo: $(VENV)/.stamp
	PATH="$(CURDIR)/$(BIN):$$PATH" bash demo.sh

test: $(VENV)/.stamp $(EDGE)/.stamp $(MEDIAPIPE)/.stamp
	$(BIN)/python -m pytest

test-slow: $(VENV)/.stamp $(EDGE)/.stamp $(MEDIAPIPE)/.stamp
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.stamp
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(EDGE) $(MEDIAPIPE) demo-output build *.egg-info
