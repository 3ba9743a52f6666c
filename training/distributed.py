"""Training on several processors: the strategy, this process's place in it, and a loop that all workers walk in step.

Stands apart because Keras's own `fit` does not take tf.distribute's multi-worker strategy, and would clip each
worker's part of a gradient where one process clips the whole.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from unetlite.training.losses import dice_coef
from unetlite.training.metrics import make_metrics
from unetlite.vision.errors import SettingsError, UnetliteError

STRATEGIES = ("mirrored", "multi-worker")
_EXAMPLE = '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}'


class WorkerError(UnetliteError, RuntimeError):
    """Another worker of the same training cannot be reached, or went away."""


@dataclass(frozen=True)
class Team:
    """All replicas of one training, and this process's place among them.

    Attributes:
        strategy: of tf.distribute.
        replicas: processors that take a part of each step, on all machines.
        own: the numbers of this process's replicas, from 0.
        chief: whether this process writes the checkpoints and the model.
    """

    strategy: Any
    replicas: int
    own: tuple[int, ...]
    chief: bool

    def sum(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The sum of each value over all workers; every worker must call it, with values of the same shapes."""

        def part(context: Any) -> list[Any]:
            first = context.replica_id_in_sync_group == self.own[0]
            return [tf.constant(np.asarray(value, np.float64) * first) for value in values]  # one type: sent as one

        parts = self.strategy.experimental_distribute_values_from_function(part)
        summed = self.strategy.experimental_local_results(_all_reduce(self.strategy, parts))[0]
        return [value.numpy().astype(np.asarray(own).dtype) for value, own in zip(summed, values, strict=True)]

    def from_chief(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The chief's values, on every worker."""
        return self.sum([value if self.chief else np.zeros_like(value) for value in values])


@tf.function
def _all_reduce(strategy: Any, parts: Any) -> Any:
    def on_replica(values: list[Any]) -> Any:
        here = [tf.identity(value) for value in values]  # an argument has no processor of its own yet
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, here)

    return strategy.run(on_replica, (parts,))


def form_team(name: str) -> Team:
    """Join the other processors: all GPUs of this machine, or the workers that TF_CONFIG or SLURM names.

    Waits for all workers. To be called before TensorFlow computes anything.

    Raises:
        SettingsError: no, or an unusable, description of the workers.
        WorkerError: they could not be joined.
    """
    if name == "mirrored":
        strategy, chief = tf.distribute.MirroredStrategy(), True
    else:
        resolver = _resolver()
        workers = resolver.cluster_spec().as_dict()
        chief = resolver.task_type == "chief" or ("chief" not in workers and resolver.task_id == 0)
        try:
            strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
        except (tf.errors.OpError, RuntimeError) as error:  # such as an address that is in use, or another machine's
            raise WorkerError(f"--strategy multi-worker: expected to join {workers}, but: {error}") from error

    @tf.function
    def replica_numbers() -> Any:
        return strategy.run(lambda: tf.distribute.get_replica_context().replica_id_in_sync_group)

    numbers = replica_numbers()
    own = tuple(int(number) for number in strategy.experimental_local_results(numbers))
    return Team(strategy, strategy.num_replicas_in_sync, own, chief)


def _resolver() -> Any:
    if "TF_CONFIG" in os.environ:
        _check_config(os.environ["TF_CONFIG"])
        return tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if "SLURM_STEP_NUM_TASKS" in os.environ:
        try:
            per_node = os.environ["SLURM_STEP_TASKS_PER_NODE"]
            most = max(int(part.split("(")[0]) for part in per_node.split(","))
            # The resolver would share out the GPUs; srun has done that, or there are none.
            resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
                gpus_per_node=most, gpus_per_task=1, auto_set_gpu=False
            )
            resolver.cluster_spec()  # only now does it know its own number
        except (LookupError, ValueError, RuntimeError) as error:
            raise SettingsError(f"--strategy multi-worker: the step of SLURM could not be read: {error}") from error
        return resolver
    raise SettingsError(
        "--strategy multi-worker: expected the workers in TF_CONFIG or a step of SLURM (srun), found neither; "
        f"set TF_CONFIG='{_EXAMPLE}' on each worker, each with its own index"
    )


def _check_config(text: str) -> None:
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        known = cluster[task["type"]][int(task["index"])]
        usable = isinstance(known, str) and set(cluster) <= {"chief", "worker"} and int(task["index"]) >= 0
    except (ValueError, TypeError, LookupError):
        usable = False
    if not usable:
        raise SettingsError(f"TF_CONFIG: expected {_EXAMPLE} with an index into the list, got {text[:200]!r}")


class SummedAdamW(keras.optimizers.AdamW):
    """AdamW that clips the sum of all replicas' gradients, as one process would; Keras clips each replica's part."""

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        context = tf.distribute.get_replica_context()
        return super()._clip_gradients(context.all_reduce(tf.distribute.ReduceOp.SUM, grads))

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        return grads_and_vars  # they were summed before they were clipped


def fit_together(
    team: Team,
    model: Any,
    loss: Any,
    num_classes: int,
    training: Sequence[Any],
    validation: Sequence[Any],
    *,
    pictures: int,
    batch_size: int,
    epochs: int,
    callbacks: Sequence[Any],
    tell: Callable[[str], None],
) -> None:
    """What `model.fit` does, over all replicas of a team.

    A step's loss is the mean over the pictures of all replicas, so two replicas do what one does with the double
    batch. Each has as many pictures: workers whose graphs differ could not add up. Callbacks see the same figures on
    all workers.

    Args:
        model: built and compiled in the strategy's scope with `SummedAdamW`.
        loss: mean over the pictures of a batch.
        training, validation: a tf.data.Dataset for each of this process's replicas; `training` of even parts.
        pictures: in the training set, all replicas together.
        batch_size: of each replica.

    Raises:
        WorkerError: another worker went away.
        tf.errors.OpError: anything else that stops TensorFlow.
    """
    run_step, score = _step(team, model, loss), _scorer(team, model, loss, num_classes, validation)
    each, whole = pictures // team.replicas, batch_size
    counts = [whole] * (each // whole) + ([each % whole] if each % whole else [])
    if not counts:
        raise SettingsError(
            f"expected at least one training picture for each of {team.replicas} replicas, got {pictures}; "
            "train on fewer"
        )
    watching = keras.callbacks.CallbackList(list(callbacks), model=model, epochs=epochs, steps=len(counts), verbose=0)
    model.stop_training = False
    with team.strategy.scope():
        model.optimizer.build(model.trainable_variables)
    with _lost_workers_named():
        watching.on_train_begin()  # out of the scope, in which a variable of the chief's alone would wait for all
        first = _same_start(team, model)
        for epoch in range(first, epochs):
            begin = time.perf_counter()
            watching.on_epoch_begin(epoch)
            summed = 0.0
            for count, batch in zip(counts, _per_replica(team, training), strict=True):
                summed += run_step(*batch) * count
            logs = {"loss": float(summed) / each, **{f"val_{name}": value for name, value in score().items()}}
            watching.on_epoch_end(epoch, logs)
            if team.chief:
                figures = "   ".join(f"{name} {value:.4f}" for name, value in logs.items())
                tell(f"Epoch {epoch + 1}/{epochs}   {figures}   {time.perf_counter() - begin:.1f} s")
            if model.stop_training:
                break
        watching.on_train_end()


def _same_start(team: Team, model: Any) -> int:
    """Give every worker the chief's weights and optimizer; the epoch to begin with."""
    variables = [v for v in [*model.variables, *model.optimizer.variables] if "int" not in str(v.dtype)]
    steps = model.optimizer.iterations
    epoch = int(getattr(model, "_initial_epoch", 0) or 0)  # set by BackupAndRestore, for fit
    values = team.from_chief([np.array(epoch), *(tf.convert_to_tensor(v.value).numpy() for v in (steps, *variables))])
    for variable, value in zip((steps, *variables), values[1:], strict=True):
        variable.assign(value)
    return int(values[0])


def _per_replica(team: Team, datasets: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    for parts in zip(*datasets, strict=True):
        by_number = dict(zip(team.own, parts, strict=True))

        def part(context: Any, by_number: dict[int, Any] = by_number) -> Any:
            return by_number[context.replica_id_in_sync_group]

        yield team.strategy.experimental_distribute_values_from_function(part)


def _step(team: Team, model: Any, loss: Any) -> Any:
    def on_replica(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            cost = loss(y, model(x, training=True)) / team.replicas
        gradients = tape.gradient(cost, model.trainable_variables)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return cost

    @tf.function
    def run_step(x: Any, y: Any) -> Any:
        costs = team.strategy.run(on_replica, (x, y))
        return team.strategy.reduce(tf.distribute.ReduceOp.SUM, costs, axis=None)

    return run_step


def _scorer(team: Team, model: Any, loss: Any, num_classes: int, validation: Sequence[Any]) -> Any:
    """Scores the validation pictures: each worker its part, without waiting for the others, and sums at the end."""
    overlaps = [metric for metric in make_metrics(num_classes) if isinstance(metric, keras.metrics.IoU)]

    @tf.function(reduce_retracing=True)
    def figures(x: Any, y: Any) -> Any:
        answer = model(x, training=False)
        for metric in overlaps:
            metric.update_state(y, answer)
        count = tf.cast(tf.shape(x)[0], tf.float32)
        return tf.stack([count, count * loss(y, answer), count * dice_coef(y, answer)])

    def score() -> dict[str, float]:
        for metric in overlaps:
            metric.reset_state()
        own = np.zeros(3)
        for dataset in validation:
            for x, y in dataset:
                own += figures(x, y).numpy()
        sums, *matrices = team.sum([own, *(np.asarray(metric.total_cm) for metric in overlaps)])
        scores = {"loss": sums[1] / sums[0]}
        for metric, matrix in zip(overlaps, matrices, strict=True):
            metric.total_cm.assign(matrix)
            scores[metric.name] = float(metric.result())
        return {**scores, "dice_coef": sums[2] / sums[0]}

    return score


@contextmanager
def _lost_workers_named() -> Iterator[None]:
    """Turns TensorFlow's several ways to miss a worker into one sentence."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError) as e:
        raise WorkerError(
            "expected all workers until the end, but one went away; start all of them again with --resume, "
            "which goes on after the last whole epoch"
        ) from e
