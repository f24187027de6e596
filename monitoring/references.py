"""The monitor's source of training references and the champion's version: MLflow's registry, or a folder."""

from __future__ import annotations

import functools
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from driftloop.errors import DataError
from driftloop.training import reference
from driftloop.training.reference import Reference
from monitoring.stream_settings import StreamConfig

if TYPE_CHECKING:
    from driftloop.tracking import mlflow_store


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


References = Folder | Registered


def fitting(reference: Reference, config: StreamConfig) -> Reference:
    """The reference with its features in the stream's order, impossible values as nan.

    Raises:
        DataError: its task, features, labels or their order differ from the stream's.
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
    rows = reference.rows[:, order]
    lowest, highest = np.array([feature.limits for feature in config.features]).T
    rows[(rows < lowest) | (rows > highest)] = np.nan
    spans = reference.spans and replace(reference.spans, columns=tuple(reference.spans.columns[at] for at in order))
    return replace(reference, rows=rows, spans=spans)
