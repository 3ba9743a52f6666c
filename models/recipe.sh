#!/usr/bin/env bash
# From data to the shipped models, and to the models that score them: each of those never saw two document types.
#   models/recipe.sh BACKGROUNDS FACES POSES.csv DLC2021_DEV WORK
# Each step is skipped where its result exists, so an interrupted run goes on. The shipped files are replaced last.
set -euo pipefail
backgrounds=$(realpath "$1") faces=$(realpath "$2") poses=$(realpath "$3") frames=$(realpath "$4")
mkdir -p "$5"
work=$(realpath "$5")
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
drawn_licence="drawn by unetlite; surfaces and faces: CC0, MIT, free wallpapers, DLC-2021 crops (CC BY-SA 2.5)"
train=(unet-train --batch-size 32 --loss dice+bce --schedule cosine --patience 100 --learning-rate 0.002 --resume)

draw() { # NAME COUNT SEED NEGATIVES SPLIT
    [ -d "$work/$1-split/train" ] && return
    unet-data synthesize --to "$work/$1" --count "$2" --seed "$3" --negatives "$4" \
        --backgrounds "$backgrounds" --faces "$work/faces" --poses "$poses"
    unet-data prepare "$work/$1" --to "$work/$1-split" --split "$5" --licence "$drawn_licence"
}

real() { # NAME TYPE...: the real frames without these types
    [ -d "$work/$1-split/train" ] && return
    rm -rf "${work:?}/$1"
    mkdir "$work/$1"
    cp -r "$frames"/[0-9]* "$work/$1/"
    chmod -R u+w "$work/$1"
    for type in "${@:2}"; do rm -rf "${work:?}/$1/$type"; done
    unet-data prepare "$work/$1" --to "$work/$1-split" --split 92/8/0 --by clip --licence "CC BY-SA 2.5"
}

tune() { # NAME PRESET START EPOCHS REAL DRAWN...: the last stage, a few hundred real frames among drawn pictures
    [ -f "$work/$1.keras" ] && return
    local data=()
    for _ in 1 2 3 4 5 6 7 8; do data+=(--data "$work/$5-split"); done
    for drawn in "${@:6}"; do data+=(--data "$work/$drawn-split"); done
    "${train[@]}" --preset "$2" --epochs "$4" --start "$work/$3.keras" "${data[@]}" --model-out "$work/$1.keras"
}

export_int8() { # NAME OPTION...: of 300 hard pictures a rounding decides a few that the network itself doubts
    unet-export "$work/$1.keras" --int8 --calibration "$work/replay-split" --validation "$work/replay-split" \
        --max-image-loss 0.1 --to "$work/exported" --overwrite "${@:2}"
}

# SIDTD's flat faces are of two types that the real frames show; what is drawn must not know those either.
[ -d "$work/faces" ] || { cp -r "$faces" "$work/faces" && chmod -R u+w "$work/faces" && rm -rf "$work/faces/sidtd"; }
draw drawn 12000 2026 0.18 96/4/0
draw drawn2 9000 2031 0.15 97/3/0
draw drawn3 10000 2033 0.15 97/3/0
draw replay 3000 2027 0.18 90/10/0
draw negatives 1300 2028 1.0 92/8/0
[ -f "$work/base.keras" ] || "${train[@]}" --epochs 20 --data "$work/drawn-split" --model-out "$work/base.keras"
[ -f "$work/base2.keras" ] || "${train[@]}" --epochs 6 --start "$work/base.keras" --data "$work/drawn-split" \
    --data "$work/drawn2-split" --data "$work/replay-split" --data "$work/negatives-split" --model-out "$work/base2.keras"
[ -f "$work/base3.keras" ] || "${train[@]}" --epochs 4 --start "$work/base2.keras" --data "$work/drawn-split" \
    --data "$work/drawn2-split" --data "$work/drawn3-split" --data "$work/replay-split" \
    --data "$work/negatives-split" --model-out "$work/base3.keras"
# Every type is scored by a model that never saw it. The shipped one is trained on all, and on more drawn pictures.
real fold1 01_alb_id 02_aze_passport
real fold2 03_esp_id 07_lva_passport
real fold3 05_fin_id 09_srb_passport
real all
for name in fold1 fold2 fold3; do tune "$name" edge base3 4 "$name" drawn3 negatives; done
tune unetlite edge base3 4 all drawn2 drawn3 replay negatives
# The small one, which learns faster: all drawn pictures at once.
[ -f "$work/nano-base.keras" ] || "${train[@]}" --preset nano --epochs 10 --data "$work/drawn-split" \
    --data "$work/drawn2-split" --data "$work/drawn3-split" --data "$work/replay-split" \
    --data "$work/negatives-split" --model-out "$work/nano-base.keras"
for name in fold1 fold2 fold3; do tune "nano-$name" nano nano-base 4 "$name" drawn3 negatives; done
tune unetlite-nano nano nano-base 4 all drawn2 drawn3 replay negatives
for name in fold1 fold2 fold3 unetlite unetlite-nano; do export_int8 "$name"; done
# What int8 loses is part of their score; no device runs them.
for name in nano-fold1 nano-fold2 nano-fold3; do export_int8 "$name" --max-share-loss 3; done

for name in unetlite unetlite-nano; do
    cp "$work/$name.keras" "$work/$name.training.json" models/
    cp "$work/exported/$name.int8.tflite" edge/models/
done
python benchmarks/curve.py "$work/base.logs" "$work/base2.logs" "$work/base3.logs" "$work/unetlite.logs"
python benchmarks/curve.py "$work/nano-base.logs" "$work/unetlite-nano.logs" \
    --svg docs/training-curve-nano.svg --report docs/results/training-nano.json
