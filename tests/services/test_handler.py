"""The handler without a server: what it answers, and what it refuses without failing its neighbours."""

from __future__ import annotations

import inspect
import json
import math
import zipfile
from typing import Any

import numpy as np
import pytest
import torch
from handler_context import FakeContext, initialized
from serving_fixtures import FEATURES, elec_model, some_rows

import handler
from handler import ElecHandler

HISTORY = 4


@pytest.fixture(scope="module")
def small():
    return elec_model(history=HISTORY)


@pytest.fixture(scope="module")
def model_dir(small, tmp_path_factory):
    return unpacked(small, tmp_path_factory.mktemp("unpacked"))


def unpacked(small, folder):
    with zipfile.ZipFile(small.archive(folder, "3", name="elec")) as mar:
        mar.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def loaded(model_dir):
    return initialized(model_dir)


@pytest.fixture
def ask(loaded, model_dir):
    """Send bodies as one batch: [(status, answer), ...]."""

    def send(*bodies: Any) -> list[tuple[int, Any]]:
        context = FakeContext(model_dir)
        requests = [{"body": body if isinstance(body, bytes | str | dict | list) else json.dumps(body).encode()} for body in bodies]
        answers = loaded.handle(requests, context)
        assert set(context.headers.values()) == {"application/json"}
        return [(context.status.get(at, 200), json.loads(answer, parse_constant=pytest.fail)) for at, answer in enumerate(answers)]

    return send


def body(rows, context=None, **more) -> bytes:
    return json.dumps({"instances": rows.tolist(), **({"context": context.tolist()} if context is not None else {}), **more}).encode()


def served_probabilities(answer) -> np.ndarray:
    return np.array([one["probabilities"] for one in answer["predictions"]], dtype=np.float32)


def test_the_file_holds_exactly_one_class():
    classes = [item for _, item in inspect.getmembers(handler, inspect.isclass) if item.__module__ == handler.__name__]
    assert classes == [ElecHandler]


def test_the_answer_is_the_local_models_to_the_last_bit(ask, small):
    rows, context = some_rows(50), some_rows(HISTORY, seed=9)
    status, answer = ask(body(rows, context))[0]
    local = small.model.probabilities(np.concatenate([context, rows]), first=HISTORY)
    assert status == 200 and np.array_equal(served_probabilities(answer), local)
    assert (answer["model_name"], answer["model_version"], len(answer["predictions"])) == ("elec", "3", 50)


def test_each_prediction_names_its_label_its_probability_and_the_version(ask):
    _, answer = ask(body(some_rows(5)))[0]
    for one in answer["predictions"]:
        assert one["label"] == int(np.argmax(one["probabilities"])) and one["probability"] == max(one["probabilities"]) and one["version"] == "3"


@pytest.mark.parametrize("length", [0, 1, HISTORY, HISTORY + 3])
def test_of_the_context_the_newest_rows_are_used_and_too_few_are_enough(ask, small, length):
    rows, context = some_rows(3), some_rows(length, seed=9)
    _, answer = ask(body(rows, context))[0]
    used = context[max(0, length - HISTORY) :]
    assert np.array_equal(served_probabilities(answer), small.model.probabilities(np.concatenate([used, rows]), first=len(used)))


def test_every_form_of_the_same_rows_gets_the_same_answer(ask):
    rows, context = some_rows(4), some_rows(2, seed=9)
    turned = FEATURES[::-1]
    records = [dict(zip(turned, row[::-1], strict=True)) for row in rows.tolist()]
    forms = [
        {"instances": rows.tolist(), "context": context.tolist()},
        {"instances": records, "context": context.tolist()},
        {"dataframe_records": records, "context": context.tolist()},
        {"dataframe_split": {"columns": FEATURES, "data": rows.tolist(), "index": [1, 2, 3, 4]}, "context": context.tolist()},
        {"dataframe_split": {"columns": turned, "data": rows[:, ::-1].tolist()}, "context": context[:, ::-1].tolist()},
    ]
    answers = [answer for _, answer in ask(*(json.dumps(form) for form in forms))]
    assert all(answer == answers[0] for answer in answers) and len(answers[0]["predictions"]) == 4


def test_a_body_that_torchserve_parsed_already_is_taken_too(ask):
    rows = some_rows(2)
    assert ask({"instances": rows.tolist()})[0] == ask(body(rows))[0]


def test_whole_numbers_are_numbers(ask):
    assert ask({"instances": [[0, 1, 2**70]]})[0][0] == 200


GOOD = [0.1, 0.2, 0.3]
RECORD = dict(zip(FEATURES, GOOD, strict=True))
SPLIT = {"columns": FEATURES, "data": [GOOD]}
HOSTILE = [
    (b"", "not JSON"),
    (b"{", "not JSON"),
    (b'{"instances": "\xff"}', "UTF-8"),
    (b"[" * 100_000, "nested too deeply"),
    (b'{"instances": [[' + b"9" * 5000 + b", 1, 2]]}", "digits"),
    (b'{"instances": [[1,2,3]], "instances": [[1,2,3]]}', "given twice"),
    (b'{"instances": [{"period": 1, "period": 2, "nswprice": 1, "nswdemand": 1}]}', "key period is given twice"),
    ("null", "not a JSON object"),
    ("[[1, 2, 3]]", "not a JSON object"),
    ('"text"', "not a JSON object"),
    ("{}", "has 0 of"),
    ({"inputs": [GOOD]}, "has 0 of"),
    ({"instances": [GOOD], "dataframe_split": SPLIT}, "has 2 of"),
    ({"instances": [GOOD], "params": {}}, "unknown key params"),
    ({"instances": []}, "no instances"),
    ({"instances": None}, "not a list of rows"),
    ({"instances": {"0": GOOD}}, "not a list of rows"),
    ({"instances": "0.1,0.2,0.3"}, "not a list of rows"),
    ({"instances": GOOD}, "instance 0 is a float"),
    ({"instances": [GOOD, GOOD[:2]]}, "instance 1 is 2 values"),
    ({"instances": [GOOD, [*GOOD, 0.4]]}, "instance 1 is 4 values"),
    ({"instances": [GOOD, []]}, "instance 1 is 0 values"),
    ({"instances": [[GOOD]]}, "instance 0 is 1 values"),
    ({"instances": [[0.1, "0.2", 0.3]]}, 'column nswprice is "0.2"'),
    ({"instances": [[0.1, 0.2, True]]}, "column nswdemand is true"),
    ({"instances": [[None, 0.2, 0.3]]}, "column period is null"),
    ({"instances": [[0.1, [0.2], 0.3]]}, "column nswprice is a list"),
    ({"instances": [[0.1, {"a": 1}, 0.3]]}, "column nswprice is a dict"),
    (b'{"instances": [[0.1, NaN, 0.3]]}', "column nswprice is not a finite"),
    (b'{"instances": [[0.1, 0.2, 0.3], [0.1, 0.2, -Infinity]]}', "instance 1, column nswdemand is not a finite"),
    (b'{"instances": [[1e999, 0.2, 0.3]]}', "column period is not a finite"),
    ({"instances": [[0.1, 10**309, 0.3]]}, "integer too large"),
    ({"instances": [[0.1, 10**400, 0.3]]}, "integer too large"),
    ({"instances": [{**RECORD, "x" * 500: 1}]}, "has unknown xxx"),
    ({"instances": [{"period": 1}]}, "lacks nswdemand, nswprice"),
    ({"instances": [{**RECORD, "nswprice": "high"}]}, "column nswprice is"),
    ({"dataframe_records": RECORD}, "not a list of rows"),
    ({"dataframe_split": [GOOD]}, "dataframe_split is not"),
    ({"dataframe_split": {"data": [GOOD]}}, "dataframe_split is not"),
    ({"dataframe_split": {**SPLIT, "dtypes": []}}, "dataframe_split is not"),
    ({"dataframe_split": {**SPLIT, "columns": "abc"}}, "not a list of names"),
    ({"dataframe_split": {**SPLIT, "columns": [1, 2, 3]}}, "not a list of names"),
    ({"dataframe_split": {**SPLIT, "columns": [["a"], ["b"], ["c"]]}}, "not a list of names"),
    ({"dataframe_split": {**SPLIT, "columns": ["period", "period", "nswprice"]}}, "column period is given twice"),
    ({"dataframe_split": {**SPLIT, "columns": ["period", "nswprice", "other"]}}, "lacks nswdemand and has unknown other"),
    ({"dataframe_split": {**SPLIT, "data": []}}, "no instances"),
    ({"instances": [GOOD], "context": None}, "context rows are not a list"),
    ({"instances": [GOOD], "context": [GOOD, [0.1]]}, "context row 1 is 1 values"),
    ({"instances": [GOOD], "context": [[0.1, 0.2, "x"]]}, "context row 0, column nswdemand"),
    (b'{"instances": [[0.1, 0.2, 0.3]], "context": [[0.1, NaN, 0.3]]}', "context row 0, column nswprice is not a finite"),
]


@pytest.mark.parametrize(("hostile", "message"), HOSTILE, ids=[message for _, message in HOSTILE])
def test_a_bad_request_gets_400_and_its_neighbours_their_answers(ask, hostile, message):
    sent = hostile if isinstance(hostile, bytes) else hostile.encode() if isinstance(hostile, str) else json.dumps(hostile).encode()
    good = body(some_rows(2))
    (before, first), (status, refusal), (after, second) = ask(good, sent, good)
    assert (before, status, after) == (200, 400, 200) and first == second
    assert refusal["error"]["code"] == 400 and message in refusal["error"]["message"]
    assert len(refusal["error"]["message"]) < 300


def test_a_request_without_a_body_is_refused(loaded, model_dir):
    context = FakeContext(model_dir)
    answers = loaded.handle([{}, {"form field": b"x"}, {"data": body(some_rows(1))}], context)
    assert context.status == {0: 400, 1: 400} and b"no body" in answers[0] and b"predictions" in answers[2]


def test_any_finite_numbers_give_finite_probabilities(ask):
    largest = float(np.finfo(np.float64).max)
    status, answer = ask({"instances": [GOOD, [largest, -largest, 5e-324], [1e39, 0, -1e39]], "context": [[-largest, largest, -largest]]})[0]
    assert status == 200 and all(math.isfinite(one["probability"]) for one in answer["predictions"])


def test_a_model_that_finds_no_finite_probability_refuses_the_instance(model_dir):
    served, context = ElecHandler(), FakeContext(model_dir)
    served.initialize(context)
    served.model.head[-1].weight.data.fill_(3e38)  # finite, unlike what it makes of a row
    answer = json.loads(served.handle([{"body": body(some_rows(1))}], context)[0])
    assert context.status == {0: 400} and "instance 0 gives no finite probability" in answer["error"]["message"]


def test_the_last_digits_of_large_numbers_reach_the_model(tmp_path):
    plain = some_rows(500)
    offset = np.array([20_000_000.0, 1.7e9, -3e12])
    for name, rows in {"plain": plain, "offset": plain + offset}.items():
        small = elec_model(history=4)
        small.model.learn_scale(rows)
        asked = rows[:50].tolist()
        folder = unpacked(small, tmp_path / name)
        served, context = ElecHandler(), FakeContext(folder)
        served.initialize(context)
        answer = json.loads(served.handle([{"body": json.dumps({"instances": asked}).encode()}], context)[0])
        found = np.array([one["probabilities"] for one in answer["predictions"]])
        np.testing.assert_allclose(found, small.model.probabilities(np.array(asked)), atol=1e-6)
        if name == "plain":
            wanted = found
    np.testing.assert_allclose(found, wanted, atol=2e-3)  # -3e12 has four digits left after the point


def test_an_answer_too_long_for_torchserve_is_refused(ask, monkeypatch):
    monkeypatch.setattr(handler, "MAX_ANSWER_BYTES", 1000)
    status, answer = ask(body(some_rows(100)))[0]
    assert status == 400 and "send fewer" in answer["error"]["message"]


def test_a_failure_of_the_model_is_one_requests_failure(model_dir, monkeypatch):
    served, context = ElecHandler(), FakeContext(model_dir)
    served.initialize(context)
    genuine = served.model.probabilities

    def failing(rows, *, first):
        if len(rows) == 2:
            raise RuntimeError("out of luck")
        return genuine(rows, first=first)

    monkeypatch.setattr(served.model, "probabilities", failing)
    answers = served.handle([{"body": body(some_rows(2))}, {"body": body(some_rows(1))}], context)
    assert context.status == {0: 500} and b"out of luck" in answers[0] and b"predictions" in answers[1]


@pytest.mark.parametrize("key", ["head.0.weight", "mean"])
def test_weights_that_are_not_finite_do_not_load(model_dir, key):
    state = torch.load(model_dir / "weights.pt", weights_only=True)
    sound = {name: tensor.clone() for name, tensor in state.items()}
    state[key].view(-1)[0] = float("nan")
    torch.save(state, model_dir / "weights.pt")
    try:
        with pytest.raises(RuntimeError, match=f"not finite: {key}"):
            ElecHandler().initialize(FakeContext(model_dir))
    finally:
        torch.save(sound, model_dir / "weights.pt")
