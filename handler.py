"""TorchServe handler of the window model; packed into the .mar; imports none of our modules.

Request, as JSON; rows are lists in the order of the model's columns, or objects by column name:

    {"instances": [[0.1, 0.2], [0.3, 0.4]], "context": [[0.0, 0.1]]}
    {"dataframe_records": [{"nswprice": 0.1, "nswdemand": 0.2}]}
    {"dataframe_split": {"columns": ["nswprice", "nswdemand"], "data": [[0.1, 0.2]]}}

A model whose card has `columns` was trained on values as they are: null is a missing value of any column; a category, or a boolean that the
table writes as text, is its text (or the number, true or false that the table has there); another boolean is true, false, 1 or 0. Columns of an
object or of `dataframe_split` that the model does not know are ignored. Other models take finite numbers, and only their own columns.

`context` holds rows that came just before the first instance, oldest first; the model uses the newest
`history` of them, and repeats the earliest row where it has too few. Beside `dataframe_split` lists
in `context` follow its `columns`.

Answer, one prediction an instance:

    {"model_name": "elec", "model_version": "3", "run_id": "0123…", "history": 48, "labels": [0, 1],
     "predictions": [{"label": 1, "probability": 0.93, "probabilities": [0.07, 0.93], "version": "3"}]}

and of a regression (the card's task) {"value": 12.5, "version": "3"} each. `history` is how many rows before
each instance the model wants, `labels` the order of the probabilities; a regression has none. `run_id` is the MLflow run
that trained the model: other stores number their versions alike. Archives without one leave it out.
`update` is there where the card has `updates`, a folder: how often the model was updated in place since it was loaded. Its newest weights are in that
folder's `state.pt`, which is replaced as a whole; each worker looks at it before each batch, so all answer from the same state. A file that
does not fit is left alone, and the state before stays.
`"unseen": {"fuel": 3}` tells how many instances have a text that the model never saw; it takes each of them as the same "other" text.

A bad request gets 400 and `{"error": {"code": 400, "message": "what, where, what to do"}}`; the other
requests of its batch are answered as if it were not there.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

FORMS = ("instances", "dataframe_records", "dataframe_split")
SPLIT_KEYS = frozenset({"columns", "data", "index"})
# TorchServe cuts the connection to a worker whose answer is over 6.5 MB.
MAX_ANSWER_BYTES = 6_000_000
# What a column of each kind takes beside null, and in words; "coded": categories, and booleans written as text.
TAKEN = {
    "number": ({int, float}, "a number or null"),
    "boolean": ({bool, int, float}, "true, false or null"),
    "coded": ({str, bool, int, float}, "a text or null"),
}


class ElecHandler:
    """Loads the archive's model once, then answers batches of requests (TorchServe calls both methods).

    Exactly one class may stand in a handler file, so what is wrong with a request is a ValueError.
    """

    def __init__(self) -> None:
        self.card: dict[str, Any] = {}
        self.columns: list[dict[str, Any]] = []  # of a model that takes values as they are, see `with_codes`
        self.model_name = ""
        self.model: Any = None
        self.update = 0  # number of the state in service; 0: as archived
        self.seen: tuple[int, int] | None = None  # the newest file of a state, taken or not

    def initialize(self, context: Any) -> None:
        """Build the model that `model.json` describes, with the weights of `weights.pt`.

        Raises:
            RuntimeError: the weights do not fit, or one is not finite; the version never becomes ready.
        """
        folder = Path(context.system_properties["model_dir"])
        self.card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        self.columns = [with_codes(column) for column in self.card.get("columns", ())]
        self.model_name = context.model_name
        self.model = load_model(folder, self.card)

    def handle(self, data: Sequence[dict[str, Any]], context: Any) -> list[bytes]:
        """Answer each request of a batch by itself, so that a bad one does not fail its neighbours."""
        self._take_update()
        return [self._answer_or_refuse(index, request, context) for index, request in enumerate(data)]

    def _take_update(self) -> None:
        """Load the newest state of an updated model, if there is one that fits."""
        if "updates" not in self.card:
            return
        path = Path(self.card["updates"]) / "state.pt"
        with contextlib.suppress(Exception):  # there is none, or whatever is wrong with it: the state in service stays, and `update` tells
            found = path.stat()
            if (stamp := (found.st_mtime_ns, found.st_ino)) == self.seen:
                return
            self.seen = stamp
            newest = torch.load(path, map_location="cpu", weights_only=True)
            if newest["run_id"] == self.card.get("run_id") and all(tensor.isfinite().all() for tensor in newest["state"].values()):
                model = copy.deepcopy(self.model)
                model.load_state_dict(newest["state"])
                self.model, self.update = model.eval(), int(newest["update"])

    def _answer_or_refuse(self, index: int, request: dict[str, Any], context: Any) -> bytes:
        context.set_response_header(index, "content-type", "application/json")
        try:
            return self.answer(parse_body(request))
        except ValueError as exc:
            status, message = HTTPStatus.BAD_REQUEST, str(exc)
        except RuntimeError as exc:  # torch's own: one request's failure, not the batch's
            status, message = HTTPStatus.INTERNAL_SERVER_ERROR, f"the model failed: {exc}"
        context.set_response_status(status.value, status.phrase, index)
        return json.dumps({"error": {"code": status.value, "message": message}}).encode()

    def answer(self, body: Any) -> bytes:
        """The answer to one parsed request.

        Raises:
            ValueError: the request is not what the module's docstring describes.
        """
        history = self.card["arguments"].get("history", 0)
        rows, first = read_rows(body, features=self.card["features"], history=history, columns=self.columns)
        regression = self.card.get("task") == "regression"
        outputs = self.model.values(rows, first=first) if regression else self.model.probabilities(rows, first=first)  # (N,) or (N, K)
        broken = np.flatnonzero(~np.isfinite(outputs.reshape(len(outputs), -1)).all(axis=1))
        if len(broken):
            what = "value" if regression else "probability"
            raise ValueError(f"instance {broken[0]} gives no finite {what}: its values, or its context's, are far outside any column's range")
        predictions = self._values(outputs) if regression else self._classes(outputs)
        about = {"model_name": self.model_name, "model_version": self.card["version"], "history": history, "labels": self.card["labels"]}
        about |= {key: self.card[key] for key in ("run_id",) if key in self.card}
        if "updates" in self.card:
            about["update"] = self.update
        if unseen := count_unseen(rows[first:], self.columns):
            about["unseen"] = unseen
        body = about | {"predictions": predictions}
        encoded = json.dumps(body, separators=(",", ":")).encode()
        if len(encoded) > MAX_ANSWER_BYTES:
            raise ValueError(f"{len(outputs)} instances make an answer over {MAX_ANSWER_BYTES} bytes; send fewer at a time")
        return encoded

    def _values(self, values: np.ndarray) -> list[dict[str, Any]]:
        return [{"value": value, "version": self.card["version"]} for value in values.astype(np.float64).tolist()]

    def _classes(self, probabilities: np.ndarray) -> list[dict[str, Any]]:
        labels, version = self.card["labels"], self.card["version"]
        best = probabilities.argmax(axis=1).tolist()
        # float32 as float64: JSON then carries them without loss.
        rows = probabilities.astype(np.float64).tolist()
        return [{"label": labels[chosen], "probability": row[chosen], "probabilities": row, "version": version} for chosen, row in zip(best, rows, strict=True)]


def load_model(folder: Path, card: dict[str, Any]) -> torch.nn.Module:
    """Build the card's class from its module in `folder` and load `weights.pt` into it, checked.

    Raises:
        RuntimeError: the weights do not fit the class, or one is not finite.
    """
    path = folder / card["module"]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{path.name} is not a Python module; build the archive again")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model: torch.nn.Module = getattr(module, card["class"])(**card["arguments"])
    state = torch.load(folder / "weights.pt", map_location="cpu", weights_only=True)
    model.load_state_dict(state)
    broken = [name for name, tensor in state.items() if not tensor.isfinite().all()]
    if broken:
        raise RuntimeError(f"weights are not finite: {', '.join(broken)}; train again")
    return model.eval()


def parse_body(request: dict[str, Any]) -> Any:
    """The JSON value of a request; TorchServe hands it over as bytes, text, or already parsed.

    Raises:
        ValueError: there is no body, it is not JSON, or an object in it has a key twice.
    """
    body = request.get("body", request.get("data"))
    if body is None:
        raise ValueError("the request has no body; POST a JSON object as application/json")
    if not isinstance(body, str | bytes | bytearray):
        return body
    try:
        return json.loads(body, object_pairs_hook=_without_duplicates)
    except RecursionError as exc:
        raise ValueError("the body is nested too deeply; send rows as lists or objects of numbers") from exc
    except UnicodeDecodeError as exc:
        raise ValueError("the body is not UTF-8 text; send JSON") from exc
    except json.JSONDecodeError as exc:
        raise ValueError(f"the body is not JSON: {exc.msg} at line {exc.lineno} column {exc.colno}") from exc


def with_codes(column: dict[str, Any]) -> dict[str, Any]:
    """A column of the card, with `codes`: what each text, and null, is to the model.

    >>> with_codes({"name": "fuel", "kind": "category", "categories": ["diesel", "gas"]})["codes"]
    {'diesel': 0.0, 'gas': 1.0, None: nan}
    """
    codes = {text: float(code) for code, text in enumerate(column["categories"])}
    return {**column, "kind": "coded" if codes or column["kind"] == "category" else column["kind"], "codes": {**codes, None: math.nan}}


def count_unseen(rows: np.ndarray, columns: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many rows (N, F) have a text that the model never saw, by column; columns without any are left out."""
    counts = {column["name"]: int((rows[:, at] == len(column["categories"])).sum()) for at, column in enumerate(columns) if column["kind"] == "coded"}
    return {name: count for name, count in counts.items() if count}


def read_rows(body: Any, *, features: Sequence[str], history: int, columns: Sequence[dict[str, Any]] = ()) -> tuple[np.ndarray, int]:
    """Read the rows of a request.

    Args:
        body: the parsed JSON.
        features: the model's column names, in order.
        history: rows before an instance that the model can use.
        columns: what the columns hold, as `with_codes` gives it; empty: finite numbers only.

    Returns:
        Context and instances (C + N, F) float64, and the position C of the first instance. A text is its code, the number of categories
        where the model does not know it; null is nan.

    Raises:
        ValueError: what is wrong, where, and what to do.

    >>> rows, first = read_rows({"instances": [[3, 4]], "context": [{"b": 2, "a": 1}]}, features=["a", "b"], history=1)
    >>> rows.tolist(), first
    ([[1.0, 2.0], [3.0, 4.0]], 1)
    """
    if not isinstance(body, dict):
        raise ValueError('the body is not a JSON object; send {"instances": [[...], ...]}')
    forms = [form for form in FORMS if form in body]
    if len(forms) != 1:
        raise ValueError(f"the body has {len(forms)} of {', '.join(FORMS)}; give exactly one")
    unknown = set(body) - {forms[0], "context"}
    if unknown:
        raise ValueError(f"unknown key {_names(unknown)}; give {forms[0]} and, if you like, context")
    names, instances = features, body[forms[0]]
    if forms[0] == "dataframe_split":
        names, instances = _split(instances, features, more=bool(columns))
    rows = _matrix(instances, names=names, features=features, columns=columns, what="instance")
    if not len(rows):
        raise ValueError("there are no instances; give at least one row")
    context = _matrix(body.get("context", []), names=names, features=features, columns=columns, what="context row")
    used = min(history, len(context))
    return np.concatenate([context[len(context) - used :], rows]), used


def _split(body: Any, features: Sequence[str], *, more: bool) -> tuple[list[str], Any]:
    if not isinstance(body, dict) or not {"columns", "data"} <= set(body) <= SPLIT_KEYS:
        raise ValueError('dataframe_split is not {"columns": [...], "data": [[...], ...]}')
    names = body["columns"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("dataframe_split columns is not a list of names")
    if len(set(names)) != len(names):
        raise ValueError(f"dataframe_split column {_repeated(names)} is given twice; name each column once")
    _check_names(set(names), features, more=more, where="dataframe_split columns")
    return names, body["data"]


def _matrix(rows: Any, *, names: Sequence[str], features: Sequence[str], columns: Sequence[dict[str, Any]], what: str) -> np.ndarray:
    """Rows as objects, or as lists in the order of `names` -> (N, F) float64 in the order of `features`."""
    if not isinstance(rows, list):
        raise ValueError(f"{what}s are not a list of rows; give [[...], ...]")
    lists = [_row(row, names, features, more=bool(columns), where=f"{what} {at}") if type(row) is dict else row for at, row in enumerate(rows)]
    for at, row in enumerate(lists):
        if type(row) is not list or len(row) != len(names):
            found = f"{len(row)} values" if type(row) is list else f"a {type(row).__name__}"
            raise ValueError(f"{what} {at} is {found}; give {len(names)} {'values' if columns else 'numbers'}: {', '.join(names)}")
    if columns:
        given = dict(zip(names, zip(*lists, strict=True), strict=True)) if lists else {}
        return np.column_stack([_column(given.get(column["name"], ()), column, what=what) for column in columns])
    # One pass in C over the types: bool is no number here, and numpy would turn text into numbers.
    if not set(map(type, chain.from_iterable(lists))) <= {int, float}:
        at, name, value = next((a, n, v) for a, row in enumerate(lists) for n, v in zip(names, row, strict=True) if type(v) not in (int, float))
        raise ValueError(f"{what} {at}, column {name} is {_shown(value)}; give a number")
    values = _finite(lists, columns=names, what=what)
    return values if names is features else values[:, [names.index(name) for name in features]]


def _column(given: Sequence[Any], column: dict[str, Any], *, what: str) -> np.ndarray:
    """The values of one column in all rows -> (N,) float64, nan where null."""
    taken, wanted = TAKEN[column["kind"]]
    types = set(map(type, given)) - {type(None)}
    if not types <= taken:
        raise _refusal(given, [type(value) not in taken and value is not None for value in given], column, wanted, what=what)
    if column["kind"] == "coded":
        if float in types:
            wrong = [type(value) is float and not math.isfinite(value) for value in given]
            if any(wrong):
                raise _refusal(given, wrong, column, wanted, what=what)
        texts = given if types <= {str} else [None if value is None else as_text(value) for value in given]
        codes, other = column["codes"], float(len(column["categories"]))
        return np.array([codes.get(text, other) for text in texts], np.float64)
    try:
        values = np.array(given, np.float64)  # None becomes nan
    except OverflowError as exc:
        raise ValueError(f"a {what} holds an integer too large for a number in column {column['name']}; give values within float64") from exc
    sound = np.isfinite(values) if column["kind"] == "number" else (values == 0) | (values == 1)
    if not sound.all():
        wrong = [not right and value is not None for right, value in zip(sound.tolist(), given, strict=True)]
        if any(wrong):
            raise _refusal(given, wrong, column, wanted, what=what)
    return values


def as_text(value: Any) -> str:
    """A value of a category as its text: a whole number has no decimal point, as in training.

    >>> as_text(161.0), as_text(1.5), as_text(True), as_text("161")
    ('161', '1.5', 'True', '161')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _refusal(given: Sequence[Any], wrong: Sequence[bool], column: dict[str, Any], wanted: str, *, what: str) -> ValueError:
    at = wrong.index(True)
    value = given[at]
    if column["kind"] == "number" and type(value) is float:
        return ValueError(f"{what} {at}, column {column['name']} is not a finite number; give {wanted}, within float64")
    return ValueError(f"{what} {at}, column {column['name']} is {_shown(value)}; give {wanted}")


def _finite(rows: list[list[float]], *, columns: Sequence[str], what: str) -> np.ndarray:
    try:
        values = np.array(rows, dtype=np.float64).reshape(len(rows), len(columns))
    except OverflowError as exc:
        raise ValueError(f"a {what} holds an integer too large for a number; give values within float64") from exc
    if not np.isfinite(values).all():
        at, column = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(f"{what} {at}, column {columns[column]} is not a finite number; give a value within float64")
    return values


def _row(row: dict[str, Any], names: Sequence[str], features: Sequence[str], *, more: bool, where: str) -> list[Any]:
    if row.keys() != set(features):
        _check_names(set(row), features, more=more, where=where)
    return [row.get(name) for name in names]


def _check_names(found: set[str], features: Sequence[str], *, more: bool, where: str) -> None:
    missing, unknown = set(features) - found, set() if more else found - set(features)
    if missing or unknown:
        wrong = [f"lacks {_names(missing)}"] * bool(missing) + [f"has unknown {_names(unknown)}"] * bool(unknown)
        raise ValueError(f"{where} {' and '.join(wrong)}; give {', '.join(features)}")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"key {_repeated(name for name, _ in pairs)} is given twice in one object; give it once")
    return found


def _repeated(names: Iterable[str]) -> str:
    return _names({name for name, times in Counter(names).items() if times > 1})


def _names(names: set[str]) -> str:
    return _short(", ".join(sorted(names)))


def _shown(value: Any) -> str:
    """A value that is no number, as its sender wrote it; a list or an object by its kind alone."""
    return f"a {type(value).__name__}" if isinstance(value, list | dict) else _short(json.dumps(value))


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
