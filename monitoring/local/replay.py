"""Replays a stream against the prediction service: each block's rows to /predict, then their labels to /labels.

    python -m monitoring replay                                   # ELEC, the rows after the base model's, 200 per second
    python -m monitoring replay --rate 0 --rows 4800 --from_row 31718
    python -m monitoring replay --stream mine --data_path my.csv --time_column time

Every replay makes new ids, so that a stream can be replayed twice into one log.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import requests

from driftloop.cli import parsing, runner
from driftloop.cli.call import LearnerFlags, flag
from driftloop.cli.flag_types import address, service_address
from driftloop.cli.flags import DataFlags, TaskFlags, TextFlags
from driftloop.cli.parsing import whole
from driftloop.data.labels import Labels
from driftloop.data.schema import encoding
from driftloop.errors import PartError, SettingsError
from driftloop.system import loopback
from driftloop.watch import learners
from monitoring.local import progress

if TYPE_CHECKING:
    from driftloop.data.streams import Stream

TIMEOUT_S = 30.0
POLL_S = 0.5
BLOCK = 48
MOST_BYTES = 990_000  # of rows and context, or of labels: a request has at most 1,000,000
CONTEXT = 96  # rows before a block sent with it: the longest history of the documented search space


@dataclass(frozen=True)
class ReplayFlags(LearnerFlags, DataFlags, TaskFlags):
    """The values of this command's flags."""

    url: str = flag("http://127.0.0.1:8000", "the prediction service, http://host:port", type=service_address)
    hook_url: str = flag("", "a retrain hook: the replay, whose days pass in seconds, waits while it retrains", type=address)
    stream: str = flag("elec", "the stream's name in the service")
    rate: int = flag(200, "rows per second; 0: as fast as they are answered", type=whole(0))
    block_size: int = flag(BLOCK, f"rows per request; their labels follow at once; 0: {BLOCK}", type=whole(0, 1000))
    from_row: int = flag(0, "first row; 0: the first after a base model's training rows", type=whole(0))
    rows: int = flag(0, "rows to replay; 0: all from there", type=whole(0))


def build_parser() -> parsing.Parser:
    """The flags of this command."""
    parser = parsing.parser("monitoring replay", __doc__)
    learners.add_flag(parser)
    parsing.add_flags(parser, ReplayFlags)
    parsing.add_flags(parser, DataFlags, TextFlags, title="data")
    parsing.add_flags(parser, TaskFlags)
    return parser


def blocks(stream: Stream, start: int, stop: int, *, size: int, prefix: str, name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The bodies of /predict and /labels for each block of the rows `start`..`stop`, in time order.

    A block has `size` rows; fewer, and less context, where the service would refuse the body as too large.
    """
    first = start
    while first < stop:
        last = min(first + size, stop)
        ids = [f"{prefix}-{row}" for row in range(first, last)]
        given = encoding.as_in_table(stream.rows[max(0, first - CONTEXT) : last], stream.columns)
        features = [dict(zip(stream.features, values, strict=True)) for values in given]
        times = [f"{time}Z" for time in stream.times[first:last].astype("datetime64[ms]")]
        before = len(features) - len(ids)
        rows = [{"id": id, "time": time, "features": values} for id, time, values in zip(ids, times, features[before:], strict=True)]
        values = Labels(stream.label_names).decode(stream.labels[first:last])
        labels = [{"id": id, "label": label} for id, label in zip(ids, values, strict=True)]
        rows, labels, context = _fitting(rows, labels, features[:before])
        yield {"stream": name, "rows": rows, "context": context}, {"stream": name, "labels": labels}
        first += len(rows)


def _fitting(rows: list[Any], labels: list[Any], context: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """The first rows, at least one, their labels and the newest context whose bodies are no larger than the service takes."""
    if max(_bytes([rows, context]), _bytes(labels)) <= MOST_BYTES:
        return rows, labels, context
    newest = _number_within(context[::-1], MOST_BYTES // 2)
    context = context[len(context) - newest :]
    many = max(1, min(_number_within(rows, MOST_BYTES - _bytes(context)), _number_within(labels, MOST_BYTES)))
    return rows[:many], labels[:many], context


def _number_within(items: list[Any], most_bytes: int) -> int:
    """How many of the first items fit into a body of this size."""
    return sum(total <= most_bytes for total in accumulate(_bytes(one) + 2 for one in items))  # 2: the comma between two


def _bytes(value: Any) -> int:
    return len(json.dumps(value))  # as `requests` writes a body: in ASCII


def post(session: requests.Session, url: str, body: dict[str, Any]) -> dict[str, Any]:
    """The service's response.

    Raises:
        PartError: it does not answer, or refuses.
    """
    try:
        response = session.post(url, json=body, timeout=TIMEOUT_S)
    except requests.RequestException as exc:
        raise PartError(f"{url}: {type(exc).__name__}: is the prediction service running there?") from exc
    if not response.ok:
        raise PartError(f"{url}: HTTP {response.status_code}: {response.text[:300]}")
    return dict(response.json())


def replay(stream: Stream, start: int, stop: int, *, url: str, name: str, size: int, rate: int, hook_url: str = "") -> dict[str, Any]:
    """Post the rows `start`..`stop` and their labels, `rate` rows per second; return the counts by version and the accuracy or MAE of the answers.

    Posts nothing while the hook at `hook_url` retrains.

    Raises:
        PartError: the service does not answer, or refuses a block.
    """
    import numpy as np

    from driftloop.metrics import task

    began, rows, fallback = time.monotonic(), 0, 0
    labels, answered = [], []
    versions: Counter[str] = Counter()
    with loopback.session() as session:
        for asked, labelled in blocks(stream, start, stop, size=size, prefix=f"{name}-{uuid.uuid4().hex[:8]}", name=name):
            answers = post(session, f"{url}/predict", asked)["predictions"]
            post(session, f"{url}/labels", labelled)
            rows += len(answers)
            fallback += sum(bool(answer["fallback"]) for answer in answers)
            labels += [label["label"] for label in labelled["labels"]]
            answered += [answer["prediction"] for answer in answers]
            versions.update(answer["version"] for answer in answers)
            if rate:
                time.sleep(max(0.0, began + rows / rate - time.monotonic()))
            while hook_url and progress.running(f"{hook_url}/retrains"):
                time.sleep(POLL_S)
                began += POLL_S
    scored = task.of(stream.task)
    kpi = {scored.kpi: scored.value(scored.losses(np.array(labels), np.array(answered)))}
    return {"stream": name, "rows": rows, **kpi, "by_fallback": fallback, "by_version": versions, "seconds": time.monotonic() - began}


def work(args: ReplayFlags) -> tuple[dict[str, Any], int]:
    """Replay; return the counts and the accuracy or MAE, whatever KPI the monitor judges the stream by."""
    from driftloop.training.base import base_span
    from driftloop.watch.preparation import load_stream, tell_reading, train_until

    stream = load_stream(args, learners.load(args.learner, data_path=args.data_path))
    tell_reading(stream)
    start = args.from_row or base_span(stream, until=train_until(args.train_until, zone=args.time_zone))[1]
    stop = start + args.rows if args.rows else len(stream)
    if not start < stop <= len(stream):
        raise SettingsError(f"--from_row {args.from_row} --rows {args.rows}: the stream has {len(stream)} rows")
    result = replay(stream, start, stop, url=args.url, name=args.stream, size=args.block_size or BLOCK, rate=args.rate, hook_url=args.hook_url)
    print(f"{result['rows']} rows of {args.stream} replayed, {result['by_fallback']} of them answered by the fallback")
    return result, 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return runner.run(work, build_parser(), argv, ReplayFlags)
