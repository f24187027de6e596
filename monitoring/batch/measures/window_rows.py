"""Reads the rows of a window as columns, page by page: a million rows take a few hundred megabytes.

All reading functions raise a LogAwayError when MongoDB is unreachable.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

import numpy as np

from driftloop.data.labels import Labels
from driftloop.data.schema.schema import Column
from driftloop.drift.estimate.confidence import SUM_OFF
from monitoring.batch.measures.window_measures import Window
from monitoring.features import Feature, as_text
from monitoring.log.prediction_log import REJECTED, PredictionLog
from monitoring.records.checks import REASONS
from monitoring.stream_settings import StreamConfig
from monitoring.vocabulary import Vocabulary

FAULTS: Final = ("", *REASONS)  # a fault's code is its index
MOST_LOOKED: Final = 10  # search at most this many times the wanted rows
Document = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class WindowRows:
    """Rows by time, then id; entry i of every array belongs to the same row.

    Labels, predictions and baselines are numbers, or indices of the stream's labels; nan without one. A prediction that is not a label of
    the stream becomes the number of labels, so that it is never right.
    """

    features: np.ndarray  # (N, F) float64 as given, texts as their codes; nan for null and for what is none of its kind
    faults: np.ndarray  # (N, F) uint8 indices into FAULTS: what is wrong with a value
    times: np.ndarray  # (N,) datetime64[ms]
    predictions: np.ndarray  # (N,)
    labels: np.ndarray  # (N,)
    baselines: np.ndarray  # (N,)
    probabilities: np.ndarray  # (N, K) of the classes; nan without any
    versions: np.ndarray  # (N,) of objects: texts
    by_model: np.ndarray  # (N,) False where the fallback answered
    latency_ms: np.ndarray  # (N,)
    labelled_at: np.ndarray  # (N,) datetime64[ms], NaT without a label
    unknown: Counter[str] = field(default_factory=Counter)  # columns that are not of the stream
    foreign_labels: int = 0  # rows whose label is not of the stream: they count as unlabelled

    def __len__(self) -> int:
        return len(self.times)

    @property
    def possible(self) -> np.ndarray:
        """The features, impossible values nan, (N, F)."""
        return np.where(self.faults > 0, np.nan, self.features)

    @property
    def labelled(self) -> np.ndarray:
        """Which rows have a label, (N,)."""
        return ~np.isnan(self.labels)

    def __getitem__(self, which: np.ndarray | slice) -> WindowRows:
        return WindowRows(**{name: getattr(self, name)[which] for name in _ARRAYS})


_ARRAYS: Final = tuple(one.name for one in fields(WindowRows) if one.name not in {"unknown", "foreign_labels"})


@dataclass(frozen=True, eq=False)
class Refused:
    """Refused rows of the window."""

    rows: int
    reasons: Counter[str]  # with the feature, if one is to blame: "distance_miles out_of_range"
    features: np.ndarray  # (M, F) their values, nan where unknown


def read(log: PredictionLog, config: StreamConfig, window: Window, vocabulary: Vocabulary) -> WindowRows:
    """The rows of a window; the vocabulary, which begins as `of_stream`, takes their texts up."""
    return joined([_chunk(page, config, vocabulary) for page in _ahead(log.pages(config.name, window.start, window.stop)) if page], config, vocabulary)


def of_stream(config: StreamConfig) -> Vocabulary:
    """A vocabulary of the texts that the stream knows."""
    return Vocabulary(tuple(feature.column for feature in config.features))


def in_codes_of(columns: Sequence[Column], rows: WindowRows, vocabulary: Vocabulary) -> tuple[WindowRows, Vocabulary]:
    """Rows in the codes of a model's columns, and the vocabulary of these; of the same columns and vocabulary always the same codes."""
    features, words = vocabulary.translated(rows.features, columns)
    return replace(rows, features=features), words


def read_refused(log: PredictionLog, config: StreamConfig, window: Window, vocabulary: Vocabulary) -> Refused:
    """The refused rows of a window."""
    reasons: Counter[str] = Counter()
    values: list[np.ndarray] = []
    for page in log.pages(config.name, window.start, window.stop, collection=REJECTED):
        given = [document.get("features") or {} for document in page]
        found, faults = _features(given, config.features, vocabulary)
        for row, document in enumerate(page):
            blamed = (name for at, name in enumerate(config.feature_names) if _blamed(document, given[row], config.features[at], faults[row, at]))
            reasons[" ".join([*itertools.islice(blamed, 1), str(document["reason"])])] += 1
        values.append(found)
    rows = np.concatenate(values) if values else np.empty((0, len(config.features)))
    return Refused(len(rows), reasons, rows)


def before(
    log: PredictionLog,
    config: StreamConfig,
    window: Window,
    vocabulary: Vocabulary,
    *,
    most: int,
    since: str | None,
    wanted: Callable[[WindowRows], np.ndarray],
) -> WindowRows:
    """The newest wanted rows before a window and after `since`, at most `most`; `wanted` returns an (N,) boolean mask."""
    found = _wanted(log.pages(config.name, since, window.start, backward=True), config, vocabulary, most=most, wanted=wanted)
    rows = joined(found[::-1], config, vocabulary)
    return rows[max(0, len(rows) - most) :] if len(rows) > most else rows


def first(
    log: PredictionLog, config: StreamConfig, window: Window, vocabulary: Vocabulary, *, version: str, most: int, wanted: Callable[[WindowRows], np.ndarray]
) -> WindowRows:
    """The wanted rows that a version answered first, before a window, at most `most`; `wanted` returns an (N,) boolean mask."""
    start = log.first_time(config.name, version)
    pages = log.pages(config.name, start, window.start) if start and start < window.start else iter(())
    return joined(_wanted(pages, config, vocabulary, most=most, wanted=wanted), config, vocabulary)[:most]


def _wanted(
    pages: Iterator[list[dict[str, Any]]], config: StreamConfig, vocabulary: Vocabulary, *, most: int, wanted: Callable[[WindowRows], np.ndarray]
) -> list[WindowRows]:
    """The wanted rows of pages until there are `most`; of at most `MOST_LOOKED` times as many rows."""
    found: list[WindowRows] = []
    had = looked = 0
    for page in pages:
        if page:
            chunk = _chunk(page, config, vocabulary)
            kept = chunk[wanted(chunk)]
            found.append(kept)
            had, looked = had + len(kept), looked + len(page)
        if had >= most or looked >= MOST_LOOKED * most:
            break
    return found


def joined(parts: Sequence[WindowRows], config: StreamConfig, vocabulary: Vocabulary) -> WindowRows:
    """The rows of all parts, concatenated."""
    parts = [*parts] or [_chunk([], config, vocabulary)]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
    return WindowRows(**arrays, unknown=sum((part.unknown for part in parts), Counter()), foreign_labels=sum(part.foreign_labels for part in parts))


def thinned(rows: int, most: int) -> np.ndarray:
    """Indices of at most `most` equally spaced rows, as a sample of all.

    >>> thinned(3, 5).tolist(), thinned(10, 4).tolist()
    ([0, 1, 2], [0, 2, 5, 7])
    """
    return np.arange(rows) if rows <= most else np.arange(most) * rows // most


def _ahead(pages: Iterator[list[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
    """The same pages; the next one is fetched while one is processed, because the database is another process."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, pages, None)
        while (page := coming.result()) is not None:
            coming = pool.submit(next, pages, None)
            yield page


def _chunk(page: Sequence[Document], config: StreamConfig, vocabulary: Vocabulary) -> WindowRows:
    given = [document.get("features") or {} for document in page]
    features, faults = _features(given, config.features, vocabulary)
    known = set(config.feature_names)
    unknown = Counter(name for row in given if not row.keys() <= known for name in row.keys() - known)
    raw = [document.get("label") for document in page]
    labels = _answers(raw, config, foreign=math.nan)
    return WindowRows(
        features=features,
        faults=faults,
        times=_times(page, "time"),
        predictions=_answers([document["prediction"] for document in page], config, foreign=len(config.labels)),
        labels=labels,
        baselines=_answers([document.get("baseline") for document in page], config, foreign=len(config.labels)),
        probabilities=_probabilities(page, len(config.labels)),
        versions=np.array([sys.intern(document["version"]) for document in page], object),
        by_model=np.array([not document["fallback"] for document in page], bool),
        latency_ms=np.array([document["latency_ms"] for document in page], np.float64),
        labelled_at=np.where(np.isnan(labels), np.datetime64("NaT", "ms"), _times(page, "labelled_at")),
        unknown=unknown,
        foreign_labels=sum(value is not None for value in raw) - int(np.count_nonzero(~np.isnan(labels))),
    )


def _features(given: Sequence[Mapping[str, Any]], features: Sequence[Feature], vocabulary: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    values, faults = np.full((len(given), len(features)), np.nan), np.zeros((len(given), len(features)), np.uint8)
    for at, feature in enumerate(features):
        column = [row.get(feature.name) for row in given]
        if feature.texts or feature.boolean:
            values[:, at], faults[:, at] = _as_they_are(column, feature, at, vocabulary)
            continue
        numbers = _numbers(column)
        null = np.array([value is None for value in column], bool)
        with np.errstate(invalid="ignore"):
            lowest, highest = feature.limits
            inside = (numbers >= lowest) & (numbers <= highest)
            whole = ~inside | (numbers == np.floor(numbers)) if feature.categorical else True
        wrong = "unknown_category" if feature.categorical else "out_of_range"
        values[:, at] = numbers
        faults[~(inside & whole), at] = FAULTS.index(wrong)
        faults[np.isnan(numbers), at] = FAULTS.index("not_a_number")
        faults[null, at] = FAULTS.index("missing") if feature.required else 0
    return values, faults


def _as_they_are(column: Sequence[Any], feature: Feature, at: int, vocabulary: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of texts and booleans, (N,), and their faults."""
    faults = [feature.fault(value) for value in column]
    kept = [None if fault else value for value, fault in zip(column, faults, strict=True)]
    if feature.texts:
        numbers = vocabulary.codes(at, [None if value is None else as_text(value) for value in kept])
    else:
        numbers = np.array([feature.code(value) for value in kept], np.float64)
    return numbers, np.array([FAULTS.index(fault) for fault in faults], np.uint8)


def _blamed(document: Document, given: Mapping[str, Any], feature: Feature, fault: int) -> bool:
    """Whether a row was refused for this feature; missing values and those of no kind were not logged."""
    if document["reason"] in {"missing", "not_a_number", "not_a_text", "not_a_boolean"}:
        return bool(given) and feature.required and feature.name not in given
    return FAULTS[fault] == document["reason"]


def _numbers(values: Sequence[Any]) -> np.ndarray:
    """Finite numbers, nan for all else, also for bools, (N,)."""
    if not all(issubclass(kind, int | float) and kind is not bool for kind in set(map(type, values)) - {type(None)}):
        values = [value if isinstance(value, int | float) and not isinstance(value, bool) else None for value in values]
    numbers = np.array(values, np.float64).reshape(-1)
    numbers[np.isinf(numbers)] = np.nan
    return numbers


def _answers(values: Sequence[Any], config: StreamConfig, *, foreign: float) -> np.ndarray:
    if config.task == "regression":
        return _numbers(values)
    return Labels(config.labels).encode(values, foreign=foreign)


def _probabilities(page: Sequence[Document], classes: int) -> np.ndarray:
    found = np.full((len(page), classes), np.nan)
    for row, document in enumerate(page):
        shares = document.get("probabilities")
        if shares and len(shares) == classes and abs(math.fsum(shares) - 1) <= SUM_OFF:
            found[row] = shares
    return found


def _times(page: Iterable[Document], name: str) -> np.ndarray:
    found = [document.get(name) for document in page]
    return np.array([np.iinfo(np.int64).min if when is None else round(when.timestamp() * 1000) for when in found], np.int64).astype("datetime64[ms]")
