"""How many multiplications a model's layers take: what its speed is measured against.

Stands apart because it reads the model file's tables, which are the same on every device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from unetlite.edge.flatbuffer import Table

# Field numbers of schema.fbs.
_MODEL_OPERATOR_CODES, _MODEL_SUBGRAPHS = 1, 2
_CODE_DEPRECATED_BUILTIN, _CODE_BUILTIN = 0, 3
_SUBGRAPH_TENSORS, _SUBGRAPH_OPERATORS = 0, 3
_TENSOR_SHAPE, _TENSOR_TYPE = 0, 1
_OPERATOR_CODE_INDEX, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS = 0, 1, 2
_INT8 = 9

_Shape = tuple[int, ...]


@dataclass(frozen=True)
class Work:
    """What one inference multiplies.

    Attributes:
        macs: multiply-accumulate operations of the convolutions and dense layers.
        dtype: "int8" where most of them are by int8 weights, else "float32": which of a device's peaks they meet.
    """

    macs: int
    dtype: str


def _convolution(source: _Shape, weights: _Shape, answer: _Shape) -> int:
    return _size(answer) * _size(weights[1:])  # weights (out, kh, kw, in)


def _depthwise(source: _Shape, weights: _Shape, answer: _Shape) -> int:
    return _size(answer) * _size(weights[1:3])  # weights (1, kh, kw, out)


def _transposed(source: _Shape, weights: _Shape, answer: _Shape) -> int:
    return _size(source) * _size(weights[:3])  # weights (out, kh, kw, in): each input pixel spreads over a kernel


def _dense(source: _Shape, weights: _Shape, answer: _Shape) -> int:
    return _size(answer) * weights[-1]  # weights (out, in)


# By builtin operator code: the layer's rule, and where in its inputs picture and weights stand.
_LAYERS: dict[int, tuple[Callable[[_Shape, _Shape, _Shape], int], int, int]] = {
    3: (_convolution, 0, 1),
    4: (_depthwise, 0, 1),
    9: (_dense, 0, 1),
    67: (_transposed, 2, 1),
}


def count_work(content: bytes, where: str) -> Work:
    """Count a model's multiplications, by the shapes that its file states.

    Args:
        content: a `.tflite` file's bytes, batch and sizes fixed.
        where: what to call it in an error.

    Raises:
        ModelError: truncated or damaged.
    """
    model = Table.root(content, where)
    codes = [
        max(code.scalar(_CODE_DEPRECATED_BUILTIN, "b"), code.scalar(_CODE_BUILTIN, "i"))
        for code in model.tables(_MODEL_OPERATOR_CODES)
    ]
    by_dtype = {"float32": 0, "int8": 0}
    graph = model.tables(_MODEL_SUBGRAPHS)[0]
    tensors = graph.tables(_SUBGRAPH_TENSORS)
    for node in graph.tables(_SUBGRAPH_OPERATORS):
        layer = _LAYERS.get(codes[node.scalar(_OPERATOR_CODE_INDEX, "I")])
        if layer is None:
            continue
        rule, source, weights = layer
        inputs, answers = node.array(_OPERATOR_INPUTS, "<i4"), node.array(_OPERATOR_OUTPUTS, "<i4")
        kernel = tensors[inputs[weights]]
        macs = rule(_shape(tensors[inputs[source]]), _shape(kernel), _shape(tensors[answers[0]]))
        by_dtype["int8" if kernel.scalar(_TENSOR_TYPE, "b") == _INT8 else "float32"] += macs
    return Work(sum(by_dtype.values()), max(by_dtype, key=lambda dtype: by_dtype[dtype]))


def _shape(tensor: Table) -> _Shape:
    return tuple(int(n) for n in tensor.array(_TENSOR_SHAPE, "<i4"))


def _size(shape: _Shape) -> int:
    return int(np.prod(shape, dtype=np.int64))
