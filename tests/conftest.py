"""Fixtures that several test files share."""

from driftloop.settings import quiet_environment

quiet_environment()  # before anything imports torch

from mongo_fixtures import log, mongo  # noqa: E402
from script_fixtures import drifting_csv, workshop  # noqa: E402
from serving_fixtures import model_store, torchserve  # noqa: E402

__all__ = ["drifting_csv", "log", "model_store", "mongo", "torchserve", "workshop"]
