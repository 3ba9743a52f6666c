"""The installed project packed as a wheel again, to be installed on a device.

Stands apart because it knows the wheel format and nothing of devices. Packing the installed files needs no build
tools and no network, and what the device runs is what runs here, in an editable installation too.

Source: the binary distribution format (PEP 427), core metadata of installed projects (PEP 376, PEP 660).
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.util
import zipfile
from pathlib import Path

from unetlite.vision.errors import ModelError, SettingsError
from unetlite.vision.files import atomic_path

PROJECT = "unetlite"
_WHEEL = "Wheel-Version: 1.0\nGenerator: unetlite\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def check_wheel(path: Path) -> None:
    """See that a file is a wheel of this project for any machine. Raises ModelError."""
    tags = path.stem.split("-")
    if path.suffix != ".whl" or len(tags) < 5 or tags[0] != PROJECT or not zipfile.is_zipfile(path):
        raise ModelError(f"{path}: expected a wheel of {PROJECT} such as `pip wheel --no-deps .` makes; name one")


def pack_wheel(folder: Path) -> Path:
    """Write a wheel of the installed project into `folder`; its name says the version.

    Raises:
        SettingsError: the project is not installed.
        OutputError: the wheel could not be written.
    """
    try:
        distribution = importlib.metadata.distribution(PROJECT)
    except importlib.metadata.PackageNotFoundError as error:
        raise SettingsError(
            f"expected {PROJECT} to be installed, so that it can be packed; pip install it, or name a --wheel"
        ) from error
    target = folder / f"{PROJECT}-{distribution.version}-py3-none-any.whl"
    info = f"{PROJECT}-{distribution.version}.dist-info"
    content = {path: file.read_bytes() for path, file in sorted(_files(distribution).items())}
    # In a clone's own folder Python sees the egg-info of the build first, whose metadata have another name.
    metadata = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    content[f"{info}/METADATA"] = metadata.encode()
    content[f"{info}/entry_points.txt"] = (distribution.read_text("entry_points.txt") or "").encode()
    content[f"{info}/WHEEL"] = _WHEEL.encode()
    record = "".join(f"{_csv(path)},sha256={_digest(data)},{len(data)}\n" for path, data in content.items())
    content[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            archive.writestr(path, data)
    return target


def _files(distribution: importlib.metadata.Distribution) -> dict[str, Path]:
    """Every file of the packages that the commands start in, and of `vision`, by its path inside a wheel."""
    commands = distribution.entry_points.select(group="console_scripts")
    packages = {".".join(entry.module.split(".")[:2]) for entry in commands} | {f"{PROJECT}.vision"}
    found = {}
    for package in packages:
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            root = Path(place)
            for path in root.rglob("*"):
                inside = path.relative_to(root)
                hidden = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
                if path.is_file() and not hidden:
                    found["/".join((*package.split("."), *inside.parts))] = path
    return found


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _csv(path: str) -> str:
    return f'"{path}"' if "," in path else path
