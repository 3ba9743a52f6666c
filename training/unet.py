"""The U-Net and its three presets.

Stands apart from losses and fit: this is what gets exported, and it holds Keras's own layers only, so a saved
model loads anywhere without `custom_objects`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from unetlite.vision.errors import SettingsError

_BN_MOMENTUM = 0.9  # Keras's 0.99 needs some 500 steps before validation means anything; data sets here are small


@dataclass(frozen=True)
class Preset:
    """What makes one U-Net of the family.

    Attributes:
        widths: channels per level from the finest to the bottleneck.
        size_wh: input size in pixels where the user asks for none.
        fit: how pictures are fitted into it where the user asks for nothing else, one of `contract.FITS`.
        stem_stride: 1 keeps the input's resolution; 4 shrinks it in a strided convolution first, and the answer
            stays at that size: enlarging it adds no information, costs as much as half the network on a device,
            and the outline is interpolated between its pixels anyway.
        transposed: learned upsampling (transposed convolution) in the decoder, else 1x1 convolution and bilinear.
        encoder: separable convolutions per level on the way down and at the bottleneck, finest first; from a level's
            second on, each adds its input (He et al. 2015, arXiv:1512.03385) where `residual` is set. The coarse
            levels cost a device next to nothing, so depth belongs there.
        decoder: the same of the levels on the way up, finest first.
        residual: see `encoder`.
        dropout: share dropped after the bottleneck and after each skip but the finest, in training only.
        relu_max: where the activations are cut off; bounded ones need no wide int8 ranges.
    """

    widths: tuple[int, ...]
    size_wh: tuple[int, int] = (256, 256)
    fit: str = "stretch"
    stem_stride: int = 1
    transposed: bool = False
    encoder: tuple[int, ...] = (2, 2, 2, 2, 2)
    decoder: tuple[int, ...] = (2, 2, 2, 2)
    residual: bool = False
    dropout: float = 0.0
    relu_max: float | None = 6.0


PRESETS = {
    # The network of planck-epoch/unet-image-segmentation, model/u_net.py.
    "reference": Preset((64, 128, 256, 512, 1024), transposed=True, dropout=0.2, relu_max=None),
    # Cameras' pictures have one long side, and so have cards: lying in a lying input, neither is squeezed much.
    "edge": Preset(
        (32, 64, 96, 176, 224),
        (320, 192),
        "turn",
        stem_stride=4,
        encoder=(1, 2, 3, 3, 3),
        decoder=(2, 2, 1, 1),
        residual=True,
    ),
    "nano": Preset(
        (16, 32, 64, 96), (224, 128), "turn", stem_stride=4, encoder=(1, 1, 2, 3), decoder=(1, 1, 1), residual=True
    ),
}


def build_unet(
    preset: str | Preset = "edge",
    size_wh: tuple[int, int] | None = None,
    num_classes: int = 2,
    *,
    synchronized: bool = False,
) -> Any:
    """Build an untrained U-Net.

    Args:
        preset: a name of `PRESETS`, or a Preset.
        size_wh: input size in pixels, each a multiple of the deepest level's stride; the preset's where None.
        num_classes: 2 gives one sigmoid channel (the document), more give a softmax over all, background first.
        synchronized: batch statistics over all replicas of a distributed training, not over each one's part.

    Returns:
        keras.Model from (B, H, W, 3) float32 of the contract's real range to (B, H/s, W/s, 1 or N) float32 in
        [0, 1], s being the stem's stride.

    Raises:
        SettingsError: a size that the levels do not divide, or fewer than two classes.

    Source: Ronneberger et al., U-Net (2015), arXiv:1505.04597; separable convolutions: Chollet, arXiv:1610.02357.
    """
    p = PRESETS[preset] if isinstance(preset, str) else preset
    size_wh = size_wh or p.size_wh
    name = f"unet_{preset}" if isinstance(preset, str) else "unet"
    stride = p.stem_stride * 2 ** (len(p.widths) - 1)
    if size_wh[0] % stride or size_wh[1] % stride:
        got = f"{size_wh[0]}x{size_wh[1]}"
        raise SettingsError(f"expected an input size of multiples of {stride} for {name}, got {got}; change --size")
    if num_classes < 2:
        raise SettingsError(f"expected two classes or more (background first), got {num_classes}")

    def normalized(x: Any) -> Any:
        return layers.BatchNormalization(momentum=_BN_MOMENTUM, synchronized=synchronized)(x)

    def conv(x: Any, width: int, *, kernel: int, strides: int = 1) -> Any:
        x = layers.Conv2D(width, kernel, strides=strides, padding="same", use_bias=False)(x)
        return layers.ReLU(p.relu_max)(normalized(x))

    def separable(x: Any, width: int, count: int) -> Any:
        for number in range(count):
            y = normalized(layers.SeparableConv2D(width, 3, padding="same", use_bias=False)(x))
            x = layers.ReLU(p.relu_max)(layers.Add()([x, y]) if number and p.residual else y)
        return x

    x = inputs = keras.Input((size_wh[1], size_wh[0], 3), name="image")
    if p.stem_stride > 1:
        x = conv(x, p.widths[0], kernel=p.stem_stride + 1, strides=p.stem_stride)
    skips = []
    for level, width in enumerate(p.widths):
        if level:
            skips.append(x)
            x = layers.MaxPooling2D(2)(x)
        x = separable(x, width, p.encoder[level])
    if p.dropout:
        x = layers.Dropout(p.dropout)(x)
    for level, width in reversed(list(enumerate(p.widths[:-1]))):
        if p.transposed:
            x = layers.Conv2DTranspose(width, 2, strides=2, padding="same")(x)
        else:
            # The 1x1 convolution before the enlargement runs on a quarter of the pixels.
            x = conv(x, width, kernel=1)
            # Keras's nearest becomes TILE operations that XNNPACK leaves alone; bilinear stays in one partition.
            x = layers.UpSampling2D(2, interpolation="bilinear")(x)
        x = layers.Concatenate()([x, skips[level]])
        if p.dropout and level:
            x = layers.Dropout(p.dropout)(x)
        x = separable(x, width, p.decoder[level])
    x = layers.Conv2D(1 if num_classes == 2 else num_classes, 1, name="logits")(x)
    outputs = layers.Activation("sigmoid" if num_classes == 2 else "softmax", name="probability")(x)
    return keras.Model(inputs, outputs, name=name)
