"""models/pytorch: the chances and sets of the recipe, and that its network is Keras's. The latter wants PyTorch."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models" / "pytorch"))

import pictures  # noqa: E402
from chances import draw_chances, no_chances  # noqa: E402

from unetlite.training.synthesis.generator import generate  # noqa: E402
from unetlite.vision.dataset import find_samples, read_quad  # noqa: E402
from unetlite.vision.files import read_json  # noqa: E402


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "first"
    generate(folder, 8, 3, size_wh=(480, 640), negatives=0.4, jobs=2)
    return folder


@pytest.fixture(scope="module")
def torch() -> object:
    return pytest.importorskip("torch", reason="PyTorch is installed for two recipes in models/ alone")


@pytest.fixture(scope="module")
def on_processor(torch: object) -> object:
    import operations
    import processor

    from unetlite.vision.errors import SettingsError

    try:
        operations.kernels()
    except SettingsError as error:
        pytest.skip(str(error))
    return processor


def places_of(chances: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Where (N, 2) points of each view lie in its picture, (B, N, 2)."""
    at = np.einsum("bij,nj->bni", chances, np.column_stack([points, np.ones(len(points))]))
    return at[..., :2] / at[..., 2:]


def test_a_seed_gives_the_same_chances_and_another_seed_others() -> None:
    boxes, aspects = np.tile(np.float32([0.3, 0.3, 0.6, 0.7]), (50, 1)), np.full(50, 1.6, np.float32)
    one, same, other = (
        draw_chances(np.random.default_rng(seed), boxes, aspects, (320, 192)).arrays() for seed in (1, 1, 2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_views_keep_the_document_in_sight() -> None:
    boxes, aspects = np.tile(np.float32([0.7, 0.1, 0.9, 0.4]), (2000, 1)), np.full(2000, 1.78, np.float32)
    chances = draw_chances(np.random.default_rng(0), boxes, aspects, (320, 192))
    side = (np.arange(40) + 0.5) / 20 - 1
    seen = places_of(chances.places, np.stack(np.meshgrid(side, side), -1).reshape(-1, 2))
    x, y = (seen[..., 0] + 1) / 2, (seen[..., 1] + 1) / 2
    # A mirrored picture's document is elsewhere: its place is told by where the view reads, not by where it lies.
    share = ((x > 0.7) & (x < 0.9) & (y > 0.1) & (y < 0.4)).mean(axis=1)
    plain = 0.2 * 0.3
    assert (share > 0.2 * plain).mean() > 0.9
    closer = (share > 2.2 * plain).mean()
    assert 0.15 < closer < 0.5, closer  # views as of a second look are a quarter, and zoom makes a few more


def test_sets_hold_each_picture_lying_with_its_truth(drawn: Path, tmp_path: Path) -> None:
    found = pictures.load_set([drawn], jobs=2)
    lying = pictures.load_set([drawn], jobs=2, on_disk=tmp_path)
    assert isinstance(lying.planes, np.memmap)
    assert np.array_equal(lying.planes, found.planes)
    assert list(tmp_path.iterdir()) == []
    samples = find_samples(drawn)
    width, height = pictures.STORED_WH
    assert found.planes.shape == (8, 4, height, width)
    assert set(np.unique(found.planes[:, 3])) == {0, 1}
    assert found.types.tolist() == ["first"] * 8
    assert np.allclose(found.aspects, 4 / 3)
    quads = [read_quad(sample.polygon) for sample in samples]
    assert 0 < sum(quad is None for quad in quads) < 8
    for quad, mask, box in zip(quads, found.planes[:, 3], found.boxes, strict=True):
        if quad is None:
            assert not mask.any()
            assert box.tolist() == [0, 0, 1, 1]
            continue
        x, y = np.clip((quad + 0.5) / (480, 640), 0, 1).T  # a standing picture, turned counterclockwise
        expected = [y.min(), 1 - x.max(), y.max(), 1 - x.min()]
        assert np.allclose(box, expected, atol=0.02)


def test_network_answers_as_keras_does_and_goes_back_into_its_file(torch: object, tmp_path: Path) -> None:
    import keras
    from network import Network, draw_weights

    from unetlite.training.unet import build_unet

    for preset, size_wh in (("edge", None), ("nano", None), ("reference", (64, 32))):
        path, changed = tmp_path / f"{preset}.keras", tmp_path / f"{preset}-changed.keras"
        model = build_unet(preset, size_wh)
        rng = np.random.default_rng(0)
        model.set_weights([np.abs(rng.normal(0.1, 0.2, w.shape)).astype(np.float32) for w in model.get_weights()])
        model.save(path)
        network = Network(path).eval()
        assert network.size_wh == (model.input_shape[2], model.input_shape[1])
        draw_weights(network, seed=3)
        network.save(changed, like=path)
        x = rng.random((2, *model.input_shape[1:]), np.float32)
        for file in (path, changed):
            expected = keras.models.load_model(file, compile=False).predict(x, verbose=0)
            with torch.no_grad():
                got = torch.sigmoid(Network(file).eval()(torch.from_numpy(x).permute(0, 3, 1, 2)))
            assert np.allclose(got.permute(0, 2, 3, 1).numpy(), expected, atol=1e-5), (preset, file.name)
        weights = [path_weights.ndim for path_weights in keras.models.load_model(changed, compile=False).get_weights()]
        assert len(weights) == len(model.get_weights())


def test_a_grown_network_answers_as_the_small_one(torch: object, tmp_path: Path) -> None:
    from grow import grow
    from network import Network, draw_weights

    from unetlite.training.unet import Preset, build_unet

    shape = {"size_wh": (64, 32), "stem_stride": 4, "residual": True}
    small = Preset((8, 16, 24), encoder=(1, 2, 2), decoder=(1, 1), **shape)
    large = Preset((12, 20, 24), encoder=(2, 3, 2), decoder=(2, 1), **shape)
    networks = []
    for seed, preset in ((1, small), (2, large), (3, small)):
        build_unet(preset, preset.size_wh).save(tmp_path / "shape.keras")
        networks.append(Network(tmp_path / "shape.keras"))
        draw_weights(networks[-1], seed)
    begun, grown, other = networks
    x = torch.rand(32, 3, 32, 64)
    for _ in range(20):  # moments such as training leaves
        begun.train()(x)
    before = grown.eval()(x)
    grow(grown, begun)
    with torch.no_grad():
        after, expected = grown.eval()(x), begun.eval()(x)
        assert not torch.allclose(before, expected, atol=0.01)
        assert torch.allclose(after, expected, atol=1e-5)
    grown.train()(x).square().mean().backward()
    scales = [value.grad for name, value in grown.kept.items() if "normalization" in name and name.endswith("/0")]
    assert all(gradient.abs().sum() > 0 for gradient in scales)  # new blocks learn, though they add nothing yet
    with pytest.raises(ValueError, match="expected a part of"):
        grow(other, grown)


def test_untouched_views_are_what_the_device_feeds(torch: object, drawn: Path) -> None:
    from views import see

    from unetlite.vision.contract import InputSpec
    from unetlite.vision.image import read_image
    from unetlite.vision.preprocess import preprocess

    found = pictures.load_set([drawn], jobs=2)
    chances = (torch.from_numpy(values) for values in no_chances(8).arrays())
    x, y = see(torch.from_numpy(found.planes), *chances, (320, 192), (48, 80))
    spec = InputSpec((320, 192), fit="turn")
    for sample, seen, covered, planes in zip(find_samples(drawn), x, y, found.planes, strict=True):
        fed = preprocess(read_image(sample.image), spec)[0].transpose(2, 0, 1) / 255
        assert np.abs(seen.numpy() - fed).mean() < 0.012, sample.image
        assert abs(float(covered.mean()) - float(planes[3].mean())) < 1e-3


def test_views_on_a_processor_are_those_on_a_gpu(torch: object, on_processor: object, drawn: Path) -> None:
    from operations import see as see_on_processor
    from views import see

    found = pictures.load_set([drawn], jobs=2)
    planes = torch.from_numpy(np.concatenate([found.planes] * 8))
    rng = np.random.default_rng(0)
    chances = draw_chances(rng, np.tile(found.boxes, (8, 1)), np.tile(found.aspects, 8), (320, 192)).arrays()
    places, colour, blur = (torch.from_numpy(values) for values in chances)
    noise = colour[:, 7].clone()
    assert (blur[:, 3] < 0.9).any() and (blur[:, 3] == 1).any() and (noise > 0).any()
    colour[:, 7] = 0
    given = planes, places, colour, blur, (320, 192), (48, 80)
    (x, y), (seen, covered) = see(*given), see_on_processor(*given)
    for got, expected in ((seen, x), (covered, y)):
        apart = np.abs((got - expected).numpy())
        assert apart.max() < 0.01
        assert apart.mean() < 1e-4
    colour[:, 7] = noise
    noisy = (see_on_processor(*given)[0] - seen).numpy()
    inside = np.abs(seen.numpy() - 0.5) < 0.35  # what the noise does not push out of 0..1
    for view, where, deviation in zip(noisy, inside, noise.tolist(), strict=True):
        if where.mean() > 0.1:
            assert view[where].std() == pytest.approx(deviation, rel=0.05, abs=1e-6)
            assert abs(view[where].mean()) <= 0.02 * deviation


def test_a_few_steps_learn_the_pictures_that_are_there(
    torch: object, on_processor: object, drawn: Path, tmp_path: Path
) -> None:
    from network import Network, draw_weights
    from steps import Settings, Source, Trainer, schedule

    from unetlite.training.unet import build_unet

    build_unet("nano").save(tmp_path / "nano.keras")
    network = Network(tmp_path / "nano.keras")
    draw_weights(network, seed=1)
    found = pictures.load_set([drawn], jobs=2)
    source = Source(found, torch.from_numpy(found.planes), np.arange(8), 1.0)
    trainer = Trainer(network, Settings(batch=8, steps=60, rate=0.01, seed=1), torch.device("cpu"))
    rows = trainer.run([source], 20, lambda message: None) + trainer.run([source], 60, lambda message: None)
    assert [row["step"] for row in rows] == [20, 60]
    assert rows[1]["loss"] < 0.95 * rows[0]["loss"]
    assert schedule(0.0) < 0.1 < 0.99 < schedule(0.04) and schedule(1.0) == pytest.approx(0.01)


def reference(folder: Path, size_wh: tuple[int, int]) -> Path:
    from unetlite.training.unet import build_unet

    path = folder / "reference.keras"
    build_unet("reference", size_wh).save(path)
    return path


@pytest.mark.parametrize("preset", ["edge", "nano", "reference"])
def test_passes_on_a_processor_are_pytorchs_in_bfloat16(
    torch: object, on_processor: object, tmp_path: Path, preset: str
) -> None:
    from network import Network, draw_weights

    from unetlite.training.unet import build_unet

    torch.manual_seed(0)
    start = tmp_path / f"{preset}.keras"
    build_unet(preset, (64, 32) if preset == "reference" else (128, 64)).save(start)
    size_wh, map_hw = Network(start).size_wh, (32, 64) if preset == "reference" else (16, 32)
    # Normalization amplifies rounding where a level has few pixels: many pictures.
    x, weights = torch.rand(16, 3, *size_wh[::-1]), torch.randn(16, 1, *map_hw)

    def passed(kind: str) -> tuple[float, dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Loss, gradients and moved statistics of a network that drops nothing."""
        network = Network(start).train()
        draw_weights(network, seed=1)
        for layer in network.graph:
            if layer[0] == "Dropout":
                layer[2]["rate"] = 0.0
        forward = on_processor.OnProcessor(network) if kind == "processor" else network
        with torch.autocast("cpu", torch.bfloat16, enabled=kind == "bfloat16"):
            logits = forward(x).float()
        loss = (torch.sigmoid(logits) * weights).mean() * 10 + (logits * logits).mean()
        loss.backward()
        learned = {name: value.grad.numpy() for name, value in network.kept.items() if value.requires_grad}
        moved = {name: value.detach().numpy() for name, value in network.kept.items() if not value.requires_grad}
        return float(loss.detach()), learned, moved

    loss, learned, moved = passed("float32")
    rounded, processed = passed("bfloat16"), passed("processor")
    assert processed[0] == pytest.approx(loss, rel=0.01)
    assert set(processed[1]) == set(learned)

    def error(of: dict[str, np.ndarray], true: dict[str, np.ndarray]) -> float:
        """Mean over tensors of the distance in shares of their length."""
        return float(np.mean([np.linalg.norm(of[k] - true[k]) / (np.linalg.norm(true[k]) + 1e-9) for k in true]))

    assert error(processed[1], learned) < 1.2 * error(rounded[1], learned)
    assert error(processed[2], moved) < 0.02


def test_what_is_dropped_on_a_processor_gives_no_gradient(torch: object, on_processor: object) -> None:
    x = torch.ones(64, 64, 32, dtype=torch.bfloat16, requires_grad=True)
    y = on_processor.Dropped.apply(x, 0.2)
    y.backward(torch.ones_like(y))
    assert float((y == 0).float().mean()) == pytest.approx(0.2, abs=0.01)
    assert torch.equal(x.grad, y)
    assert sorted(y.unique().tolist()) == [0.0, 1.25]
    assert not torch.equal(y, on_processor.Dropped.apply(x, 0.2))


def test_other_networks_are_refused_on_a_processor(torch: object, on_processor: object, tmp_path: Path) -> None:
    import keras
    from network import Network

    inputs = keras.Input((32, 32, 3))
    plain = keras.layers.ReLU()(keras.layers.SeparableConv2D(8, 3, padding="same", use_bias=False)(inputs))
    keras.Model(inputs, plain).save(tmp_path / "plain.keras")
    with pytest.raises(ValueError, match="expected BatchNormalization, got ReLU"):
        on_processor.OnProcessor(Network(tmp_path / "plain.keras"))


def test_a_training_of_the_reference_goes_on_where_it_was_interrupted(
    torch: object, on_processor: object, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import reference as recipe

    rounds = (
        recipe.Round(("first",), 0.003, (recipe.Stage((32, 16), 8, 12, 0.5), recipe.Stage((64, 32), 4, 6, 0.5))),
        recipe.Round(("first", "more"), 0.002, (recipe.Stage((64, 32), 4, 5, 1.0),)),
    )
    start, found = reference(tmp_path, (64, 32)), pictures.load_set([drawn], jobs=2)
    read = []

    def load(names: tuple[str, ...]) -> pictures.PictureSet:
        read.append(names)
        return found

    checkpoint = tmp_path / "reference.checkpoint"
    half = recipe.Round(rounds[0].sets, rounds[0].rate, rounds[0].stages[:1])
    monkeypatch.setattr(recipe, "ROUNDS", (half,))
    first = recipe.Training(start, checkpoint)
    first.run(load)
    assert first.done == 12
    monkeypatch.setattr(recipe, "ROUNDS", rounds[:1])
    second = recipe.Training(start, checkpoint)
    assert second.done == 12 and second.course == first.course
    second.run(load)
    assert [row["step"] for row in second.course] == [12, 18]
    monkeypatch.setattr(recipe, "ROUNDS", rounds)
    third = recipe.Training(start, checkpoint)
    third.run(load)
    assert [row["step"] for row in third.course] == [12, 18, 23]
    assert torch.isfinite(torch.tensor(third.course[-1]["loss"]))
    assert read == [("first",), ("first",), ("first", "more")]  # a round that is over needs no pictures


def test_a_model_goes_through_its_stages_and_says_so(
    torch: object, on_processor: object, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import train
    from steps import Settings

    from unetlite.training.unet import Preset, build_unet

    work, frames, out = tmp_path / "work", tmp_path / "frames", tmp_path / "work" / "models"
    for name in ("validation", "first", "more1", "reprints-01_a", "reprints-02_b"):
        shutil.copytree(drawn, work / name)
        (work / f"{name}.done").touch()
    for name in ("01_a", "02_b"):
        shutil.copytree(drawn, frames / name)
    out.mkdir()
    shape = {"size_wh": (64, 32), "stem_stride": 4, "residual": True}
    for name, preset in (
        ("edge-small", Preset((8, 16), encoder=(1, 1), decoder=(1,), **shape)),
        ("edge", Preset((12, 16), encoder=(1, 2), decoder=(2,), **shape)),
    ):
        build_unet(preset, preset.size_wh).save(work / f"{name}.keras")
    monkeypatch.setattr(train, "DRAWN", {"first": 0.0, "more1": 0.5})
    monkeypatch.setattr(train, "FOLDS", {"-fold1": ("01_a",), "": ()})
    base, last, grown = (Settings(8, steps, 0.01, seed) for seed, steps in enumerate((4, 2, 3)))
    monkeypatch.setattr(train, "PLANS", {"tiny": train.Plan("edge", base, last, 0.4, grown)})

    def go() -> dict[str, dict[str, Any]]:
        shelf = train.Shelf(frames, work, torch.device("cpu"))
        train.train("tiny", work / "edge.keras", shelf, out, torch.device("cpu"))
        return {path.name.removesuffix(".training.json"): read_json(path) for path in sorted(out.glob("*.json"))}

    told = go()
    assert list(told) == ["tiny-base", "tiny-fold1", "tiny-small", "tiny"]
    began = {name: each["start"] and each["start"]["model"] for name, each in told.items()}
    assert began == {"tiny-small": None, "tiny-base": "tiny-small.keras"} | dict.fromkeys(
        ("tiny-fold1", "tiny"), "tiny-base.keras"
    )
    assert {name: each["settings"]["steps"] for name, each in told.items()} == {
        "tiny-small": 4, "tiny-base": 3, "tiny-fold1": 2, "tiny": 2
    }  # fmt: skip
    seen = {each["name"]: each["pictures"] for each in told["tiny-fold1"]["data"]}
    assert seen == {"first": 8, "more1": 8, "real": 8, "reprints": 8}
    assert told["tiny"]["data"][-1]["pictures"] == 16
    sizes = [told[name]["parameters"] for name in ("tiny-small", "tiny-base", "tiny")]
    assert sizes[0] < sizes[1] == sizes[2]
    kept = {path: path.read_bytes() for path in out.glob("*.keras")}
    assert len(set(kept.values())) == 4
    go()  # what is there is kept
    assert {path: path.read_bytes() for path in out.glob("*.keras")} == kept
