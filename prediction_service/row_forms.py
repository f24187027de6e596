"""The forms of what a request may hold, by stream: one row, a row of context, a label, a record of another system; and one sentence for each fault.

The fault of a value is that of `monitoring/features.py`. Of a stream that takes values as they are (`StreamConfig.described`) features that its model
does not know are ignored, and all that it knows must be there, null where missing: a name that is misspelt would otherwise be a missing value.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, SchemaValidator, ValidationError
from pydantic_core import core_schema as schema

from monitoring.features import Feature, Given
from monitoring.http.answers import RequestError
from monitoring.records import checks, events
from monitoring.stream_settings import StreamConfig

EARLIEST, LATEST = "1970-01-01T00:00:00.000Z", "2200-01-01T00:00:00.000Z"  # the range that every tool downstream supports
LARGEST_NUMBER: Final = 1e12  # of a label, so that no sum of errors overflows
KEYS: Final = {
    "row": '{"features": {...}}, optionally with id, stream and time',
    "record": '{"prediction": ..., "version": ..., "features": {...}}, optionally with id, stream, time, model, probability and probabilities',
    "label": '{"id": ..., "label": ...}, optionally with stream',
    "features": "{kind} by name",
}
CODES: Final = {"label", "prediction", "probability", "version"}  # faults with a code of their own
MESSAGES = {
    "not_a_number": "is not a number: give one",
    "not_a_text": f"is not a text of at most {checks.LONGEST_TEXT} characters: give one",
    "not_a_boolean": "is not true or false: give one",
    "out_of_range": "is out of range",
    "unknown_category": "is not a whole number within the known categories",
}

Features = Mapping[str, Given]


@dataclass(frozen=True)
class BadRow:
    """A refused row: its id (a new one if its own is invalid), one of the log's fixed reasons, and what can be logged of it."""

    id: str
    reason: str
    time: str  # "" without a valid one
    features: Features  # those of the stream that can be logged, in its range or not


class RowsError(RequestError):
    """A request refused because of these bad rows."""

    def __init__(self, stream: StreamConfig, bad: list[BadRow], *, code: str, message: str) -> None:
        super().__init__(422, code, message)
        self.stream, self.bad = stream, tuple(bad)


def checked(given: list[Any], stream: StreamConfig, what: str) -> list[dict[str, Any]]:
    """The validated items.

    Raises:
        RequestError: names the first bad one; for rows and records a `RowsError` with all of them.
    """
    try:
        return _forms(stream)[what].validate_python(given)
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_context=False)
    faults: dict[Any, tuple[str, str]] = {}  # by place: a reason as a fixed word, and a sentence
    for error in errors:
        at = error["loc"][0]
        if at not in faults or faults[at][0] != "schema":  # faults of keys come before faults of values
            fault = _fault(error, stream, what)
            if at not in faults or fault[0] == "schema":
                faults[at] = fault
    if what not in {"row", "record"}:
        at, (code, words) = next(iter(faults.items()))
        raise RequestError(422, code, f"the batch: {words}" if what == "batch" else f"{what} {at}: {words}")
    raise refusal(given, stream, what, faults)


def refusal(given: Sequence[Any], stream: StreamConfig, what: str, faults: Mapping[int, tuple[str, str]]) -> RowsError:
    """The refusal of items for their faults, each a code and a sentence, by place; the first is reported."""
    at, (code, words) = next(iter(faults.items()))
    bad = [_bad(given[place], reason if reason in checks.REASONS else "schema", stream) for place, (reason, _) in faults.items()]
    return RowsError(stream, bad, code=code, message=f"{what} {at}: {words}")


def _fault(error: ErrorDetails, stream: StreamConfig, what: str) -> tuple[str, str]:
    kind, inside = error["type"], [*(["features"] if what == "context row" else []), *map(str, error["loc"][1:])]
    if kind == "extra_forbidden":
        it, known = ("feature", ", ".join(stream.feature_names) or "none, its stream declares none") if len(inside) > 1 else ("key", KEYS[what])
        return "schema", f"unknown {it} {shown(inside[-1])}: give {known}"
    if len(inside) > 1:
        feature = next(one for one in stream.features if one.name == inside[1])
        reason, words = _fault_of(feature, None if kind == "missing" else error["input"])
        return reason, f"feature {feature.name} {words}"
    if kind in {"missing", "dict_type"}:
        wanted = KEYS.get("".join(inside) or what, "it").replace("{kind}", "values" if any(one.texts or one.boolean for one in stream.features) else "numbers")
        return "schema", f"{'.'.join(inside) or 'it'} is {'missing' if kind == 'missing' else 'not an object'}: give {wanted}"
    if kind == "literal_error" and inside == ["model"]:
        return "schema", f"model {shown(error['input'])} is not the model of its stream, {shown(stream.model)}: log each model in a stream of its own"
    if kind == "literal_error":
        return "schema", "its stream is not the request's: send one request per stream"
    return (kind, error["msg"]) if kind in CODES else ("schema", f"{inside[0]} {error['msg']}")


def _fault_of(feature: Feature, value: Any) -> tuple[str, str]:
    if value is None:
        kind = "a text" if feature.texts else "true or false" if feature.boolean else "a number"
        return "missing", f"is missing: give {kind if feature.required else 'it, null where it has no value'}"
    reason = feature.fault(value)
    limited = reason in {"out_of_range", "unknown_category"} and math.isfinite(feature.low)
    return reason, f"{MESSAGES[reason]}{f' {feature.low:g}..{feature.high:g}' if limited else ''}"


def _bad(one: Any, reason: str, stream: StreamConfig) -> BadRow:
    given: dict[str, Any] = one if isinstance(one, dict) else {}
    features = given.get("features")
    usable = {one.name: features[one.name] for one in stream.features if _can_be_logged(one, features.get(one.name))} if isinstance(features, dict) else {}
    return BadRow(_usable(_IDS, given.get("id")) or events.new_id(), reason, _usable(_TIMES, given.get("time")), usable)


def _can_be_logged(feature: Feature, value: Any) -> bool:
    return checks.is_number(value) or (feature.described and value is not None and not feature.fault(value))


def _usable(check: SchemaValidator, value: Any) -> str:
    try:
        return check.validate_python(value)
    except ValidationError:
        return ""


@functools.cache
def _forms(stream: StreamConfig) -> dict[str, SchemaValidator]:
    """Validators for lists of rows, context rows, records and labels; they return times, predictions and labels as they are logged."""
    optional = [one.name for one in stream.features if not one.required and not stream.described]
    features = _object({feature.name: _value(feature) for feature in stream.features}, optional=optional, more=stream.described)
    named = {"stream": schema.literal_schema([stream.name])}
    row = _object({**named, "id": _ID, "time": _TIME, "features": features}, optional=["stream", "id", "time"])
    label = _object({**named, "id": _ID, "label": _answer(stream, "label")}, optional=["stream"])
    record, batch = _record(stream, features), _object({"model": schema.literal_schema([stream.model]), "version": _VERSION}, optional=["model", "version"])
    forms = (("row", row), ("context row", features), ("record", record), ("batch", batch), ("label", label))
    return {what: SchemaValidator(schema.list_schema(form)) for what, form in forms}


def _record(stream: StreamConfig, features: CoreSchema) -> CoreSchema:
    """A prediction of another system, with its probabilities where it gives them or they follow."""
    fields = {
        "stream": schema.literal_schema([stream.name]),
        "id": _ID,
        "time": _TIME,
        "model": schema.literal_schema([stream.model]),
        "version": _VERSION,
        "features": features,
        "prediction": _answer(stream, "prediction"),
        "probability": schema.nullable_schema(TypeAdapter(checks.Share).core_schema),
        "probabilities": schema.nullable_schema(TypeAdapter(checks.Shares).core_schema),
    }
    demanded = {"version", "prediction", *(["features"] if stream.features else [])}
    form = _object(fields, optional=[name for name in fields if name not in demanded])
    return schema.no_info_after_validator_function(functools.partial(_with_shares, stream), form)


def _with_shares(stream: StreamConfig, record: dict[str, Any]) -> dict[str, Any]:
    """A record whose probabilities agree with each other and with its prediction: of two classes one probability gives both."""
    share: Any = record.get("probability")
    shares: Any = record.get("probabilities")
    if share is None and shares is None:
        return record
    if stream.task == "regression":
        raise PydanticCustomError("probability", "its stream predicts numbers, which have no probability: leave it out")
    place = stream.labels.index(record["prediction"])
    if shares is None:
        shares = [share if at == place else 1 - share for at in range(2)] if len(stream.labels) == 2 else None
    elif len(shares) != len(stream.labels):
        labels = ", ".join(map(str, stream.labels))
        raise PydanticCustomError("probability", f"{len(shares)} probabilities for {len(stream.labels)} labels: give one for each of {labels}, in this order")
    elif not abs(sum(shares) - 1) <= checks.SUM_OFF:
        raise PydanticCustomError("probability", f"the probabilities sum to {sum(shares):.4g}, not to 1: give those of all labels")
    elif share is not None and not abs(share - shares[place]) <= checks.SUM_OFF:
        raise PydanticCustomError("probability", f"probability {share:.4g} is not that of the predicted label, {shares[place]:.4g}: give it, or leave it out")
    return {**record, "probability": share if shares is None else shares[place], "probabilities": shares}


def _answer(stream: StreamConfig, what: str) -> CoreSchema:
    return schema.no_info_plain_validator_function(functools.partial(_label, stream, what=what))


def _object(fields: dict[str, CoreSchema], *, optional: list[str], more: bool = False) -> CoreSchema:
    keys = {name: schema.typed_dict_field(check, required=name not in optional) for name, check in fields.items()}
    return schema.typed_dict_schema(keys, extra_behavior="ignore" if more else "forbid", strict=True)


def _value(feature: Feature) -> CoreSchema:
    value = _TEXT if feature.texts else _BOOLEAN if feature.boolean else _number(feature)
    return value if feature.required else schema.nullable_schema(value)


def _number(feature: Feature) -> CoreSchema:
    low, high = feature.limits
    lowest, highest = (edge if math.isfinite(edge) else None for edge in (low, high))
    number: CoreSchema = schema.float_schema(strict=True, allow_inf_nan=False, ge=lowest, le=highest)
    return schema.no_info_after_validator_function(_whole, number) if feature.categorical else number


def _whole(number: float) -> float:
    if not number.is_integer():
        raise ValueError("not a whole number")
    return number


def _zero_or_one(number: float) -> float:
    if number not in {0, 1}:
        raise ValueError("not true or false")
    return number


def _in_reach(time: str) -> str:
    if not EARLIEST <= time < LATEST:
        raise PydanticCustomError("time", f"must lie in the years {EARLIEST[:4]} to {int(LATEST[:4]) - 1}")
    return time


def _named(version: str) -> str:
    if not version:
        raise PydanticCustomError("version", "version is empty: give the version of the model that predicted")
    return version


def _label(stream: StreamConfig, value: Any, *, what: str) -> Any:
    """A label or a prediction as it is logged: a class in the stream's own form, so that 1.0 becomes 1."""
    if stream.task == "regression":
        if type(value) not in {int, float} or not abs(value) <= LARGEST_NUMBER:
            raise PydanticCustomError(what, f"{shown(value)} is not a number within ±{LARGEST_NUMBER:g}")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str) or value not in stream.labels:
        raise PydanticCustomError(what, f"{shown(value)} is not a label of this stream: {', '.join(map(str, stream.labels))}")
    return stream.labels[stream.labels.index(value)]


def shown(value: Any) -> str:
    """The value, short and in ASCII."""
    if isinstance(value, str):
        return ascii(value if len(value) <= 60 else value[:57] + "...")
    return f"{value!r:.60}" if isinstance(value, int | float) else "null, a list or an object"


_ID: Final = TypeAdapter(checks.Id).core_schema
_TIME: Final = schema.no_info_after_validator_function(_in_reach, TypeAdapter(checks.Time).core_schema)
_VERSION: Final = schema.no_info_after_validator_function(_named, TypeAdapter(checks.Text).core_schema)
_FINITE: Final = schema.float_schema(strict=True, allow_inf_nan=False)
_BOOLEAN: Final = schema.union_schema([schema.bool_schema(strict=True), schema.no_info_after_validator_function(_zero_or_one, _FINITE)], mode="left_to_right")
_TEXT: Final = schema.union_schema(  # a whole number stays one: as a text it has no decimal point
    [
        schema.str_schema(strict=True, max_length=checks.LONGEST_TEXT),
        schema.bool_schema(strict=True),
        schema.int_schema(strict=True, ge=-checks.INT64, lt=checks.INT64),
        _FINITE,
    ],
    mode="left_to_right",
)
_IDS, _TIMES = SchemaValidator(_ID), SchemaValidator(_TIME)
