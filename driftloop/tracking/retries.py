"""Retries requests to a tracking server: the pauses, and the time limit.

MLflow leaves this to urllib3 and has no setting for the longest pause: it doubles up to two minutes, during which the return of
a server goes unnoticed. So MLflow is given the class `Patient`.
"""

from __future__ import annotations

import logging
import time
from types import TracebackType
from typing import Any, Final

from mlflow.utils import request_utils
from requests import PreparedRequest, Response
from requests.exceptions import ChunkedEncodingError
from requests.exceptions import ConnectionError as NoConnection
from requests.utils import rewind_body
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import MaxRetryError, ProtocolError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry

from driftloop.settings import RETRIES
from driftloop.tracking import patience

PAUSE_S: Final = 8  # longest pause between two attempts
BROKEN_S: Final = 60.0  # for a server that answers 500: that is rarely a restart

_state = {"failed": 0}


def failed() -> int:
    """How many attempts at a request have failed in this process."""
    return _state["failed"]


def pace() -> None:
    """Make all of MLflow's requests in this process retry like `Patient`."""
    if request_utils.Retry is not _patient:
        request_utils.Retry = _patient  # type: ignore[misc, assignment]
        request_utils.TCPKeepAliveHTTPAdapter = _Whole  # type: ignore[misc]
        request_utils._cached_get_request_session.cache_clear()  # sessions created before
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # a warning for each attempt


class Patient(Retry):
    """The remaining attempts at one request: limited by time, not by number; a longer wait is reported."""

    began: float | None = None  # when the first attempt failed

    def new(self, **changes: Any) -> Patient:
        """A copy with changes that keeps the time of the first failure."""
        made = super().new(**changes)
        made.began = self.began
        return made

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """Whether to retry after this answer; any other answer restores the full patience."""
        again = super().is_retry(method, status_code, has_retry_after)
        if not again:
            patience.restore()
        return again

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Patient:
        """Count a failed attempt.

        Raises:
            urllib3.exceptions.MaxRetryError: it was the last.
        """
        _state["failed"] += 1
        now = time.monotonic()
        began = now if self.began is None else self.began
        status = response.status if response is not None else None
        limit_s = min(patience.left(), BROKEN_S if status == 500 else patience.WAIT_S)
        last = now - began >= limit_s
        if last:
            patience.give_up()
        counted = super(Patient, self.new(total=0) if last else self).increment(method, url, response, error, _pool, _stacktrace)
        counted.began = began  # not that of `self`, with which all requests of a session start
        if len(counted.history) > 1:  # the second attempt is immediate, also after a closed idle connection
            host = f"{_pool.scheme}://{_pool.host}:{_pool.port}" if _pool else ""
            patience.tell(f"MLflow server {host}: {f'answers {status}' if status else 'no answer'}", limit_s=limit_s)
        return counted


class _Whole(request_utils.TCPKeepAliveHTTPAdapter):
    """Also retries when a response is cut off in its body; urllib3 itself retries earlier failures."""

    def send(self, request: PreparedRequest, stream: bool = False, *args: Any, **rest: Any) -> Response:
        """Send a request until the whole response has arrived, within the limits of `Patient`.

        Raises:
            requests.exceptions.RequestException: no complete response.
        """
        left, pool = self.max_retries, self.poolmanager.connection_from_url(str(request.url))
        while True:
            response = super().send(request, stream, *args, **rest)
            try:
                if not stream:
                    response.content  # noqa: B018 - read now, and kept
                return response
            except (ChunkedEncodingError, NoConnection) as exc:
                try:
                    left = left.increment(request.method, request.url, error=ProtocolError(exc), _pool=pool)
                except MaxRetryError:
                    raise NoConnection("the response was cut off", request=request) from exc
                left.sleep()
                if request._body_position is not None:
                    rewind_body(request)


def _patient(*, total: int, **rest: Any) -> Patient:
    """MLflow's retry factory for a session; from our setting's number on, only time ends the attempts."""
    counts = dict.fromkeys(("total", "connect", "read", "redirect", "status")) if total >= RETRIES else {"total": total}
    return Patient(**rest | counts, backoff_max=PAUSE_S, retry_after_max=PAUSE_S)
