"""Where captures come from: the model by its hash, and the device.

Stands apart because it is read once, before the first frame, not with each capture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unetlite.edge.device import device_record
from unetlite.edge.runtime import installed_version
from unetlite.edge.segmenter import Segmenter
from unetlite.vision.files import sha256_of


def origin_record(model: Path, segmenter: Segmenter) -> dict[str, Any]:
    """The part of a capture's record that is the same for all captures of a run, fit for JSON."""
    device = device_record()
    return {
        "model": {
            "name": model.name,
            "sha256": sha256_of(model),
            "contract": segmenter.contract_origin,
            "runtime": str(segmenter.runtime),
        },
        "device": {key: device[key] for key in ("model", "cpu", "architecture", "os", "python", "opencv")},
        "unetlite": installed_version("unetlite"),
    }
