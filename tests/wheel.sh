#!/usr/bin/env bash
# Build the project's wheel from a copy of the working tree: a build in the tree leaves folders that later builds read.
#   tests/wheel.sh FOLDER [PYTHON]
set -euo pipefail
folder=$(realpath "$1")
python=${2:-python3}
case $python in */*) python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python") ;; esac
cd "$(dirname "$0")/.."
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cp -r setup.cfg pyproject.toml README.md LICENSE vision training calibration export edge "$tree"
cd "$tree"
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$folder" .
