#!/usr/bin/env bash
# From data to the shipped model; two document types stay out of training, to score it on.
#   models/recipe.sh BACKGROUNDS FACES POSES.csv DLC2021_DEV WORK
# Each step is skipped where its result exists, so an interrupted run goes on. The shipped files are replaced last.
set -euo pipefail
backgrounds=$(realpath "$1") faces=$(realpath "$2") poses=$(realpath "$3") frames=$(realpath "$4")
mkdir -p "$5"
work=$(realpath "$5")
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
drawn_licence="drawn by unetlite; surfaces and faces: CC0, CC BY 4.0, MIT, free wallpapers, DLC-2021 crops (CC BY-SA 2.5)"
train=(unet-train --batch-size 32 --loss dice+bce --schedule cosine --patience 100 --learning-rate 0.002 --resume)
held_out=(01_alb_id 02_aze_passport)

draw() { # NAME COUNT SEED NEGATIVES SPLIT
    [ -d "$work/$1-split/train" ] && return
    unet-data synthesize --to "$work/$1" --count "$2" --seed "$3" --negatives "$4" \
        --backgrounds "$backgrounds" --faces "$faces" --poses "$poses"
    unet-data prepare "$work/$1" --to "$work/$1-split" --split "$5" --licence "$drawn_licence"
}

draw drawn 12000 2026 0.18 96/4/0
draw replay 3000 2027 0.18 90/10/0
draw negatives 1300 2028 1.0 92/8/0
if [ ! -d "$work/real-split/train" ]; then
    rm -rf "$work/real"
    mkdir "$work/real"
    cp -r "$frames"/[0-9]* "$work/real/"
    chmod -R u+w "$work/real"
    for type in "${held_out[@]}"; do rm -rf "${work:?}/real/$type"; done
    unet-data prepare "$work/real" --to "$work/real-split" --split 92/8/0 --by clip --licence "CC BY-SA 2.5"
fi

[ -f "$work/base.keras" ] || "${train[@]}" --epochs 20 --data "$work/drawn-split" --model-out "$work/base.keras"
real=()
for _ in 1 2 3 4 5 6 7 8; do real+=(--data "$work/real-split"); done # a few hundred frames among thousands
[ -f "$work/unetlite.keras" ] || "${train[@]}" --epochs 8 --min-confidence 0.7 --start "$work/base.keras" \
    --data "$work/drawn-split" --data "$work/replay-split" --data "$work/negatives-split" "${real[@]}" \
    --model-out "$work/unetlite.keras"
unet-calibrate "$work/replay-split" --to "$work/calibration.json" --overwrite
# int8 costs more quads of the drawn pictures than unet-export allows by itself; its report says how many.
unet-export "$work/unetlite.keras" --int8 --calibration "$work/calibration.json" --validation "$work/replay-split" \
    --max-share-loss 1 --to "$work/exported" --overwrite

cp "$work/unetlite.keras" "$work/unetlite.training.json" models/
cp "$work/exported/unetlite.int8.tflite" edge/models/
