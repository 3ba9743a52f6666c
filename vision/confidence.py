"""How sure an answer is: what speaks for and against a quad, as one number.

Stands apart because it is learned from drawn pictures, and learned again where the answers change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# Of likeness (logarithm), certainty (log-odds), shape cost and agreement: benchmarks/confidence.py on drawn pictures
# with a document and without, of single answers. The constant is higher by 0.85: more documents with unsure maps are
# found, for a few more of those pictures without one that pass.
_WEIGHTS = (19.2, 2.91, -0.89, 2.27, -6.45)
_SURE = 0.97  # a network may be as sure of anything: what is surer says no more
_LEAST_PROBABILITY = 1.0 / 256.0  # a level of a uint8 answer: its log-odds stay finite
_LEAST_CONFIDENCE = 1e-9  # of a document, or of none: two answers have a mean whatever they are
_USUAL_AGREEMENT = 0.9  # of documents' sides, where no picture was asked


@dataclass(frozen=True)
class Signs:
    """What speaks for and against a quad.

    Attributes:
        likeness: IoU with the region, of the threshold or another level, that is most like it.
        certainty: median probability inside.
        shape_cost: how unlike a flat card it is, from `shape_cost`.
        agreement: share of the sides that the picture shows; None where it was not asked.
    """

    likeness: float
    certainty: float
    shape_cost: float
    agreement: float | None

    def features(self) -> tuple[float, float, float, float]:
        """What the weights of the confidence are for."""
        agreement = _USUAL_AGREEMENT if self.agreement is None else self.agreement
        certainty = min(max(self.certainty, _LEAST_PROBABILITY), _SURE)
        odds = certainty / (1.0 - certainty)
        return math.log(max(self.likeness, 1e-3)), math.log(odds), self.shape_cost, agreement

    def confidence(self) -> float:
        """0..1: that a picture with these signs shows a document, were documents half again as frequent as none."""
        *weights, constant = _WEIGHTS
        evidence = constant + sum(w * sign for w, sign in zip(weights, self.features(), strict=True))
        return 1.0 / (1.0 + math.exp(-max(evidence, -50.0)))


def mean_confidence(one: float, other: float) -> float:
    """The confidence whose odds are the geometric mean of two others'."""
    odds = [max(each, _LEAST_CONFIDENCE) / max(1.0 - each, _LEAST_CONFIDENCE) for each in (one, other)]
    mean = math.sqrt(odds[0] * odds[1])
    return mean / (1.0 + mean)
