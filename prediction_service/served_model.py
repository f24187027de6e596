"""The served model of one stream behind short timeouts and a circuit breaker; TorchServe's here, MLflow's in `prediction_service.registry_model`.

No request waits long for an unreachable model: after a few consecutive failures the circuit opens, and only the background's probe still calls
the model, until it answers again.
"""

from __future__ import annotations

import json
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import requests

from driftloop.errors import ServingError
from driftloop.serving.torchserve_client import TorchServeClient
from driftloop.system import loopback
from monitoring.features import Given
from monitoring.stream_settings import StreamConfig

CONNECT_TIMEOUT_S = 0.5
FAILURES = 3  # consecutive ones open the circuit


@dataclass(frozen=True)
class ModelAnswer:
    """The model's answer to one row; `probability` is that of the predicted class, None for regression.

    The model had `rows_before` of the `history` preceding rows that it needs; history is None where the model does not report it.
    """

    prediction: Any
    probability: float | None
    probabilities: Sequence[float] | None
    version: str
    rows_before: int = 0
    history: int | None = 0


@dataclass(frozen=True)
class ModelAnswers:
    """The model's answers to the rows of a request, and how many of these have a text that the version which answered never saw, by feature."""

    rows: list[ModelAnswer]
    unseen: Mapping[str, int]


class AskedModel(ABC):
    """A stream's model, wherever it runs, behind a circuit breaker; thread-safe."""

    def __init__(self, stream: StreamConfig) -> None:
        self.stream = stream
        self.version = ""  # of the latest answer
        self.error = "it has not been called yet"  # of the latest failure; "" after an answer
        self._answered = -math.inf  # monotonic time of the latest answer
        self._failures = 0  # consecutive ones
        self._counting = threading.Lock()
        self._closed = threading.Event()

    @property
    def up(self) -> bool:
        """True when the latest call was answered."""
        return not self.error

    @property
    def open(self) -> bool:
        """True when the circuit is open: requests must not wait for the model."""
        return self._failures >= FAILURES

    def ask(self, rows: Sequence[Mapping[str, Given]], context: Sequence[Mapping[str, Given]] = ()) -> ModelAnswers:
        """The model's answers to rows in time order.

        Args:
            rows: features by name, one or more.
            context: the rows just before them, oldest first.

        Raises:
            ServingError: the circuit is open, or the model gave no valid answer in time.
        """
        if self.open:
            raise ServingError(f"{self.stream.model}: not called, because it failed before: {self.error}")
        return self._call(rows, context)

    def probe(self, *, unless_within_s: float = 0.0) -> None:
        """Call the model with one plain row, even with an open circuit; an answer closes it. Not if one came in the last `unless_within_s` seconds."""
        if self.up and time.monotonic() - self._answered <= unless_within_s:
            return
        try:
            self._call([plain_row(self.stream)], ())
        except ServingError:
            return  # `error` has it

    def _call(self, rows: Sequence[Mapping[str, Given]], context: Sequence[Mapping[str, Given]]) -> ModelAnswers:
        try:
            answers = self._answers(rows, context)
            if len(answers.rows) != len(rows):
                raise ServingError(f"{len(answers.rows)} answers to {len(rows)} rows")
        except (ServingError, requests.RequestException, KeyError, TypeError, ValueError, OverflowError) as exc:
            with self._counting:
                self._failures += 1
            self.error = " ".join(f"{type(exc).__name__}: {exc}".split())[:300]
            raise ServingError(f"{self.stream.model}: {self.error}") from exc
        with self._counting:
            self._failures = 0
        self.version, self.error, self._answered = answers.rows[-1].version, "", time.monotonic()
        return answers

    @abstractmethod
    def _answers(self, rows: Sequence[Mapping[str, Given]], context: Sequence[Mapping[str, Given]]) -> ModelAnswers:
        """The answers to rows, as `ask`.

        Raises:
            ServingError, requests.RequestException, KeyError, TypeError, ValueError, OverflowError: there is no valid one.
        """

    def close(self) -> None:
        """End what runs in the background."""
        self._closed.set()


class ServedModel(AskedModel):
    """The model that TorchServe serves under a stream's registered name.

    Args:
        url: TorchServe's inference address, http://host:port.
        timeout_s: longest wait for an answer.

    Raises:
        ServingError: the URL is not http://host:port.
    """

    def __init__(self, url: str, stream: StreamConfig, *, timeout_s: float) -> None:
        super().__init__(stream)
        self._url = f"{TorchServeClient.from_url(url).inference_url}/predictions/{stream.model}"
        self._timeout = (CONNECT_TIMEOUT_S, timeout_s)
        self._asking = loopback.PerThread()

    def _answers(self, rows: Sequence[Mapping[str, Given]], context: Sequence[Mapping[str, Given]]) -> ModelAnswers:
        names = [feature.name for feature in self.stream.features]
        body = {"instances": [[row[name] for name in names] for row in rows], "context": [[row[name] for name in names] for row in context]}
        sent = json.dumps(body, allow_nan=False)
        response = self._asking.session.post(self._url, data=sent, headers={"Content-Type": "application/json"}, timeout=self._timeout)
        if not response.ok:
            raise ServingError(f"{self._url}: HTTP {response.status_code}")
        return read_answers(response.json(), self.stream, before=len(context))


def read_answers(body: Any, stream: StreamConfig, *, before: int) -> ModelAnswers:
    """TorchServe's answer to rows in time order, validated; `before` rows of context were sent with them.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: it is not a handler's answer, or its labels differ from the stream's or from their order.
    """
    if not isinstance(body, Mapping):
        raise TypeError("the answer is no object")
    if "labels" in body and (fault := stream.labels_fault(body["labels"])):
        raise ValueError(fault)
    history = int(body["history"]) if "history" in body else None  # archives of earlier versions do not report it
    unseen = {name: int(rows) for name, rows in dict(body.get("unseen", {})).items()}
    if any(rows < 0 for rows in unseen.values()):
        raise ValueError(f"a negative number of unseen texts: {min(unseen.values())}")
    rows = [
        replace(read_answer(one, stream), rows_before=before + at if history is None else min(before + at, history), history=history)
        for at, one in enumerate(body["predictions"])
    ]
    return ModelAnswers(rows, unseen)


def read_answer(one: Mapping[str, Any], stream: StreamConfig) -> ModelAnswer:
    """TorchServe's answer to one row, validated: an unknown label or a nan is refused.

    Raises:
        KeyError, TypeError, ValueError: it is not a handler's answer.
    """
    version = str(one["version"])
    if stream.task == "regression":
        return ModelAnswer(_finite(one["value"]), None, None, version)
    label, probability = one["label"], _finite(one["probability"])
    probabilities = tuple(_finite(value) for value in one["probabilities"])
    if label not in stream.labels:
        raise ValueError(f"label {label!r} is not one of {', '.join(map(str, stream.labels))}")
    if len(probabilities) != len(stream.labels) or probabilities[stream.labels.index(label)] != probability:
        raise ValueError(f"the probability of label {label!r} is not at its place in the stream's labels {', '.join(map(str, stream.labels))}")
    return ModelAnswer(label, probability, probabilities, version)


def plain_row(stream: StreamConfig) -> dict[str, Any]:
    """A row with the middle of each range or the first category: valid, but not necessarily likely."""
    return {feature.name: feature.plain for feature in stream.features}


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not finite")
    return number
