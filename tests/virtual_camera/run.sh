#!/usr/bin/env bash
# Real libcamera and real picamera2 without a camera: libcamera's virtual cameras show pictures of documents, and the
# tests of the Picamera2 back end run on them, in a Debian trixie root file system that is made once.
#   sudo tests/virtual_camera/run.sh [ROOT]      ROOT: where it is kept, ~/.cache/unetlite/trixie by default
# Needs root (for chroot), mmdebstrap and Python with pip; a minute or more the first time, half a minute afterwards.
set -euo pipefail
root=${1:-${HOME}/.cache/unetlite/trixie}
cd "$(dirname "$0")/../.."
project=$PWD
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
packages=ca-certificates,gcc,libc6-dev,libcamera-ipa,python3-dev,python3-libcamera,python3-numpy,python3-prctl,python3-venv

if [ ! -e "$root/.complete" ]; then
    rm -rf "$root"
    mkdir -p "$(dirname "$root")"
    mmdebstrap --quiet --variant=minbase --include="$packages" trixie "$root"
    cp /etc/resolv.conf "$root/etc/"
    # What this machine trusts, that one trusts.
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    # As on a Pi: Debian's libcamera and its NumPy below, the rest from pip.
    chroot "$root" python3 -m venv --system-site-packages /opt/venv
    chroot "$root" /opt/venv/bin/pip install --quiet picamera2 pytest pytest-timeout
    touch "$root/.complete"
fi

work=$(mktemp -d)
trap 'rm -rf "$work" "$root/tmp/wheel"' EXIT
bash tests/wheel.sh "$work" "$python"
rm -rf "$root/tmp/wheel"
cp -r "$work" "$root/tmp/wheel"
wheel=$(basename "$work"/*.whl)
chroot "$root" /opt/venv/bin/pip install --quiet "/tmp/wheel/$wheel[edge]"
chroot "$root" /opt/venv/bin/pip install --quiet --force-reinstall --no-deps "/tmp/wheel/$wheel"
cp tests/virtual_camera/dmabuf_shim.c "$root/opt/"
chroot "$root" gcc -O2 -Wall -Wextra -shared -fPIC -o /opt/dmabuf_shim.so /opt/dmabuf_shim.c

# In a mount namespace of its own, so that nothing stays mounted, whatever happens.
mkdir -p "$root/project"
unshare --mount bash -euo pipefail -c '
    mount --rbind /dev "$1/dev"
    mount -t proc proc "$1/proc"
    mount --bind "$2" "$1/project"
    exec chroot "$1" env LD_PRELOAD=/opt/dmabuf_shim.so LIBCAMERA_PIPELINES_MATCH_LIST=virtual \
        LIBCAMERA_LOG_LEVELS="*:ERROR" PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/project/tests/virtual_camera \
        sh -c "cd /project && exec /opt/venv/bin/python -m pytest -p no:cacheprovider -v tests/edge/capture/test_picamera2.py"
' - "$root" "$project"
