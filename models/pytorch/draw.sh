#!/usr/bin/env bash
# The pictures that train.py learns from, drawn by all processors while it trains; NAME.done tells it that a set is whole,
# and draw.failed that no more will come.
#   models/pytorch/draw.sh BACKGROUNDS FACES POSES.csv DLC2021_DEV WORK [PART]
# With an empty name in the place of DLC2021_DEV nothing is drawn into real frames. With PART only that part of each set,
# one in PART, for a try.
set -Eeuo pipefail
backgrounds=$1 faces=$2 poses=$3 frames=$4 work=$5 part=${6:-1}
mkdir -p "$work"
rm -f "$work/draw.failed"
trap 'touch "$work/draw.failed"' ERR

draw() { # NAME COUNT SEED OPTION...
    [ -f "$work/$1.done" ] && return
    unet-data synthesize --to "$work/$1" --count $(($2 / part)) --seed "$3" --faces "$work/faces" "${@:4}"
    touch "$work/$1.done"
}

# SIDTD's flat faces are of two types that the real frames show; what is drawn must not know those either.
[ -d "$work/faces" ] || { cp -r "$faces" "$work/faces" && chmod -R u+w "$work/faces" && rm -rf "$work/faces/sidtd"; }
scenes=(--negatives 0.2 --backgrounds "$backgrounds" --poses "$poses")
draw validation 800 5040 "${scenes[@]}"
draw first 12000 5041 "${scenes[@]}"
for number in 1 2 3 4; do draw "more$number" 7000 "510$number" "${scenes[@]}"; done
[ -n "$frames" ] || exit 0
for type in "$frames"/[0-9]*; do # frames where nothing lies on the document, each type apart, for the folds
    name=$(basename "$type")
    if [ ! -d "$work/plain/$name" ]; then
        mkdir -p "$work/plain"
        cp -r "$type" "$work/plain/$name"
        chmod -R u+w "$work/plain/$name"
        awk -F '\t' -v name="$name/" 'NR > 1 && $5 == 1 && index($1, name) == 1 { print $1 }' "$frames/conditions.tsv" |
            while read -r image; do rm -f "$work/plain/$image"; done
    fi
    draw "reprints-$name" 1200 5043 --frames "$work/plain/$name"
done
