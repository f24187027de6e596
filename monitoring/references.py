"""The monitor's source of training references and the champion's version: MLflow's registry, or a folder."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from driftloop.data.schema import encoding
from driftloop.data.schema.schema import Column
from driftloop.drift.inputs.spans import Spans
from driftloop.errors import DataError
from driftloop.training import reference
from driftloop.training.reference import Reference
from monitoring.features import Feature
from monitoring.stream_settings import StreamConfig

if TYPE_CHECKING:
    from driftloop.tracking import mlflow_store
    from driftloop.tracking.promotions.promotion_log import Promotion


class Folder:
    """The reference in <folder>/<stream>, for every version of the stream's model; the champion is unknown."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, stream: str, model: str, version: str) -> Reference:
        """The reference of a version.

        Raises:
            DataError: it is missing or unreadable.
        """
        return reference.read(self._folder / stream)

    def champion(self, model: str) -> str:
        """The version that should serve; "" if unknown."""
        return ""


class Registered:
    """The references of the runs that trained the registered versions, in the MLflow store of MLFLOW_TRACKING_URI.

    MLflow is imported and the store opened at the first call: that takes seconds, or minutes when its server is unreachable.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._store: mlflow_store.Store | None = None
        self._remembered = functools.lru_cache(maxsize=4)(self._loaded)  # a version's training rows never change

    def _opened(self) -> mlflow_store.Store:
        from driftloop.tracking import mlflow_store

        with self._lock:
            if self._store is None:
                self._store = mlflow_store.open_reader()
            return self._store

    def find(self, stream: str, model: str, version: str) -> Reference:
        """The reference of a registered version.

        Raises:
            TrackingError: the store does not answer, or has no such version or no reference for it.
            DataError: the reference cannot be read.
        """
        return self._remembered(model, version)

    def _loaded(self, model: str, version: str) -> Reference:
        from driftloop.tracking.registry import Registry

        store = self._opened()
        return reference.load(store, Registry(store.client, model).run_of(version))

    def champion(self, model: str) -> str:
        """The version that the registry calls champion; "" when it has none.

        Raises:
            TrackingError: the store does not answer.
        """
        from driftloop.tracking.registry import CHAMPION, Registry

        return Registry(self._opened().client, model).holder(CHAMPION) or ""

    def promotions(self, model: str) -> list[Promotion]:
        """The decisions on which version of a model serves, newest first.

        Raises:
            TrackingError: the store does not answer.
            DataError: the log cannot be read.
        """
        from driftloop.tracking.promotions import promotion_log
        from driftloop.tracking.registry import Registry

        return promotion_log.newest_first(Registry(self._opened().client, model))


References = Folder | Registered


def known_columns(reference: Reference | None, config: StreamConfig) -> tuple[Column, ...]:
    """What a version's features hold, with the categories that it has learned; none where all are plain numbers.

    Args:
        reference: fitting the stream; None: the stream's own columns.
    """
    return config.columns if reference is None else reference.about.columns


def fitting(reference: Reference, config: StreamConfig) -> Reference:
    """The reference with its features in the stream's order, impossible values as nan; texts stay in the codes of its own columns.

    Categories of the model whose values the stream's callers send as numbers are these numbers, and levels like texts.

    Raises:
        DataError: its task, features, their kinds, labels or their order differ from the stream's.
    """
    about = reference.about
    if about.task != config.task or not set(config.feature_names) <= set(about.features):
        raise DataError(
            f"the training reference of run {about.run_id} is for {about.task} with features {', '.join(about.features)}, "
            f"stream {config.name!r} for {config.task} with {', '.join(config.feature_names)}: correct the streams file"
        )
    if fault := config.labels_fault(about.labels):
        raise DataError(f"{fault} (the training reference of run {about.run_id})")
    order = [about.features.index(name) for name in config.feature_names]
    columns = tuple(about.columns[at] for at in order) if about.columns else ()
    rows, spans = reference.rows[:, order], reference.spans and replace(reference.spans, columns=tuple(reference.spans.columns[at] for at in order))
    columns, rows, spans = _numbered(columns, rows, spans, config)
    if fault := _kinds_fault(columns, config):
        raise DataError(f"the training reference of run {about.run_id} {fault}: correct the streams file")
    lowest, highest = np.array([feature.limits for feature in config.features]).T
    rows[(rows < lowest) | (rows > highest)] = np.nan
    return replace(reference, about=replace(about, features=config.feature_names, columns=columns), rows=rows, spans=spans)


def _numbered(columns: tuple[Column, ...], rows: np.ndarray, spans: Spans | None, config: StreamConfig) -> tuple[tuple[Column, ...], np.ndarray, Spans | None]:
    """Columns, rows and spans with the numbers themselves instead of codes, where the stream has the numbers of a category."""
    for at, (column, feature) in enumerate(zip(columns, config.features, strict=False)):
        numbers = encoding.numbers(column.categories) if feature.categorical else ()
        if not numbers:
            continue
        values = np.array([*numbers, np.nan])
        rows[:, at] = values[np.where(np.isnan(rows[:, at]), len(numbers), rows[:, at]).astype(np.int64)]
        columns = (*columns[:at], feature.column, *columns[at + 1 :])
        spans = spans and replace(spans, columns=(*spans.columns[:at], spans.columns[at].renamed(values[:-1]), *spans.columns[at + 1 :]))
    return columns, rows, spans


def _kinds_fault(columns: Sequence[Column], config: StreamConfig) -> str:
    """How the reference's columns differ in kind from the stream's features; "" if they do not."""
    if not columns:
        named = [feature.name for feature in config.features if feature.texts or feature.boolean]
        return f"takes numbers only, stream {config.name!r} has texts or booleans in {', '.join(named)}" if named else ""
    for column, feature in zip(columns, config.features, strict=True):
        mine, its = ("texts" if coded else "true and false" if boolean else "numbers" for coded, boolean in _kinds(column, feature))
        if mine != its:
            return f"has {its} in {column.name}, stream {config.name!r} has {mine}"
    return ""


def _kinds(column: Column, feature: Feature) -> tuple[tuple[bool, bool], tuple[bool, bool]]:
    return (bool(feature.texts), feature.boolean), (bool(column.categories), column.kind == "boolean")
