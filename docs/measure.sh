#!/usr/bin/env bash
# Measure every number that the documents show, on this machine, and write them in.
#   docs/measure.sh DLC2021_DEV      a folder of DLC-2021 frames in MIDV's layout
set -euo pipefail
data=$(realpath "$1")
cd "$(dirname "$0")/.."
make env
PATH="$PWD/.venv/bin:$PATH"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p docs/results

make demo
cp demo-output/report.json docs/results/demo.json

# What a short training on real photographs alone gives, and the shipped model, on a type that neither has seen.
unet-data prepare "$data" --to "$work/dlc2021-dev" --split 70/15/15 --licence "CC BY-SA 2.5"
unet-train --data "$work/dlc2021-dev" --epochs 40 --loss dice+bce --model-out "$work/dlc.keras"
unet-export "$work/dlc.keras" --float32 --int8 --calibration "$work/dlc2021-dev" --validation "$work/dlc2021-dev" --to "$work/short"
unet-benchmark run --threads 1 --data "$work/dlc2021-dev" --report docs/results/dlc2021-short.json --overwrite \
    --model "$work/short/dlc.float32.tflite" --model "$work/short/dlc.int8.tflite"
unet-benchmark run --threads 1 --data "$work/dlc2021-dev" --report docs/results/dlc2021-shipped.json --overwrite \
    --model demo-output/models/unetlite.float32.tflite --model edge/models/unetlite.int8.tflite

# How much the choice of representative pictures matters, on the same pictures.
python benchmarks/calibration_strategies.py models/unetlite.keras "$work/dlc2021-dev" \
    --validation "$work/dlc2021-dev" --report docs/results/calibration-strategies.json --overwrite

# Live capture: the gates' rates, and what a cycle costs.
python benchmarks/quality_gates.py --to docs/results/quality-gates.json
python benchmarks/capture.py --to docs/results/capture.json

# What stands around the network, beside it.
python benchmarks/stages.py "$data"
python docs/fill.py
