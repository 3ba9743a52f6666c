#!/usr/bin/env bash
# From data to the shipped models, and to those that score them: each of those never saw two document types.
#   models/recipe.sh BACKGROUNDS FACES POSES.csv DLC2021_DEV WORK
# Wants a GPU, or hours of a processor with AVX-512 and BF16, gcc and 40 GB of disk; and in one environment the project
# with its extras train-cpu and export, PyTorch and h5py. Pictures and networks that are there already are kept, so an
# interrupted run goes on. The shipped files are replaced last. On any other processor: recipe-two-cores.sh.
set -euo pipefail
backgrounds=$(realpath "$1") faces=$(realpath "$2") poses=$(realpath "$3") frames=$(realpath "$4")
mkdir -p "$5"
work=$(realpath "$5")
rm -f "$work/draw.failed"  # an earlier run's
cd "$(dirname "$0")/.."

untrained() { # NAME SHAPE: a network of which training takes the layers
    [ -f "$work/$1.keras" ] && return
    python3 -c "
from dataclasses import replace
from unetlite.training.unet import PRESETS, build_unet
build_unet($2).save('$work/$1.keras')"
}

export_int8() { # NAME CALIBRATION OPTION...: of 600 hard pictures a rounding decides a few that the network doubts
    unet-export "$work/models/$1.keras" --int8 --calibration "$work/$2" --validation "$work/validation-split" \
        --max-image-loss 0.5 --to "$work/exported" --overwrite "${@:3}"
}

untrained edge "'edge'"
untrained edge-small "replace(PRESETS['edge'], widths=(24, 48, 96, 176, 224), encoder=(1, 2, 2, 3, 3), decoder=(1,) * 4)"
untrained nano "'nano'"
models/pytorch/draw.sh "$backgrounds" "$faces" "$poses" "$frames" "$work" &
python3 models/pytorch/train.py "$frames" "$work" \
    --model unetlite "$work/edge.keras" --model unetlite-nano "$work/nano.keras"
wait
# Calibration and validation have no document in common.
[ -d "$work/validation-split" ] || unet-data prepare "$work/validation" --to "$work/validation-split" --split 25/75/0
unet-calibrate "$work/validation-split" --count 128 --to "$work/calibration.json" --overwrite
unet-calibrate "$work/validation-split" --count 128 --size 224x128 --to "$work/calibration-nano.json" --overwrite
# What int8 loses is part of the folds' score; no device runs them.
for fold in "" -fold1 -fold2 -fold3; do
    export_int8 "unetlite$fold" calibration.json ${fold:+--max-share-loss 3}
    export_int8 "unetlite-nano$fold" calibration-nano.json ${fold:+--max-share-loss 3}
done
for name in unetlite unetlite-nano; do
    cp "$work/models/$name.keras" "$work/models/$name.training.json" models/
    cp "$work/exported/$name.int8.tflite" edge/models/
done
cp "$work"/models/unetlite-{small,base}.{keras,training.json} models/
mkdir -p models/folds
cp "$work"/exported/unetlite-fold?.int8.tflite models/folds/
[ -f "$work/borders/borders.tflite" ] || python3 models/borders.py "$work/first" --to "$work/borders"
cp "$work"/borders/borders.{keras,training.json} models/
cp "$work/borders/borders.tflite" edge/models/
python3 benchmarks/courses.py "$work/models"
