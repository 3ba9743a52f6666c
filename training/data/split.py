"""Who goes to training, validation and test: whole groups, so that no picture has its twin on the other side.

Stands apart from `prepare`: a pure function of group names, sizes, shares and seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from unetlite.vision.dataset import SPLITS, Sample
from unetlite.vision.errors import DatasetError

GROUPINGS = ("document", "clip", "frame")


def group_of(sample: Sample, by: str) -> str:
    """The name of what must stay together under this grouping."""
    return {"document": sample.document, "clip": sample.clip, "frame": str(sample.image)}[by]


def assign_splits(samples: Sequence[Sample], shares: tuple[int, int, int], by: str, seed: int) -> list[str]:
    """The split of each sample: `train`, `validation` or `test`.

    Groups are shuffled by the seed and each goes where the largest share of pictures is still missing, the larger
    groups first, so that every split gets large and small ones alike; every split with a share gets one at least.

    Args:
        shares: percent for train, validation, test; they sum to 100.
        by: one of `GROUPINGS`.

    Raises:
        DatasetError: shares that do not sum to 100, or fewer groups than splits.
    """
    if sum(shares) != 100 or min(shares) < 0:
        raise DatasetError(f"expected a split of three percentages that sum to 100, got {'/'.join(map(str, shares))}")
    groups = [group_of(sample, by) for sample in samples]
    sizes = Counter(groups)
    wanted = {name: share * len(samples) / 100 for name, share in zip(SPLITS, shares, strict=True) if share}
    if len(sizes) < len(wanted):
        finer = GROUPINGS[GROUPINGS.index(by) + 1 :]
        raise DatasetError(
            f"expected at least {len(wanted)} groups to split by {by}, got {len(sizes)}; "
            + (f"pass --by {finer[0]}, or a split such as 100/0/0" if finer else "pass a split such as 100/0/0")
        )
    order = np.random.default_rng(seed).permutation(sorted(sizes))
    missing = dict(wanted)
    assigned: dict[str, str] = {}
    empty = set(wanted)
    for position, group in enumerate(sorted(order, key=lambda name: -sizes[name])):
        candidates = empty if len(order) - position <= len(empty) else set(wanted)
        fitting = {name for name in candidates if sizes[group] <= missing[name]} or candidates
        target = max(sorted(fitting), key=lambda name: (missing[name] / wanted[name], wanted[name]))
        assigned[group] = target
        missing[target] -= sizes[group]
        empty.discard(target)
    return [assigned[group] for group in groups]
