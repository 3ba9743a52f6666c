"""Which layers of an int8 file stay in float, and what that gives and takes.

Stands apart from the sensitivity because that ranks layers one by one; here whole files are measured, as the cost of
layers together is not the sum of their costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from unetlite.edge.segmenter import Segmenter
from unetlite.export.agreement import CheckPicture, compare
from unetlite.export.gates import Budget, judge_level
from unetlite.export.mixed import Layer, layers_named, layers_of, quantize
from unetlite.export.sensitivity import Sensitivity
from unetlite.export.timing import segmenters_ms
from unetlite.vision.errors import SettingsError

AUTO = "auto"
# A wide tensor is healed only when the layers on both its sides are in float, hence each small count; then in steps,
# as the files hardly differ.
COUNTS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


@dataclass(frozen=True)
class Wish:
    """What `--keep-float` asks for: `auto`, a number of layers, or layers by name; exactly one is set."""

    auto: bool = False
    count: int | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """An int8 file with some layers in float.

    Attributes:
        layers: the names of those in float, the costliest first where they were ranked.
        model_bytes: without metadata.
        iou_loss: mean against Keras on the truth, or on Keras's masks where no truth is known, as the gates take it.
        image_loss: of the worst picture.
        invoke_ms: median of one picture on one thread, all trials taking turns.
        over: the budgets that it passes, empty where it may ship.
    """

    layers: tuple[str, ...]
    model_bytes: int
    iou_loss: float
    image_loss: float
    invoke_ms: float
    over: tuple[str, ...]


@dataclass(frozen=True)
class Trade:
    """The trials from plain int8 on, and which of them was taken."""

    trials: tuple[Trial, ...]
    taken: int

    @property
    def layers(self) -> tuple[str, ...]:
        """What stays in float."""
        return self.trials[self.taken].layers


def parse_wish(given: Sequence[str]) -> Wish:
    """What was written behind `--keep-float`.

    Raises:
        SettingsError: `auto` or a number beside something else, or a number below 1.
    """
    words = [word for text in given for word in text.replace(",", " ").split()]
    if len(words) == 1 and words[0] == AUTO:
        return Wish(auto=True)
    if len(words) == 1 and words[0].lstrip("-").isdecimal():
        if int(words[0]) < 1:
            raise SettingsError(f"--keep-float {words[0]}: expected 1 or more layers; leave it out for plain int8")
        return Wish(count=int(words[0]))
    if not words or AUTO in words or any(word.isdecimal() for word in words):
        raise SettingsError(
            f"--keep-float {' '.join(words)}: expected 'auto', a number of layers, or names of layers, one of the three"
        )
    return Wish(names=tuple(dict.fromkeys(words)))


def choose_layers(
    calibrated: bytes,
    wish: Wish,
    sensitivity: Sensitivity | None,
    open_file: Callable[[bytes], Segmenter],
    keras: Segmenter,
    pictures: Sequence[CheckPicture],
    budget: Budget,
) -> Trade:
    """Try int8 files with more and more layers in float, and take one.

    Args:
        calibrated: from `mixed.calibrate`.
        wish: from `parse_wish`. `auto` takes the fewest layers with which the file keeps its budget; where none does,
            the file that loses least.
        sensitivity: the layers' ranking; needed unless layers are named.
        open_file: makes a segmenter of a file's bytes.
        keras: the network before export.
        pictures: at least one.
        budget: of the gates.

    Raises:
        SettingsError: a layer that the network does not have.
        ExportError: TensorFlow's quantizer refused.
        ImageError, GroundTruthError, ModelError: see `agreement.compare`.
    """
    layers = layers_of(calibrated)
    tried = _candidates(layers, wish, sensitivity)
    contents = [quantize(calibrated, layers_named(layers, names)) for names in tried]
    segmenters = {str(number): open_file(content) for number, content in enumerate(contents)}
    compared = compare(keras, segmenters, pictures)
    times = segmenters_ms(segmenters)
    trials = []
    for number, (names, content) in enumerate(zip(tried, contents, strict=True)):
        verdict = judge_level(compared.levels[str(number)], compared.keras, budget)
        losses = verdict.losses
        trials.append(Trial(names, len(content), losses.iou, losses.image, times[str(number)], verdict.over))
    if not wish.auto:
        return Trade(tuple(trials), len(trials) - 1)
    within = [number for number, trial in enumerate(trials) if not trial.over]
    least = min(range(len(trials)), key=lambda number: (trials[number].iou_loss, number))
    return Trade(tuple(trials), within[0] if within else least)


def _candidates(
    layers: Sequence[Layer], wish: Wish, sensitivity: Sensitivity | None
) -> list[tuple[str, ...]]:
    """The names to keep in float, file by file; the last is what was asked for."""
    if wish.names:
        layers_named(layers, wish.names)
        return [(), wish.names]
    if sensitivity is None:
        raise ValueError("layers can be counted only where they are ranked")
    ranked = [cost.name for cost in sensitivity.ranked()]
    most = len(ranked) if wish.count is None else min(wish.count, len(ranked))
    counts = [count for count in COUNTS if count < most]
    return [tuple(ranked[:count]) for count in [*counts, most]]


def trade_table(trade: Trade) -> str:
    """The trials as a table for a terminal; the one that was taken is marked."""
    plain = trade.trials[0]
    lines = [
        f"   {'in float':>8}  {'IoU lost':>9}  {'worst':>6}  {'latency':>8}  {'/ int8':>6}  {'size':>8}  "
        f"{'budget':6}  layers"
    ]
    for number, trial in enumerate(trade.trials):
        mark = "->" if number == trade.taken else "  "
        kept = "passed" if trial.over else "kept"
        line = (
            f"{mark} {len(trial.layers):>8}  {trial.iou_loss:>9.4f}  {trial.image_loss:>6.3f}  "
            f"{trial.invoke_ms:>5.2f} ms  {trial.invoke_ms / plain.invoke_ms:>6.2f}  "
            f"{trial.model_bytes / 1e6:>5.2f} MB  {kept:6}  {_told(trial.layers)}"
        )
        lines.append(line.rstrip())
    return "\n".join(lines)


def _told(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
