"""An export as a user asks for it: what is checked, measured and judged, and in which order.

Stands apart from `exporter`, whose steps it calls, and from `cli`, which reads flags and tells people. Nothing is
written here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from unetlite.calibration.leakage import check_leaks
from unetlite.calibration.manifest import Manifest, make_manifest, read_manifest, representative_pixels
from unetlite.edge.model_contract import Overrides
from unetlite.edge.segmenter import Segmenter
from unetlite.export import exporter
from unetlite.export.agreement import CheckPicture, Score, calibration_pictures, validation_pictures
from unetlite.export.causes import Facts, gather_facts, likely_causes
from unetlite.export.exporter import Export, Network, Titles
from unetlite.export.gates import Budget
from unetlite.export.input_range import check_input_range
from unetlite.export.keep_float import Wish
from unetlite.export.levels import LEVELS, Level
from unetlite.export.stability import Draws, convert_draws, settle
from unetlite.export.study import Study, study_layers
from unetlite.vision.contract import InputSpec

Watch = Callable[[str], Callable[[Iterable[Any]], Iterable[Any]]]  # a label to what wraps items with a progress bar


@dataclass(frozen=True)
class Request:
    """What to export, and what it may cost.

    Attributes:
        model: `.keras` or `.h5`.
        levels: at least one.
        calibration: a manifest, or a folder to choose from; None where no level needs one.
        validation: a data set with truth that the network has not seen, or None.
        given: what the user says of the model.
        titles: for the metadata.
        budget: of the gates.
        allow_leakage: go on where calibration pictures are part of the validation.
        allow_slow: convert what would crawl on a device.
        keep_float: layers of the int8 file that stay in float, or None.
        rank_layers: measure what each layer costs at int8.
    """

    model: Path
    levels: Sequence[Level]
    calibration: Path | None = None
    validation: Path | None = None
    given: Overrides = Overrides()
    titles: Titles = Titles()
    budget: Budget = Budget()
    allow_leakage: bool = False
    allow_slow: bool = False
    keep_float: Wish | None = None
    rank_layers: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a request.

    Attributes:
        network: what was exported.
        exports: one for each level, with metadata, gates and causes.
        facts: the representative set, and how it stands to the validation.
        budget: what the gates allowed.
        pictures: what the files were compared on.
        pictures_from: "validation", "calibration" or None.
        keras_score: the network's own score before export; None where no truth is known.
        study: the int8 file layer by layer, where that was asked for.
    """

    network: Network
    exports: tuple[Export, ...]
    facts: Facts
    budget: Budget
    pictures: tuple[CheckPicture, ...]
    pictures_from: str | None
    keras_score: Score | None
    study: Study | None = None


def export_model(request: Request, tell: Callable[[str], None], watch: Watch) -> Outcome:
    """Check the model and its calibration, convert each level, and judge the files.

    Args:
        request: what to do.
        tell: takes a sentence that a person should read before the result.
        watch: makes progress bars.

    Raises:
        UnetliteError: model, calibration or validation cannot be used, or would mislead; or no level converts.
    """
    network = exporter.open_network(request.model, request.given)
    if network.origin == "defaults":
        tell(_assumed(network))
    manifest = None if request.calibration is None else _manifest(request.calibration, network.contract.input, watch)
    if manifest is not None:
        exporter.check_manifest(manifest, network.contract)
    pictures, pictures_from = _pictures(request.validation, manifest, tell)
    held_out = pictures if pictures_from == "validation" else []
    facts = gather_facts(manifest, held_out, watch("Auditing the calibration"))
    if manifest is not None and not request.allow_leakage:
        check_leaks(facts.leaks, len(manifest.pictures))
    for flaw in facts.flaws():
        tell(f"WARNING: {flaw}")
    doubt = check_input_range(partial(exporter.keras_segmenter, network), network.contract.input, held_out)
    if doubt is not None:
        tell(f"WARNING: {doubt}")

    calibrated = any(level.calibrated for level in request.levels)
    pixels = list(representative_pixels(manifest)) if calibrated and manifest is not None else []
    exports, segmenters = exporter.convert_levels(
        network, request.levels, pixels, allow_slow=request.allow_slow, watch=watch("Converting")
    )
    study = None
    if "int8" in segmenters and pictures and (request.keep_float is not None or request.rank_layers):
        study = study_layers(
            network, pixels, pictures, request.keep_float, request.budget,
            rank=request.rank_layers, watch=watch("Quantizing layer by layer"),
        )  # fmt: skip
        exports, segmenters = _with_study(network, exports, segmenters, study)
    exports = exporter.timed(exports, segmenters)
    draws = None if manifest is None else _draws(network, exports, pixels, manifest.seed, watch)
    everything = {**segmenters, **(draws.segmenters if draws is not None else {})}
    compared = exporter.compare_files(network, everything, pictures, watch("Comparing with Keras"))
    if draws is not None:
        stability = settle(draws, compared)
        facts = dataclasses.replace(facts, stability=stability)
        for flaw in stability.flaws():
            tell(f"WARNING: {flaw}")
    exports = [_explained(export, network, facts) for export in exporter.judge(exports, compared, request.budget)]
    exports = exporter.describe(network, exports, manifest, request.titles, pictures_from)
    score = None if compared is None else compared.keras
    return Outcome(network, tuple(exports), facts, request.budget, tuple(pictures), pictures_from, score, study)


def _assumed(network: Network) -> str:
    spec, output = network.contract.input, network.contract.output
    return (
        f"{network.path}: no training summary beside it; taken: 0..255 stands for {spec.real_range[0]:g}.."
        f"{spec.real_range[1]:g}, fit {spec.fit}, classes {', '.join(output.class_names)} "
        f"(--input-range, --fit, --labels say otherwise)."
    )


def _manifest(source: Path, spec: InputSpec, watch: Watch) -> Manifest:
    return make_manifest(source, spec, watch=watch("Reading pictures")) if source.is_dir() else read_manifest(source)


def _pictures(
    validation: Path | None, manifest: Manifest | None, tell: Callable[[str], None]
) -> tuple[list[CheckPicture], str | None]:
    if validation is not None:
        return validation_pictures(validation), "validation"
    if manifest is not None:
        tell("No --validation: files are gated on agreement with Keras alone, on the calibration's own pictures.")
        return calibration_pictures(manifest), "calibration"
    tell("Neither --validation nor --calibration: nothing is measured and no file is gated.")
    return [], None


def _with_study(
    network: Network, exports: Sequence[Export], segmenters: Mapping[str, Segmenter], study: Study
) -> tuple[list[Export], dict[str, Segmenter]]:
    """The int8 file replaced by the one with layers in float, where there is one."""
    if study.content is None:
        return list(exports), dict(segmenters)
    mixed, segmenter = exporter.measured(network, LEVELS["int8"], study.content)
    mixed = dataclasses.replace(mixed, in_float=study.in_float)
    replaced = [mixed if export.level.name == "int8" else export for export in exports]
    return replaced, {**segmenters, "int8": segmenter}


def _draws(
    network: Network, exports: Sequence[Export], pixels: Sequence[Any], seed: int, watch: Watch
) -> Draws | None:
    converted = [export.level for export in exports if export.level.calibrated and export.refused is None]
    for level in watch("Calibrating with halves")(converted[:1]):
        return convert_draws(network, level, pixels, seed)
    return None


def _explained(export: Export, network: Network, facts: Facts) -> Export:
    causes = likely_causes(export.level, network.keras, facts) if export.rejected else ()
    return dataclasses.replace(export, causes=causes)
