"""What a report of one part of a data set says besides: what the report of the whole is made of.

Stands apart because a report's figures are rounded, and these are not: picture by picture, for `edge.compare.merge`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unetlite.edge.benchmark.conditions import read_table
from unetlite.edge.benchmark.pictures import picture_files, relative_name
from unetlite.edge.benchmark.scores import Scores
from unetlite.vision.dataset import Sample
from unetlite.vision.shard import Shard

SCORE_LISTS = ("ious", "quad_ious", "document_shares", "corner_errors")


def part_record(
    shard: Shard,
    root: Path,
    everything: Sequence[Sample],
    samples: Sequence[Sample],
    models: Sequence[tuple[str, str, Scores]],
    threshold: float,
) -> dict[str, Any]:
    """What a part's report says besides, under `part`.

    Args:
        shard: which part.
        root: of the data set.
        everything: the samples of all parts.
        samples: of this one.
        models: name and hash of each model's file, and its scores over `samples`.
        threshold: pictures of lower IoU are listed.
    """
    table = read_table(root)
    digest = hashlib.sha256("\n".join(relative_name(sample.image, root) for sample in everything).encode())
    return {
        "shard": str(shard),
        "of": {"images": len(everything), "names_sha256": digest.hexdigest(), "threshold": threshold},
        "columns": list(table.columns) if table else [],
        "pictures": [
            {
                "image": files.name,
                "files": [list(entry) for entry in files.hashes],
                "bytes": files.size,
                "conditions": dict(table.of_image.get(files.name, {})) if table else {},
            }
            for files in picture_files(root, samples)
        ],
        "models": [
            {
                "model": model,
                "sha256": sha256,
                "class_names": list(scores.class_names),
                **{name: list(getattr(scores, name)) for name in SCORE_LISTS},
                "two_class": scores.two_class.tolist(),
                "by_class": scores.by_class.tolist(),
            }
            for model, sha256, scores in models
        ],
    }
