#!/usr/bin/env bash
# The preset `reference` trained on drawn pictures, and what the small network gives up to it, before and after growing.
#   models/recipe-reference.sh BACKGROUNDS FACES POSES.csv DLC2021_DEV WORK
# No GPU, but a processor with AVX-512 and BF16, gcc, and in one environment the project with its extras train-cpu and
# export, PyTorch and h5py: some hours on two cores, and 30 GB of disk. What is there already is kept, so an interrupted
# run goes on.
set -euo pipefail
backgrounds=$(realpath "$1") faces=$(realpath "$2") poses=$(realpath "$3") frames=$(realpath "$4")
mkdir -p "$5/models"
work=$(realpath "$5")
cd "$(dirname "$0")/.."

export_int8() { # NETWORK.keras SIZE: a picture that int8 loses is part of the score; no device runs these
    unet-calibrate "$work/validation-split" --count 128 --size "$2" --to "$work/calibration-$2.json" --overwrite
    unet-export "$1" --int8 --calibration "$work/calibration-$2.json" --validation "$work/validation-split" \
        --max-image-loss 1 --max-share-loss 5 --to "$work/exported" --overwrite
}

models/pytorch/draw.sh "$backgrounds" "$faces" "$poses" "" "$work"
[ -f "$work/kinds.done" ] || {
    unet-data synthesize --to "$work/kinds" --count 900 --seed 9002 --negatives 0.15 --backgrounds "$backgrounds" \
        --faces "$work/faces" --poses "$poses"
    touch "$work/kinds.done"
}
[ -f "$work/reference.keras" ] || python3 -c "
from unetlite.training.unet import build_unet
build_unet('reference', (160, 96)).save('$work/reference.keras')"
[ -f "$work/models/reference.keras" ] || python3 models/pytorch/reference.py "$work" "$work/reference.keras"
[ -d "$work/validation-split" ] || unet-data prepare "$work/validation" --to "$work/validation-split" --split 25/75/0
export_int8 "$work/models/reference.keras" 160x96
export_int8 models/unetlite-base.keras 320x192
export_int8 models/unetlite-small.keras 320x192
cp "$work/models/reference.training.json" "$work/exported/reference.int8.tflite" models/
python3 benchmarks/reference_gap.py "$frames" "$work/kinds" \
    --model reference models/reference.int8.tflite models/reference.training.json \
    --model unetlite-base "$work/exported/unetlite-base.int8.tflite" models/unetlite-base.training.json \
    --model unetlite-small "$work/exported/unetlite-small.int8.tflite" models/unetlite-small.training.json
