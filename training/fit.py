"""One training run: data, network, AdamW, checkpoints, TensorBoard, and what is written at the end.

Stands apart as the only place that keeps state over time; everything it uses is a function elsewhere.
"""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from unetlite.training.data.pipeline import Target, make_dataset, make_datasets
from unetlite.training.data.records import RecordSample, find_records, has_records
from unetlite.training.distributed import SummedAdamW, Team, fit_together, form_team
from unetlite.training.fused import fused_normalization
from unetlite.training.losses import make_loss
from unetlite.training.metrics import make_metrics
from unetlite.training.pictures import PredictionPictures
from unetlite.training.summary import describe_data, describe_start, summarize, summary_path
from unetlite.training.unet import PRESETS, build_unet
from unetlite.vision.contract import InputSpec, OutputSpec
from unetlite.vision.dataset import Sample, find_samples
from unetlite.vision.errors import DatasetError, OutputError, SettingsError, UnetliteError
from unetlite.vision.files import atomic_path, write_json


@dataclass(frozen=True)
class Settings:
    """What shapes a run; the summary repeats it."""

    preset: str = "edge"
    size_wh: tuple[int, int] | None = None
    fit: str | None = None
    epochs: int = 50
    batch_size: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    loss: str = "dice"
    schedule: str = "plateau"
    class_names: tuple[str, ...] = ("background", "document")
    min_confidence: float = 0.5
    patience: int = 10
    seed: int = 0
    strategy: str | None = None


def train(
    data: list[Path],
    model_out: Path,
    settings: Settings,
    *,
    start: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    log_dir: Path | None = None,
    tell: Callable[[str], None] = lambda message: None,
) -> dict[str, Any] | None:
    """Train a U-Net and write the best epoch's model, with its training summary beside it.

    Args:
        data: prepared data sets (`train/`, `validation/`); one that is named twice counts twice.
        model_out: a `.keras` or `.h5` file. While training, `NAME.training/` beside it holds what a resume needs.
        start: a trained model of the same preset and classes, whose weights the run begins with.
        resume: go on after the last whole epoch of an interrupted run with the same arguments.
        log_dir: for TensorBoard; `NAME.logs` beside the model where None.

    Returns:
        The training summary; None on a worker that is not the chief, and has written nothing.

    Raises:
        DatasetError, GroundTruthError, ImageError: the data cannot be used.
        OutputError: the model exists and `overwrite` is false, or the disk refused.
        SettingsError: settings that do not fit each other.
        WorkerError: another worker of the same training went away.
    """
    if model_out.suffix not in (".keras", ".h5"):
        raise OutputError(f"{model_out}: expected a name ending in .keras or .h5, got '{model_out.suffix}'")
    if model_out.exists() and not (overwrite or resume):
        raise OutputError(f"{model_out}: expected a new file, but it exists; choose another or pass --overwrite")
    team = form_team(settings.strategy) if settings.strategy else None
    chief = team is None or team.chief
    num_classes = len(settings.class_names)
    preset = PRESETS[settings.preset]
    spec = InputSpec(settings.size_wh or preset.size_wh, fit=settings.fit or preset.fit)
    loss = make_loss(settings.loss, num_classes)
    earlier_model = describe_start(start)
    model = _compiled_model(settings, spec, loss, start, team)
    target = Target((model.output_shape[2], model.output_shape[1]), num_classes)

    train_samples, validation_samples = _samples(data, "train"), _samples(data, "validation")
    state = model_out.with_name(f"{model_out.stem}.training")
    history_file = state / "history.csv"
    if chief and not resume and state.exists():
        shutil.rmtree(state)
    earlier = _read_history(history_file) if resume else []
    if resume and chief:
        tell(f"{state}: " + (f"going on after epoch {len(earlier)}" if earlier else "nothing to resume, starting anew"))

    errors: list[UnetliteError] = []
    validation = make_dataset(validation_samples, spec, target, settings.batch_size, errors)
    callbacks = [
        _schedule(settings),
        keras.callbacks.EarlyStopping(monitor="val_document_iou", mode="max", patience=settings.patience),
    ]
    if chief:
        best = max((float(row["val_document_iou"]) for row in earlier), default=None)
        logs = log_dir or model_out.with_name(f"{model_out.stem}.logs")
        board = keras.callbacks.TensorBoard(str(logs), write_graph=False)
        callbacks = [
            *_kept_state(state, model_out.suffix, best, resume),
            *callbacks,
            board,
            PredictionPictures(board, validation, spec),
        ]
    try:
        if team is None:
            augmented = make_dataset(
                train_samples, spec, target, settings.batch_size, errors, augment_seed=settings.seed + len(earlier)
            )
            with fused_normalization():
                model.fit(
                    augmented,
                    validation_data=validation,
                    epochs=settings.epochs,
                    callbacks=callbacks,
                    shuffle=False,  # the pipeline does, with a seed
                    verbose=1 if sys.stderr.isatty() else 2,
                )
        else:
            passed = int(team.from_chief([np.array([len(earlier)])])[0][0])
            shares: dict[str, Any] = {"replicas": team.replicas, "own": team.own}
            fit_together(
                team,
                model,
                loss,
                num_classes,
                make_datasets(
                    train_samples,
                    spec,
                    target,
                    settings.batch_size,
                    errors,
                    augment_seed=settings.seed + passed,
                    even=True,
                    **shares,
                ),
                make_datasets(validation_samples, spec, target, settings.batch_size, errors, **shares),
                pictures=len(train_samples),
                batch_size=settings.batch_size,
                epochs=settings.epochs,
                callbacks=callbacks,
                tell=tell,
            )
    except tf.errors.OpError as error:
        raise errors[0] if errors else DatasetError(f"training stopped: {error.message}") from error
    if not chief:
        return None

    rows = _read_history(history_file)
    best_row = max(rows, key=lambda row: float(row["val_document_iou"]))
    output = OutputSpec(
        kind="sigmoid" if num_classes == 2 else "softmax",
        class_names=settings.class_names,
        min_confidence=settings.min_confidence,
    )
    summary = summarize(
        spec,
        output,
        {
            "preset": settings.preset,
            "settings": asdict(settings),
            "replicas": team.replicas if team else 1,
            "parameters": model.count_params(),
            "start": earlier_model["start"],
        },
        [
            *({**entry, "seen_by": earlier_model["start"]["model"]} for entry in earlier_model["data"]),
            *(
                {**describe_data(root, _samples([root], "train")), "times": data.count(root)}
                for root in dict.fromkeys(data)
            ),
        ],
        {
            "epochs": len(rows),
            "best_epoch": int(best_row["epoch"]) + 1,
            "validation": {
                "pictures": len(validation_samples),
                **{name: float(best_row[f"val_{name}"]) for name in ("document_iou", "mean_iou", "dice_coef", "loss")},
            },
        },
    )
    trained = keras.models.load_model(state / f"best{model_out.suffix}", compile=False)
    if team is not None:  # a network like any other's: its statistics are of one process from now on
        weights, trained = trained.get_weights(), build_unet(settings.preset, spec.size_wh, num_classes)
        trained.set_weights(weights)
    with atomic_path(model_out) as temporary:
        trained.save(temporary)  # without the optimizer's state, two thirds of a checkpoint
    write_json(summary_path(model_out), summary)
    shutil.rmtree(state)
    return summary


def _compiled_model(
    settings: Settings, spec: InputSpec, loss: Any, start: Path | None, team: Team | None
) -> Any:
    keras.utils.set_random_seed(settings.seed)
    num_classes = len(settings.class_names)
    with team.strategy.scope() if team else nullcontext():
        model = build_unet(settings.preset, spec.size_wh, num_classes, synchronized=team is not None)
        if start is not None:
            _take_weights(model, start)
        adam = SummedAdamW if team else keras.optimizers.AdamW
        optimizer = adam(settings.learning_rate, weight_decay=settings.weight_decay, clipnorm=1.0)
        model.compile(optimizer, loss, metrics=None if team else make_metrics(num_classes))
    return model


def _kept_state(state: Path, suffix: str, best: float | None, resume: bool) -> list[Any]:
    """What writes a run's state epoch by epoch: all that a resume needs."""
    (state / "backup").mkdir(parents=True, exist_ok=True)
    return [
        keras.callbacks.BackupAndRestore(str(state / "backup"), double_checkpoint=True, delete_checkpoint=False),
        keras.callbacks.CSVLogger(str(state / "history.csv"), append=resume),
        keras.callbacks.ModelCheckpoint(
            str(state / f"best{suffix}"),
            monitor="val_document_iou",
            mode="max",
            save_best_only=True,
            initial_value_threshold=best,
        ),
    ]


def _schedule(settings: Settings) -> Any:
    """What lowers the learning rate from epoch to epoch."""
    if settings.schedule == "plateau":
        return keras.callbacks.ReduceLROnPlateau(
            monitor="val_document_iou", mode="max", factor=0.5, patience=max(2, settings.patience // 3), min_lr=1e-6
        )
    warm = min(2, settings.epochs // 4)  # AdamW's second moments are wild in the first steps
    later = keras.optimizers.schedules.CosineDecay(settings.learning_rate, max(1, settings.epochs - warm), alpha=0.01)

    def rate(epoch: int) -> float:
        if epoch < warm:
            return settings.learning_rate * (epoch + 1) / (warm + 1)
        return float(later(epoch - warm))

    return keras.callbacks.LearningRateScheduler(lambda epoch, _: rate(epoch))


def _take_weights(model: Any, start: Path) -> None:
    try:
        weights = keras.models.load_model(start, compile=False).get_weights()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{start}: expected a trained .keras or .h5 model to start from ({error})") from error
    expected, got = [w.shape for w in model.get_weights()], [w.shape for w in weights]
    if expected != got:
        raise SettingsError(
            f"{start}: expected the {len(expected)} weights of {model.name}, got {len(got)} of other shapes; "
            "pass the --preset and --num-classes that it was trained with"
        )
    model.set_weights(weights)


def _samples(data: list[Path], split: str) -> list[Sample | RecordSample]:
    found: list[Sample | RecordSample] = []
    for root in data:
        if not (root / split).is_dir():
            raise DatasetError(
                f"{root}: expected a prepared data set with {split}/, found none; make one with unet-data prepare"
            )
        found += find_records(root / split) if has_records(root / split) else find_samples(root / split)
    return found


def _read_history(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
