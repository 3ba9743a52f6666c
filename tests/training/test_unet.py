from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="training needs TensorFlow: pip install 'unetlite[train-cpu]'")

from unetlite.training.unet import PRESETS, build_unet  # noqa: E402
from unetlite.vision.errors import SettingsError  # noqa: E402


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_answers_with_probabilities_of_its_map(preset: str) -> None:
    model = build_unet(preset, (64, 128))
    stride = PRESETS[preset].stem_stride
    answer = model(np.random.default_rng(0).random((2, 128, 64, 3), np.float32)).numpy()
    assert answer.shape == (2, 128 // stride, 64 // stride, 1)
    assert answer.min() >= 0.0 and answer.max() <= 1.0


def test_the_reference_is_the_original_projects_network() -> None:
    model = build_unet("reference")
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Conv2DTranspose") == kinds.count("Concatenate") == kinds.count("MaxPooling2D") == 4
    assert kinds.count("SeparableConv2D") == 18
    assert {layer.rate for layer in model.layers if type(layer).__name__ == "Dropout"} == {0.2}
    assert [layer.filters for layer in model.layers if type(layer).__name__ == "Conv2DTranspose"] == [512, 256, 128, 64]
    assert max(layer.filters for layer in model.layers if type(layer).__name__ == "SeparableConv2D") == 1024


def test_the_edge_preset_has_no_transposed_convolution() -> None:
    for preset in ("edge", "nano"):
        assert "Conv2DTranspose" not in [type(layer).__name__ for layer in build_unet(preset).layers]


def test_more_classes_give_a_softmax_over_all_of_them() -> None:
    answer = build_unet("nano", (64, 64), num_classes=4)(np.zeros((1, 64, 64, 3), np.float32)).numpy()
    assert answer.shape[-1] == 4
    assert np.allclose(answer.sum(axis=-1), 1.0, atol=1e-5)


def test_a_size_that_the_levels_do_not_divide_is_refused() -> None:
    with pytest.raises(SettingsError, match="multiples of 64.*100x100"):
        build_unet("edge", (100, 100))
    with pytest.raises(SettingsError, match="two classes or more"):
        build_unet("edge", num_classes=1)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")  # .h5 is what is asked for here
def test_a_saved_model_loads_without_custom_objects(tmp_path, suffix: str) -> None:
    from unetlite.training.losses import make_loss
    from unetlite.training.metrics import make_metrics

    model = build_unet("nano", (64, 64))
    model.compile("adam", make_loss("dice+bce", 2), metrics=make_metrics(2))
    model.train_on_batch(np.zeros((1, 64, 64, 3), np.float32), np.zeros((1, 16, 16, 1), np.float32))
    model.save(tmp_path / f"m{suffix}")
    loaded = keras.models.load_model(tmp_path / f"m{suffix}")
    x = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
    assert np.allclose(model(x), loaded(x))
    assert loaded.loss.terms == "dice+bce"
