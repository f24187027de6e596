"""Logs a winner to MLflow: the weights and card for the .mar, and the MLflow model.

The MLflow model has two flavors. `mlflow.pytorch.load_model` returns the network, which takes windows (B, h + 1, F). `mlflow.pyfunc.load_model`
takes a table with the feature columns by name, as in its signature; `pyfunc_rows` converts between them.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import Model, ModelSignature, infer_signature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from driftloop.tracking.mlflow_store import NETWORK, translated
from driftloop.training import pyfunc_rows

if TYPE_CHECKING:
    import torch


def log_network(model: torch.nn.Module, card: Mapping[str, Any], *, rows: np.ndarray, history: int, requirements: Sequence[str], code: Path) -> str:
    """Log a winner to the active run.

    Args:
        model: the trained network.
        card: how to build and feed it (see archive.build_mar), as JSON values.
        rows: example rows (N, F) in time order, h + 2 of them: an example of one window would fix the batch size at 1.
        history: rows before each row, h.
        requirements: exact pins; inferring them takes 11 s.
        code: the model's source file, logged with it.

    Returns:
        The MLflow model's URI.
    """
    import torch

    missing = max(0, history + 2 - len(rows))
    rows = np.concatenate([np.repeat(rows[:1], missing, axis=0), rows])
    about = {"features": list(card["features"]), "labels": list(card["labels"]), "history": history, "dtype": str(rows.dtype)}
    with translated("MLflow model"), tempfile.TemporaryDirectory() as folder:
        torch.save(model.state_dict(), Path(folder) / "weights.pt")
        (Path(folder) / "card.json").write_text(json.dumps(card, indent=1), encoding="utf-8")
        mlflow.log_artifacts(folder, NETWORK)
        info = Model.log(
            artifact_path=None,
            name="model",
            flavor=sys.modules[__name__],
            network=model.eval(),
            rows=rows,
            about=about,
            pip_requirements=list(requirements),
            code_paths=[str(code), pyfunc_rows.__file__],
            validate_serving_input=False,  # it would load the model again; a test does so
        )
    return info.model_uri


def save_model(
    path: str,
    mlflow_model: Model,
    *,
    network: torch.nn.Module,
    rows: np.ndarray,
    about: dict[str, Any],
    pip_requirements: list[str],
    code_paths: list[str],
    **_: Any,
) -> None:
    """Write the MLflow model to a folder; called by `mlflow.models.Model.log`, for which this module is a flavor."""
    import torch

    table = pd.DataFrame(rows.astype(np.float64), columns=about["features"])
    windows = np.stack([rows[at : at + about["history"] + 1] for at in range(len(rows) - about["history"])])
    with torch.inference_mode():
        answer = network(torch.from_numpy(windows)).numpy()
    mlflow.pytorch.save_model(
        network,
        path,
        mlflow_model=mlflow_model,
        signature=infer_signature(windows, answer),  # the export needs the network's
        input_example=windows,
        pip_requirements=pip_requirements,
        code_paths=code_paths,
    )
    mlflow_model.signature = signature(about)
    mlflow_model.flavors["python_function"] |= {"loader_module": Path(pyfunc_rows.__file__).stem, "config": about}
    _replace_example(Path(path), mlflow_model, table)
    mlflow_model.save(str(Path(path) / "MLmodel"))


def signature(about: Mapping[str, Any]) -> ModelSignature:
    """The model's input and output columns, by name."""
    taken = Schema([ColSpec(DataType.double, name) for name in about["features"]])
    given: list[Any] = [ColSpec(_type_of(about["labels"]), "prediction"), *(ColSpec(DataType.double, f"probability_{label}") for label in about["labels"])]
    return ModelSignature(inputs=taken, outputs=Schema(given), params=ParamSchema([ParamSpec("first", DataType.long, 0)]))


def _type_of(labels: Sequence[Any]) -> DataType:
    if not labels:
        return DataType.double
    if all(isinstance(label, bool) for label in labels):
        return DataType.boolean
    if all(isinstance(label, int) for label in labels):
        return DataType.long
    return DataType.double if all(isinstance(label, int | float) for label in labels) else DataType.string


def _replace_example(folder: Path, mlflow_model: Model, table: pd.DataFrame) -> None:
    """Replace the windows of the input example by a table."""
    from mlflow.models.utils import _save_example

    for name in ("artifact_path", "serving_input_path"):
        (folder / (mlflow_model.saved_input_example_info or {})[name]).unlink(missing_ok=True)
    _save_example(mlflow_model, table, str(folder))
