"""Which pictures stand for all: candidates of a folder, and the strategies that choose among them.

Stands apart because the choice is a table of strategies over measured pictures, each repeatable from its seed.
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop
from pathlib import Path

import cv2
import numpy as np

from unetlite.calibration.measure import Measurement
from unetlite.vision.dataset import Sample, find_samples, split_folder
from unetlite.vision.errors import CalibrationError, DatasetError
from unetlite.vision.image import is_image_path

BRIGHTNESS_STRATA = 8  # enough to part night from noon; more would leave strata empty in small sets
CENTRE_SIDE = 8  # pixels of the thumbnails among which centres are sought: composition and colour, no detail


@dataclass(frozen=True)
class Candidate:
    """A picture that may be chosen.

    Attributes:
        path: the picture.
        document: what else shows the same thing; of a plain folder only its subfolder.
        clip: what was taken in one go; None where neither clip nor document is stated.
    """

    path: Path
    document: str
    clip: str | None


def candidate(sample: Sample) -> Candidate:
    """A data set's sample as a candidate; an identity that is only the picture's own name states nothing."""
    return Candidate(sample.image, sample.document, None if sample.clip == sample.image.stem else sample.clip)


def find_candidates(source: Path) -> tuple[Path, list[Candidate]]:
    """The pictures of a data set (of its training part where it is prepared), or of any folder.

    Returns:
        The folder that holds them, and the pictures sorted by path.

    Raises:
        CalibrationError: no such folder, or no pictures in it.
        GroundTruthError: a data set in which a picture lacks its truth.
    """
    source = Path(source)
    if not source.is_dir():
        raise CalibrationError(f"{source}: expected a folder of pictures or a data set, but there is none")
    folder = split_folder(source, "train")
    try:
        return folder, [candidate(sample) for sample in find_samples(folder)]
    except DatasetError:
        pictures = [path for path in sorted(folder.rglob("*")) if path.is_file() and is_image_path(path)]
        if any("masks" in path.relative_to(folder).parts for path in pictures):
            raise  # half a data set: its masks must not be taken for photographs
    if not pictures:
        raise CalibrationError(f"{folder}: expected pictures to calibrate with, found none; name another folder")
    return folder, [Candidate(path, path.relative_to(folder).parent.as_posix(), None) for path in pictures]


@dataclass(frozen=True)
class Strategy:
    """How pictures are chosen.

    Attributes:
        meaning: one sentence for people.
        order: in which order candidates are looked at.
        pool: how many are measured for each one chosen: reading a whole large data set would take minutes.
        pick: which of the measured pool are chosen.
    """

    meaning: str
    order: Callable[[Sequence[Candidate], random.Random], list[Candidate]]
    pool: int
    pick: Callable[[Sequence[Measurement], int, random.Random], list[Measurement]]


def _shuffled(candidates: Sequence[Candidate], rng: random.Random) -> list[Candidate]:
    return rng.sample(candidates, len(candidates))


def _documents_in_turn(candidates: Sequence[Candidate], rng: random.Random) -> list[Candidate]:
    by_document: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in _shuffled(candidates, rng):
        by_document[candidate.document].append(candidate)
    turns = [
        (turn, number, candidate)
        for number, members in enumerate(by_document.values())
        for turn, candidate in enumerate(members)
    ]
    return [candidate for _, _, candidate in sorted(turns, key=lambda item: item[:2])]


def _first(pool: Sequence[Measurement], count: int, rng: random.Random) -> list[Measurement]:
    return list(pool[:count])


def _across_documents_and_brightness(
    pool: Sequence[Measurement], count: int, rng: random.Random
) -> list[Measurement]:
    """One after another the picture whose document, and then whose stratum of brightness, was chosen least so far.

    Strata are equal spans of brightness, not equal numbers of pictures: the few very dark and very light ones count.
    """
    shuffled = rng.sample(pool, len(pool))  # ties fall by the seed
    lowest = min((picture.brightness for picture in pool), default=0.0)
    span = max((picture.brightness - lowest for picture in pool), default=0.0) or 1.0
    waiting: dict[str, list[deque[int]]] = {}  # of each document and stratum, places in `shuffled`
    for place, picture in enumerate(shuffled):
        strata = waiting.setdefault(picture.document, [deque() for _ in range(BRIGHTNESS_STRATA)])
        share = (picture.brightness - lowest) / span
        strata[min(int(share * BRIGHTNESS_STRATA), BRIGHTNESS_STRATA - 1)].append(place)
    by_stratum = [0] * BRIGHTNESS_STRATA
    chosen: list[Measurement] = []
    turn = list(waiting)  # the documents that were chosen least so far, all equally often
    while turn and len(chosen) < count:
        firsts = [[(waiting[name][s][0], name) for name in turn if waiting[name][s]] for s in range(BRIGHTNESS_STRATA)]
        for heap in firsts:
            heapify(heap)
        served: set[str] = set()
        while len(chosen) < count:
            for heap in firsts:
                while heap and heap[0][1] in served:
                    heappop(heap)
            least = min(((by_stratum[s], *heap[0], s) for s, heap in enumerate(firsts) if heap), default=None)
            if least is None:
                break
            _, place, name, stratum = least
            waiting[name][stratum].popleft()
            served.add(name)
            by_stratum[stratum] += 1
            chosen.append(shuffled[place])
        turn = [name for name in turn if any(waiting[name])]
    return chosen


def _centres(pool: Sequence[Measurement], count: int, rng: random.Random) -> list[Measurement]:
    """One after another the picture that is least like all chosen so far, the first one by the seed.

    Source: T. F. Gonzalez, Clustering to minimize the maximum intercluster distance, 1985: at most twice the best
    possible distance of any picture to its centre.
    """
    if not pool:
        return []
    side = (CENTRE_SIDE, CENTRE_SIDE)
    points = np.stack([cv2.resize(p.thumbnail, side, interpolation=cv2.INTER_AREA).ravel() for p in pool])
    points = points.astype(np.float32)  # (N, 192)
    chosen = [rng.randrange(len(pool))]
    nearest = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < min(count, len(pool)):
        nearest[chosen] = -1.0  # equal thumbnails: none is chosen twice
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return [pool[index] for index in chosen]


STRATEGIES = {
    "stratified": Strategy(
        "evenly over documents and over brightness", _documents_in_turn, 4, _across_documents_and_brightness
    ),
    "random": Strategy("each picture equally likely", _shuffled, 1, _first),
    "k-centre": Strategy("pictures least like each other, by thumbnails", _documents_in_turn, 4, _centres),
}
