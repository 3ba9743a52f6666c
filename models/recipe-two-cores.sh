#!/usr/bin/env bash
# Without a GPU, from data to a model like `unetlite`, and to those that score it, in hours: unet-train in six stages.
#   models/recipe-two-cores.sh BACKGROUNDS FACES POSES.csv DLC2021_DEV WORK
# Each step is skipped where its result exists, so an interrupted run goes on. No shipped file is touched.
set -euo pipefail
backgrounds=$(realpath "$1") faces=$(realpath "$2") poses=$(realpath "$3") frames=$(realpath "$4")
mkdir -p "$5"
work=$(realpath "$5")
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
drawn_licence="drawn by unetlite; surfaces and faces: CC0, MIT, free wallpapers, DLC-2021 crops (CC BY-SA 2.5)"
train=(unet-train --batch-size 32 --loss dice+bce --schedule cosine --patience 100 --resume)

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

reprint() { # NAME REAL COUNT SEED: REAL's training frames, where nothing lies on the document, with other documents
    [ -d "$work/$1-split/train" ] && return
    rm -rf "${work:?}/$1-plain"
    cp -r "$work/$2-split/train" "$work/$1-plain"
    awk -F '\t' 'NR > 1 && $5 == 1 { sub("/images/[^/]*/", "_", $1); print $1 }' "$frames/conditions.tsv" |
        while read -r name; do rm -f "$work/$1-plain/images/$name"; done
    unet-data synthesize --to "$work/$1" --count "$3" --seed "$4" --frames "$work/$1-plain" --faces "$work/faces"
    unet-data prepare "$work/$1" --to "$work/$1-split" --split 94/6/0 --licence "CC BY-SA 2.5"
}

tune() { # NAME REAL: a few hundred real frames, and these with other documents, among drawn pictures
    [ -f "$work/$1.keras" ] && return
    local data=()
    for _ in 1 2 3 4 5 6; do data+=(--data "$work/$2-split"); done
    for _ in 1 2 3; do data+=(--data "$work/$2-reprints-split"); done
    "${train[@]}" --learning-rate 0.0015 --epochs 3 --start "$work/base3.keras" \
        "${data[@]}" "${drawn[@]}" --model-out "$work/$1.keras"
}

finish() { # NAME REAL START: the last stage, for longer, on other pictures, real ones a larger share of them
    [ -f "$work/$1.keras" ] && return
    local data=()
    for _ in 1 2 3 4; do data+=(--data "$work/$2-split"); done
    for _ in 1 2; do data+=(--data "$work/$2-more-reprints-split"); done
    "${train[@]}" --batch-size 16 --learning-rate 0.0012 --epochs 14 --start "$work/$3.keras" \
        "${data[@]}" "${more[@]}" --model-out "$work/$1.keras"
}

export_int8() { # NAME OPTION...: of 300 hard pictures a rounding decides a few that the network itself doubts
    [ -f "$work/calibration.json" ] ||
        unet-calibrate "$work/more-replay-split" --count 128 --to "$work/calibration.json"
    unet-export "$work/$1.keras" --int8 --calibration "$work/calibration.json" --validation "$work/more-replay-split" \
        --max-image-loss 0.5 --to "$work/exported" --overwrite "${@:2}"
}

# SIDTD's flat faces are of two types that the real frames show; what is drawn must not know those either.
[ -d "$work/faces" ] || { cp -r "$faces" "$work/faces" && chmod -R u+w "$work/faces" && rm -rf "$work/faces/sidtd"; }
draw drawn 16000 2041 0.18 96/4/0
draw replay 3000 2042 0.18 90/10/0
draw negatives 1300 2043 1.0 92/8/0
drawn=(--data "$work/drawn-split" --data "$work/replay-split" --data "$work/negatives-split")
# The base learns as long as its validation rises; each stage begins where the last one ended.
[ -f "$work/base.keras" ] ||
    "${train[@]}" --learning-rate 0.003 --epochs 24 "${drawn[@]}" --model-out "$work/base.keras"
[ -f "$work/base2.keras" ] || "${train[@]}" --learning-rate 0.002 --epochs 20 --start "$work/base.keras" \
    "${drawn[@]}" --model-out "$work/base2.keras"
[ -f "$work/base3.keras" ] || "${train[@]}" --learning-rate 0.0015 --epochs 12 --start "$work/base2.keras" \
    "${drawn[@]}" --model-out "$work/base3.keras"
# Every type is scored by a model that never saw it. The shipped one is trained on all.
real fold1 01_alb_id 02_aze_passport
real fold2 03_esp_id 07_lva_passport
real fold3 05_fin_id 09_srb_passport
real all
for name in fold1 fold2 fold3; do
    reprint "$name-reprints" "$name" 1600 2044
    reprint "$name-more-reprints" "$name" 2400 3044
done
reprint all-reprints all 2400 2044
reprint all-more-reprints all 3600 3044
draw more-drawn 9000 3041 0.18 96/4/0
draw more-replay 3000 3042 0.18 90/10/0
draw more-negatives 1300 3043 1.0 92/8/0
more=(--data "$work/more-drawn-split" --data "$work/more-replay-split" --data "$work/more-negatives-split")
for name in fold1 fold2 fold3; do
    tune "$name-tuned" "$name"
    finish "$name" "$name" "$name-tuned"
done
tune tuned all
finish unetlite all tuned
export_int8 tuned  # to see what the last stage changes
export_int8 unetlite
# What int8 loses is part of their score; no device runs them.
for name in fold1 fold2 fold3; do export_int8 "$name" --max-share-loss 3; done

echo "$work/unetlite.keras"
echo "$work/exported/unetlite.int8.tflite"
