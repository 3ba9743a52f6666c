#!/usr/bin/env bash
# The main job on what ships with the project: calibrate, export every level, find and crop documents, measure, capture live.
# Each line is a command a person would type; all results lie in demo-output/.
set -euo pipefail
cd "$(dirname "$0")"
export TF_CPP_MIN_LOG_LEVEL=3
out=demo-output
rm -rf "$out"

unet-data synthesize --to "$out/calibration" --count 128 --seed 7
unet-calibrate "$out/calibration" --count 128 --to "$out/calibration.json"
unet-export models/unetlite.keras --calibration "$out/calibration.json" --validation samples --to "$out/models"
unet-infer samples/images --model "$out/models/unetlite.int8.tflite" \
    --mask-out "$out/masks" --overlay-out "$out/overlays" --crop-out "$out/crops"
unet-benchmark run --threads 1 --data samples --report "$out/report.json" \
    --model "$out/models/unetlite.float32.tflite" --model "$out/models/unetlite.float16.tflite" \
    --model "$out/models/unetlite.dynamic.tflite" --model "$out/models/unetlite.int8.tflite"
echo
unet-benchmark compare "$out/report.json" --html "$out/report.html"
echo
python benchmarks/card_video.py make "$out/cards.avi"
unet-capture --camera "$out/cards.avi" --every-frame --to "$out/captures"
python benchmarks/card_video.py check "$out/cards.json" "$out/captures"
echo
echo "Masks, overlays, crops, models, captures and report.html lie in $out/"
