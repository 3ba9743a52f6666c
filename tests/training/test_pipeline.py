from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="training needs TensorFlow: pip install 'unetlite[train-cpu]'")

from unetlite.training.data.augment import augment  # noqa: E402
from unetlite.training.data.pipeline import Target, coverage, make_dataset  # noqa: E402
from unetlite.vision.contract import InputSpec  # noqa: E402
from unetlite.vision.dataset import find_samples  # noqa: E402
from unetlite.vision.image import read_image  # noqa: E402
from unetlite.vision.metrics import mask_iou  # noqa: E402
from unetlite.vision.preprocess import preprocess, to_real  # noqa: E402

SPEC = InputSpec((96, 64))
TARGET = Target((24, 16), 2)


def test_training_feeds_the_bytes_of_the_one_preprocessing(midv_folder: Path) -> None:
    samples = find_samples(midv_folder)
    fed = np.concatenate([x for x, _ in make_dataset(samples, SPEC, TARGET, 4, []).as_numpy_iterator()])
    expected = [to_real(preprocess(read_image(sample.image), SPEC)[0], SPEC) for sample in samples]
    assert np.array_equal(fed, np.stack(expected))


def test_coverage_is_the_share_of_each_pixel() -> None:
    mask = np.zeros((64, 96), np.uint8)
    mask[:6] = 1  # one and a half output rows of four input rows
    share = coverage(mask, TARGET)
    assert share.shape == (16, 24, 1)
    assert share[0].min() == 1.0 and np.all(share[1] == 0.5) and share[2:].max() == 0.0
    assert np.allclose(coverage(mask, Target((24, 16), 3)).sum(axis=-1), 1.0)


def test_augmented_epochs_differ_and_repeat_with_the_seed(midv_folder: Path) -> None:
    samples = find_samples(midv_folder)

    def epochs(seed: int) -> list[np.ndarray]:
        dataset = make_dataset(samples, SPEC, TARGET, 16, [], augment_seed=seed)
        return [next(dataset.as_numpy_iterator())[0] for _ in range(2)]

    first, again, other = epochs(1), epochs(1), epochs(2)
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])


def test_picture_and_mask_move_together() -> None:
    mask = np.zeros((128, 128), np.uint8)
    mask[40:90, 30:100] = 1
    picture = np.where(mask[..., None] == 1, 230, 20).astype(np.uint8).repeat(3, axis=2)
    moved = 0
    for seed in range(40):
        image, new_mask = augment(picture, mask, np.random.default_rng(seed))
        assert image.shape == picture.shape and image.dtype == np.uint8
        inside, outside = image[new_mask == 1].mean(), image[new_mask == 0].mean()
        bright = image.mean(axis=2) > (inside + outside) / 2
        assert mask_iou(bright, new_mask == 1) > 0.9, seed
        moved += mask_iou(new_mask == 1, mask == 1) < 0.95
    assert moved > 20


def test_a_broken_sample_is_reported_by_its_own_sentence(midv_folder: Path) -> None:
    samples = find_samples(midv_folder)
    samples[3].image.write_bytes(b"")
    errors: list = []
    with pytest.raises(Exception, match="empty file"):
        list(make_dataset(samples, SPEC, TARGET, 4, errors).as_numpy_iterator())
    assert str(samples[3].image) in str(errors[0])
