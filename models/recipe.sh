#!/usr/bin/env bash
# From data to the shipped models and their scores on document types that the scored model never saw.
#   models/recipe.sh BACKGROUNDS FACES POSES.csv DLC2021_DEV WORK
# Each step is skipped where its result exists, so an interrupted run goes on. The shipped files are replaced last.
set -euo pipefail
backgrounds=$(realpath "$1") faces=$(realpath "$2") poses=$(realpath "$3") frames=$(realpath "$4")
mkdir -p "$5"
work=$(realpath "$5")
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
drawn_licence="drawn by unetlite; surfaces and faces: CC0, CC BY 4.0, MIT, free wallpapers, DLC-2021 crops (CC BY-SA 2.5)"
train=(unet-train --batch-size 32 --loss dice+bce --schedule cosine --patience 100)
folds=(01_alb_id,02_aze_passport 03_esp_id,07_lva_passport 05_fin_id,09_srb_passport)

draw() { # NAME COUNT SEED SPLIT
    [ -d "$work/$1-split/train" ] && return
    unet-data synthesize --to "$work/$1" --count "$2" --seed "$3" --negatives 0.18 \
        --backgrounds "$backgrounds" --faces "$faces" --poses "$poses"
    unet-data prepare "$work/$1" --to "$work/$1-split" --split "$4" --licence "$drawn_licence"
}

real() { # NAME HELD-OUT-TYPES: the frames of all other types, split by clip
    [ -d "$work/$1-split/train" ] && return
    rm -rf "${work:?}/$1"
    mkdir "$work/$1"
    cp -r "$frames"/[0-9]* "$work/$1/"
    chmod -R u+w "$work/$1"
    for type in ${2//,/ }; do rm -rf "${work:?}/$1/$type"; done
    unet-data prepare "$work/$1" --to "$work/$1-split" --split 92/8/0 --by clip --licence "CC BY-SA 2.5"
}

tune() { # NAME DATA: the base, taught the real frames without forgetting the drawn ones
    [ -f "$work/$1.keras" ] && return
    "${train[@]}" --start "$work/base.keras" --epochs 6 --learning-rate 0.0008 --data "$work/replay-split" \
        --data "$work/$2-split" --data "$work/$2-split" --data "$work/$2-split" --data "$work/$2-split" \
        --model-out "$work/$1.keras" --resume
}

convert() { # NAME LEVEL...
    local name=$1
    shift
    unet-export "$work/$name.keras" "$@" --calibration "$work/calibration.json" --validation "$work/replay-split" \
        --to "$work/exported" --overwrite
}

draw drawn 12000 2026 96/4/0
draw replay 3000 2027 90/10/0
[ -f "$work/base.keras" ] || "${train[@]}" --data "$work/drawn-split" --epochs 20 --learning-rate 0.002 \
    --model-out "$work/base.keras" --resume
[ -f "$work/calibration.json" ] || unet-calibrate "$work/replay-split" --to "$work/calibration.json"

scored=()
for number in 1 2 3; do
    types=${folds[number - 1]}
    real "fold$number" "$types"
    tune "fold$number-model" "fold$number"
    convert "fold$number-model" --int8
    scored+=(--fold "$types=$work/exported/fold$number-model.int8.tflite")
done

real all ""
tune unetlite all
convert unetlite --float32 --int8
[ -f "$work/unetlite-nano.keras" ] || "${train[@]}" --preset nano --epochs 10 --learning-rate 0.002 \
    --data "$work/drawn-split" --data "$work/all-split" --data "$work/all-split" --data "$work/all-split" \
    --data "$work/all-split" --model-out "$work/unetlite-nano.keras" --resume
unet-calibrate "$work/replay-split" --size 192x192 --to "$work/calibration-nano.json" --overwrite
unet-export "$work/unetlite-nano.keras" --int8 --calibration "$work/calibration-nano.json" \
    --validation "$work/replay-split" --to "$work/exported" --overwrite

printf '%s\n' "${scored[@]}" > "$work/folds.txt"
for name in unetlite unetlite-nano; do
    cp "$work/$name.keras" "$work/$name.training.json" models/
    cp "$work/exported/$name.int8.tflite" edge/models/
done
