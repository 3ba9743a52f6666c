#!/usr/bin/env bash
# Measure every number that the documents show, on this machine, and write them in.
#   docs/measure.sh DLC2021_DEV [PEERS]
# DLC2021_DEV is a folder of DLC-2021 frames in MIDV's layout. PEERS is a folder in which benchmarks/peers.py keeps what
# it sets up for the next time; the first time pip fetches MediaPipe, ONNX Runtime and OpenVINO, about 1.5 GB.
set -euo pipefail
data=$(realpath "$1")
peers=${2:+$(realpath -m "$2")}
cd "$(dirname "$0")/.."
make env
PATH="$PWD/.venv/bin:$PATH"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p docs/results

make demo
cp demo-output/report.json docs/results/demo.json

# What a short training on real photographs alone gives, on a type that it has not seen.
unet-data prepare "$data" --to "$work/dlc2021-dev" --split 70/15/15 --licence "CC BY-SA 2.5"
unet-train --data "$work/dlc2021-dev" --epochs 40 --loss dice+bce --min-confidence 0 --model-out "$work/dlc.keras"
unet-export "$work/dlc.keras" --float32 --int8 --calibration "$work/dlc2021-dev" --validation "$work/dlc2021-dev" --to "$work/short"
unet-benchmark run --threads 1 --data "$work/dlc2021-dev" --report docs/results/dlc2021-short.json --overwrite \
    --model "$work/short/dlc.float32.tflite" --model "$work/short/dlc.int8.tflite"

# The shipped models at every level, what narrows int8's gap, and how much the choice of representative pictures matters:
# on drawings that were in no training. Exit status 3 says that a level was rejected, which the table says, too.
unet-data synthesize --to "$work/drawn" --count 800 --seed 4242 --negatives 0.1
unet-data prepare "$work/drawn" --to "$work/drawn-split" --split 70/30/0 --licence "drawn by unetlite"
for model in models/unetlite.keras models/unetlite-nano.keras; do
    unet-export "$model" --float32 --float16 --weights8 --dynamic --int8 --int16x8 --allow-slow \
        --calibration "$work/drawn-split" --validation "$work/drawn-split" --to "$work/levels" || [ $? = 3 ]
done
python benchmarks/levels.py "$work"/levels/*.export.json --to docs/results/levels.json
python benchmarks/int8_methods.py models/unetlite.keras --calibration "$work/drawn-split" \
    --validation "$work/drawn-split" --report docs/results/int8-methods.json --overwrite
python benchmarks/calibration_strategies.py models/unetlite.keras "$work/drawn-split" --draws 2 --limit 60 \
    --validation "$work/drawn-split" --report docs/results/calibration-strategies.json --overwrite

# Ratios between models in two reports, and other networks and runtimes: about four minutes each, on a machine at rest.
python benchmarks/repeatability.py "$data" \
    --model demo-output/models/unetlite.float32.tflite --model demo-output/models/unetlite.int8.tflite
python benchmarks/peers.py "$data" --work "${peers:-$work/peers}"

# Live capture: the gates' rates, what a cycle costs, what faults, 100,000 frames and crowds do to it.
python benchmarks/quality_gates.py --to docs/results/quality-gates.json
python benchmarks/capture.py --to docs/results/capture.json

# What stands around the network, beside it.
python benchmarks/stages.py "$data"
python benchmarks/page_load.py --to docs/results/page-load.json
python benchmarks/soak.py --to docs/results/soak.json
python benchmarks/capture_faults.py --to docs/results/capture-faults.json

# What more work costs, and whether the input pipeline keeps up.
python benchmarks/growth.py
# Damaged files, kills, full disks.
make hostile
python docs/fill.py
