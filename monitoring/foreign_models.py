"""Models of MLflow's registry that are not ours (`model_uri` in the streams file): their address, and their signature's inputs as features."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from driftloop.errors import SettingsError
from driftloop.system import processes
from monitoring.features import Feature

if TYPE_CHECKING:
    from driftloop.tracking.pyfunc_models import Input

FORM: Final = re.compile(r"models:/([^/@:]+)(?:(@[^/@]+)|/([1-9][0-9]*|latest))")
NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")  # of a feature
NEEDS_MLFLOW: Final = "model_uri needs MLflow: install driftloop[train], or mlflow-skinny and what the model was trained with"


@dataclass(frozen=True)
class ModelUri:
    """A registered model, and which version: `@alias`, `latest` or a number."""

    name: str
    which: str

    def __str__(self) -> str:
        return f"models:/{self.name}{'' if self.which.startswith('@') else '/'}{self.which}"


def read_uri(given: Any, where: str) -> ModelUri:
    """A `model_uri`.

    Raises:
        SettingsError: it names no registered model.

    >>> read_uri("models:/churn@champion", "stream churn"), str(read_uri("models:/churn/3", "stream churn"))
    (ModelUri(name='churn', which='@champion'), 'models:/churn/3')
    """
    found = FORM.fullmatch(given) if isinstance(given, str) else None
    if not found:
        raise SettingsError(f"{where}: model_uri {given!a:.80}: give models:/NAME@ALIAS, models:/NAME/VERSION or models:/NAME/latest")
    return ModelUri(found[1], found[2] or found[3])


def features(uris: Sequence[ModelUri]) -> list[tuple[Feature, ...]]:
    """The features that the signatures of models demand; MLflow is not imported here.

    Raises:
        TrackingError: the registry or a model cannot be read.
        SettingsError: MLflow is not installed, or an input cannot be a feature.
    """
    return next(processes.in_parallel(_features, [tuple(uris)], jobs=1)) if uris else []


def _features(uris: Sequence[ModelUri]) -> list[tuple[Feature, ...]]:
    try:
        from driftloop.tracking import pyfunc_models
    except ModuleNotFoundError as exc:
        raise SettingsError(NEEDS_MLFLOW) from exc
    client = pyfunc_models.open_client()
    return [as_features(pyfunc_models.inputs_of(client, uri.name, uri.which), str(uri)) for uri in uris]


def as_features(inputs: Sequence[Input], uri: str) -> tuple[Feature, ...]:
    """The inputs of a signature as features without limits.

    Raises:
        SettingsError: there is none, or one cannot be a feature as it stands.
    """
    say = "give the stream its features in the streams file (docs/any_model.md)"
    if not inputs:
        raise SettingsError(f"{uri}: the model has no signature: {say}, or log it with one")
    for one in inputs:
        if not NAME.fullmatch(one.name):
            raise SettingsError(f"{uri}: input {one.name!a:.80}: a feature's name is letters, digits and _, at most 60: log the model with such names")
        if one.kind == "text":
            raise SettingsError(f"{uri}: input {one.name} is a text, and a signature does not list its values: {say}, this one as {{texts: [...]}}")
    return tuple(Feature(one.name, required=not _nullable(one), boolean=one.kind == "boolean") for one in inputs)


def fault(own: Sequence[Feature], inputs: Sequence[Input]) -> str:
    """How a stream's features are not a signature's inputs, in one line; "" if they are, or there is no signature."""
    if not inputs:
        return ""
    known, kinds = {feature.name: feature for feature in own}, {one.name: one.kind for one in inputs}
    if unknown := [name for name in known if name not in kinds]:
        return f"feature {unknown[0]} is no input of its signature: {', '.join(list(kinds)[:12])}"
    if missing := [one.name for one in inputs if one.required and one.name not in known]:
        return f"its signature demands {missing[0]}, which is no feature of the stream"
    for name, feature in known.items():
        if _kind(feature) != (given := _word(kinds[name])):
            return f"feature {name} is a {_kind(feature)} in the streams file, in its signature a {given}"
    return ""


def _nullable(one: Input) -> bool:
    return not one.required and one.kind.startswith("float")  # the others have no missing values in a DataFrame's columns


def _kind(feature: Feature) -> str:
    return "text" if feature.texts else "boolean" if feature.boolean else "number"


def _word(kind: str) -> str:
    return kind if kind in {"text", "boolean"} else "number"
