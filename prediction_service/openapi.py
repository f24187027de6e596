"""The service's OpenAPI document, generated from its streams, with the names, ranges and categories that the validation uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monitoring.features import Feature
from monitoring.records.checks import LONGEST_TEXT
from monitoring.stream_settings import StreamConfig
from prediction_service.answering import FALLBACKS
from prediction_service.row_forms import LARGEST_NUMBER

ID = {"type": "string", "pattern": r"^[A-Za-z0-9._:\-]{1,100}$", "description": "unique within its stream; the service makes one up for a row without"}
TIME = {"type": "string", "format": "date-time", "description": "of the row, with its offset, 1970 to 2199"}
EXAMPLES = 10  # texts of a category
ERRORS = {
    "400": "the body is not strict JSON",
    "409": "an id is given twice in the request",
    "413": "too many rows, or bytes",
    "415": "not application/json in UTF-8",
    "422": "a row is not what its stream demands",
}


def document(streams: Sequence[StreamConfig], *, max_rows: int) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a service with these streams."""
    alone = len(streams) == 1
    served = [stream for stream in streams if not stream.elsewhere]
    schemas: dict[str, Any] = {"Error": _error(), **({"Answer": _answer(served)} if served else {})}
    for stream in streams:
        schemas |= _stream_schemas(stream, alone=alone, max_rows=max_rows)
    answers = {"anyOf": [_ref("Answer"), _object({"predictions": {"type": "array", "items": _ref("Answer")}})]}
    accepted = _object({"accepted": {"type": "integer", "minimum": 1}})
    ids = {"type": "array", "items": ID, "description": "of the records, in their order"}
    kept = {
        "202": _answered("kept", _object({"accepted": {"type": "integer", "minimum": 1}, "ids": ids})),
        "503": _answered("not kept: send them again", _ref("Error")),
    }
    unanswered = any(stream.model_uri and stream.fallback is None for stream in served)
    silent = {"503": _answered("the model of a stream without a fallback cannot answer", _ref("Error"))} if unanswered else {}
    bodies = [f"{form}_{stream.name}" for stream in served for form in ("row", "list", "batch")]
    logs = [f"{form}_{stream.name}" for stream in streams for form in ("record", "record_list", "records")]
    labels = [f"{form}_{stream.name}" for stream in streams for form in ("label", "labels")]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Predictions", "version": "1", "description": "Rows stand in time order. One bad row refuses its request."},
        "paths": {
            **(
                {"/predict": {"post": _post("Predict one row or several", bodies, {"200": _answered("the answers, in the rows' order", answers), **silent})}}
                if served
                else {}
            ),
            "/log": {"post": _post("Record predictions that another system made", logs, kept)},
            "/labels": {
                "post": _post(
                    "Give labels of earlier predictions",
                    labels,
                    {"202": _answered("kept; they are joined later", accepted), "503": _answered("not kept: send them again", _ref("Error"))},
                )
            },
            "/health": {"get": _get("Whether the process is alive, and its log sound", {"type": "object", "required": ["status", "log"]})},
            "/ready": {"get": _get("Who answers for each stream", {"type": "object", "required": ["ready", "streams"]})},
            "/metrics": {"get": _get("Metrics for Prometheus", {"type": "string"}, media="text/plain")},
            "/openapi.json": {"get": _get("The API as an OpenAPI document, for programs", {"type": "object"})},
            "/docs": {"get": _get("The API as a page, for people", {"type": "string"}, media="text/html")},
            "/": {"get": _root()},
        },
        "components": {"schemas": schemas},
    }


def _stream_schemas(stream: StreamConfig, *, alone: bool, max_rows: int) -> dict[str, Any]:
    """The request schemas of one stream; its name is required where others are served, too."""
    named, needed = {"stream": {"const": stream.name}}, [] if alone else ["stream"]
    row = {**named, "id": ID, "time": TIME, "features": _ref(f"features_{stream.name}")}
    label = {**named, "id": ID, "label": _label(stream)}

    def several(item: dict[str, Any]) -> dict[str, Any]:
        return {"type": "array", "items": item, "minItems": 1, "maxItems": max_rows}

    record = _record(stream, row)
    wanted = ["prediction", *(["features"] if stream.features else [])]
    batch = {**named, "model": record["model"], "version": record["version"], "records": several(_object(record, required=wanted))}
    context = {**several(_ref(f"features_{stream.name}")), "minItems": 0, "description": "the rows just before, oldest first, for models with a history"}
    return {
        f"features_{stream.name}": _features(stream),
        f"row_{stream.name}": _object(row, required=[*needed, "features"]),
        f"list_{stream.name}": several(_ref(f"row_{stream.name}")),
        f"batch_{stream.name}": _object({**named, "rows": several(_object(row, required=["features"])), "context": context}, required=[*needed, "rows"]),
        f"record_{stream.name}": _object(record, required=[*needed, "version", *wanted]),
        f"record_list_{stream.name}": several(_ref(f"record_{stream.name}")),
        f"records_{stream.name}": {**_object(batch, required=[*needed, "records"]), "description": "its model and version are those of each record without"},
        f"label_{stream.name}": _object(label, required=[*needed, "id", "label"]),
        f"labels_{stream.name}": _object({**named, "labels": several(_object(label, required=["id", "label"]))}, required=[*needed, "labels"]),
    }


def _record(stream: StreamConfig, row: dict[str, Any]) -> dict[str, Any]:
    """What a prediction of another system may hold."""
    share = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
    labels = {"items": {"type": "number", "minimum": 0, "maximum": 1}, "minItems": len(stream.labels), "maxItems": len(stream.labels)}
    none = {"type": "null", "description": "a number has no probability"}
    several = {"type": ["array", "null"], **labels, "description": f"of {', '.join(map(str, stream.labels))}, in this order; their sum is 1"}
    return {
        **row,
        "time": {**TIME, "description": "of the row, with its offset, from 1970, at most one day ahead"},
        "model": {"const": stream.model},
        "version": {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT, "description": "of the model that predicted"},
        "prediction": _label(stream),
        "probability": {**share, "description": "of the predicted label"} if stream.labels else none,
        "probabilities": several if stream.labels else none,
    }


def _features(stream: StreamConfig) -> dict[str, Any]:
    found = {feature.name: _as_it_is(feature) if feature.described else _feature(feature) for feature in stream.features}
    if not stream.described:
        return _object(found, required=[feature.name for feature in stream.features if feature.required])
    return {**_object(found), "additionalProperties": True, "description": "others are ignored; null where a value is missing"}


def _as_it_is(feature: Feature) -> dict[str, Any]:
    """A feature without limits: any text of a category, of which its model knows some."""
    null = [] if feature.required else ["null"]
    if feature.texts:
        texts = list(feature.texts[:EXAMPLES])
        known = f"{len(feature.texts):,} texts are known to the model; others count as unseen"
        return {"type": ["string", "number", "boolean", *null], "maxLength": LONGEST_TEXT, "examples": texts, "description": known}
    if feature.boolean:
        return {"enum": [True, False, 0, 1, *([] if feature.required else [None])]}
    return {"type": ["number", *null], "examples": [feature.example]}


def _feature(feature: Feature) -> dict[str, Any]:
    limits = {"minimum": feature.low, "maximum": feature.high}
    kind = "integer" if feature.categorical else "number"
    return {"type": kind, **limits} if feature.required else {"type": [kind, "null"], **limits}


def _label(stream: StreamConfig) -> dict[str, Any]:
    if stream.task == "classification":
        return {"enum": list(stream.labels)}
    return {"type": "number", "minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER}


def _answer(streams: Sequence[StreamConfig]) -> dict[str, Any]:
    text = {"type": "string"}
    return _object(
        {
            "id": ID,
            "stream": {"enum": [stream.name for stream in streams]},
            "prediction": {"type": ["number", "string"]},
            "probability": {"type": ["number", "null"], "description": "of the predicted class; null for a number, and from the fallback"},
            "model": text,
            "version": {**text, "description": "of the model that answered; empty from the fallback"},
            "context_rows": {"type": "integer", "minimum": 0, "description": "rows before this one, of context and request, that the model was given"},
            "context_needed": {
                "type": ["integer", "null"],
                "description": "rows before this one that the model wants: with fewer its answer is worse than was judged; null: it does not say",
            },
            "fallback": {"enum": ["", *FALLBACKS], "description": "; ".join(f"{word}: {meaning}" for word, meaning in FALLBACKS.items())},
        },
        required=["id", "stream", "prediction", "probability", "model", "version", "fallback", "context_rows", "context_needed"],
    )


def _error() -> dict[str, Any]:
    return _object({"error": _object({"code": {"type": "string"}, "message": {"type": "string"}})})


def _post(summary: str, bodies: list[str], responses: dict[str, Any]) -> dict[str, Any]:
    schema = {"anyOf": [_ref(name) for name in bodies]}
    errors = {status: _answered(meaning, _ref("Error")) for status, meaning in ERRORS.items()}
    return {"summary": summary, "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}, "responses": responses | errors}


def _get(summary: str, schema: dict[str, Any], *, media: str = "application/json") -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": _answered(summary, schema, media=media)}}


def _root() -> dict[str, Any]:
    content = {"text/html": {"schema": {"type": "string"}}, "application/json": {"schema": {"type": "object", "required": ["service", "streams", "routes"]}}}
    summary = "What there is: streams, addresses, commands to paste"
    return {"summary": summary, "responses": {"200": {"description": "the page, or with Accept: application/json the same as JSON", "content": content}}}


def _answered(description: str, schema: dict[str, Any], *, media: str = "application/json") -> dict[str, Any]:
    return {"description": description, "content": {media: {"schema": schema}}}


def _object(properties: dict[str, Any], *, required: list[str] | None = None) -> dict[str, Any]:
    """An object without other properties; by default all are required."""
    return {"type": "object", "properties": properties, "required": [*properties] if required is None else required, "additionalProperties": False}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
