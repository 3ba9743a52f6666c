"""The export report as one page that needs nothing else, for people who have no terminal.

Stands apart from the report, which it only sets out: what stands on the page stands in `NAME.export.json`, and the
pictures beside it.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2

from unetlite.edge.page_head import page_head
from unetlite.export.layer_chart import layer_chart
from unetlite.export.worst import Answer, ShownPicture
from unetlite.vision.image import RgbImage

UNKNOWN = "-"
STYLE = """
table { width: 100%; }
td.text, th.text { text-align: left; } td.text { white-space: normal; overflow-wrap: anywhere; }
.scroll svg { max-width: 100%; height: auto; }
.accepted { color: #1b7a3d; } .rejected, .refused { color: #b3261e; }
tr.taken td { background: #eaf3ff; font-weight: 600; }
body { max-width: 82rem; }
th { white-space: normal; vertical-align: bottom; }
.shown { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 15rem); gap: .8rem; }
.shown { margin: .4rem 0 1.4rem; }
.shown img { display: block; width: 100%; border-radius: 4px; }
.note { color: #5a6577; font-size: .9rem; }
.key { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; vertical-align: -.1rem; }
"""
JPEG_QUALITY = 80
MOST_LAYERS = 10  # in sight at once; the others wait to be unfolded


def export_page(report: Mapping[str, Any], shown: Sequence[ShownPicture]) -> str:
    """A whole page; every string of the report is escaped.

    Args:
        report: from `report.build_report`.
        shown: from `worst.show_worst`.
    """
    parts = [
        page_head(f"{report['model']['file']} exported", STYLE),
        f"<p>{_text(_origin(report))}</p>",
        *_warnings(report),
        "<h2>Levels</h2>",
        *_levels(report),
        *_reasons(report),
        *_worst(shown),
        *_layers(report),
        *_trade(report),
        "<h2>What runs where</h2>",
        *_pieces(report),
        *_calibration(report),
        "<h2>Made with</h2>",
        f"<p class='note'>{_text(', '.join(f'{name} {version}' for name, version in report['tools'].items()))}; "
        f"model SHA-256 {_text(report['model']['sha256'])}</p>",
        "</html>\n",
    ]
    return "\n".join(parts)


def _text(value: Any) -> str:
    return html.escape(str(value))


def _origin(report: Mapping[str, Any]) -> str:
    spec = report["contract"]["input"]
    where = {
        "validation": "scored on the validation pictures",
        "calibration": "compared with Keras on the calibration's own pictures, as no validation was given: no truth",
        None: "not measured: neither validation nor calibration was given",
    }[report["pictures_from"]]
    size, (low, high) = "x".join(map(str, spec["size_wh"])), spec["real_range"]
    return f"{report['date']}. Input {size} RGB, 0..255 for {low:g}..{high:g}, {spec['fit']}. The files were {where}."


def _warnings(report: Mapping[str, Any]) -> list[str]:
    told = [warning for level in report["levels"].values() for warning in level.get("warnings", [])]
    calibration = report["calibration"] or {}
    for part in ("coverage", "stability"):
        told += (calibration.get(part) or {}).get("flaws", [])
    if calibration.get("leaks"):
        told.append(f"{len(calibration['leaks'])} calibration pictures are part of the validation, or nearly")
    return [f"<p class='warning'>{_text(warning)}</p>" for warning in told]


def _table(headings: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], text: Sequence[int] = ()) -> str:
    """Rows are a class and cells, already escaped; the columns of `text` are words."""
    kinds = [" class='text'" if i in text else "" for i in range(len(headings))]
    head = "".join(f"<th{kind}>{_text(heading)}</th>" for kind, heading in zip(kinds, headings, strict=True))
    body = "\n".join(
        f"<tr class='{name}'>" + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, cells, strict=True))
        for name, cells in rows
    )
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"


def _number(value: float | None, digits: int = 3) -> str:
    return UNKNOWN if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: no -0.000


def _levels(report: Mapping[str, Any]) -> list[str]:
    headings = (
        "level", "", "size", "IoU", "quad IoU", "quads >= 0.9", "IoU lost", "worst picture", "masks agree",
        "ops delegated", "partitions", "median", "/ float32",
    )  # fmt: skip
    keras = report["keras"]
    rows = []
    if keras is not None:
        rows.append(("", ["Keras", "", *_size_and_scores(None, keras), *[UNKNOWN] * 7]))
    base = (report["levels"].get("float32") or {}).get("invoke_ms")
    for name, level in report["levels"].items():
        status = f"<span class='{level['status']}'>{level['status']}</span>"
        if level["status"] == "refused":
            rows.append(("", [_text(name), status, *[UNKNOWN] * 7, *_delegation(level), UNKNOWN, UNKNOWN]))
            continue
        losses, agreement, time = level["losses"], level["agreement"], level["invoke_ms"]
        title = f"{name}, {len(level['in_float'])} layers in float" if level["in_float"] else name
        rows.append(("", [
            _text(title), status, *_size_and_scores(level["bytes"], level["score"]),
            *((UNKNOWN, UNKNOWN) if losses is None else (_number(losses["iou"], 4), _number(losses["image"]))),
            UNKNOWN if agreement is None else _number(agreement["iou_mean"], 4),
            *_delegation(level),
            UNKNOWN if time is None else f"{time:.2f} ms",
            UNKNOWN if time is None or not base else f"{time / base:.2f}",
        ]))  # fmt: skip
    budget = report["budget"]
    return [
        _table(headings, rows),
        f"<p class='note'>IoU over the document, per picture, then averaged. Allowed losses: mean {budget['iou']:g}, "
        f"share of quads {budget['share_points']:g} points, worst picture {budget['image']:g}. Median: "
        f"the network alone, one picture on one thread of the machine that exported, all levels taking turns, in "
        f"processor time; a device differs.</p>",
    ]


def _size_and_scores(count: int | None, score: Mapping[str, Any] | None) -> list[str]:
    size = UNKNOWN if count is None else f"{count / 1e6:.2f} MB"
    if score is None:
        return [size, UNKNOWN, UNKNOWN, UNKNOWN]
    good = score["quad_iou_ge_90"]
    return [size, _number(score["iou_mean"]), _number(score["quad_iou_mean"]),
            UNKNOWN if good is None else f"{100 * good:.0f} %"]  # fmt: skip


def _delegation(level: Mapping[str, Any]) -> list[str]:
    told = level["delegation"]
    if told["total_ops"] is None:
        return [UNKNOWN, UNKNOWN]
    return [f"{told['delegated_ops']} of {told['total_ops']}", str(told["partitions"])]


def _reasons(report: Mapping[str, Any]) -> list[str]:
    parts = []
    for name, level in report["levels"].items():
        if level["status"] == "refused":
            parts.append(f"<p><b>{_text(name)} refused:</b> {_text(level['refused'])}</p>")
        elif level["rejected"]:
            lines = [*level["rejected"], *(f"likely cause: {cause}" for cause in level["likely_causes"])]
            items = "".join(f"<li>{_text(line)}</li>" for line in lines)
            parts.append(f"<p><b>{_text(name)} rejected:</b></p><ul>{items}</ul>")
    return parts


def _worst(shown: Sequence[ShownPicture]) -> list[str]:
    if not shown:
        return []
    parts = [
        "<h2>Pictures that lost most</h2>",
        "<p class='note'><span class='key' style='background:#28dc5a'></span> what was found, its mask tinted; "
        "<span class='key' style='background:#ff961e'></span> mask without a document; "
        "<span class='key' style='background:#3ca0ff'></span> the true outline. Figures: IoU with the truth; of a "
        "picture without a document the share that is rightly left out; without truth the IoU with Keras's mask.</p>",
    ]
    for picture in shown:
        figures = "".join(_figure(answer) for answer in picture.answers)
        parts.append(f"<div>{_text(picture.path)}: lost {picture.loss:.3f}</div><div class='shown'>{figures}</div>")
    return parts


def _figure(answer: Answer) -> str:
    name = _text(answer.name)
    caption = f"<figcaption>{name} {answer.score:.3f}</figcaption>"
    return f"<figure><img alt='{name}' src='{_jpeg(answer.drawn)}'>{caption}</figure>"


def _jpeg(image: RgbImage) -> str:
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def _layers(report: Mapping[str, Any]) -> list[str]:
    found = report["layers"]
    if found is None:
        return []
    in_float = (report["levels"].get("int8") or {}).get("in_float", [])
    rows = [
        ("", [str(layer["rank"]), _text(layer["name"]), _text(layer["operation"]),
              "x".join(str(side) for side in layer["shape"][1:]), _number(layer["iou_loss"], 4),
              _number(layer["image_loss"]), _number(layer["disagreement"], 4),
              _percent(layer["own_error"]), _percent(layer["error_along"])])
        for layer in sorted(found["layers"], key=lambda layer: layer["rank"])
    ]  # fmt: skip
    headings = ("rank", "layer", "operation", "output", "IoU lost", "worst picture", "masks differ", "own error",
                "error up to here")  # fmt: skip
    return [
        "<h2>Error along the network</h2>",
        f"<div class='scroll'>{layer_chart(found, in_float)}</div>",
        f"<p class='note'>Each layer alone at int8, all others in float (N={found['pictures']}). Errors are a share of "
        f"the signal: of the layer itself, and of the whole int8 network up to it. Pale bars stay in float.</p>",
        _table(headings, rows[:MOST_LAYERS], text=(1, 2)),
        *([f"<details><summary>The other {len(rows) - MOST_LAYERS} layers</summary>",
           _table(headings, rows[MOST_LAYERS:], text=(1, 2)), "</details>"] if len(rows) > MOST_LAYERS else []),
    ]  # fmt: skip


def _percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{100 * share:.2f} %"


def _trade(report: Mapping[str, Any]) -> list[str]:
    trade = report["keep_float"]
    if trade is None:
        return []
    plain = trade["trials"][0]["invoke_ms"]
    rows = [
        ("taken" if number == trade["taken"] else "", [
            str(len(trial["layers"])), _number(trial["iou_loss"], 4), _number(trial["image_loss"]),
            f"{trial['invoke_ms']:.2f} ms", f"{trial['invoke_ms'] / plain:.2f}",
            f"{trial['model_bytes'] / 1e6:.2f} MB", "passed" if trial["over"] else "kept",
            _text(", ".join(trial["layers"]) or "plain int8"),
        ])
        for number, trial in enumerate(trade["trials"])
    ]  # fmt: skip
    headings = ("in float", "IoU lost", "worst picture", "median", "/ int8", "size", "budget", "layers")
    return ["<h2>Layers kept in float: what it gives and takes</h2>", _table(headings, rows, text=(6, 7))]


def _pieces(report: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, level in report["levels"].items():
        pieces = level.get("pieces")
        if pieces is None:
            continue
        for number, part in enumerate(pieces["partitions"], 1):
            told = f"partition {number}: {part['operations']} operations"
            rows.append(("", [_text(name), "XNNPACK", _text(told), f"{part['ms']:.3f} ms"]))
        for left in pieces["left_over"]:
            told = f"{left['operation']}, output {'x'.join(map(str, left['shape'][1:]))}"
            rows.append(("", [_text(name), "own kernel", _text(told), f"{left['ms']:.3f} ms"]))
    if not rows:
        return ["<p>The runtime does not tell.</p>"]
    return [
        _table(("level", "runs on", "what", "median alone"), rows, text=(0, 1, 2)),
        "<p class='note'>Each piece cut out of the file and timed by itself, on one thread, in processor time.</p>",
    ]


def _calibration(report: Mapping[str, Any]) -> list[str]:
    found = report["calibration"]
    if found is None:
        return []
    low, high = found["covered"]
    light = found["brightness"]
    told = (
        f"{found['pictures']} pictures, chosen {found['strategy']} with seed {found['seed']}; values {low}..{high}, "
        f"mean brightness {light['min']:g}..{light['max']:g}; manifest {found['manifest_sha256']}."
    )
    return ["<h2>Calibration</h2>", f"<p>{_text(told)}</p>"]
