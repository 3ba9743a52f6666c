from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="training needs TensorFlow: pip install 'unetlite[train-cpu]'")

from unetlite.training.data import pipeline  # noqa: E402
from unetlite.training.data.augment import augment  # noqa: E402
from unetlite.training.data.pipeline import Target, coverage, make_dataset, make_datasets  # noqa: E402
from unetlite.training.data.prepare import prepare  # noqa: E402
from unetlite.training.data.records import find_records, has_records  # noqa: E402
from unetlite.training.summary import describe_data  # noqa: E402
from unetlite.vision.contract import InputSpec  # noqa: E402
from unetlite.vision.dataset import Sample, find_samples  # noqa: E402
from unetlite.vision.errors import DatasetError  # noqa: E402
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


def test_as_many_pictures_are_kept_as_have_room_and_one_given_twice_is_kept_once(
    midv_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = find_samples(midv_folder)
    read: list[Path] = []
    monkeypatch.setattr(pipeline, "CACHE_BYTES", 2 * 96 * 64 * 4)
    load = pipeline.load_pair

    def counted(sample: Sample, *rest: object) -> object:
        read.append(sample.image)
        return load(sample, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "load_pair", counted)
    dataset = make_dataset([*samples[:3], samples[0]], SPEC, TARGET, 1, [])
    epochs = [[x for x, _ in dataset.as_numpy_iterator()] for _ in range(3)]
    assert all(np.array_equal(epoch[k], epochs[0][k]) for epoch in epochs for k in range(4))
    assert np.array_equal(epochs[0][0], epochs[0][3])
    # Threads race for the room, so any of the three may be the one without. It is read in each epoch, as often as it
    # was given; the others in the first alone, where one given twice may be asked for twice before it is kept.
    given = {sample.image: 1 + (sample is samples[0]) for sample in samples[:3]}
    each_epoch = [image for image, times in given.items() if read.count(image) == 3 * times]
    assert len(each_epoch) == 1
    assert all(read.count(image) <= times for image, times in given.items() if image not in each_epoch)


def test_picture_and_mask_move_together() -> None:
    mask = np.zeros((128, 128), np.uint8)
    mask[40:90, 30:100] = 1
    picture = np.where(mask[..., None] == 1, 230, 20).astype(np.uint8).repeat(3, axis=2)
    moved, apart = 0, []
    for seed in range(40):
        image, new_mask = augment(picture, mask, np.random.default_rng(seed))
        assert image.shape == picture.shape and image.dtype == np.uint8
        inside, outside = image[new_mask == 1].mean(), image[new_mask == 0].mean()
        bright = image.mean(axis=2) > (inside + outside) / 2
        assert mask_iou(bright, new_mask == 1) > 0.9, seed
        moved += mask_iou(new_mask == 1, mask == 1) < 0.95
        apart.append(np.argwhere(bright).mean(axis=0) - np.argwhere(new_mask == 1).mean(axis=0))
    assert moved > 20
    assert np.abs(np.mean(apart, axis=0)).max() < 0.1  # pixels: none lags behind the other by a rounding


@pytest.mark.parametrize("size_wh", [(192, 128), (128, 128)])
def test_a_quarter_of_the_views_is_close_to_the_document(size_wh: tuple[int, int]) -> None:
    width, height = size_wh
    for across, down in ((36, 14), (12, 40)):  # lying, and standing, which enters a lying input turned
        mask = np.zeros((height, width), np.uint8)
        mask[30 : 30 + down, 60 : 60 + across] = 1
        picture = np.where(mask[..., None] == 1, 230, 20).astype(np.uint8).repeat(3, axis=2)
        shares = []
        for seed in range(120):
            image, seen = augment(picture, mask, np.random.default_rng(seed))
            shares.append(seen.mean() / mask.mean())
            if seen.sum() > 300:
                between = (image[seen == 1].mean() + image[seen == 0].mean()) / 2
                assert mask_iou(image.mean(axis=2) > between, seen == 1) > 0.8, seed
        closer = float(np.mean(np.array(shares) > 4))
        assert 0.12 < closer < 0.38, (across, down, closer)


def test_a_broken_sample_is_reported_by_its_own_sentence(midv_folder: Path) -> None:
    samples = find_samples(midv_folder)
    samples[3].image.write_bytes(b"")
    errors: list = []
    with pytest.raises(Exception, match="empty file"):
        list(make_dataset(samples, SPEC, TARGET, 4, errors).as_numpy_iterator())
    assert str(samples[3].image) in str(errors[0])


def test_replicas_are_fed_what_one_process_feeds_and_no_picture_twice(midv_folder: Path) -> None:
    samples = find_samples(midv_folder)[:11]

    def batches(dataset: object) -> list[np.ndarray]:
        return [x for _ in range(2) for x, _ in dataset.as_numpy_iterator()]  # two epochs

    whole = batches(make_dataset(samples, SPEC, TARGET, 6, [], augment_seed=3))
    parts = make_datasets(samples, SPEC, TARGET, 2, [], augment_seed=3, replicas=3, own=(0, 1, 2), even=True)
    zeroth, first, second = (batches(part) for part in parts)
    assert [len(x) for x in whole] == [6, 5] * 2
    for part in (zeroth, first, second):
        assert [len(x) for x in part] == [2, 1] * 2  # the last two pictures do not go round
    for step, x in enumerate(whole):
        for place, part in enumerate((zeroth, first, second)):
            assert np.array_equal(part[step], x[: len(x) // 3 * 3][place::3])


def test_records_feed_the_same_bytes_as_single_files(midv_folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("unetlite.training.data.prepare.PICTURES_PER_FILE", 3)
    for name, records in (("files", False), ("packed", True)):
        prepare(midv_folder, tmp_path / name, shares=(50, 25, 25), licence="CC0", records=records)
    files, packed = (tmp_path / name for name in ("files", "packed"))
    samples, records = find_samples(files / "train"), find_records(packed / "train")
    assert [record.name for record in records] == [sample.image.name for sample in samples]
    assert not list((packed / "train").glob("images")) and has_records(packed / "train")
    assert describe_data(files, samples)["sha256"] == describe_data(packed, records)["sha256"]
    for seed in (None, 5):
        fed = [
            [(x.tobytes(), y.tobytes()) for x, y in made.as_numpy_iterator()]
            for made in (make_dataset(kind, SPEC, TARGET, 3, [], augment_seed=seed) for kind in (samples, records))
        ]
        assert fed[0] == fed[1] and len(fed[0]) == 3
    # What the other commands read stays single files.
    assert len(find_samples(packed / "validation")) == len(find_samples(packed / "test")) == 4
    reused = prepare(midv_folder, packed, shares=(50, 25, 25), licence="CC0", records=True).reused
    assert reused == 16


def test_a_damaged_record_file_is_named(midv_folder: Path, tmp_path: Path) -> None:
    prepare(midv_folder, tmp_path / "packed", shares=(50, 25, 25), records=True)
    path = next((tmp_path / "packed" / "train").glob("*.tfrecord"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    errors: list = []
    with pytest.raises(Exception, match="is damaged; copy the file again"):
        list(make_dataset(find_records(path.parent), SPEC, TARGET, 4, errors).as_numpy_iterator())
    path.write_bytes(content[:-1])
    with pytest.raises(DatasetError, match="as long as its index says"):
        find_records(path.parent)
    path.with_suffix(".json").unlink()
    with pytest.raises(DatasetError, match="run unet-data prepare again"):
        find_records(path.parent)
