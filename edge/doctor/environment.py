"""Which package versions are known to go together, and which traps they set.

Stands apart because these are facts about other people's packages, tried one by one; they change, the doctor does not.
Imports neither NumPy nor OpenCV, because it must still speak where those are broken.
"""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

OK, WARN, FAIL, SKIP = "ok", "warn", "fail", "skip"
RUNTIME_PACKAGES = {
    "ai-edge-litert": ("ai-edge-litert",),
    "tflite-runtime": ("tflite-runtime",),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
}


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: what was looked at.
        status: "ok", "warn" (works, but), "fail" (will not work) or "skip" (does not concern this machine).
        detail: what was found.
        fix: the exact command that mends it; empty where there is nothing to mend.
    """

    name: str
    status: str
    detail: str
    fix: str = ""


@dataclass(frozen=True)
class Machine:
    """What the checks look at, so that a test can describe another machine.

    Attributes:
        python: version, three numbers.
        packages: version by installed distribution.
        board: from the device tree, "" where there is none.
        in_venv, sees_system_packages: of the Python that runs.
        numpy_file: where NumPy would be imported from, "" where it is not found.
        has_libusb: whether the system has libusb-1.0.
    """

    python: tuple[int, int, int]
    packages: dict[str, str]
    board: str
    in_venv: bool
    sees_system_packages: bool
    numpy_file: str
    has_libusb: bool

    def version(self, *names: str) -> tuple[int, ...] | None:
        """The first of these distributions that is installed, its version as numbers; None where none is."""
        text = next((self.packages[name] for name in names if name in self.packages), None)
        return None if text is None else tuple(int(part) for part in re.findall(r"\d+", text)[:3])

    @property
    def is_pi(self) -> bool:
        """Whether the board is a Raspberry Pi."""
        return "Raspberry Pi" in self.board


def this_machine() -> Machine:
    """The machine that runs this."""
    board = Path("/proc/device-tree/model")
    numpy = importlib.util.find_spec("numpy")
    return Machine(
        python=(sys.version_info.major, sys.version_info.minor, sys.version_info.micro),
        packages={
            d.metadata["Name"].lower().replace("_", "-"): d.version
            for d in importlib.metadata.distributions()
            if d.metadata["Name"]
        },
        board=board.read_text("utf-8", "replace").strip("\0\n ") if board.exists() else "",
        in_venv=sys.prefix != sys.base_prefix,
        sees_system_packages=sys.prefix == sys.base_prefix or _venv_sees_system(),
        numpy_file=(numpy.origin or "") if numpy else "",
        has_libusb=ctypes.util.find_library("usb-1.0") is not None,
    )


def _venv_sees_system() -> bool:
    settings = Path(sys.prefix) / "pyvenv.cfg"
    text = settings.read_text("utf-8") if settings.is_file() else ""
    return re.search(r"^include-system-site-packages\s*=\s*true", text, re.MULTILINE | re.IGNORECASE) is not None


def check_packages(machine: Machine) -> list[Check]:
    """Python and the versions that are known to go together or not."""
    return [found for check in _PACKAGE_CHECKS if (found := check(machine)) is not None]


def _python(machine: Machine) -> Check:
    version = ".".join(map(str, machine.python))
    if machine.python < (3, 10):
        fix = "sudo apt install python3.11 python3.11-venv"
        return Check("python", FAIL, f"{version}; 3.10 or later is needed", fix)
    return Check("python", OK, version)


def _tflite_runtime_numpy(machine: Machine) -> Check | None:
    runtime, numpy = machine.version("tflite-runtime"), machine.version("numpy")
    if runtime is None or numpy is None:
        return None
    if numpy >= (2,):
        others = any(machine.version(*RUNTIME_PACKAGES[name]) for name in ("ai-edge-litert", "tensorflow"))
        return Check(
            "tflite-runtime and numpy",
            WARN if others else FAIL,
            f"tflite-runtime {machine.packages['tflite-runtime']} is built for NumPy 1, "
            f"NumPy {machine.packages['numpy']} is installed",
            "pip install 'numpy<2' 'opencv-python-headless<4.12'",
        )
    return Check("tflite-runtime and numpy", OK, f"NumPy {machine.packages['numpy']}")


def _opencv(machine: Machine) -> Check:
    wheels = [name for name in machine.packages if re.fullmatch(r"opencv-(contrib-)?python(-headless)?", name)]
    if len(wheels) > 1:
        return Check(
            "opencv",
            WARN,
            f"{len(wheels)} packages share the one module cv2: {', '.join(sorted(wheels))}",
            f"pip uninstall --yes {' '.join(sorted(wheels))} && pip install opencv-python-headless",
        )
    version, numpy = machine.version(*wheels), machine.version("numpy")
    if version and numpy and version >= (4, 12) and numpy < (2,):
        return Check(
            "opencv",
            WARN,
            f"OpenCV {machine.packages[wheels[0]]} wants NumPy 2, NumPy {machine.packages['numpy']} is installed",
            "pip install 'opencv-python-headless<4.12'",
        )
    return Check("opencv", OK, f"{wheels[0]} {machine.packages[wheels[0]]}" if wheels else "from the system")


def _picamera2_numpy(machine: Machine) -> Check | None:
    if machine.version("picamera2") is None:
        return None
    # Debian's own lies under dist-packages; picamera2 and libcamera are compiled against that one.
    if machine.is_pi and machine.numpy_file and "/usr/lib/python3/dist-packages/" not in machine.numpy_file:
        return Check(
            "picamera2 and numpy",
            FAIL,
            f"pip's NumPy ({machine.numpy_file}) hides the system's, for which picamera2 is built",
            "pip uninstall --yes numpy && sudo apt install --reinstall python3-numpy python3-picamera2",
        )
    return Check("picamera2 and numpy", OK, machine.numpy_file)


def _venv_on_a_pi(machine: Machine) -> Check | None:
    if not machine.is_pi:
        return None
    if machine.in_venv and not machine.sees_system_packages:
        return Check(
            "virtual environment",
            WARN,
            "it cannot see Debian's python3-picamera2 and python3-libcamera, so there is no live capture",
            "python3 -m venv --system-site-packages --clear .venv",
        )
    return Check("virtual environment", OK, "sees the system's packages")


def _tflite_support(machine: Machine) -> Check | None:
    if machine.version("tflite-support") is None:
        return None
    if not machine.has_libusb and machine.version("libusb-package") is None:
        return Check("tflite-support", FAIL, "needs libusb-1.0, which is missing", "sudo apt install libusb-1.0-0")
    protobuf = machine.version("protobuf")
    if protobuf is not None and protobuf >= (4,):
        return Check(
            "tflite-support",
            FAIL,
            f"needs protobuf below 4, {machine.packages['protobuf']} is installed",
            "pip install 'protobuf>=3.20.3,<4'",
        )
    return Check("tflite-support", OK, machine.packages["tflite-support"])


def _tensorflow(machine: Machine) -> Check | None:
    version, protobuf = machine.version("tensorflow", "tensorflow-cpu"), machine.version("protobuf")
    if version is None:
        return None
    text = ".".join(map(str, version))
    if version[:2] == (2, 16):
        fix = "pip install 'tensorflow-cpu==2.19.1'"
        return Check("tensorflow version", FAIL, f"{text} aborts while converting", fix)
    if machine.python < (3, 11) and version >= (2, 19) and protobuf is not None and protobuf < (4,):
        return Check(
            "tensorflow version",
            FAIL,
            f"{text} crashes on Python 3.10 with protobuf {machine.packages['protobuf']}",
            "pip install 'tensorflow-cpu==2.18.1'",
        )
    return Check("tensorflow version", OK, text)


_PACKAGE_CHECKS: tuple[Callable[[Machine], Check | None], ...] = (
    _python, _opencv, _tflite_runtime_numpy, _tensorflow, _tflite_support, _venv_on_a_pi, _picamera2_numpy,
)  # fmt: skip
