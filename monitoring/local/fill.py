"""Fills the prediction log from a table, as if a registered version had answered its rows, to try out the log's readers.

    python -m monitoring fill --stream elec --mongodb_uri mongodb://127.0.0.1:27017
    python -m monitoring fill --stream elec --from_row 31718 --rows 4800 --version 2

Nothing goes over HTTP. Each label is dated `--label_hours` after its row; bad rows of the table become refused rows. Ids are the
row numbers, so filling again changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from driftloop.cli import parsing, runner
from driftloop.cli.call import flag
from driftloop.cli.flag_types import mongodb_uri
from driftloop.cli.flags import DataFlags, ExperimentFlags, TaskFlags, TextFlags
from driftloop.cli.parsing import whole
from driftloop.cli.script_flags import WorkFlags
from driftloop.data.labels import Labels
from driftloop.data.schema import encoding
from driftloop.errors import DataError, SettingsError
from driftloop.watch import learners
from monitoring import described
from monitoring.fallback import Fallback, table
from monitoring.features import can_be_recorded
from monitoring.log.prediction_log import Added, PredictionLog, open_log
from monitoring.records.events import Label, Prediction, Rejected
from monitoring.stream_settings import StreamConfig

if TYPE_CHECKING:
    from driftloop.data.streams import Stream
    from driftloop.tracking import mlflow_store
    from driftloop.training.fitting import Learner
    from driftloop.training.trained_model import KnownModel

CHUNK: Final = 2000  # rows per write
ANSWERED: Final = 20_000  # rows per call of the model


def fill(
    log: PredictionLog, stream: Stream, known: KnownModel, of: StreamConfig, *, fallback: Fallback, rows: tuple[int, int], label_hours: float = 24.0
) -> Added:
    """Write the model's answers to rows `rows[0]`..`rows[1]` of a stream, and the bad rows between them.

    Raises:
        DataError: the stream's features are not those of `of`.
        LogAwayError: MongoDB is unreachable; filling again continues.
    """
    from driftloop.training import trained_model

    if set(of.feature_names) != set(stream.features):
        raise DataError(f"{stream.source}: has features {', '.join(stream.features)}, stream {of.name} has {', '.join(of.feature_names)}")
    log.ready()
    added = Added()
    later = np.timedelta64(round(label_hours * 3_600_000), "ms")
    for first in range(rows[0], rows[1], CHUNK):
        if (first - rows[0]) % ANSWERED == 0:
            outputs = trained_model.predict(known.model, stream, first, min(first + ANSWERED, rows[1]))
        offset = (first - rows[0]) % ANSWERED
        some = range(first, min(first + CHUNK, rows[1]))
        added += log.add_labelled(list(_answered(stream, known, of, fallback, rows=some, outputs=outputs[offset:], later=later)))
    refused = list(_refused(stream, of, *rows))
    for first in range(0, len(refused), CHUNK):
        added += log.add(refused[first : first + CHUNK])
    return added


def _answered(
    stream: Stream, known: KnownModel, of: StreamConfig, fallback: Fallback, *, rows: range, outputs: np.ndarray, later: np.timedelta64
) -> Iterator[tuple[Prediction, Label]]:
    places = [stream.features.index(name) for name in of.feature_names]
    names = Labels(stream.label_names)
    answers = names.decode(outputs.argmax(axis=1) if names.names else outputs)
    given = encoding.as_in_table(stream.rows[rows.start : rows.stop][:, places], [stream.columns[place] for place in places])
    for row, values, output, answer in zip(rows, given, outputs, answers, strict=False):
        features = dict(zip(of.feature_names, values, strict=True))
        shares = [min(max(float(share), 0.0), 1.0) for share in output] if names.names else None
        when = _time(stream.times[row])
        yield (
            Prediction(
                id=f"row-{row}",
                stream=of.name,
                time=when,
                served_at=when,
                model=of.model,
                version=known.version,
                features=features,
                prediction=answer,
                probability=max(shares) if shares else None,
                probabilities=shares,
                baseline=fallback.predict(features),
                fallback="",
                latency_ms=0.0,
            ),
            Label(id=f"row-{row}", stream=of.name, label=names.decode([stream.labels[row]])[0], labelled_at=_time(stream.times[row] + later)),
        )


def _refused(stream: Stream, of: StreamConfig, start: int, stop: int) -> Iterator[Rejected]:
    """The bad rows between `start` and `stop`; one with an invalid time gets that of the row before."""
    given = encoding.as_in_table(stream.aside.values, stream.columns)
    for (line, _), when, before, values in zip(stream.set_aside, stream.aside.times, stream.aside.before, given, strict=True):
        if not (start <= before < stop or before == stop == len(stream)):
            continue
        low, high = (stream.times[min(max(place, 0), len(stream) - 1)] for place in (before - 1, before))
        features = {name: value for name, value in zip(stream.features, values, strict=True) if can_be_recorded(value)}
        faults = (feature.fault(features.get(feature.name)) for feature in of.features)
        reason = next((fault for fault in faults if fault), "schema")  # its label is wrong, or several values together
        time_text = _time(low if np.isnat(when) else min(max(when, low), high))
        yield Rejected(id=f"bad-{line}", stream=of.name, served_at=time_text, reason=reason, time=time_text, features=features)


def _time(when: np.datetime64) -> str:
    return f"{when.astype('datetime64[ms]')}Z"


@dataclass(frozen=True)
class FillFlags(WorkFlags, TaskFlags):
    """The values of this command's flags."""

    stream: str = flag("elec", "name of the stream")
    streams_file: str = flag("", "YAML file that describes the streams; empty: the bundled monitoring/streams.yaml")
    mongodb_uri: str = flag("", "the log's database; empty: MONGODB_URI, else an embedded server while this runs", type=mongodb_uri)
    version: str = flag("", "registered version that answers; empty: the champion")
    from_row: int = flag(0, "first row", type=whole(0))
    rows: int = flag(0, "rows to fill; 0: all from there", type=whole(0))
    label_hours: float = flag(24.0, "hours from a row's time to its label's", type=float)


def build_parser() -> parsing.Parser:
    """The flags of this command."""
    parser = parsing.parser("monitoring fill", __doc__)
    learners.add_flag(parser)
    parsing.add_flags(parser, FillFlags)
    parsing.add_flags(parser, ExperimentFlags, title="MLflow")
    parsing.add_flags(parser, DataFlags, TextFlags, title="data")
    parsing.add_flags(parser, TaskFlags)
    return parser


def work(args: FillFlags) -> tuple[dict[str, Any], int]:
    """Fill the log; return the number of records and the seconds it took."""
    from driftloop.training import reference
    from driftloop.watch.preparation import open_work

    of, learner = described.pick(args.stream, args.streams_file), learners.load(args.learner, data_path=args.data_path)
    opened = open_work(args, learner)
    stop = min(args.from_row + args.rows, len(opened.stream)) if args.rows else len(opened.stream)
    if args.from_row >= stop:
        raise SettingsError(f"--from_row {args.from_row}: the table has {len(opened.stream)} rows")
    known = registered(opened.store, learner, opened.stream, of, version=args.version)
    fallback = table(reference.load(opened.store, known.run_id), of, version=known.version)
    with open_log(args.mongodb_uri or None) as log:
        began = time.monotonic()
        added = fill(log, opened.stream, known, of, fallback=fallback, rows=(args.from_row, stop), label_hours=args.label_hours)
        seconds = time.monotonic() - began
    whole = added.new + added.already
    print(f"{added.new:,} of {whole:,} records of {of.name} were new, answered by version {known.version}: {whole / max(seconds, 1e-9):,.0f} per second")
    return {"stream": of.name, "version": known.version, "new": added.new, "already": added.already, "seconds": seconds}, 0


def registered(store: mlflow_store.Store, learner: Learner, stream: Stream, of: StreamConfig, *, version: str = "") -> KnownModel:
    """The model of a registered version of a stream, by default the champion.

    Raises:
        TrackingError: the registry has no such version, or no champion.
    """
    from driftloop.tracking.registry import Registry
    from driftloop.training import trained_model

    wanted, run_id = Registry(store.client, of.model).trained(version, instead="--version")
    return trained_model.restore(store, run_id, learner=learner, stream=stream).numbered(wanted)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return runner.run(work, build_parser(), argv, FillFlags)
