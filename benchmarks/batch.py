"""Measure batch monitoring: the 36 months of the taxi log, and a window of a million events.

python -m benchmarks.batch                                  # about half an hour, mostly to fill the logs of an embedded MongoDB
python -m benchmarks.batch --folder /tmp/batch              # keep the store and the logs there
python -m benchmarks.batch --folder /tmp/batch --reuse      # measure again, with the logs from before
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import batch_page, elec_events, script
from driftloop.cli import parsing
from driftloop.system import processes
from monitoring import stream_settings
from monitoring.batch import measure_store, window
from monitoring.batch.measures import measure
from monitoring.batch.measures.window_measures import Measures
from monitoring.local import fill
from monitoring.log.embedded_mongo import Embedded
from monitoring.log.mongo import Database
from monitoring.log.prediction_log import PredictionLog
from monitoring.records.events import Label, Prediction
from monitoring.references import Folder, Registered

UNTIL: Final = "2019-01-01"
FIRST, LAST = "2018-01", "2020-12"
MILLION: Final = 1_000_000
START: Final = np.datetime64("2000-01-01T00:00", "ms")
STEP: Final = np.timedelta64(1, "m")  # between the million events


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__, reusable=True)
    parser.add_argument("--events", type=parsing.whole(1, MILLION), default=MILLION, help="events of the large window")
    return parser


def measured(args: argparse.Namespace) -> str:
    """The page."""
    with script.place(args.folder) as place, script.inside(place):
        filled = script.kept(place / "filled.json", lambda: fill_taxi(place), reuse=args.reuse)
        months, seconds = measure_months(place)
        large = script.kept(place / "large.json", lambda: fill_large(place, events=args.events), reuse=args.reuse)
        large |= next(processes.in_parallel(_measure_large, [place], jobs=1))
    return batch_page.page(months, seconds=seconds, filled=filled, large=large)


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[PredictionLog]:
    """The log of an embedded server with its data in the folder."""
    with Embedded(folder) as server, PredictionLog(Database(server.uri, answer_s=120)) as log:
        log.ready()
        yield log


def fill_taxi(place: Path) -> dict[str, float]:
    """Train on 2018, register, and fill the log with all trips; records and seconds."""
    from driftloop.training import reference

    known, work = _trained()
    of = stream_settings.load()["taxi"]
    fallback = fill.table(reference.load(work.store, known.run_id), of, version=known.version)
    began = time.monotonic()
    with opened(place / "taxi-log") as log:
        added = fill.fill(log, work.stream, known, of, fallback=fallback, rows=(0, len(work.stream)))
    return {"records": added.new + added.already, "seconds": time.monotonic() - began}


def _trained() -> tuple[Any, Any]:
    import deploy_model
    from driftloop.cli.call import read
    from driftloop.cli.script_flags import DeployFlags
    from driftloop.tracking.registry import Registry
    from driftloop.watch import learners
    from driftloop.watch.preparation import base_model, open_work

    words = ["--learner", "examples.nyc_taxi.learner:TAXI", "--mlflow_experiment_name", "taxi", "--train_base", "--train_until", UNTIL]
    args = read(DeployFlags, deploy_model.build_parser().parse_args(words))
    work = open_work(args, learners.load(args.learner, data_path=args.data_path))
    work, known = base_model(work, args)
    registry = Registry(work.store.client, args.register_model_name)
    version = registry.version_of(known.run_id) or registry.register(source=known.uri, run_id=known.run_id)
    registry.promote(version, reason="benchmark")
    return known.numbered(version), work


def measure_months(place: Path) -> tuple[list[Measures], list[float]]:
    """The measures of each month, and the seconds of each from reading the log to writing its document to the database."""
    found, seconds, references = [], [], Registered()
    of = stream_settings.load()["taxi"]
    with opened(place / "taxi-log") as log:
        for month in window.between(FIRST, LAST):
            began = time.monotonic()
            found.append(measure.measure(log, of, month, references=references))
            measure_store.write(log, found[-1])
            seconds.append(time.monotonic() - began)
            script.say(f"{month.name} {seconds[-1]:.1f} s {found[-1].verdict.sentence}")
    return found, seconds


def fill_large(place: Path, *, events: int) -> dict[str, float]:
    """Fill a log with this many rows like ELEC's."""
    began = time.monotonic()
    _write_reference(place / "references" / "elec")
    with opened(place / "large-log") as log:
        for first in range(0, events, fill.CHUNK):
            log.add_labelled(_synthetic(range(first, min(first + fill.CHUNK, events))))
    return {"events": events, "fill_seconds": time.monotonic() - began}


def _measure_large(place: Path) -> dict[str, float]:
    """Seconds and peak memory of measuring the large window, in a process of its own, and seconds of only reading it."""
    of = stream_settings.load()["elec"]
    with opened(place / "large-log") as log:
        newest = log.newest_time("elec")
        whole = window.parse("2000-01-01T00:00:00Z..2010-01-01T00:00:00Z", newest=newest)
        began = time.monotonic()
        for _ in log.pages("elec", whole.start, whole.stop):
            pass
        reading = time.monotonic() - began
        began = time.monotonic()
        found = measure.measure(log, of, whole, references=Folder(place / "references"))
        measure_store.write(log, found)
        seconds = time.monotonic() - began
    return {"rows": found.labels.rows, "seconds": seconds, "reading_s": reading, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _values(rows: range) -> np.ndarray:
    """Features of events like ELEC's, (N, 6) float32: a daily cycle and noise, seeded by the first row."""
    at = np.arange(rows.start, rows.stop)
    hour = at % 1440 / 1440
    rng = np.random.default_rng(rows.start)
    waves = [0.5 + 0.3 * np.sin(2 * np.pi * (hour + shift)) + 0.05 * rng.standard_normal(len(at)) for shift in (0, 0.1, 0.2, 0.3, 0.4)]
    return np.column_stack([hour, *np.clip(waves, 0, 1)]).astype(np.float32)


def _synthetic(rows: range) -> list[tuple[Prediction, Label]]:
    rng = np.random.default_rng((rows.start, 1))
    labels, right = rng.integers(0, 2, len(rows)).tolist(), rng.random(len(rows)) < 0.85
    found = []
    for row, features, label, hit in zip(rows, _values(rows), labels, right, strict=True):
        when = f"{START + row * STEP}Z"
        made = elec_events.prediction(f"row-{row}", when, features, answer=label if hit else 1 - label)
        found.append((made, Label(f"row-{row}", "elec", label, when)))
    return found


def _write_reference(folder: Path) -> None:
    from driftloop.drift.inputs import spans
    from driftloop.training import reference
    from driftloop.training.reference import About, Reference

    folder.mkdir(parents=True, exist_ok=True)
    rows = range(0, reference.MOST_ROWS)
    parts = [_values(range(first, first + fill.CHUNK)) for first in range(rows.start, rows.stop, fill.CHUNK)]
    values, times = np.concatenate(parts), (START - len(rows) * STEP + np.arange(len(rows)) * STEP).astype("datetime64[ns]")
    labels = np.random.default_rng(0).integers(0, 2, len(rows))
    about = About("elec", "classification", stream_settings.load()["elec"].feature_names, (0, 1), "benchmark", (0, len(rows)))
    made = Reference(about, values.astype(np.float64), labels, labels, np.full(len(rows), 0.8), times)
    reference.write(replace(made, spans=spans.of_rows(times, values)), folder)


if __name__ == "__main__":
    sys.exit(script.run(build_parser(), measured))
