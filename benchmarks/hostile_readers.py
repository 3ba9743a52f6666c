"""A good file of every kind that the project reads, and the reader that each is meant for.

Stands apart so that a new kind of file takes one entry here to be tried like the others.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from unetlite.vision.contract import Contract, InputSpec

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = "01_alb_id"
CONFIGURATION = """\
[states]
hold_s = 0.5

[quality]

[store]
image_format = "png"
keep_frame = true
most_bytes = 1000000

[recovery]

[hooks]

[lights]
"""


def good_files(folder: Path) -> dict[str, bytes]:
    """Name and content of a good file of each kind; `folder` receives the pictures that some of them speak of."""
    from unetlite.calibration.manifest import make_manifest, write_manifest
    from unetlite.vision.image import write_image

    pictures = folder / "pictures"
    for i in range(2):
        write_image(pictures / f"{i}.png", np.random.default_rng(i).integers(0, 255, (32, 48, 3)).astype(np.uint8))
    write_manifest(folder / "manifest.json", make_manifest(pictures, InputSpec((32, 32)), count=2), overwrite=True)
    entry = {"source": "ftp://host/a.zip", "bytes": 9, "sha256": "0" * 64, "unpacked": True, "files": 1,
             "unpacked_bytes": 9}  # fmt: skip
    record = {"name": "a.png", "offset": 12, "length": 30, "crc32": 1, "sha256": "0" * 64}
    summary = json.loads((ROOT / "models" / "unetlite.training.json").read_text("utf-8"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{DOCUMENT}/images/CA/CA01_01.tif", b"II*\0" * 200)
        archive.writestr(f"{DOCUMENT}/ground_truth/CA/CA01_01.json", '{"quad": [[0, 0], [9, 0], [9, 9], [0, 9]]}')
    frame = {"name": "a", "split": "train", "source": "images/a.png", "document": "a", "clip": "a"}
    quad = [[1.5, 2.0], [40.0, 3.0], [39.0, 30.0], [2.0, 29.0]]
    texts: dict[str, object] = {
        "ground_truth/0.json": {"quad": quad, "document": "a", "clip": "a/b", "format": "ID-1", "occluded": False},
        "manifest.json": json.loads((folder / "manifest.json").read_text("utf-8")),
        "split.json": {"name": "a", "licence": None, "split": "70/20/10", "by": "document", "seed": 0,
                       "num_classes": 2, "frames": [frame]},  # fmt: skip
        "synthesis.json": json.loads((ROOT / "samples" / "synthesis.json").read_text("utf-8")),
        "download.json": {"format": 1, "dataset": "midv500", "archives": {DOCUMENT: entry}},
        f"{DOCUMENT}.zip.part.json": {"url": f"http://127.0.0.1:9/{DOCUMENT}.zip", "bytes": 9, "validator": '"x"'},
        "report.json": json.loads((ROOT / "docs" / "results" / "dlc2021-short.json").read_text("utf-8")),
        "unet.training.json": summary,
        "contract.json": json.loads(Contract(training=summary).to_json()),
        "records-00000-of-00001.json": {"records": [record]},
    }
    plain = {
        "capture.toml": CONFIGURATION,
        "labels.txt": "background\ncard\npassport\n",
        "conditions.tsv": "image\tcut\tlight\n0.png\t1\tday\n1.png\t0\tnight\n",
        "poses.csv": "frame,width,height,x1,y1,x2,y2,x3,y3,x4,y4\n" + "a,640,480,10,10,300,20,290,200,12,190\n" * 5,
    }
    return {
        **{name: json.dumps(content, indent=1).encode() for name, content in texts.items()},
        **{name: text.encode() for name, text in plain.items()},
        f"{DOCUMENT}.zip": packed.getvalue(),
    }


def _ground_truth(path: Path) -> None:
    from unetlite.vision.dataset import Sample, read_truth

    truth = read_truth(Sample(path, None, path, "a", "b"), (32, 48))
    assert truth.quad is None or np.isfinite(truth.quad).all()


def _manifest(path: Path) -> None:
    from unetlite.calibration.audit import audit
    from unetlite.calibration.manifest import read_manifest, representative_pixels

    manifest = read_manifest(path)
    audit(manifest)
    for _ in representative_pixels(manifest):
        pass


def _data_set_record(path: Path) -> None:
    from unetlite.training.data.merge import merge
    from unetlite.training.summary import describe_data

    json.dumps(describe_data(path.parent, []))
    merge([path.parent], path.parent / "whole")


def _download(path: Path) -> None:
    from unetlite.training.data.download import download

    # Port 9 of this machine answers nothing: what is read before that is what is tried here.
    try:
        download("midv500", path.parent, only=[DOCUMENT], mirror="http://127.0.0.1:9", retry_delays_s=())
    finally:
        path.unlink(missing_ok=True)


def _archive(path: Path) -> None:
    import shutil
    import threading

    from unetlite.training.data import archive

    members = archive.inspect(path, DOCUMENT)
    archive.check(path, report=lambda done, total: None, stop=threading.Event())
    folder = path.parent / DOCUMENT
    try:
        archive.unpack(path, members, folder, report=lambda done, total: None, stop=threading.Event())
        assert {file.resolve().is_relative_to(folder.resolve()) for file in folder.rglob("*")} <= {True}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _report(path: Path) -> None:
    from unetlite.edge.compare.choice import Budget, recommend
    from unetlite.edge.compare.page import html_page
    from unetlite.edge.compare.report import read_report, report_warnings, table_rows
    from unetlite.edge.compare.tables import csv_table, markdown_table, text_table

    reports = [(path.name, read_report(path))]
    rows = table_rows(reports)
    text_table(rows), markdown_table(rows), csv_table(rows), report_warnings(reports)
    recommend(rows, Budget(50.0, 0.5))
    assert "<script>alert" not in html_page(reports, Budget(50.0, 0.5))


def _training_summary(path: Path) -> None:
    from unetlite.edge.model_contract import Overrides, keras_contract
    from unetlite.training.summary import describe_start

    model = path.with_name("unet.keras")
    model.write_bytes(b"")
    keras_contract(model, Overrides(), (256, 256), 1)[0].to_json()
    json.dumps(describe_start(model))


def _contract(path: Path) -> None:
    from unetlite.vision.contract import parse_contract

    parse_contract(path.read_bytes().decode("utf-8", "replace"), "contract.json").to_json()


def _records(path: Path) -> None:
    from unetlite.training.data.records import find_records

    path.with_suffix(".tfrecord").write_bytes(bytes(46))
    find_records(path.parent)


def _capture(path: Path) -> None:
    from unetlite.edge.capture.config import read_config

    read_config(path)


def _labels(path: Path) -> None:
    from unetlite.edge.model_contract import read_labels

    read_labels(path)


def _conditions(path: Path) -> None:
    from unetlite.edge.benchmark.conditions import read_conditions

    read_conditions(path.parent, ["0.png", "1.png"])


def _poses(path: Path) -> None:
    from unetlite.training.synthesis.poses import read_priors

    assert np.isfinite(read_priors(path).quads).all()


READERS: dict[str, Callable[[Path], None]] = {
    "ground_truth/0.json": _ground_truth,
    "manifest.json": _manifest,
    "split.json": _data_set_record,
    "synthesis.json": _data_set_record,
    "download.json": _download,
    f"{DOCUMENT}.zip.part.json": _download,
    "report.json": _report,
    "unet.training.json": _training_summary,
    "contract.json": _contract,
    "records-00000-of-00001.json": _records,
    "capture.toml": _capture,
    "labels.txt": _labels,
    "conditions.tsv": _conditions,
    "poses.csv": _poses,
    f"{DOCUMENT}.zip": _archive,
}
