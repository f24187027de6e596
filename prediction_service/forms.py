"""What a row, a row of context and a label of a stream may hold, as pydantic-core checks it, with the stream's own ranges and labels."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import CoreSchema, PydanticCustomError, SchemaValidator
from pydantic_core import core_schema as schema

from monitoring.records import checks
from monitoring.stream_settings import Feature, StreamConfig

EARLIEST, LATEST = "1970-01-01T00:00:00.000Z", "2200-01-01T00:00:00.000Z"  # what every tool downstream can hold
LARGEST_NUMBER: Final = 1e12  # of a label, so that no sum of errors overflows


@dataclass(frozen=True)
class Forms:
    """The checks of lists of each. A dict comes back as it was given, but times and labels as they are logged."""

    rows: SchemaValidator
    context: SchemaValidator
    labels: SchemaValidator


@functools.cache
def of(stream: StreamConfig) -> Forms:
    """The forms of a stream."""
    features = _object({feature.name: _number(feature) for feature in stream.features}, optional=[one.name for one in stream.features if not one.required])
    named = {"stream": schema.literal_schema([stream.name])}
    row = _object({**named, "id": _ID, "time": _TIME, "features": features}, optional=["stream", "id", "time"])
    label = _object({**named, "id": _ID, "label": schema.no_info_plain_validator_function(functools.partial(_label, stream))}, optional=["stream"])
    return Forms(*(SchemaValidator(schema.list_schema(item)) for item in (row, features, label)))


def _object(fields: dict[str, CoreSchema], *, optional: list[str]) -> CoreSchema:
    keys = {name: schema.typed_dict_field(check, required=name not in optional) for name, check in fields.items()}
    return schema.typed_dict_schema(keys, extra_behavior="forbid", strict=True)


def _number(feature: Feature) -> CoreSchema:
    low, high = feature.limits
    number: CoreSchema = schema.float_schema(strict=True, allow_inf_nan=False, ge=low, le=high)
    if feature.categorical:
        number = schema.no_info_after_validator_function(_whole, number)
    return number if feature.required else schema.nullable_schema(number)


def _whole(number: float) -> float:
    if not number.is_integer():
        raise ValueError("no whole number")
    return number


def _in_reach(time: str) -> str:
    if not EARLIEST <= time < LATEST:
        raise PydanticCustomError("time", f"must lie in the years {EARLIEST[:4]} to {int(LATEST[:4]) - 1}")
    return time


def _label(stream: StreamConfig, value: Any) -> Any:
    """The label as it is logged: of a class that of the stream, so that 1.0 is the 1 it stands for."""
    if stream.task == "regression":
        if type(value) not in {int, float} or not abs(value) <= LARGEST_NUMBER:
            raise PydanticCustomError("label", f"{shown(value)} is not a number within ±{LARGEST_NUMBER:g}")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str) or value not in stream.labels:
        raise PydanticCustomError("label", f"{shown(value)} is not a label of this stream: {', '.join(map(str, stream.labels))}")
    return stream.labels[stream.labels.index(value)]


def shown(value: Any) -> str:
    """What was given, short and as ASCII."""
    if isinstance(value, str):
        return ascii(value if len(value) <= 60 else value[:57] + "...")
    return f"{value!r:.60}" if isinstance(value, int | float) else "null, a list or an object"


_ID: Final = TypeAdapter(checks.Id).core_schema
_TIME: Final = schema.no_info_after_validator_function(_in_reach, TypeAdapter(checks.Time).core_schema)
ID, TIME = SchemaValidator(_ID), SchemaValidator(_TIME)
