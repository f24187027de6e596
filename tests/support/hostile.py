"""Requests that no service may take: bodies with headers, and whole requests that are hardly HTTP.

Every body is refused with a 4xx on each route that takes JSON, whatever it expects; `status` is what a strict reader
says where that does not depend on the route.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"
FEATURES = {"period": 0.5, "nswprice": 0.06, "nswdemand": 0.4, "vicprice": 0.003, "vicdemand": 0.4, "transfer": 0.4}
LABEL = {"stream": "elec", "id": "a", "label": 1}


@dataclass(frozen=True)
class Hostile:
    """One refused request."""

    name: str
    body: bytes
    status: int | None = None
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": JSON})


def _text(name: str, body: str | bytes, status: int = 400) -> Hostile:
    return Hostile(name, body.encode() if isinstance(body, str) else body, status)


def _value(name: str, body: Any, status: int | None = 422) -> Hostile:
    return Hostile(name, json.dumps(body).encode(), status)


def _typed(name: str, content_type: str | None, **more: str) -> Hostile:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return Hostile(name, json.dumps(_row()).encode(), 415, headers | more)


def _row(**changes: Any) -> dict[str, Any]:
    return {"stream": "elec", "features": FEATURES, **changes}


def _feature(value: Any) -> dict[str, Any]:
    return _row(features={**FEATURES, "period": value})


NOT_JSON = [
    _text("nothing", ""),
    _text("blank", " \r\n\t"),
    _text("a word", "predict"),
    _text("half an object", '{"features": {'),
    _text("a comma too many", '{"features": {},}'),
    _text("single quotes", "{'features': {}}"),
    _text("a comment", '{"features": {}} // none'),
    _text("two values", "{} {}"),
    _text("NaN", '{"stream": "elec", "features": {"period": NaN}}'),
    _text("Infinity", '{"stream": "elec", "features": {"period": Infinity}}'),
    _text("minus Infinity", '{"stream": "elec", "label": -Infinity, "id": "a"}'),
    _text("1e999", '{"stream": "elec", "label": 1e999, "id": "a"}'),
    _text("an integer of 5000 digits", '{"stream": "elec", "id": "a", "label": ' + "9" * 5000 + "}"),
    _text("an integer of 30 digits", '{"stream": "elec", "id": "a", "label": ' + "1" * 30 + "}"),
    _text("a leading zero", '{"stream": "elec", "id": "a", "label": 01}'),
    _text("a hexadecimal number", '{"stream": "elec", "id": "a", "label": 0x1}'),
    _text("a plus sign", '{"stream": "elec", "id": "a", "label": +1}'),
    _text("a byte that is not UTF-8", b'{"stream": "\xff"}'),
    _text("an overlong encoding", b'{"stream": "\xc0\xaf"}'),
    _text("a surrogate in UTF-8", b'{"stream": "\xed\xa0\x80"}'),
    _text("UTF-16", json.dumps(_row()).encode("utf-16")),
    _text("UTF-32", json.dumps(_row()).encode("utf-32")),
    _text("a byte order mark", b"\xef\xbb\xbf{}"),
    _text("a NUL", b"\x00"),
    _text("a NUL in the middle", b'{"stream": "elec"\x00}'),
    _text("a raw control character in a text", b'{"stream": "el\x01ec"}'),
    _text("a broken escape", r'{"stream": "\x41"}'),
    _text("half an escape", r'{"stream": "\u12"}'),
    _text("half a surrogate pair as a value", r'{"stream": "elec", "id": "\ud800", "label": 1}'),
    _text("half a surrogate pair as a key", r'{"\udfff": 1}'),
    _text("half a surrogate pair in a list", r'[["\ud83d"]]'),
    _text("a key twice", '{"stream": "elec", "stream": "elec", "id": "a", "label": 1}'),
    _text("a feature twice", '{"stream": "elec", "features": {"period": 0.1, "period": 0.2}}'),
    _text("a key twice, once escaped", r'{"stream": "elec", "str\u0065am": "taxi"}'),
    _text("100,000 open brackets", "[" * 100_000),
    _text("100,000 lists in each other", "[" * 100_000 + "]" * 100_000),
    _text("100,000 objects in each other", '{"a":' * 100_000 + "1" + "}" * 100_000),
    _text("XML", "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>"),
    _text("a form", "stream=elec&id=a&label=1"),
    _text("a pickle", b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94."),
]
SHAPES = [
    _value("null", None),
    _value("true", True),
    _value("a number", 7),
    _value("a text", "elec"),
    _value("an empty list", []),
    _value("an empty object", {}),
    _value("a list of nulls", [None]),
    _value("a list of numbers", [1, 2]),
    _value("a list of lists", [[[]]]),
    _value("100 lists in each other", json.loads("[" * 100 + "]" * 100)),
    _value("only the stream", {"stream": "elec"}),
    _value("rows that are no list", {"stream": "elec", "rows": {}, "labels": {}}),
    _value("no rows", {"stream": "elec", "rows": []}),
    _value("no labels", {"stream": "elec", "labels": []}),
    _value("a row that is null", {"stream": "elec", "rows": [None]}),
    _value("a label that is null", {"stream": "elec", "labels": [None]}),
    _value("both rows and features", {"stream": "elec", "rows": [_row()], "features": FEATURES}),
    _value("context that is no list", {"stream": "elec", "rows": [_row()], "context": FEATURES}),
    _value("context of another shape", {"stream": "elec", "rows": [_row()], "context": [[0.1] * 6]}),
    _value("an unknown key", _row(debug=True)),
    _value("the prototype of JavaScript", _row(__proto__={"admin": True})),
    _value("an empty key", _row(**{"": 1})),
    _value("no stream", {"features": FEATURES}),
    _value("another stream", _row(stream="wind")),
    _value("a stream that is a number", _row(stream=1)),
    _value("a stream that is a list", _row(stream=["elec"])),
    _value("a stream that is an operator", _row(stream={"$ne": None})),
    _value("a stream that is a path", _row(stream="../elec")),
    _value("a stream in capitals", _row(stream="ELEC")),
    _value("a stream with a line's end", _row(stream="elec\n")),
    _value("rows of two streams", [_row(), _row(stream="taxi")]),
]
ROWS = [
    _value("features that are null", _row(features=None)),
    _value("features that are a list", _row(features=list(FEATURES.values()))),
    _value("features that are a text", _row(features="period")),
    _value("no features", _row(features={})),
    _value("a missing feature", _row(features={"period": 0.5})),
    _value("an unknown feature", _row(features={**FEATURES, "wind": 1})),
    _value("a feature of another stream", _row(features={**FEATURES, "hour": 1})),
    _value("a feature named as an operator", _row(features={**FEATURES, "$where": "sleep(9000)"})),
    _value("a feature named with a dot", _row(features={**FEATURES, "period.a": 1})),
    _value("a feature named with a NUL", _row(features={**FEATURES, "period\x00": 1})),
    _value("a feature in other letters", _row(features={**FEATURES, "pеriod": 1})),
    _value("a feature of 100,000 letters", _row(features={**FEATURES, "a" * 100_000: 1})),
    _value("10,000 features", _row(features={f"f{at}": 1 for at in range(10_000)})),
    _value("a value that is null", _feature(None)),
    _value("a value that is true", _feature(True)),
    _value("a value that is a text", _feature("0.5")),
    _value("a value that is a list", _feature([0.5])),
    _value("a value that is an operator", _feature({"$gt": 0})),
    _value("a value that is a function", _feature({"$function": {"body": "while(1){}", "args": [], "lang": "js"}})),
    _value("a value above its range", _feature(1.000001)),
    _value("a value below its range", _feature(-0.000001)),
    _value("the largest float", _feature(1.7976931348623157e308)),
    _value("an integer of 64 bits", _feature(2**59)),
    _value("an unknown category", {"stream": "taxi", "features": {"pickup_zone": 266, "dropoff_zone": 1, "distance_miles": 1, "hour": 1, "weekday": 1}}),
    _value("half a category", {"stream": "taxi", "features": {"pickup_zone": 1.5, "dropoff_zone": 1, "distance_miles": 1, "hour": 1, "weekday": 1}}),
]
IDS = [
    _value(f"an id that is {name}", {"stream": "elec", "id": one, "features": FEATURES, "label": 1})
    for name, one in {
        "null": None,
        "a number": 1,
        "true": True,
        "empty": "",
        "a list": ["a"],
        "an operator": {"$ne": None},
        "an object id": {"$oid": "507f1f77bcf86cd799439011"},
        "a text of an operator": "$where",
        "a path": "../../etc/passwd",
        "a text with a line's end": "a\n",
        "a text with a NUL": "a\x00b",
        "a text with a space": "a b",
        "of letters from elsewhere": "ärger",
        "of 101 letters": "a" * 101,
        "SQL": "' OR 1=1 --",
        "a template": "{{7*7}}",
    }.items()
]
TIMES = [
    _value(f"a time that is {name}", _row(time=one))
    for name, one in {
        "null": None,
        "a number": 1585726200,
        "empty": "",
        "a word": "now",
        "without an offset": "2020-04-01T07:30:00",
        "a date": "2020-04-01",
        "no day": "2020-02-30T00:00:00Z",
        "of the year 1": "0001-01-01T00:00:00Z",
        "before the year 1": "0001-01-01T00:00:00+14:00",
        "of the year 9999": "9999-12-31T23:59:59Z",
        "after the year 9999": "9999-12-31T23:59:59-14:00",
        "of an offset of 99 hours": "2020-04-01T07:30:00+99:99",
        "an operator": {"$date": "2020-04-01T07:30:00Z"},
        "in other digits": "２０２０-04-01T07:30:00Z",
    }.items()
]
LABELS = [
    _value("a label that is null", {**LABEL, "label": None}),
    _value("a label that is true", {**LABEL, "label": True}),
    _value("a label that is a list", {**LABEL, "label": [1]}),
    _value("a label that is an operator", {**LABEL, "label": {"$inc": 1}}),
    _value("a label that is a text", {**LABEL, "label": "1"}),
    _value("an unknown label", {**LABEL, "label": 2}),
    _value("half a label", {**LABEL, "label": 0.5}),
    _value("a label with an unknown key", {**LABEL, "$set": {"label": 0}}),
    _value("a label without an id", {"stream": "elec", "label": 1}),
    _value("an id twice", {"stream": "elec", "labels": [{"id": "a", "label": 1}] * 2}, None),
    _value("two rows of one id", [_row(id="a")] * 2, None),
    _value("a label of another stream", {"stream": "elec", "labels": [{**LABEL, "stream": "taxi"}]}),
    _value("a taxi label that is too large", {"stream": "taxi", "id": "a", "label": 1e300}),
    _value("a taxi label that is a text", {"stream": "taxi", "id": "a", "label": "12"}),
]
SIZES = [
    Hostile("a body of 2 MB", b" " * 2_000_000, 413),
    _value("1,001 rows", [_row()] * 1001, None),
    _value("1,001 labels", {"stream": "elec", "labels": [{"id": f"a{at}", "label": 1} for at in range(1001)]}, None),
    _value("1,001 rows of context", {"stream": "elec", "rows": [{"features": FEATURES}], "context": [FEATURES] * 1001}, None),
]
HEADERS = [
    _typed("no content type", None),
    _typed("an empty content type", ""),
    _typed("a form's content type", "application/x-www-form-urlencoded"),
    _typed("a file's content type", "multipart/form-data; boundary=a"),
    _typed("plain text", "text/plain"),
    _typed("almost JSON", "application/jsonx"),
    _typed("JSON lines", "application/json-seq"),
    _typed("another character set", "application/json; charset=utf-16"),
    _typed("latin 1", "application/json; charset=iso-8859-1"),
    _typed("an unknown parameter", "application/json; a=b"),
    _typed("two content types", "application/json, text/html"),
    _typed("a content type of 8,000 letters", "a" * 8000),
    Hostile("gzip that is said", gzip.compress(json.dumps(_row()).encode()), 415, {"Content-Type": JSON, "Content-Encoding": "gzip"}),
    Hostile("gzip that is not said", gzip.compress(json.dumps(_row()).encode()), 400),
    _typed("an unknown encoding", JSON, **{"Content-Encoding": "br"}),
]
HOSTILE = [*NOT_JSON, *SHAPES, *ROWS, *IDS, *TIMES, *LABELS, *SIZES, *HEADERS]

# Whole requests; {path} is the route. What is refused before the app sees it needs a JSON answer as well.
CHUNKED = b"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
RAW = {
    "no HTTP": b"hello\r\n\r\n",
    "no version": b"POST {path}\r\n\r\n",
    "HTTP of another age": b"POST {path} HTTP/9.9\r\nHost: a\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a method in small letters": b"post {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "an unknown method": b"PREDICT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "a path of 10,000 letters": b"POST /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a header without a colon": b"POST {path} HTTP/1.1\r\nHost\r\n\r\n",
    "a header with a space in its name": b"POST {path} HTTP/1.1\r\nHost : a\r\n\r\n",
    "a header that is folded": b"POST {path} HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
    "a header of 20,000 letters": b"POST {path} HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    "500 headers": b"POST {path} HTTP/1.1\r\n" + b"".join(b"X%d: a\r\n" % at for at in range(500)) + b"\r\n",
    "a NUL in a header": b"POST {path} HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
    "a length below 0": b"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "a length that is no number": b"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: ten\r\n\r\n",
    "two lengths": b"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length of 10 TB": b"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9999999999999\r\n\r\n{}",
    "both a length and chunks": b"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an unknown transfer": b"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: pigeon\r\n\r\n",
    "a chunk whose size is no number": CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
    "a chunk without an end": CHUNKED + b"2\r\n{}xx0\r\n\r\n",
    "a strange expectation": b"POST {path} HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\nContent-Length: 0\r\n\r\n",
    "a host that is none": b"POST {path} HTTP/1.1\r\nHost: [::1\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n",
    "a path that is another": b"POST /../../etc/passwd HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "a path that is not UTF-8": b"POST /%ff%fe HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "the path of a proxy": b"CONNECT example.org:443 HTTP/1.1\r\nHost: a\r\n\r\n",
}
