"""Write the tables that documents promise: each `<!-- results: REPORT -->` block is filled from that report.

A report is what `unet-benchmark run` or a script under `benchmarks/` writes; date, machine and data stand in it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from tables import TABLES_FORMAT, markdown  # noqa: E402

from unetlite.edge.compare.report import read_report  # noqa: E402
from unetlite.vision.files import write_text  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "models" / "README.md"]
BLOCK = re.compile(r"(<!-- results: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
HEADINGS = "| level | size | IoU | quad IoU | quads >= 0.9 | delegated ops | median | p90 | time / float32 |"


def table(report: dict[str, Any]) -> str:
    """The report's models as a Markdown table, with what they were measured on and where."""
    runs = report["runs"]
    lines = [HEADINGS, "|---" * HEADINGS.count(" | ") + "|---|"]
    for run in runs:
        total = run["latency_ms"]["total"]
        ratio = "-" if run["time_ratio"] is None else f"{run['time_ratio']:.2f}"  # frame by frame
        ops = "-" if run["delegated_ops"] is None else f"{run['delegated_ops']} of {run['total_ops']}"
        lines.append(
            f"| {run['level']} | {run['model_bytes'] / 1e6:.2f} MB "
            f"| {run['iou_mean']:.3f} | {run['quad_iou_mean']:.3f} | {100 * run['quad_iou_ge_90']:.0f} % "
            f"| {ops} | {total['p50']:.1f} ms | {total['p90']:.1f} ms | {ratio} |"
        )
    device, data, first = report["device"], report["data"], runs[0]
    lines.append(
        f"\n{report['date'][:10]}, {device['model'] or device['cpu']}, {device['cores']} cores, {device['os']}, "
        f"{first['runtime']} {first['runtime_version']}, {first['threads']} thread; "
        f"{data['images']} pictures of `{data['name']}`. Latency is a whole frame: preprocess, invoke, postprocess. "
        f"The constant answers \"nothing\" and \"everything\" would score an IoU of "
        f"{first['constant_iou']['nothing']:.3f} and {first['constant_iou']['everything']:.3f}."
    )
    return "\n".join(lines) + "\n"


def block(path: Path) -> str:
    """What a result file says, as Markdown: the scripts under `benchmarks/` bring their tables along."""
    result = json.loads(path.read_text("utf-8"))
    return markdown(path.name, result) if result.get("format") == TABLES_FORMAT else table(read_report(path))


def filled_block(match: re.Match[str]) -> str:
    """A block with what its result file says; as it is where nothing was measured yet."""
    path = ROOT / match[2]
    if not path.is_file():
        print(f"{match[2]}   not measured yet", file=sys.stderr)
        return match[0]
    return f"{match[1]}\n{block(path)}\n{match[3]}"


def main() -> None:
    for document in DOCUMENTS:
        if not document.is_file():
            continue
        text = document.read_text("utf-8")
        filled = BLOCK.sub(filled_block, text)
        if filled != text:
            write_text(document, filled)
            print(f"{document.relative_to(ROOT)}   filled")


if __name__ == "__main__":
    sys.exit(main())
