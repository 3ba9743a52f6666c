"""What is known of an export beside its scores, and which of it may explain a loss.

Stands apart from the gates: they decide, this only helps a person to mend it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unetlite.calibration.audit import lone_scale
from unetlite.calibration.coverage import Coverage, cover
from unetlite.calibration.leakage import Leak, describe_leaks, find_leaks
from unetlite.calibration.manifest import Manifest, measurements
from unetlite.calibration.measure import measure
from unetlite.calibration.select import candidate
from unetlite.export.agreement import CheckPicture
from unetlite.export.levels import Level
from unetlite.export.stability import Stability

FLOAT16_MAX = 65504.0
FULL_SCALE_SHARE = 0.95  # of the contract's input scale; the audit refuses sets below 0.8


@dataclass(frozen=True)
class Facts:
    """What is known of the representative set; None and empty where there is none, or nothing to hold it against.

    Attributes:
        manifest: the set.
        coverage: of the validation by it.
        leaks: its pictures that are part of the validation.
        stability: of its two halves; known once files were compared.
    """

    manifest: Manifest | None = None
    coverage: Coverage | None = None
    leaks: tuple[Leak, ...] = ()
    stability: Stability | None = None

    def flaws(self) -> list[str]:
        """What a person should know of the representative set before they believe a score; stability aside."""
        if self.manifest is None:
            return []
        count, unreadable = len(self.manifest.pictures), self.manifest.unreadable_left_out
        torn = [f"{unreadable} files of {self.manifest.folder} cannot be read and were left out"] if unreadable else []
        leaks = [describe_leaks(self.leaks, count, refused=refused) for refused in (True, False)]
        coverage = [] if self.coverage is None else self.coverage.flaws()
        return [*torn, *coverage, *(leak for leak in leaks if leak is not None)]


def gather_facts(
    manifest: Manifest | None,
    validation: Sequence[CheckPicture],
    watch: Callable[[Sequence[CheckPicture]], Iterable[CheckPicture]] = iter,
) -> Facts:
    """Hold the representative set against the validation pictures.

    Raises:
        CalibrationError: a picture of either cannot be read.
    """
    if manifest is None or not validation:
        return Facts(manifest)
    others = []
    for picture in watch(validation):
        if picture.sample is not None:
            known = candidate(picture.sample)
            others.append(measure(known.path, known.document, known.clip, manifest.input))
    return Facts(manifest, cover(manifest, others), tuple(find_leaks(measurements(manifest), others)))


def likely_causes(level: Level, network: Any, facts: Facts) -> tuple[str, ...]:
    """Sentences, the likeliest first; empty where nothing that is known explains a loss.

    Args:
        level: of the file that lost.
        network: the keras.Model.
        facts: from `gather_facts`.
    """
    if level.weight_type == "float16":
        return _beyond_float16(network)
    if not level.calibrated or facts.manifest is None:
        return ()
    causes = list(facts.coverage.flaws()) if facts.coverage is not None else []
    share = lone_scale(facts.manifest) / facts.manifest.input.scale
    if share < FULL_SCALE_SHARE:
        low, high = facts.manifest.covered
        causes.append(
            f"the calibration's values lie within {low}..{high}, which alone would give {share:.0%} of the contract's "
            f"input scale"
        )
    if facts.stability is not None:
        causes += facts.stability.flaws()
    return tuple(causes)


def _beyond_float16(network: Any) -> tuple[str, ...]:
    largest = {weight.path: float(np.abs(np.asarray(weight)).max(initial=0.0)) for weight in network.weights}
    return tuple(
        f"the weight {path} holds {value:.3g}, and float16 ends at {FLOAT16_MAX:g}"
        for path, value in largest.items()
        if value > FLOAT16_MAX
    )
