"""Servers and programs that several of these tests use."""

from in_process_serving import without_server
from mongo_fixtures import log, mongo
from prediction_fixtures import served_model, service
from script_fixtures import drifting_csv, workshop
from serving_fixtures import model_store, torchserve

__all__ = ["drifting_csv", "log", "model_store", "mongo", "served_model", "service", "torchserve", "without_server", "workshop"]
