"""A Debian arm64 root file system for `emulate.py`: Python, a C library, NumPy, OpenCV and the two runtimes.

    python benchmarks/arm64/sysroot.py --to DIR      half a minute on an idle machine, 300 MB

Nothing in it is started to build it, so neither root rights nor a registered emulator is needed. Wants Debian's
packages mmdebstrap and arch-test; pip fetches the wheels.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import click

SUITE, PYTHON = "bookworm", "3.11"
PACKAGES = (f"python{PYTHON}", f"libpython{PYTHON}-stdlib", "libstdc++6", "libgcc-s1", "zlib1g", "libc6")
WHEELS = ("numpy<2", "opencv-python-headless", "tflite-runtime==2.14.0", "ai-edge-litert==2.3.0", "click")
# What a wheel may call its platform; pip takes no newer C library than the suite has.
PLATFORMS = tuple(f"manylinux_2_{minor}_aarch64" for minor in (17, 27, 28, 34)) + ("manylinux2014_aarch64",)
SITE = "opt/site"


@click.command()
@click.option("--to", type=click.Path(path_type=Path), required=True, help="A folder that does not exist.")
def main(to: Path) -> None:
    """Unpack Debian's packages and the wheels; the folder gets its name when it is whole."""
    if to.exists():
        raise click.ClickException(f"{to}: expected a new folder, but it exists; remove it or name another")
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=".sysroot-") as folder:
        root = Path(folder) / "root"
        debian = ["mmdebstrap", "--arch=arm64", "--variant=extract", f"--include={','.join(PACKAGES)}", SUITE]
        subprocess.run([*debian, str(root)], check=True)
        wheels = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:", "--implementation", "cp",
                  "--python-version", PYTHON, "--target", str(root / SITE)]  # fmt: skip
        for platform in PLATFORMS:
            wheels += ["--platform", platform]
        subprocess.run([*wheels, *WHEELS], check=True)
        root.rename(to)
    click.echo(f"{to}   next: python benchmarks/arm64/emulate.py --sysroot {to} --data DIR --to DIR")


if __name__ == "__main__":
    main()
