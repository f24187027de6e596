"""Models of any MLflow flavour in the registry: which version an alias holds now, its signature's inputs, and its function."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow import models, pyfunc
from mlflow.types.schema import DataType, Schema

from driftloop.errors import SettingsError, TrackingError
from driftloop.tracking import mlflow_store
from driftloop.tracking.translate import translated

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

KINDS: Final[dict[Any, str]] = {
    DataType.boolean: "boolean",
    DataType.integer: "int32",
    DataType.long: "int64",
    DataType.float: "float32",
    DataType.double: "float64",
} | {DataType.string: "text"}


@dataclass(frozen=True)
class Input:
    """A column of a model's signature; `kind` is boolean, int32, int64, float32, float64 or text."""

    name: str
    kind: str
    required: bool = True


@dataclass(frozen=True)
class RegistryModel:
    """A loaded version: `predict` takes a DataFrame with the inputs in their order; no inputs: it has no signature."""

    version: str
    inputs: tuple[Input, ...]
    predict: Callable[[Any], Any]


def resolve(client: MlflowClient, name: str, which: str) -> str:
    """The number of the version that `@alias`, `latest` or a number names now.

    Raises:
        TrackingError: the registry is unreachable, or has no such version or alias.
    """
    where = f"models:/{name}{'' if which.startswith('@') else '/'}{which}"
    with translated(where):
        if which.startswith("@"):
            return str(client.get_model_version_by_alias(name, which[1:]).version)
        if which != "latest":
            return str(client.get_model_version(name, which).version)
        found = [int(one.version) for one in client.search_model_versions(f"name='{name}'")]
    if not found:
        raise TrackingError(f"{where}: the registry has no version of it")
    return str(max(found))


def inputs_of(client: MlflowClient, name: str, which: str) -> tuple[Input, ...]:
    """The inputs of the version that `which` names; none without a signature.

    Raises:
        TrackingError: as `resolve`, or its files cannot be read.
        SettingsError: it takes something other than named columns of plain values.
    """
    uri = f"models:/{name}/{resolve(client, name, which)}"
    try:
        with translated(uri):
            signature = models.get_model_info(uri).signature
    except Exception as exc:  # whatever reads the files: YAML, JSON, a cloud's client
        raise _unreadable(uri, exc) from exc
    return _inputs(signature.inputs if signature else None, uri)


def load(name: str, version: str) -> RegistryModel:
    """Load a version, whatever its flavour; its libraries must be installed here.

    Raises:
        TrackingError: it cannot be loaded; the message has the reason in one line.
        SettingsError: as `inputs_of`.
    """
    uri = f"models:/{name}/{version}"
    logging.getLogger("mlflow").setLevel(logging.ERROR)  # it advises about versions of libraries, and shows progress
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = pyfunc.load_model(uri, suppress_warnings=True)
    except Exception as exc:  # its own code runs
        raise _unreadable(uri, exc) from exc
    return RegistryModel(version, _inputs(model.metadata.get_input_schema(), uri), model.predict)


def open_client() -> MlflowClient:
    """The registry's client, as `mlflow_store.open_reader`."""
    return mlflow_store.open_reader().client


def _unreadable(uri: str, exc: Exception) -> Exception:
    if isinstance(exc, TrackingError):
        return exc
    if isinstance(exc, ModuleNotFoundError):
        return TrackingError(f"{uri}: cannot be loaded: it needs the package {exc.name}: install what the model was trained with")
    return TrackingError(f"{uri}: cannot be loaded: {' '.join(f'{type(exc).__name__}: {exc}'.split())[:300]}")


def _inputs(schema: Schema | None, uri: str) -> tuple[Input, ...]:
    if schema is None:
        return ()
    form = "log the model with a signature of named columns (mlflow.models.infer_signature of a DataFrame)"
    if schema.is_tensor_spec() or not schema.has_input_names():
        raise SettingsError(f"{uri}: takes {'tensors' if schema.is_tensor_spec() else 'columns without names'}: {form}")
    for column in schema.inputs:
        if not isinstance(column.type, DataType) or column.type not in KINDS:
            raise SettingsError(f"{uri}: input {column.name!a:.80} is {str(column.type)!a:.60}, not a number, a text or a boolean: {form}")
    return tuple(Input(str(column.name), KINDS[column.type], bool(column.required)) for column in schema.inputs)
