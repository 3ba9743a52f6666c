"""Which model goes where: the Pareto front, the recommendation for a budget, and the verdict against a baseline.

Stands apart because these are judgements; rows hold the facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unetlite.edge.compare.report import ReportError, Row

SAME_IOU = 0.002  # less apart than this, two models are equally right and the faster one is better


@dataclass(frozen=True)
class Budget:
    """What a use can bear; None is no bound: median milliseconds of a frame, and mean IoU."""

    max_ms: float | None
    min_iou: float | None

    def __str__(self) -> str:
        parts = [] if self.max_ms is None else [f"at most {self.max_ms:g} ms"]
        parts += [] if self.min_iou is None else [f"IoU at least {self.min_iou:g}"]
        return ", ".join(parts)


@dataclass(frozen=True)
class Choice:
    """The recommendation for one device; `row` is None where nothing fits, and `reason` says why."""

    device: str
    row: Row | None
    reason: str

    def __str__(self) -> str:
        return f"{self.device}: {self.reason}"


def usable(rows: Sequence[Row]) -> list[Row]:
    """Measured and valid runs: those whose latency says something."""
    return [row for row in rows if row.valid and row.median_ms is not None]


def pareto_front(rows: Sequence[Row]) -> list[Row]:
    """The runs that no other one beats in both IoU and median latency, fastest first."""
    front: list[Row] = []
    for row in sorted(usable(rows), key=lambda row: (row.median_ms, -row.iou)):
        if not front or row.iou > front[-1].iou:
            front.append(row)
    return front


def recommend(rows: Sequence[Row], budget: Budget) -> list[Choice]:
    """One choice a device: within the budget the highest IoU, and of equally right ones the fastest.

    Where the budget bounds the IoU alone, the fastest that reaches it.
    """
    return [
        _recommend(device, [row for row in rows if row.device == device], budget)
        for device in dict.fromkeys(row.device for row in rows)
    ]


def _recommend(device: str, rows: Sequence[Row], budget: Budget) -> Choice:
    able = usable(rows)
    if not able:
        why = "instructions are no latency" if any(row.emulated for row in rows) else "all its runs are invalid"
        return Choice(device, None, f"no recommendation: {why}")
    quick = [row for row in able if budget.max_ms is None or _ms(row) <= budget.max_ms]
    right = [row for row in quick if budget.min_iou is None or row.iou >= budget.min_iou]
    if right:
        best = max(row.iou for row in right)
        equal = right if budget.max_ms is None else [row for row in right if row.iou > best - SAME_IOU]
        row = min(equal, key=lambda row: (_ms(row), row.model_bytes))
        return Choice(device, row, f"{row.named} for {budget}: IoU {row.iou:.3f}, median {_ms(row):.1f} ms")
    if not quick:
        row = min(able, key=_ms)
        return Choice(device, None, f"nothing for {budget}: the fastest is {row.named} with {_ms(row):.1f} ms")
    row = max(quick, key=lambda row: row.iou)
    return Choice(device, None, f"nothing for {budget}: the best in time is {row.named} with IoU {row.iou:.3f}")


def _ms(row: Row) -> float:
    return row.median_ms or 0.0


@dataclass(frozen=True)
class Verdict:
    """One run against the same run of a baseline; `losses` are sentences, empty where it holds."""

    name: str
    figures: str
    losses: tuple[str, ...]

    def __str__(self) -> str:
        return f"{'REGRESSION' if self.losses else 'holds'}  {self.name}: {'; '.join(self.losses) or self.figures}"


def judge_against(
    rows: Sequence[Row], baseline: Sequence[Row], *, max_iou_loss: float, max_slowdown: float
) -> list[Verdict]:
    """Compare each of the baseline's runs with the same model, threads and runtime of now.

    Args:
        rows: of now.
        baseline: of then; measured on the same device and data.
        max_iou_loss: what IoU and quad IoU may lose.
        max_slowdown: times the baseline's median (of an emulated device, instructions) that is borne.

    Raises:
        ReportError: another device or data set, a run that is missing now, or one that is invalid.
    """
    now = {_key(row): row for row in rows}
    verdicts = []
    for then in baseline:
        row = now.get(_key(then))
        if row is None:
            raise ReportError(
                f"the baseline's run of {then.named} on {then.runtime} has no counterpart; run the benchmark with "
                f"that model, or make the baseline again"
            )
        _check_comparable(row, then)
        losses = [
            f"{name} fell from {before:.4f} to {after:.4f}, by more than {max_iou_loss:g}"
            for name, before, after in (("IoU", then.iou, row.iou), ("quad IoU", then.quad_iou, row.quad_iou))
            if before - after > max_iou_loss + 1e-9
        ]
        cost, unit = _cost(row)
        before, _ = _cost(then)
        if cost > before * max_slowdown:
            losses.append(f"a frame took {before:.2f} {unit} and takes {cost:.2f}, over {max_slowdown:g} times that")
        figures = f"IoU {row.iou:.4f} (was {then.iou:.4f}), {cost:.2f} {unit} (was {before:.2f})"
        verdicts.append(Verdict(row.named, figures, tuple(losses)))
    return verdicts


def _key(row: Row) -> tuple[object, ...]:
    return row.model, row.threads, row.runtime, row.emulated


def _cost(row: Row) -> tuple[float, str]:
    return (row.instructions["total"] / 1e6, "M instructions") if row.instructions else (_ms(row), "ms")


def _check_comparable(row: Row, then: Row) -> None:
    if row.board != then.board:
        raise ReportError(
            f"the baseline is of {then.board}, this report of {row.board}: their latencies say nothing of each "
            f"other; make the baseline on this device"
        )
    if row.data_sha256 != then.data_sha256:
        raise ReportError(
            "the baseline is over another data set (the hashes differ): its IoU says nothing of this one; make the "
            "baseline again"
        )
    for which, run in (("this report", row), ("the baseline", then)):
        if not run.valid:
            raise ReportError(
                f"in {which} the run of {run.named} is invalid (throttled, or the governor moved); run it again"
            )
