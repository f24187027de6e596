"""Fixtures that several test files share."""

from serving_fixtures import model_store, torchserve

__all__ = ["model_store", "torchserve"]
