"""Fixtures that several test files share."""

from serving_fixtures import light_models, model_store, torchserve

__all__ = ["light_models", "model_store", "torchserve"]
