"""The client of a TorchServe: predictions on its inference port, models on its management port.

Every call has a time limit, and every failure raises a `ServingError`.
"""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from driftloop.errors import ServingError, UnansweredError
from driftloop.serving import request_values
from driftloop.serving.torchserve_log import worker_error
from driftloop.serving.torchserve_responses import error_type, parsed, reason
from driftloop.system import loopback

if TYPE_CHECKING:
    import numpy as np

    from driftloop.data.schema.schema import Column

# TorchServe refuses requests and answers over 6.5 MB.
MAX_REQUEST_BYTES = 5_500_000
MAX_ROWS = 16_000  # so that the answer stays small too
# Each request after the first of a split block has this many rows of context, or as many as were
# given if more: models with a longer history need unsplit blocks.
SPLIT_CONTEXT = 1024
POLL_S = 0.1
LOAD_TIMEOUT_S = 180.0
# TorchServe's messages for a worker that died, or a model lost in a restart. The handler's errors have
# another form.
UNANSWERED = {"InternalServerException", "ServiceUnavailableException", "ModelNotFoundException", "ModelVersionNotFoundException"}


@dataclass(frozen=True)
class ServedAnswer:
    """An answer: class probabilities (N, K) float32, or values (N,) for a regression, and the version of each row.

    `run_ids` are the runs that trained the answering models, "" for an archive without one. `updates` are the numbers of their updates in place,
    without those of versions that are not updated.
    """

    probabilities: np.ndarray
    versions: tuple[str, ...]
    run_ids: frozenset[str] = frozenset()
    updates: frozenset[int] = frozenset()

    @property
    def version(self) -> str:
        """The version that answered; several, joined by "+", where a swap fell within a split block."""
        return "+".join(dict.fromkeys(self.versions))


class TorchServeClient:
    """One TorchServe, from any number of threads.

    Args:
        inference_url: for example http://127.0.0.1:8080.
        management_url: of the management API; calls are refused unless it is on this machine, since
            access to that port allows running code.
        timeout_s: limit of a single call that does not load a model.
        log: the log of our own server: failures then quote the worker's error.
    """

    def __init__(self, *, inference_url: str, management_url: str, timeout_s: float = 60.0, log: Path | None = None) -> None:
        self.inference_url = inference_url.rstrip("/")
        self.management_url = management_url.rstrip("/")
        self.timeout_s = timeout_s
        self.log = log
        self._asking = loopback.PerThread()

    @classmethod
    def from_url(cls, url: str, *, management_url: str | None = None, timeout_s: float = 60.0) -> TorchServeClient:
        """A client of a running server; its management port is the inference port + 1 unless given.

        >>> TorchServeClient.from_url("http://127.0.0.1:8080").management_url
        'http://127.0.0.1:8081'

        Raises:
            ServingError: the URL is not http://host:port.
        """
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = None
        if parts.scheme != "http" or not parts.hostname or port is None or parts.path.strip("/"):
            raise ServingError(f"the TorchServe URL is {url!r}: give one like http://127.0.0.1:8080")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return cls(inference_url=url, management_url=management_url or f"http://{host}:{port + 1}", timeout_s=timeout_s)

    def healthy(self) -> bool:
        """True when the server answers, whatever its models."""
        try:
            return self._asking.session.get(f"{self.inference_url}/ping", timeout=5).ok
        except requests.RequestException:
            return False

    def register(self, mar: Path, *, name: str, version: str) -> None:
        """Register an archive and start the workers that its own configuration asks for.

        Args:
            mar: the archive, in the server's model store or where the server may fetch it as a file.
            name: model name; as in the archive.
            version: likewise.

        Raises:
            ServingError: the archive is rejected, or a worker fails to load it; then it is unregistered again.
        """
        if version in self.versions(name=name):
            raise ServingError(f"{name} {version} is registered already: give the new model a new version")
        query = {"url": str(mar.resolve()), "initial_workers": "1", "synchronous": "true"}
        response = self._manage("POST", "/models", params=query, timeout=LOAD_TIMEOUT_S)
        if response.status_code == requests.codes.not_found and mar.is_file():
            # An external server has another store and copies the file from here.
            response = self._manage("POST", "/models", params={**query, "url": mar.resolve().as_uri()}, timeout=LOAD_TIMEOUT_S)
        if response.status_code == requests.codes.conflict:  # registered by another process: it stays
            raise ServingError(f"{name} {version} was registered by someone else in the meantime: give the new model a new version")
        if not response.ok:
            why = worker_error(self.log, name=name, version=version) or reason(response)
            self.unregister(name=name, version=version)
            raise ServingError(f"{name} {version} was not loaded from {mar.name}: {why}")

    def wait_ready(self, *, name: str, version: str) -> None:
        """Wait until every worker of a version is READY.

        Raises:
            ServingError: not within `LOAD_TIMEOUT_S`, or its workers keep dying (known from the third on).
        """
        end = time.monotonic() + LOAD_TIMEOUT_S
        pids: set[int] = set()
        while True:
            model = self.describe(name=name, version=version)
            workers = model["workers"]
            if workers and len(workers) >= model["minWorkers"] and all(worker["status"] == "READY" for worker in workers):
                return
            pids |= {worker["pid"] for worker in workers if worker["pid"] > 0}
            dying = len(pids) > 2 * max(len(workers), 1) or not (workers or model["minWorkers"])
            if dying or time.monotonic() > end:
                why = worker_error(self.log, name=name, version=version) or "see the server's log"
                raise ServingError(f"{name} {version}: {'its workers keep dying' if dying else f'not ready within {LOAD_TIMEOUT_S:.0f} s'}: {why}")
            time.sleep(POLL_S)

    def describe(self, *, name: str, version: str | None = None) -> dict[str, Any]:
        """The server's status of a version (the default one when None): workers, limits, queue.

        Raises:
            ServingError: it is not registered.
        """
        path = f"/models/{name}/{version}" if version else f"/models/{name}"
        return dict(parsed(self._manage("GET", path))[0])

    def versions(self, *, name: str) -> list[str]:
        """The versions registered under a name; empty when the name is unknown."""
        response = self._manage("GET", f"/models/{name}/all")
        if response.status_code == requests.codes.not_found:
            return []
        return [model["modelVersion"] for model in parsed(response)]

    def default_version(self, *, name: str) -> str | None:
        """The default version; None when the name is unknown."""
        response = self._manage("GET", f"/models/{name}")
        return None if response.status_code == requests.codes.not_found else str(parsed(response)[0]["modelVersion"])

    def set_default(self, *, name: str, version: str) -> None:
        """Make a version the default."""
        parsed(self._manage("PUT", f"/models/{name}/{version}/set-default"))

    def pending_requests(self, *, name: str, version: str) -> int:
        """Queued requests of a version; those being processed are not counted."""
        return int(self.describe(name=name, version=version)["jobQueueStatus"]["pendingRequests"])

    def knock(self, *, name: str, version: str) -> None:
        """Send a version an empty request, which it rejects at once, and wait for that answer.

        A version with one worker has then answered all that came before; with more, one of them has become free.

        Raises:
            ServingError: no answer came within the client's `timeout_s`.
        """
        self._call("POST", f"{self.inference_url}/predictions/{name}/{version}", data=b"")

    def unregister(self, *, name: str, version: str) -> None:
        """Unregister a version; its unanswered requests fail, so drain it first. No effect when it is unknown.

        Raises:
            ServingError: it is the default one and others are registered.
        """
        response = self._manage("DELETE", f"/models/{name}/{version}")
        if response.status_code != requests.codes.not_found:
            parsed(response)

    def predict(
        self, rows: np.ndarray, *, name: str, context: np.ndarray | None = None, version: str | None = None, columns: Sequence[Column] = ()
    ) -> ServedAnswer:
        """Request predictions for `rows` (N, F), N at least 1.

        Args:
            rows: raw values in the model's column order, in time order.
            name: model name.
            context: (C, F) rows that came just before, oldest first; the model uses as many as its history needs.
            version: the version to call; the default one when None.
            columns: of a model that takes values as they are, all its columns: codes are sent as their texts, nan as null. Otherwise numbers are sent.

        Raises:
            UnansweredError: the server, or its worker, ended or lost the model; retry when it is back.
            ServingError: there are no rows or one is not finite, or the server's answer is invalid.
        """
        import numpy as np  # imported here: the prediction service sends lists, and starts without it

        url = "/".join(filter(None, (f"{self.inference_url}/predictions", name, version)))
        before = rows[:0] if context is None else context
        if rows.ndim != 2 or before.shape[1:] != rows.shape[1:] or not len(rows):
            raise ServingError(f"rows {rows.shape} and context {before.shape}: give (N, F) with N of 1 or more, and (C, F)")
        if not (request_values.takes(rows, columns) and request_values.takes(before, columns)):
            raise ServingError(f"a value to predict for {name} is not finite: JSON has no such value; correct the row or set it aside")
        parts: list[np.ndarray] = []
        versions: list[str] = []
        runs: set[str] = set()
        updates: set[int] = set()
        for chunk, chunk_context in _requests(rows, before, columns):
            predictions, about = self._predictions(url, *(request_values.of_rows(some, columns) for some in (chunk, chunk_context)))
            parts.append(np.array([one.get("probabilities", one.get("value")) for one in predictions], dtype=np.float32))
            versions += [one["version"] for one in predictions]
            runs.add(str(about.get("run_id", "")))
            updates |= {int(about["update"])} if "update" in about else set()
        return ServedAnswer(np.concatenate(parts), tuple(versions), frozenset(runs), frozenset(updates))

    def _predictions(self, url: str, rows: list[Any], context: list[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The predictions, and the whole answer."""
        body = json.dumps({"instances": rows, "context": context}, separators=(",", ":"), allow_nan=False)
        response = self._call("POST", url, data=body, headers={"Content-Type": "application/json"})
        if not response.ok and error_type(response) in UNANSWERED:
            raise UnansweredError(f"{url}: HTTP {response.status_code}: {reason(response)}")
        try:
            answered = parsed(response)
            predictions: list[dict[str, Any]] = answered["predictions"]
            complete = len(predictions) == len(rows) and all("version" in one and one.keys() & {"probabilities", "value"} for one in predictions)
        except (KeyError, TypeError, AttributeError) as exc:
            raise ServingError(f"{url} answered without predictions: does this project's handler serve there?") from exc
        if not complete:
            raise ServingError(f"{url} answered {len(predictions)} predictions for {len(rows)} rows, or without version and probabilities or value")
        return predictions, dict(answered)

    def _manage(self, method: str, path: str, **options: Any) -> requests.Response:
        host = urlsplit(self.management_url).hostname or ""
        if not _is_loopback(host):
            raise ServingError(f"the model API on {host} is not on this machine and has no token: run this on the server's machine, or tunnel its port")
        return self._call(method, self.management_url + path, **options)

    def _call(self, method: str, url: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", self.timeout_s)
        try:
            return self._asking.session.request(method, url, **options)
        except requests.Timeout as exc:
            raise UnansweredError(f"{method} {url}: no answer within {options['timeout']:.0f} s; is the server overloaded?") from exc
        except requests.ConnectionError as exc:
            raise UnansweredError(f"{method} {url}: the connection failed or was cut; is TorchServe running there?") from exc
        except requests.RequestException as exc:
            raise ServingError(f"{method} {url}: {exc}") from exc


def _requests(rows: np.ndarray, context: np.ndarray, columns: Sequence[Column] = ()) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Split a block into requests under the server's limit, each with the rows before it."""
    import numpy as np

    known = np.concatenate([context, rows])
    room = MAX_REQUEST_BYTES // request_values.largest_row(known, columns)  # rows, context included
    if len(known) <= room and len(rows) <= MAX_ROWS:
        yield rows, context
        return
    reach = max(len(context), min(SPLIT_CONTEXT, room // 2))
    size = max(1, min(MAX_ROWS, room - reach))
    for at in range(len(context), len(known), size):
        yield known[at : at + size], known[max(0, at - reach) : at]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
