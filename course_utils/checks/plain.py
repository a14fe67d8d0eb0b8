"""Plain data: the only thing that crosses between a check and an answer in another process.

A value is written as JSON, in kinds from a short list: None, bool, int, float, str, list, tuple, dict with text keys, tensor. A
tensor travels as its element type, its shape and its raw bytes in base64. Nothing that is read is ever executed: no
pickle, no class by name. What is not on the list travels as `Unknown`, which is only the name of its type.
"""

import base64
import binascii
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch import Tensor, nn

LIMIT = 8 * 2**20  # bytes of one message
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128),
        *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool),
    )
}


class Malformed(ValueError):
    """A message that is not plain data as described above."""


@dataclass(frozen=True)
class Seen:
    """A tensor as an answer returned it: its numbers on the CPU, with the device it was on and whether a graph hung on it."""

    data: Tensor
    device: str
    requires_grad: bool


@dataclass(frozen=True)
class Unknown:
    """A value of a kind that is not plain, known by the name of its type only."""

    type_name: str


def describe(value: Any) -> Any:
    """`value` as plain data: tensors become `Seen`, everything off the list becomes `Unknown`.

    Only exact types count: an object of a subclass (of float, say) can lie about what it equals. But a named tuple, such as `topk` gives,
    is told as the tuple that it holds.
    """
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is numpy.int64:  # what NumPy makes of integers
        return int(value)
    if kind in (Tensor, nn.Parameter):
        if value.layout != torch.strided or value.device.type == "meta" or value.dtype not in DTYPES.values():
            return Unknown(f"tensor of layout {value.layout}, dtype {value.dtype}, device {value.device}")
        data = value.detach().cpu().resolve_conj().resolve_neg().clone()
        return Seen(data, str(value.device), bool(value.requires_grad))
    if kind is list:
        return [describe(item) for item in value]
    if issubclass(kind, tuple):
        return tuple(describe(item) for item in tuple.__iter__(value))
    if kind is dict and all(type(key) is str for key in value):
        return {key: describe(item) for key, item in value.items()}
    return Unknown(f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."))


class TooLarge(ValueError):
    """A value that no message can hold."""


def _written(value: Any) -> Any:
    if isinstance(value, Seen):
        return {**_written(value.data), "device": value.device, "graph": value.requires_grad}
    if isinstance(value, Unknown):
        return {"kind": "unknown", "type": value.type_name}
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"kind": "float", "is": repr(value)}
    if isinstance(value, Tensor):
        if value.numel() * value.element_size() > LIMIT:  # said before minutes go into writing it down
            raise TooLarge(f"a tensor of {value.numel() * value.element_size() / 2**20:.0f} MiB")
        flat = value.detach().cpu().contiguous().reshape(-1)
        raw = (torch.view_as_real(flat).reshape(-1) if flat.is_complex() else flat).view(torch.uint8).numpy().tobytes()
        return {
            "kind": "tensor",
            "dtype": str(value.dtype).removeprefix("torch."),
            "shape": list(value.shape),
            "bytes": base64.b64encode(raw).decode("ascii"),
        }
    if type(value) is list:
        return [_written(item) for item in value]
    if type(value) is tuple:
        return {"kind": "tuple", "of": [_written(item) for item in value]}
    if type(value) is dict:
        return {"kind": "dict", "of": {str(key): _written(item) for key, item in value.items()}}
    raise TypeError(
        f"{type(value).__name__} is not plain data; use None, bool, int, float, str, list, tuple, dict or a tensor"
    )


def encode(value: Any) -> bytes:
    """Plain data (with `Seen` and `Unknown` in it) as one line of JSON.

    Raises:
        TypeError: if there is anything else in it.
        TooLarge: for a tensor that alone takes more than `LIMIT`.
    """
    return json.dumps(_written(value), allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def decode(line: bytes) -> Any:
    """The value that `encode` wrote.

    Raises:
        Malformed: if the line is longer than `LIMIT`, no JSON, or anything but plain data.
    """
    if len(line) > LIMIT:
        raise Malformed(f"a message of more than {LIMIT // 2**20} MiB")
    try:
        return _read(json.loads(line, parse_constant=_refuse))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, OverflowError, RuntimeError) as error:
        if isinstance(error, Malformed):
            raise
        raise Malformed(f"a message that is not plain data ({type(error).__name__})") from None


def _refuse(constant: str) -> None:
    raise Malformed(f"the number {constant} as such")


def _read(value: Any) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [_read(item) for item in value]
    kind = value.get("kind")
    keys = set(value) - {"kind"}
    if kind == "tuple" and keys == {"of"} and type(value["of"]) is list:
        return tuple(_read(item) for item in value["of"])
    if kind == "dict" and keys == {"of"} and type(value["of"]) is dict:
        return {key: _read(item) for key, item in value["of"].items()}
    if kind == "float" and keys == {"is"} and value["is"] in ("inf", "-inf", "nan"):
        return float(value["is"])
    if kind == "unknown" and keys == {"type"} and type(value["type"]) is str:
        return Unknown(value["type"])
    if kind == "tensor" and keys == {"dtype", "shape", "bytes"}:
        return _read_tensor(value)
    if kind == "tensor" and keys == {"dtype", "shape", "bytes", "device", "graph"}:
        if type(value["device"]) is str and type(value["graph"]) is bool:
            return Seen(_read_tensor(value), value["device"], value["graph"])
    raise Malformed("an object of no known kind")


def _read_tensor(value: dict[str, Any]) -> Tensor:
    dtype, shape, text = DTYPES.get(value["dtype"]), value["shape"], value["bytes"]
    if dtype is None or type(shape) is not list or type(text) is not str or len(shape) > 16:
        raise Malformed("a tensor without a known dtype, a shape and bytes")
    if any(type(size) is not int or not 0 <= size < 2**31 for size in shape):
        raise Malformed("a tensor whose shape is no list of sizes")
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("a tensor whose bytes are no base64") from None
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise Malformed("a tensor with too many or too few bytes for its shape")
    if dtype is torch.bool and raw.translate(None, b"\x00\x01"):
        raise Malformed("a tensor of bool with a byte that is neither 0 nor 1")
    return torch.frombuffer(bytearray(raw), dtype=dtype).reshape(shape) if raw else torch.empty(shape, dtype=dtype)
