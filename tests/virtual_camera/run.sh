#!/usr/bin/env bash
# Real libcamera and real picamera2 without a camera: libcamera's virtual cameras show pictures of documents, and the
# tests of the Picamera2 back end run on them, in a Debian trixie root file system that is made once.
#   sudo tests/virtual_camera/run.sh [ROOT]      ROOT: where it is kept, ~/.cache/unetlite/trixie by default
# Needs root, mmdebstrap, Debian's mirror and a package index; a minute or more the first time, half a minute afterwards.
# Exit status 77 and one sentence where the system cannot be made here; a half-made one is removed.
set -euo pipefail

cannot() {
    echo "cannot: $1" >&2
    exit 77
}

[ "$(id -u)" = 0 ] || cannot "changing the root needs root; run it with sudo"
[ -n "$(command -v mmdebstrap)" ] || cannot "mmdebstrap is not installed; apt install mmdebstrap"
if [ -z "${UNETLITE_WALLED:-}" ]; then
    # Mounts and processes of its own: both vanish with this script, however it ends.
    walls=(unshare --mount --pid --fork --kill-child --mount-proc)
    "${walls[@]}" true 2>/dev/null || cannot "this system allows no namespaces of its own to root"
    UNETLITE_WALLED=1 exec "${walls[@]}" "$0" "$@"
fi

root=${1:-${HOME}/.cache/unetlite/trixie}
cd "$(dirname "$0")/../.."
project=$PWD
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
packages=ca-certificates,gcc,libc6-dev,libcamera-ipa,python3-dev,python3-libcamera,python3-numpy,python3-prctl,python3-venv
work=$(mktemp -d)
tidy() {
    rm -rf "$work" "$root/tmp/wheel"
    [ -e "$root/.complete" ] || rm -rf --one-file-system "$root"
}
trap tidy EXIT
trap 'exit 143' TERM INT

if [ ! -e "$root/.complete" ]; then
    rm -rf --one-file-system "$root"
    mkdir -p "$(dirname "$root")"
    timeout --kill-after 20 900 mmdebstrap --quiet --variant=minbase --include="$packages" \
        --aptopt='Acquire::http::Timeout "20"' --aptopt='Acquire::Retries "1"' trixie "$root" >"$work/log" 2>&1 ||
        cannot "Debian's packages could not be had: $(grep -v '^$' "$work/log" | tail -n 1)"
    cp /etc/resolv.conf "$root/etc/"
    # What this machine trusts, that one trusts.
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    # As on a Pi: Debian's libcamera and its NumPy below, the rest from pip.
    chroot "$root" python3 -m venv --system-site-packages /opt/venv
    timeout 600 chroot "$root" /opt/venv/bin/pip install --quiet picamera2 pytest pytest-timeout >"$work/log" 2>&1 ||
        cannot "picamera2 could not be installed: $(grep -v '^$' "$work/log" | tail -n 1)"
    touch "$root/.complete"
fi

bash tests/wheel.sh "$work" "$python"
rm -rf "$root/tmp/wheel"
mkdir "$root/tmp/wheel"
cp "$work"/*.whl "$root/tmp/wheel/"
wheel=$(basename "$work"/*.whl)
timeout 600 chroot "$root" /opt/venv/bin/pip install --quiet "/tmp/wheel/$wheel[edge]" >"$work/log" 2>&1 ||
    cannot "what unetlite needs could not be installed: $(grep -v '^$' "$work/log" | tail -n 1)"
chroot "$root" /opt/venv/bin/pip install --quiet --force-reinstall --no-deps "/tmp/wheel/$wheel"
cp tests/virtual_camera/dmabuf_shim.c "$root/opt/"
chroot "$root" gcc -O2 -Wall -Wextra -shared -fPIC -o /opt/dmabuf_shim.so /opt/dmabuf_shim.c

mkdir -p "$root/project"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --bind "$project" "$root/project"
timeout --kill-after 20 900 chroot "$root" env LD_PRELOAD=/opt/dmabuf_shim.so LIBCAMERA_PIPELINES_MATCH_LIST=virtual \
    LIBCAMERA_LOG_LEVELS="*:ERROR" PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/project/tests/virtual_camera \
    sh -c "cd /project && exec /opt/venv/bin/python -m pytest -p no:cacheprovider -v tests/edge/capture/test_picamera2.py"
