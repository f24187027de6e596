"""The served model of one stream: TorchServe with short time limits, and a circuit breaker before it.

A request never waits long for a model that is away: after a few failures in a row the circuit opens, and until a
probe from the background has an answer again nobody else asks.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import requests

from driftloop.errors import ServingError
from driftloop.serving.torchserve_client import TorchServeClient
from driftloop.system import loopback
from monitoring.stream_settings import StreamConfig

CONNECT_TIMEOUT_S = 0.5
FAILURES = 3  # in a row, until the circuit opens


@dataclass(frozen=True)
class ModelAnswer:
    """What the model says of one row; `probability` is that of the predicted class, None for regression.

    `rows_before` of the `history` rows that it wants before this one were there; history is None where the model does not say.
    """

    prediction: Any
    probability: float | None
    probabilities: tuple[float, ...] | None
    version: str
    rows_before: int = 0
    history: int | None = 0


class Breaker:
    """Counts failures in a row; open from `failures` on, closed again by one success.

    >>> breaker = Breaker(failures=2)
    >>> breaker.failed(); breaker.failed(); breaker.open
    True
    >>> breaker.succeeded(); breaker.open
    False
    """

    def __init__(self, *, failures: int = FAILURES) -> None:
        self._limit = failures
        self._failures = 0
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        """True when requests must not wait for the model."""
        return self._failures >= self._limit

    def failed(self) -> None:
        """A call failed."""
        with self._lock:
            self._failures += 1

    def succeeded(self) -> None:
        """A call was answered rightly."""
        with self._lock:
            self._failures = 0


class ServedModel:
    """The model that TorchServe serves under a stream's registered name; used from many threads.

    Args:
        url: TorchServe's inference address, http://host:port.
        stream: whose model.
        timeout_s: longest wait for an answer.

    Raises:
        ServingError: the URL is not http://host:port.
    """

    def __init__(self, url: str, stream: StreamConfig, *, timeout_s: float) -> None:
        self.stream = stream
        self.breaker = Breaker()
        self.version = ""  # of the newest answer
        self.error = "it has not been asked yet"  # of the newest failure; "" after an answer
        self._url = f"{TorchServeClient.from_url(url).inference_url}/predictions/{stream.model}"
        self._timeout = (CONNECT_TIMEOUT_S, timeout_s)
        self._answered = -math.inf  # monotonic time of the newest answer
        self._asking = loopback.PerThread()

    @property
    def up(self) -> bool:
        """True when the newest call was answered."""
        return not self.error

    def ask(self, rows: Sequence[Mapping[str, float | None]], context: Sequence[Mapping[str, float | None]] = ()) -> list[ModelAnswer]:
        """The model's answers to rows in time order.

        Args:
            rows: features by name, one or more.
            context: the rows just before them, oldest first.

        Raises:
            ServingError: the circuit is open, or TorchServe did not answer rightly within the time limits.
        """
        if self.breaker.open:
            raise ServingError(f"{self.stream.model}: not asked, it failed before: {self.error}")
        return self._call(rows, context)

    def probe(self, *, unless_within_s: float = 0.0) -> None:
        """Ask for one plain row, whatever the circuit says; its answer closes the circuit.

        Args:
            unless_within_s: do nothing when a request was answered so many seconds ago or less.
        """
        if self.up and time.monotonic() - self._answered <= unless_within_s:
            return
        try:
            self._call([plain_row(self.stream)], ())
        except ServingError:
            return  # noted in `error`

    def _call(self, rows: Sequence[Mapping[str, float | None]], context: Sequence[Mapping[str, float | None]]) -> list[ModelAnswer]:
        names = [feature.name for feature in self.stream.features]
        body = {"instances": [[row[name] for name in names] for row in rows], "context": [[row[name] for name in names] for row in context]}
        try:
            sent = json.dumps(body, allow_nan=False)
            response = self._asking.session.post(self._url, data=sent, headers={"Content-Type": "application/json"}, timeout=self._timeout)
            if not response.ok:
                raise ServingError(f"{self._url}: HTTP {response.status_code}")
            answers = read_answers(response.json(), self.stream, before=len(context))
            if len(answers) != len(rows):
                raise ServingError(f"{self._url}: {len(answers)} answers to {len(rows)} rows")
        except (ServingError, requests.RequestException, KeyError, TypeError, ValueError) as exc:
            self.breaker.failed()
            self.error = " ".join(f"{type(exc).__name__}: {exc}".split())[:300]
            raise ServingError(f"{self.stream.model}: {self.error}") from exc
        self.breaker.succeeded()
        self.version, self.error, self._answered = answers[-1].version, "", time.monotonic()
        return answers


def read_answers(body: Mapping[str, Any], stream: StreamConfig, *, before: int) -> list[ModelAnswer]:
    """TorchServe's answer to rows in time order, checked; `before` rows of context came with them.

    Raises:
        KeyError, TypeError, ValueError: it is not what the handler answers, or its labels are not the stream's in their order.
    """
    if "labels" in body and (fault := stream.labels_fault(body["labels"])):
        raise ValueError(fault)
    history = int(body["history"]) if "history" in body else None  # an archive of an earlier version does not say
    return [
        replace(read_answer(one, stream), rows_before=before + at if history is None else min(before + at, history), history=history)
        for at, one in enumerate(body["predictions"])
    ]


def read_answer(one: Mapping[str, Any], stream: StreamConfig) -> ModelAnswer:
    """TorchServe's answer to one row, checked: a label the stream does not know or a nan is no answer.

    Raises:
        KeyError, TypeError, ValueError: it is not what the handler answers.
    """
    version = str(one["version"])
    if stream.task == "regression":
        return ModelAnswer(_finite(one["value"]), None, None, version)
    label, probability = one["label"], _finite(one["probability"])
    probabilities = tuple(_finite(value) for value in one["probabilities"])
    if label not in stream.labels:
        raise ValueError(f"label {label!r} is not one of {', '.join(map(str, stream.labels))}")
    if len(probabilities) != len(stream.labels) or probabilities[stream.labels.index(label)] != probability:
        raise ValueError(f"the probability of label {label!r} is not where the stream's labels {', '.join(map(str, stream.labels))} have it")
    return ModelAnswer(label, probability, probabilities, version)


def plain_row(stream: StreamConfig) -> dict[str, float]:
    """A row in the middle of every range, or with a feature's first category: valid, if not likely."""
    return {feature.name: feature.categories[0] if feature.categories else (feature.low + feature.high) / 2 for feature in stream.features}


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not finite")
    return number
