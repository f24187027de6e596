"""The Prefect flow of batch monitoring, made of small, idempotent tasks.

    measure -> keep -> draw -> publish -> show      for each window; then the list of all reports, and the retrain

Each step opens its own connections and returns little: measures, file paths, a URL. Rows never leave the step that reads them, and Prefect
stores no results. Steps are retried with growing pauses if the database, MLflow or the retrain hook is unreachable; faults of the data or the
settings fail at once. Connections come from the environment (MONGODB_URI, MLFLOW_TRACKING_URI), because Prefect's pages show a flow's parameters
to everyone who can open them, and a URI may hold a password.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff

from driftloop.errors import DriftloopError, SettingsError, TrackingError
from monitoring import described
from monitoring.batch import measure_store, window, window_retrain
from monitoring.batch.measures import measure
from monitoring.batch.measures.window_measures import Measures, Window
from monitoring.batch.report import batch_page, measure_words, window_report
from monitoring.batch.window_retrain import HookAwayError
from monitoring.log import report_links
from monitoring.log.mongo import Database, LogAwayError
from monitoring.log.prediction_log import PredictionLog
from monitoring.references import Folder, References, Registered
from monitoring.retrain.retrain_outcome import FAILED
from monitoring.stream_settings import StreamConfig

PASSING: Final = (LogAwayError, TrackingError, HookAwayError)
STEP_S: Final = 900  # time limit of a step
RETRAIN_S: Final = 6 * 3600
OnDrift = Literal["advise", "retrain", "ignore"]


@dataclass(frozen=True)
class Options:
    """How windows are processed; plain values, because they are parameters of a flow."""

    on_drift: OnDrift = "advise"
    with_evidently: bool = False
    folder: str = ".driftloop/batch"  # for the reports, in <stream>/<window>
    streams_file: str = ""
    reference: str = ""  # folder of training references; "": MLflow's registry
    experiment: str = ""  # for windows whose model is unknown
    torchserve_url: str = ""
    hook_url: str = ""
    retrains: str = ".driftloop/retrains"
    retries: int = 3  # of a step, after a fault that may pass
    pause_s: float = 2.0  # before the first retry; each later pause is twice as long


def options_of(given: Mapping[str, Any]) -> Options:
    """The options given to a flow.

    Raises:
        SettingsError: one is unknown or invalid.

    >>> options_of({"on_drift": "ignore"}).on_drift
    'ignore'
    """
    try:
        made = Options(**given)
    except TypeError as exc:
        raise SettingsError(f"options of the flow: {exc}: give only {', '.join(Options.__dataclass_fields__)}") from exc
    if made.on_drift not in get_args(OnDrift):
        raise SettingsError(f"option on_drift {made.on_drift!a:.30}: give one of {', '.join(get_args(OnDrift))}")
    return made


@dataclass(frozen=True)
class Outcome:
    """The result of a window."""

    measures: Measures
    report: str  # file
    url: str  # of the report in MLflow
    retrain: str  # its result; "" without one


def _passes(_: Any, __: Any, state: Any) -> bool:
    return isinstance(state.result(raise_on_failure=False), PASSING)


def step(done: Callable[..., Any], *, limit_s: int = STEP_S) -> Any:
    """A task without cache and stored results, with a time limit, retried after faults that may pass."""
    return task(cache_policy=NO_CACHE, persist_result=False, retry_condition_fn=_passes, timeout_seconds=limit_s)(done)


@step
def find_stream(name: str, streams_file: str) -> StreamConfig:
    """The stream, with the features of its model where its file has none."""
    return described.pick(name, streams_file, judged=True)


@step
def find_windows(stream: StreamConfig, first: str, last: str, by: str) -> tuple[Window, ...]:
    """The windows from `first` to `last`, or only `first`; those after the newest row are left out."""
    with _log() as log:
        newest = log.newest_time(stream.name)
    head = window.parse(first, newest=newest)
    return tuple(one for one in window.between(first, last, by=by) if one.start <= str(newest)) if last else (head,)  # type: ignore[arg-type]


@step
def measure_window(stream: StreamConfig, meant: Window, options: Options) -> Measures:
    """Read and measure the window's rows; return one document with the verdicts."""
    with _log() as log:
        return measure.measure(log, stream, meant, references=_references(options.reference, os.environ.get("MLFLOW_TRACKING_URI", "")))


@step
def keep(measures: Measures) -> None:
    """Store the document, replacing an earlier one of the same window."""
    with _log() as log:
        measure_store.write(log, measures)


@step
def draw(measures: Measures, options: Options) -> Path:
    """Write the report atomically; return its path."""
    from monitoring.batch import publish

    url = publish.list_place(measures.stream, measures=measures, experiment=options.experiment).url("index.html")
    path = Path(options.folder) / measures.stream / measures.window.name / publish.REPORT
    batch_page.write(path, window_report.html(measures, index_url=url))
    return path


@step
def draw_evidently(stream: StreamConfig, measures: Measures, options: Options) -> Path:
    """Write Evidently's report in addition to ours; return its path."""
    from monitoring.batch.report import evidently_report

    path = Path(options.folder) / stream.name / measures.window.name / evidently_report.NAME
    references = _references(options.reference, os.environ.get("MLFLOW_TRACKING_URI", ""))
    with _log() as log:
        batch_page.write(path, evidently_report.html(log, stream, measures, references=references))
    return path


@step
def publish_window(measures: Measures, files: Sequence[Path], options: Options) -> str:
    """Log measures and reports to MLflow, and record the URL in the database; return it."""
    from monitoring.batch import publish

    url = publish.keep(measures, files, experiment=options.experiment).url(publish.REPORT)
    with _log() as log:
        report_links.write(log, measures.id, url)
    return url


@step
def publish_list(measures: Measures, options: Options) -> str:
    """Rewrite the list of all reports of the stream; return its URL."""
    from monitoring.batch import publish

    with _log() as log:
        known, addresses = measure_store.read(log, measures.stream), report_links.read(log, measures.stream)
    place = publish.list_place(measures.stream, measures=measures, experiment=options.experiment)
    publish.keep_list(place, measures.stream, known, addresses)
    return place.url("index.html")


@step
def show(measures: Measures, url: str) -> None:
    """Publish a summary and a link to the report as Prefect artifacts."""
    key = "".join(letter if letter.isalnum() else "-" for letter in f"batch-{measures.stream}-{measures.window.name}".lower())
    create_markdown_artifact(summary(measures), key=key, description=f"{measures.stream} {measures.window.name}")
    create_link_artifact(url, link_text="report", key=f"{key}-report", description=f"Report of {measures.stream} {measures.window.name}")


@functools.partial(step, limit_s=RETRAIN_S + 60)
def retrain(stream: StreamConfig, measures: Measures, options: Options) -> str:
    """Start a retrain if one is due; return its result as a sentence."""
    with _log() as log:
        why_not = window_retrain.wanted(measures, measure_store.read(log, stream.name))
    if why_not:
        return f"no retrain: {why_not}"
    if options.hook_url:
        told = window_retrain.ask_hook(measures, options.hook_url)
        return f"retrain {told['state']}, through the hook: {told['message'] or 'started ' + told['started_at']}"
    one = window_retrain.run_here(measures, stream, folder=Path(options.retrains), torchserve_url=options.torchserve_url, timeout_s=RETRAIN_S)
    if one.state == FAILED:
        raise DriftloopError(f"the window was measured and reported, but its retrain failed: {one.message}")
    return f"retrain {one.message}" if one.message.startswith(one.state) else f"retrain {one.state}: {one.message}"


@flow(name="batch-monitoring", persist_result=False, validate_parameters=True)
def batch(stream: str, window: str, last: str = "", by: str = "month", options: dict[str, str | int | float | bool] | None = None) -> list[Outcome]:
    """Measure a window of a stream, or all from `window` to `last`, oldest first, and report on each.

    Args:
        stream, window, last, by: which rows.
        options: non-default fields of `Options`; a plain dict, because Prefect cannot validate our classes in scheduled runs.

    Raises:
        DriftloopError: a step failed; earlier windows are complete, and a second run does not change them.
    """
    given = options_of(options or {})
    config = _tried(find_stream, given)(stream, given.streams_file)
    meant = _tried(find_windows, given)(config, window, last, by)
    outcomes = [_one(config, each, given) for each in meant]
    if outcomes:
        _tried(publish_list, given)(outcomes[-1].measures, given)
        if given.on_drift == "retrain" and outcomes[-1].measures.verdict.drift:
            told = _tried(retrain, given)(config, outcomes[-1].measures, given)
            outcomes[-1] = replace(outcomes[-1], retrain=told)
    return outcomes


def _one(stream: StreamConfig, meant: Window, options: Options) -> Outcome:
    measures = _tried(measure_window, options, meant)(stream, meant, options)
    _tried(keep, options, meant)(measures)
    files = [_tried(draw, options, meant)(measures, options)]
    if options.with_evidently:
        files.append(_tried(draw_evidently, options, meant)(stream, measures, options))
    url = _tried(publish_window, options, meant)(measures, files, options)
    _tried(show, options, meant)(measures, url)
    print(line(measures), flush=True)
    return Outcome(measures, str(files[0]), url, "")


def _tried(done: Any, options: Options, meant: Window | None = None) -> Any:
    """The step with the retries of the options, named after its window."""
    name = done.name if meant is None else f"{done.name} {meant.name}"
    pauses = exponential_backoff(backoff_factor=options.pause_s)
    return done.with_options(retries=options.retries, retry_delay_seconds=pauses, task_run_name=name)


def line(measures: Measures) -> str:
    """A window in one line, for the terminal."""
    kpi, labels = measure_words.kpi(measures), measures.labels
    value = f"{measures.kpi_name} {kpi.with_bounds(measures.kpi.value, measures.kpi)}"
    late = f", {labels.immature:,} too young to be judged" if labels.immature else ""
    told = f"{measures.answer.health}, {measure_words.found(measures)}"
    return f"{measures.stream} {measures.window.name}: {told}; {value}; {labels.rows:,} rows, {labels.labelled:,} labelled{late}"


def summary(measures: Measures) -> str:
    """A window in Markdown, for Prefect's page."""
    rows = [
        ("rows", measures.labels.rows),
        ("labelled", measures.labels.labelled),
        ("is it good?", measures.answer.health),
        ("found", measure_words.found(measures)),
        ("next", measures.next_step),
    ]
    cells = "\n".join(f"| {name} | {_cell(str(value))} |" for name, value in rows)
    return f"**{_cell(measures.verdict.sentence)}**\n\n| | |\n|---|---|\n{cells}\n"


def _cell(text: str) -> str:
    """The text as one cell of a Markdown table, its markup escaped."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{letter}" if letter in "|[]`*_\\" else letter for letter in plain)


@functools.lru_cache(maxsize=2)
def _references(folder: str, tracking_uri: str) -> References:
    """Shared by all windows, so that a backfill loads a version's reference once; the key includes the store, because references differ between stores."""
    return Folder(Path(folder)) if folder else Registered()


def _log() -> PredictionLog:
    uri = os.environ.get("MONGODB_URI", "")
    if not uri:
        raise SettingsError("MONGODB_URI is not set: set it to the prediction log, such as mongodb://127.0.0.1:27017/driftloop")
    return PredictionLog(Database(uri))
