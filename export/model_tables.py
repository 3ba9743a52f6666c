"""A model file's tables as objects that can be changed, and what is asked of them again and again.

Stands apart because everything that edits a flatbuffer opens, reads and writes it in one way.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def schema() -> Any:
    """TFLite's flatbuffer classes."""
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


def read_model(content: bytes) -> Any:
    """A flatbuffer's tables as objects that can be changed."""
    tables = schema()
    return tables.ModelT.InitFromObj(tables.Model.GetRootAsModel(content, 0))


def write_model(model: Any) -> bytes:
    """The bytes of what `read_model` gave."""
    import flatbuffers

    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def operations_of(model: Any) -> list[str]:
    """TFLite's name of each operation of the main graph, in order of execution."""
    names = {value: name for name, value in vars(schema().BuiltinOperator).items() if not name.startswith("_")}
    codes = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
    return [codes[node.opcodeIndex] for node in model.subgraphs[0].operators]


def is_stored(model: Any, tensor: int) -> bool:
    """Whether the file holds the values of this tensor of the main graph."""
    data = model.buffers[model.subgraphs[0].tensors[tensor].buffer].data
    return data is not None and len(data) > 0


def stored_values(model: Any, tensor: int) -> np.ndarray:
    """The values of a float32 tensor that `is_stored`, in its shape."""
    found = model.subgraphs[0].tensors[tensor]
    return np.frombuffer(bytes(model.buffers[found.buffer].data), np.float32).reshape(found.shape)
