#!/usr/bin/env bash
# Run the Python of a folder that build.sh made, emulated as the processor of a Raspberry Pi 4.
#   tests/arm64/run.sh FOLDER [-m MODULE | SCRIPT | COMMAND-OF-THE-WHEEL] ARGUMENTS...
set -euo pipefail
root=$(realpath "$1")
shift
[ -x "$(command -v qemu-aarch64)" ] || { echo "qemu-aarch64 is not installed; install qemu-user" >&2 && exit 1; }
[ -f "$root/opt/site/bin/${1:-}" ] && set -- "$root/opt/site/bin/$1" "${@:2}"
python=$(echo "$root"/usr/bin/python3.[0-9][0-9])
PYTHONHOME=$root/usr PYTHONPATH=$root/opt/site PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1 \
    exec qemu-aarch64 -cpu cortex-a72 -L "$root" "$python" "$@"
