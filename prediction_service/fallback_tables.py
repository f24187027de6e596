"""Fallback tables from training references: of the served version in MLflow, or from a folder.

A separate process queries MLflow: importing it takes seconds, during which no request would be answered.
"""

from __future__ import annotations

from pathlib import Path

from driftloop.system import processes
from monitoring.fallback import Fallback, table
from monitoring.stream_settings import StreamConfig


def fetch(stream: StreamConfig, version: str = "") -> Fallback:
    """The table of a registered version of the stream's model; "" is the champion.

    Raises:
        DriftloopError: MLflow is unreachable, or has no such version or no reference for it.
    """
    return next(processes.in_parallel(_fetch, [(stream, version)], jobs=1))


def read(stream: StreamConfig, folder: Path) -> Fallback:
    """The table of the reference in <folder>/<stream>.

    Raises:
        DataError: it does not exist, cannot be read, or belongs to another stream.
    """
    from driftloop.training import reference

    return table(reference.read(folder / stream.name), stream, version="")


def constant(stream: StreamConfig) -> Fallback:
    """The fallback of a model_uri: one answer for all rows, None without one."""
    return Fallback((), {}, stream.fallback)


def _fetch(asked: tuple[StreamConfig, str]) -> Fallback:
    from driftloop.tracking import mlflow_store
    from driftloop.tracking.registry import Registry
    from driftloop.training import reference

    stream, wanted = asked
    store = mlflow_store.open_store(None)
    version, run_id = Registry(store.client, stream.model).trained(wanted, instead="--reference")
    return table(reference.load(store, run_id), stream, version=version)
