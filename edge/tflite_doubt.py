"""Whether a model's graph is one that native code can be trusted with unseen.

Stands apart because runtimes check little: sizes that contradict each other, missing weights or a stride of zero end
the process with a signal. What U-Nets are made of is followed here from shape to shape; anything else is no error,
but a reason to load the model in a process of its own first (`trial.py`).

Source: TensorFlow Lite's schema.fbs, version 3, and the operators' documentation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from unetlite.edge.flatbuffer import Table
from unetlite.edge.tflite_graph import Graph, Node, Tensor

MAX_LIVE_BYTES = 512 << 20  # of the tensors that must exist at one time
MAX_GMAC = 200.0  # a picture; the reference U-Net has 7.6
_MAX_RANK = 5
_MAX_SIDE = 1 << 20

FLOAT32, FLOAT16, INT32, UINT8, INT64, INT16, INT8 = 0, 1, 2, 3, 4, 7, 9  # TensorType
_ITEM_BYTES = {FLOAT32: 4, FLOAT16: 2, INT32: 4, UINT8: 1, INT64: 8, INT16: 2, INT8: 1}
_LEVELS = {UINT8: (0, 255), INT8: (-128, 127), INT16: (-32768, 32767), INT32: (0, 0), INT64: (0, 0)}
_SAME, _VALID = 0, 1  # Padding
_ACTIVATIONS = (0, 1, 2, 3)  # none, RELU, RELU_N1_TO_1, RELU6
# Input, filter and bias of convolutions, and their output.
_CONVOLUTIONS = {
    (FLOAT32, FLOAT32, FLOAT32, FLOAT32),
    (FLOAT32, INT8, FLOAT32, FLOAT32),
    (INT8, INT8, INT32, INT8),
    (UINT8, UINT8, INT32, UINT8),
    (INT16, INT8, INT32, INT16),
    (INT16, INT8, INT64, INT16),
}


class _Doubt(Exception):
    pass


def doubt(graphs: Sequence[Graph]) -> str | None:
    """Why a model is to be tried in a process of its own first, in a few words; None where nothing speaks for it."""
    try:
        _require(len(graphs) == 1, "more than one graph")
        _follow(graphs[0])
    except _Doubt as reason:
        return str(reason)
    return None


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise _Doubt(otherwise)


def _follow(graph: Graph) -> None:
    """Raise _Doubt unless each operator gets what exists by then and gives what its output is declared as."""
    for tensor in graph.tensors:
        _check_tensor(tensor)
    constants = {i for i, tensor in enumerate(graph.tensors) if len(tensor.content)}
    known = constants | set(graph.inputs)
    _require(len(known) == len(constants) + len(graph.inputs), "a constant as input")
    fixed = set(constants)  # constants, and what is computed from them alone: float16 weights
    gmac = 0.0
    for node in graph.nodes:
        _require(node.plain and 1 <= node.version <= 99, f"operator {node.code} with parts of its own")
        rule = _RULES.get(node.code)
        _require(rule is not None, f"operator {node.code}")
        _require(len(node.outputs) == 1 and node.outputs[0] not in known | {-1}, f"operator {node.code}'s output")
        _require(all(i in known for i in node.inputs if i >= 0), f"operator {node.code} before its input")
        tensors = [graph.tensors[i] if i >= 0 else None for i in node.inputs]
        assert rule is not None
        gmac += rule(node, tensors, graph.tensors[node.outputs[0]], [i in fixed for i in node.inputs]) / 1e9
        known.add(node.outputs[0])
        if all(i in fixed for i in node.inputs):
            fixed.add(node.outputs[0])
    _require(all(i in known for i in graph.outputs), "an output that nothing computes")
    _require(gmac <= MAX_GMAC, f"{gmac:.0f} GMAC a picture")
    live = _live_bytes(graph, constants)
    _require(live <= MAX_LIVE_BYTES, f"{live / 1e6:.0f} MB of tensors at one time")


def _check_tensor(tensor: Tensor) -> None:
    _require(tensor.plain and tensor.kind in _ITEM_BYTES, f"a tensor of kind {tensor.kind} with parts of its own")
    _require(
        len(tensor.shape) <= _MAX_RANK and all(1 <= size <= _MAX_SIDE for size in tensor.shape),
        f"a tensor of shape {str(tensor.shape)[:60]}",
    )
    given = len(tensor.content)
    _require(given in (0, _bytes(tensor)), f"{given} bytes for shape {str(tensor.shape)[:60]}")
    count = len(tensor.scale)
    if not count:
        return
    _require(len(tensor.zero_point) in (0, count), "as many scales as zero points")
    if count > 1:
        _require(0 <= tensor.axis < len(tensor.shape) and tensor.shape[tensor.axis] == count, "scales by channel")
    _require(bool(np.isfinite(tensor.scale).all() and (tensor.scale > 0).all()), "a scale of zero or no number")
    if tensor.kind in _LEVELS and len(tensor.zero_point):
        low, high = _LEVELS[tensor.kind]
        _require(low <= int(tensor.zero_point.min()) and int(tensor.zero_point.max()) <= high, "a zero point")


def _bytes(tensor: Tensor) -> int:
    return math.prod(tensor.shape) * _ITEM_BYTES[tensor.kind]


def _live_bytes(graph: Graph, constants: set[int]) -> int:
    """The largest sum of tensors that exist at one time, each from the operator that makes it to its last use."""
    last = {i: place for place, node in enumerate(graph.nodes) for i in (*node.outputs, *node.inputs)}
    last.update({i: len(graph.nodes) for i in graph.outputs})
    live = {i: _bytes(graph.tensors[i]) for i in graph.inputs}
    most = sum(live.values())
    for place, node in enumerate(graph.nodes):
        live.update({i: _bytes(graph.tensors[i]) for i in node.outputs})
        most = max(most, sum(live.values()))
        live = {i: size for i, size in live.items() if last.get(i, -1) > place}
    return most


def _quantized(*tensors: Tensor) -> None:
    """Integer activations have one scale, float ones need none."""
    for tensor in tensors:
        _require(tensor.kind == FLOAT32 or len(tensor.scale) == 1, "an integer tensor without its scale")


def _options(node: Node, kind: int) -> Table:
    _require(node.options_kind == kind and node.options is not None, f"operator {node.code} without its options")
    assert node.options is not None
    return node.options


def _some(tensors: Sequence[Tensor | None], least: int, most: int) -> list[Tensor]:
    """The inputs, of which only a last one may be left out."""
    given = [tensor for tensor in tensors if tensor is not None]
    _require(least <= len(given) <= most and tensors[: len(given)] == given, "the number of inputs")
    return given


def _activation(options: Table, field: int) -> None:
    _require(options.scalar(field, "b") in _ACTIVATIONS, "an unknown activation")


def _slid(size: int, window: int, stride: int, dilation: int, padding: int) -> int:
    """What a window leaves of a side."""
    _require(1 <= stride <= 4096 and 1 <= dilation <= 256 and window >= 1, "stride, dilation or window")
    _require(padding in (_SAME, _VALID), "an unknown padding")
    return -(-size // stride) if padding == _SAME else (size - (window - 1) * dilation - 1) // stride + 1


def _check_sides(
    before: Tensor, after: Tensor, window_hw: Sequence[int], options: Table, fields: Sequence[int]
) -> None:
    """`fields`: of padding, stride and dilation across, stride and dilation down; -1 where there is no dilation."""
    padding = options.scalar(fields[0], "b")
    for axis, window, stride, dilation in ((2, window_hw[1], *fields[1:3]), (1, window_hw[0], *fields[3:5])):
        step, spread = options.scalar(stride, "i"), 1 if dilation < 0 else options.scalar(dilation, "i", 1)
        expected = _slid(before.shape[axis], window, step, spread, padding)
        _require(after.shape[axis] == expected, f"a side of {after.shape[axis]} where {expected} follow")


def _four(*tensors: Tensor) -> None:
    _require(all(len(tensor.shape) == 4 for tensor in tensors), "a convolution over other than pictures")


def _weights(given: Sequence[Tensor], fixed: Sequence[bool], output: Tensor, axis: int) -> None:
    """Types, scales and sizes of filter and bias; `axis` of the filter counts the output's channels."""
    x, w = given[0], given[1]
    _require(all(fixed[1:]), "weights that are computed")
    kinds = (x.kind, w.kind, given[2].kind) if len(given) > 2 else None
    fits = [k for k in _CONVOLUTIONS if (kinds in (None, k[:3])) and k[:2] == (x.kind, w.kind) and k[3] == output.kind]
    _require(bool(fits), "weights of an unusual type")
    _quantized(x, output)
    channels = output.shape[3]
    _require(w.shape[axis] == channels, f"{w.shape[axis]} filters for {channels} channels")
    if w.kind != FLOAT32:
        _require(len(w.scale) == 1 or (len(w.scale) == channels and w.axis == axis), "the filters' scales")
        _require(w.kind == UINT8 or not w.zero_point.any(), "the filters' zero points")
    if len(given) > 2:
        _require(given[2].shape == (channels,), "the bias's size")
        _require(len(given[2].scale) in (0, 1, channels), "the bias's scales")


def _convolution(node: Node, inputs: Sequence[Tensor | None], output: Tensor, fixed: Sequence[bool]) -> float:
    given = _some(inputs, 2, 3)
    options, (x, w) = _options(node, 1), given[:2]
    _four(x, w, output)
    _weights(given, fixed[: len(given)], output, 0)
    _require(w.shape[3] == x.shape[3] and output.shape[0] == x.shape[0], "the filters' depth")
    _check_sides(x, output, w.shape[1:3], options, (0, 1, 4, 2, 5))
    _activation(options, 3)
    return float(math.prod(w.shape) * math.prod(output.shape[:3]))


def _depthwise(node: Node, inputs: Sequence[Tensor | None], output: Tensor, fixed: Sequence[bool]) -> float:
    given = _some(inputs, 2, 3)
    options, (x, w) = _options(node, 2), given[:2]
    _four(x, w, output)
    _weights(given, fixed[: len(given)], output, 3)
    multiplier = options.scalar(3, "i")
    _require(w.shape[0] == 1 and x.shape[3] * multiplier == w.shape[3] and output.shape[0] == x.shape[0], "its depth")
    _check_sides(x, output, w.shape[1:3], options, (0, 1, 5, 2, 6))
    _activation(options, 4)
    return float(math.prod(w.shape[1:3]) * math.prod(output.shape))


def _transposed(node: Node, inputs: Sequence[Tensor | None], output: Tensor, fixed: Sequence[bool]) -> float:
    given = _some(inputs, 3, 4)
    options, (size, w, x) = _options(node, 49), given[:3]
    _four(x, w, output)
    _require(fixed[0] and size.kind == INT32 and len(size.content) == 16, "the output's size")
    _require(tuple(size.content.view("<i4").tolist()) == output.shape, "the output's size")
    _weights([x, w, *given[3:]], [True, *fixed[1:2], *fixed[3 : len(given)]], output, 0)
    _require(w.shape[3] == x.shape[3] and output.shape[0] == x.shape[0], "the filters' depth")
    _check_sides(output, x, w.shape[1:3], options, (0, 1, -1, 2, -1))
    _activation(options, 3)
    return float(math.prod(w.shape) * math.prod(x.shape[:3]))


def _pool(node: Node, inputs: Sequence[Tensor | None], output: Tensor, fixed: Sequence[bool]) -> float:
    (x,) = _some(inputs, 1, 1)
    options = _options(node, 5)
    _four(x, output)
    _require(x.kind == output.kind and x.kind in (FLOAT32, INT8, UINT8, INT16), "a pool's type")
    _require((x.shape[0], x.shape[3]) == (output.shape[0], output.shape[3]), "a pool's depth")
    _quantized(x, output)
    window_wh = [options.scalar(field, "i") for field in (3, 4)]
    _require(all(1 <= side <= 4096 for side in window_wh), "a pool's window")
    _check_sides(x, output, window_wh[::-1], options, (0, 1, -1, 2, -1))
    _activation(options, 5)
    return float(math.prod(window_wh) * math.prod(output.shape))


def _concatenation(node: Node, inputs: Sequence[Tensor | None], output: Tensor, fixed: Sequence[bool]) -> float:
    given = _some(inputs, 1, 64)
    options, rank = _options(node, 10), len(output.shape)
    axis = options.scalar(0, "i")
    _require(-rank <= axis < rank and all(len(tensor.shape) == rank for tensor in given), "an axis to join along")
    axis %= rank
    joined = [*output.shape]
    joined[axis] = 0
    for tensor in given:
        others = [*tensor.shape]
        joined[axis] += others[axis]
        others[axis] = joined[axis]
        _require(others == joined and tensor.kind == output.kind, "parts that do not fit each other")
    _require(tuple(joined) == output.shape and output.kind in (FLOAT32, INT8, UINT8, INT16), "the joined size")
    _quantized(*given, output)
    _activation(options, 1)
    return float(math.prod(output.shape))


def _pairwise(kind: int, activation: int) -> Callable[..., float]:
    def rule(node: Node, inputs: Sequence[Tensor | None], output: Tensor, fixed: Sequence[bool]) -> float:
        given = _some(inputs, 2, 2)
        options = _options(node, kind)
        _require(all(t.kind == output.kind for t in given) and output.kind in (FLOAT32, INT8, UINT8, INT16), "types")
        try:
            shape = np.broadcast_shapes(*(tensor.shape for tensor in given))
        except ValueError:
            raise _Doubt("sizes that do not fit each other") from None
        _require(shape == output.shape and len(shape) <= 4, "the result's size")
        _quantized(*given, output)
        _activation(options, activation)
        return float(math.prod(output.shape))

    return rule


def _alike(options_kind: int, inputs_of: Sequence[int], outputs_of: Sequence[int]) -> Callable[..., float]:
    """Value by value; `options_kind` 0: none are needed."""

    def rule(node: Node, inputs: Sequence[Tensor | None], output: Tensor, fixed: Sequence[bool]) -> float:
        (x,) = _some(inputs, 1, 1)
        _require(x.shape == output.shape and x.kind in inputs_of and output.kind in outputs_of, "size or type")
        _require(x.kind == output.kind or inputs_of != outputs_of, "types")
        _quantized(*(tensor for tensor in (x, output) if tensor.kind != FLOAT16))
        if options_kind:
            _require(0.0 < _options(node, options_kind).scalar(0, "f") < 1e6, "options")
        return float(math.prod(output.shape))

    return rule


def _resize(kind: int, flags: tuple[int, int]) -> Callable[..., float]:
    def rule(node: Node, inputs: Sequence[Tensor | None], output: Tensor, fixed: Sequence[bool]) -> float:
        x, size = _some(inputs, 2, 2)
        options = _options(node, kind)
        _four(x, output)
        _require(fixed[1] and size.kind == INT32 and len(size.content) == 8, "a size that is computed")
        _require(tuple(size.content.view("<i4").tolist()) == output.shape[1:3], "the result's size")
        _require((x.shape[0], x.shape[3], x.kind) == (output.shape[0], output.shape[3], output.kind), "the depth")
        _require(output.kind in (FLOAT32, INT8, UINT8, INT16), "types")
        _require(not all(options.scalar(field, "B") for field in flags), "corners aligned and half pixels")
        _quantized(x, output)
        return 4.0 * math.prod(output.shape)

    return rule


def _pad(node: Node, inputs: Sequence[Tensor | None], output: Tensor, fixed: Sequence[bool]) -> float:
    x, margins = _some(inputs, 2, 2)
    rank = len(x.shape)
    _require(fixed[1] and margins.kind == INT32 and margins.shape == (rank, 2), "margins that are computed")
    _require(len(margins.content) == 8 * rank and 1 <= rank <= 4, "margins that are computed")
    sides = margins.content.view("<i4").reshape(rank, 2)
    _require(bool((sides >= 0).all() and (sides <= _MAX_SIDE).all()), "negative margins")
    _require(tuple((np.array(x.shape) + sides.sum(axis=1)).tolist()) == output.shape, "the result's size")
    _require(x.kind == output.kind and x.kind in (FLOAT32, INT8, UINT8, INT16), "types")
    _quantized(x, output)
    return float(math.prod(output.shape))


_LEVELLED, _REAL = (FLOAT32, INT8, UINT8, INT16), (FLOAT32,)
_RULES: dict[int, Callable[..., float]] = {  # by BuiltinOperator; numbers of BuiltinOptions and of their fields
    0: _pairwise(11, 0),  # ADD
    1: _pool,  # AVERAGE_POOL_2D
    2: _concatenation,
    3: _convolution,
    4: _depthwise,
    6: _alike(0, (FLOAT16, INT8, UINT8, INT16), _REAL),  # DEQUANTIZE
    14: _alike(0, _LEVELLED, _LEVELLED),  # LOGISTIC
    17: _pool,  # MAX_POOL_2D
    18: _pairwise(21, 0),  # MUL
    19: _alike(0, _LEVELLED, _LEVELLED),  # RELU
    21: _alike(0, _LEVELLED, _LEVELLED),  # RELU6
    23: _resize(15, (2, 3)),  # RESIZE_BILINEAR
    25: _alike(9, _LEVELLED, _LEVELLED),  # SOFTMAX
    28: _alike(0, _LEVELLED, _LEVELLED),  # TANH
    34: _pad,
    41: _pairwise(28, 0),  # SUB
    67: _transposed,
    97: _resize(74, (0, 1)),  # RESIZE_NEAREST_NEIGHBOR
    114: _alike(0, _LEVELLED, (INT8, UINT8, INT16)),  # QUANTIZE
    117: _alike(0, _LEVELLED, _LEVELLED),  # HARD_SWISH
}
