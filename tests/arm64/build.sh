#!/usr/bin/env bash
# An arm64 system of a Pi's release with the project's wheel in it, to be run by qemu's user emulation; and beside it
# an environment of this machine with the same packages, to compare with.
#   tests/arm64/build.sh bookworm|trixie FOLDER       makes FOLDER and FOLDER.here
# Needs mmdebstrap and Python with pip; about a minute. Nothing of it is executed here, so no binfmt is needed.
set -euo pipefail
release=$1
root=$(realpath -m "$2")
cd "$(dirname "$0")/../.."
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
# NumPy of the version that Raspberry Pi OS has, which its picamera2 is built for.
case $release in
bookworm) version=3.11 numpy=1.24.2 ;;
trixie) version=3.13 numpy=2.2.4 ;;
*) echo "expected bookworm or trixie, got $release" >&2 && exit 2 ;;
esac

if [ ! -e "$root/.complete" ]; then
    rm -rf "$root"
    mkdir -p "$(dirname "$root")"
    packages=python$version,libpython$version-stdlib,libstdc++6,libgcc-s1,zlib1g,libc6,ca-certificates
    mmdebstrap --quiet --arch=arm64 --variant=extract --include="$packages" "$release" "$root"
    [ -e "$root/lib" ] || ln -s usr/lib "$root/lib" # the package that makes this link is not among those
    mkdir -p "$root/proc"
    # qemu 7 shows the host's, and the runtime looks there for what the processor can do.
    cp tests/arm64/cpuinfo "$root/proc/cpuinfo"
    touch "$root/.complete"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bash tests/wheel.sh "$work" "$python"
platforms=(manylinux2014_aarch64)
for glibc in 17 27 28 34; do platforms+=("manylinux_2_${glibc}_aarch64"); done
requirements=("numpy==$numpy" "$(echo "$work"/*.whl)[edge,serve]")
rm -rf "$root/opt/site"
"$python" -m pip install --quiet --no-warn-conflicts --target "$root/opt/site" --only-binary=:all: \
    --implementation cp --python-version "$version" "${platforms[@]/#/--platform=}" "${requirements[@]}"
"$python" -m venv --clear "$root.here"
"$root.here/bin/pip" install --quiet --disable-pip-version-check "${requirements[@]}"
