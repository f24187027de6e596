"""Loads the models of a start once in another process: MLflow takes seconds, and its threads do not survive gunicorn's fork."""

from __future__ import annotations

from collections.abc import Sequence

from driftloop.errors import SettingsError
from driftloop.system import processes
from monitoring.foreign_models import NEEDS_MLFLOW
from monitoring.stream_settings import StreamConfig


def check(streams: Sequence[StreamConfig]) -> None:
    """Check that the models of streams with a model_uri can be loaded and answer.

    Raises:
        TrackingError, SettingsError, ServingError: as `pyfunc_model.PyfuncModel`; MLflow is not installed.
    """
    for _ in processes.in_parallel(_check, streams, jobs=1):
        pass


def _check(stream: StreamConfig) -> str:
    try:
        from prediction_service.registry_model import pyfunc_model
    except ModuleNotFoundError as exc:
        raise SettingsError(NEEDS_MLFLOW) from exc
    return pyfunc_model.check(stream)
