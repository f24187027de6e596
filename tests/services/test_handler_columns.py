"""The handler of a model that takes values as they are: texts, booleans and null by column, and what it refuses."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from car_table import car_model, car_stream, known_model, unpacked
from handler_context import FakeContext, initialized

from driftloop.data.schema import encoding

HISTORY = 2
GOOD = {"km": 40_000, "discount": 10, "power": 88.5, "fuel": "gas", "sold": True, "checked": "yes", "zone": "161"}
NAMES = list(GOOD)


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return car_stream(tmp_path_factory.mktemp("cars"))


@pytest.fixture(scope="module")
def model(stream):
    return car_model(stream, history=HISTORY).model


@pytest.fixture(scope="module")
def model_dir(stream, tmp_path_factory):
    return unpacked(known_model(stream, car_model(stream, history=HISTORY)), tmp_path_factory.mktemp("unpacked"))


@pytest.fixture(scope="module")
def loaded(model_dir):
    return initialized(model_dir)


@pytest.fixture
def ask(loaded, model_dir):
    """Send one body: (status, answer)."""

    def send(body: Any) -> tuple[int, Any]:
        context = FakeContext(model_dir)
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        (answer,) = loaded.handle([{"body": sent}], context)
        return context.status.get(0, 200), json.loads(answer, parse_constant=pytest.fail)

    return send


def shares(answer: dict[str, Any]) -> np.ndarray:
    return np.array([one["probabilities"] for one in answer["predictions"]], np.float32)


def row(**values: Any) -> dict[str, Any]:
    return {**GOOD, **values}


def answer_to(ask, **values: Any) -> np.ndarray:
    """The probabilities of one row."""
    status, answer = ask({"instances": [row(**values)]})
    assert status == 200, answer
    return shares(answer)


def test_texts_booleans_and_nulls_are_answered_as_the_local_model_answers_their_codes(ask, stream, model):
    status, answer = ask({"instances": encoding.decode(stream.rows[100:], stream.columns), "context": encoding.decode(stream.rows[90:100], stream.columns)})
    assert status == 200 and np.array_equal(shares(answer), model.probabilities(stream.rows[98:], first=HISTORY))


def test_every_form_of_the_same_rows_gets_the_same_answer_and_other_columns_are_ignored(ask, stream):
    lists = encoding.decode(stream.rows[:6], stream.columns)
    records = [{"extra": ["whatever"], **dict(zip(NAMES, values, strict=True))} for values in lists]
    turned = [*NAMES[::-1], "comment"]
    split = {"columns": turned, "data": [[*values[::-1], {"a": None}] for values in lists]}
    before = [[*values[::-1], 1] for values in lists[:2]]
    forms = [
        {"instances": lists, "context": lists[:2]},
        {"instances": records, "context": lists[:2]},
        {"dataframe_records": records, "context": records[:2]},
        {"dataframe_split": split, "context": before},
        {"dataframe_split": split, "context": [dict(zip(NAMES, values, strict=True)) for values in lists[:2]]},
    ]
    answers = [ask(form) for form in forms]
    assert answers[0][0] == 200 and all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("zone", ["161", 161, 161.0]),
        ("sold", [True, 1, 1.0]),
        ("sold", [False, 0, -0.0]),
        ("km", [40_000, 40_000.0, 4e4]),
        ("fuel", ["steam", "🚂" * 50, "", " gas", "x" * 10_000, "\ud800", "NaN", "null", 7, 1.5, True, 10**300, 1e300]),  # all of them "other"
        ("checked", ["perhaps", True, False, 1]),
    ],
)
def test_values_that_mean_the_same_get_the_same_answer(ask, name, same):
    answers = [answer_to(ask, **{name: value}) for value in same]
    assert all(np.array_equal(answer, answers[0]) for answer in answers)


@pytest.mark.parametrize(
    ("name", "values"),
    [("fuel", ["gas", "diesel", "électrique 🔌", 'a "quoted", text', "steam", None]), ("sold", [True, False, None]), ("checked", ["yes", "no", None])],
)
def test_values_that_mean_something_else_get_another_answer(ask, name, values):
    answers = [answer_to(ask, **{name: value}).tobytes() for value in values]
    assert len(set(answers)) == len(values)


def test_a_row_of_nulls_and_a_context_of_nulls_are_answered(ask, model):
    nothing = dict.fromkeys(NAMES)
    status, answer = ask({"instances": [nothing, [None] * 7], "context": [nothing, nothing, nothing]})
    assert status == 200 and "unseen" not in answer
    np.testing.assert_array_equal(shares(answer), model.probabilities(np.full((4, 7), math.nan), first=2))


def test_unseen_texts_of_the_instances_are_counted_by_column(ask):
    rows = [row(fuel="steam"), row(fuel="coal", zone=99), row(fuel=None), row(checked="Yes")]
    assert ask({"instances": rows, "context": [row(fuel="steam")] * 5})[1]["unseen"] == {"fuel": 2, "zone": 1, "checked": 1}
    assert "unseen" not in ask({"instances": [GOOD], "context": [row(fuel="steam")]})[1]


HOSTILE = [
    ({"instances": [row(km="far")]}, 'instance 0, column km is "far"; give a number or null'),
    ({"instances": [GOOD, row(km=True)]}, "instance 1, column km is true; give a number or null"),
    ({"instances": [row(km="40000")]}, 'column km is "40000"'),
    ({"instances": [row(km=[1])]}, "column km is a list; give a number or null"),
    ({"instances": [row(km=10**400)]}, "integer too large for a number in column km"),
    ({"instances": [row(sold=10**400)]}, "integer too large for a number in column sold"),
    ({"instances": [row(sold=2)]}, "column sold is 2; give true, false or null"),
    ({"instances": [row(sold=None), row(sold=0.5)]}, "instance 1, column sold is 0.5; give true, false or null"),
    ({"instances": [row(sold="true")]}, 'column sold is "true"; give true, false or null'),
    ({"instances": [row(fuel=["gas"])]}, "column fuel is a list; give a text or null"),
    ({"instances": [row(fuel={"a": "gas"})]}, "column fuel is a dict; give a text or null"),
    ({"instances": [row(zone=[[[[]]]])]}, "column zone is a list"),
    ({"instances": [{name: value for name, value in GOOD.items() if name not in {"fuel", "km"}}]}, "instance 0 lacks fuel, km; give km, discount"),
    ({"instances": [{}]}, "lacks checked, discount"),
    ({"instances": [GOOD], "context": [row(fuel=["gas"])]}, "context row 0, column fuel is a list"),
    ({"instances": [GOOD], "context": [{"km": 1}]}, "context row 0 lacks"),
    ({"instances": [[1, 2, 3]]}, "instance 0 is 3 values; give 7 values: km"),
    ({"instances": [[*GOOD.values(), 1]]}, "instance 0 is 8 values"),
    ({"instances": [None]}, "instance 0 is a NoneType"),
    ({"instances": []}, "no instances"),
    ({"dataframe_split": {"columns": NAMES[:-1], "data": [[1] * 6]}}, "dataframe_split columns lacks zone"),
    ({"dataframe_split": {"columns": [*NAMES, "km"], "data": [[1] * 8]}}, "column km is given twice"),
    (json.dumps({"instances": [row(km=math.nan)]}).encode(), "column km is not a finite number; give a number or null"),
    (json.dumps({"instances": [row(power=-math.inf)]}).encode(), "column power is not a finite number"),
    (json.dumps({"instances": [row(sold=math.nan)]}).encode(), "column sold is NaN; give true, false or null"),
    (json.dumps({"instances": [row(fuel=math.nan)]}).encode(), "column fuel is NaN; give a text or null"),
    (json.dumps({"instances": [row(fuel=math.inf)]}).encode(), "column fuel is Infinity"),
    (b'{"instances": [{"km": 1, "km": 2}]}', "key km is given twice"),
    (json.dumps({"instances": [row(km="x" * 10_000)]}).encode(), "column km is"),
]


@pytest.mark.parametrize(("hostile", "message"), HOSTILE, ids=[message for _, message in HOSTILE])
def test_what_is_no_value_of_its_column_is_refused_with_row_and_column(ask, hostile, message):
    status, answer = ask(hostile)
    assert status == 400 and message in answer["error"]["message"] and len(answer["error"]["message"]) < 300


def test_a_body_parsed_by_torchserve_may_hold_what_json_cannot(loaded, model_dir):
    context = FakeContext(model_dir)
    loaded.handle([{"body": {"instances": [row(fuel=math.nan)]}}, {"body": {"instances": [row(fuel=10**5000)]}}, {"body": {"instances": [GOOD]}}], context)
    assert context.status == {0: 400, 1: 400}
