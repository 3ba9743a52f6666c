"""Whether two pictures are one: recompressed, shrunk, brightened copies, and neighbouring frames that stand still.

Stands apart because copies within a calibration and copies in the validation are found alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from unetlite.calibration.measure import Measurement, luma

# Of 40,470 pairs of different photographs and drawings, 349 of them of one clip, none came nearer than 8 bits, and none
# correlated above 0.95; copies recompressed, shrunk or brightened stayed within 4 bits and above 0.98.
HASH_BITS = 6
LEAST_CORRELATION = 0.95
LEAST_CONTRAST = 2.0  # standard deviation in levels: an even surface is like every other
SAME_LEVELS = 3.0  # mean difference of thumbnails, 0..255: what saving again as JPEG or in another size leaves below 2


def nearest_copy(picture: Measurement, others: Sequence[Measurement]) -> Measurement | None:
    """The picture of `others` that this one is a copy of: by perceptual hash, then by correlation; None if none is."""
    if not others:
        return None
    own = luma(picture.thumbnail)
    if own.std() < LEAST_CONTRAST:
        return None
    distances = np.count_nonzero(np.stack([other.signs for other in others]) != picture.signs, axis=1)
    for index in np.argsort(distances, kind="stable"):
        if distances[index] > HASH_BITS:
            return None
        other = luma(others[index].thumbnail)
        alike = other.std() >= LEAST_CONTRAST and np.corrcoef(own.ravel(), other.ravel())[0, 1] >= LEAST_CORRELATION
        if alike:
            return others[index]
    return None


class Known:
    """Pictures taken so far, each of which a copy at the same brightness would add nothing to.

    Of as many parts as a copy's hash may have other bits, and one more, at least one part is the same: only pictures
    that share one are compared.
    """

    def __init__(self) -> None:
        self._by_part: dict[tuple[int, bytes], list[Measurement]] = defaultdict(list)

    def add(self, picture: Measurement) -> None:
        """Take a picture."""
        for part in _parts(picture):
            self._by_part[part].append(picture)

    def holds_copy_of(self, picture: Measurement) -> bool:
        """Whether a picture taken is this one, saved again or in another size."""
        own = picture.thumbnail.astype(np.float32)
        sharing = {other.sha256: other for part in _parts(picture) for other in self._by_part.get(part, ())}
        near = [other for other in sharing.values() if np.count_nonzero(other.signs != picture.signs) <= HASH_BITS]
        return nearest_copy(picture, [p for p in near if np.abs(p.thumbnail - own).mean() <= SAME_LEVELS]) is not None


def _parts(picture: Measurement) -> list[tuple[int, bytes]]:
    return [(start, picture.signs[start :: HASH_BITS + 1].tobytes()) for start in range(HASH_BITS + 1)]
