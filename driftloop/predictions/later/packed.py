"""Values as JSON that is read back exactly: arrays as compressed bytes, undefined and infinite numbers as text."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

KINDS: Final = frozenset("biufmM")  # of arrays: numbers, booleans and times, never objects
MOST_BYTES: Final = 2**31  # of one array, unpacked


def pack(value: Any) -> Any:
    """JSON values of dictionaries with text keys, sequences, arrays, numbers, texts and None.

    >>> unpack(pack({"a": np.arange(3), "b": (1, float("inf"))}))
    {'a': array([0, 1, 2]), 'b': [1, inf]}
    """
    if isinstance(value, np.ndarray):
        data = base64.b64encode(zlib.compress(np.ascontiguousarray(value).tobytes(), 1)).decode("ascii")
        return {"array": data, "type": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, Mapping):
        return {name: pack(one) for name, one in value.items()}
    if isinstance(value, np.generic):
        return pack(value.item())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [pack(one) for one in value]
    if isinstance(value, float) and not np.isfinite(value):
        return {"float": str(value)}
    return value


def unpack(value: Any) -> Any:
    """What `pack` was given, its sequences as lists.

    Raises:
        ValueError, KeyError, TypeError: it is not what `pack` returns.
    """
    if isinstance(value, list):
        return [unpack(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"float"}:
        return float(value["float"])
    if value.keys() != {"array", "type", "shape"}:
        return {name: unpack(one) for name, one in value.items()}
    kind = np.dtype(value["type"])
    size = int(np.prod(value["shape"], dtype=np.int64)) * kind.itemsize
    if kind.kind not in KINDS or not 0 <= size <= MOST_BYTES:
        raise ValueError(f"an array of {value['type']}, {value['shape']}")
    reader = zlib.decompressobj()
    try:
        data = reader.decompress(base64.b64decode(value["array"], validate=True), size + 1)
    except zlib.error as exc:
        raise ValueError(str(exc)) from exc
    return np.frombuffer(data, kind).reshape(value["shape"]).copy()
