"""Scripts that have run, and a workshop to run more."""

from mongo_fixtures import log, mongo
from prediction_fixtures import served_model, service
from ran_fixtures import backtested, cycle, deployed, retrained, space
from script_fixtures import drifting_csv, workshop
from serving_fixtures import model_store, torchserve

__all__ = ["backtested", "cycle", "deployed", "drifting_csv", "log", "model_store", "mongo", "retrained"]
__all__ += ["served_model", "service", "space", "torchserve", "workshop"]
