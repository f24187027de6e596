"""Logs a winner to MLflow: the weights and card for the .mar, and the MLflow model.

The MLflow model has two flavors. `mlflow.pytorch.load_model` returns the network, which takes windows (B, h + 1, F). `mlflow.pyfunc.load_model`
takes a table with the feature columns by name, as in its signature; `pyfunc_rows` converts between them.

MLflow's own check of a table against a signature refuses whole numbers for a double, numbers that are categories, and any missing value of a column
that pandas then holds as objects. A model that takes values as they are therefore checks its tables itself (`MLFLOW_CHECKS_NOTHING`).
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

from driftloop.data.schema import decoded, numerals
from driftloop.data.schema.schema import Column
from driftloop.tracking.mlflow_store import NETWORK, translated
from driftloop.training import pyfunc_rows

if TYPE_CHECKING:
    import torch

# MLflow's mark of a signature whose model checks its input itself. `mlflow models serve` then takes {"inputs": [{...}, ...]}, CSV and Parquet.
MLFLOW_CHECKS_NOTHING = "_is_signature_from_type_hint"


def log_network(
    model: torch.nn.Module,
    card: Mapping[str, Any],
    *,
    rows: np.ndarray,
    history: int,
    requirements: Sequence[str],
    code: Path,
    columns: Sequence[Column] = (),
    optional: Sequence[str] = (),
) -> str:
    """Log a winner to the active run.

    Args:
        model: the trained network.
        card: how to build and feed it (see archive.build_mar), as JSON values.
        rows: example rows (N, F) in time order, h + 2 of them: an example of one window would fix the batch size at 1.
        history: rows before each row, h.
        requirements: exact pins; inferring them takes 11 s.
        code: the model's source file, logged with it.
        columns: of a model that takes values as they are, its columns with all categories of the rows.
        optional: names of the columns with missing values among its training rows.

    Returns:
        The MLflow model's URI.
    """
    import torch

    missing = max(0, history + 2 - len(rows))
    rows = np.concatenate([np.repeat(rows[:1], missing, axis=0), rows])
    features = list(card["features"])
    about = {"features": features, "labels": list(card["labels"]), "history": history, "dtype": str(rows.dtype)}
    example = _example(rows, columns) if columns else pd.DataFrame(rows.astype(np.float64), columns=features)
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
            example=example,
            inputs=inputs(features, columns, optional=optional),
            columns=card.get("columns", []),
            pip_requirements=list(requirements),
            code_paths=[str(code), pyfunc_rows.__file__, *([numerals.__file__] if columns else [])],
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
    example: pd.DataFrame,
    inputs: Schema,
    columns: list[dict[str, Any]],
    pip_requirements: list[str],
    code_paths: list[str],
    **_: Any,
) -> None:
    """Write the MLflow model to a folder; called by `mlflow.models.Model.log`, for which this module is a flavor."""
    import torch

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
    mlflow_model.signature = signature(about, inputs)
    if columns:
        setattr(mlflow_model.signature, MLFLOW_CHECKS_NOTHING, True)
        (Path(path) / pyfunc_rows.COLUMNS).write_text(json.dumps(columns, indent=1), encoding="utf-8")
    mlflow_model.flavors["python_function"] |= {"loader_module": Path(pyfunc_rows.__file__).stem, "config": about}
    _replace_example(Path(path), mlflow_model, example, checked=not columns)
    mlflow_model.save(str(Path(path) / "MLmodel"))


def _example(rows: np.ndarray, columns: Sequence[Column]) -> pd.DataFrame:
    """Rows as a person has them, without those that miss a boolean where others are left: MLflow reads it back as False."""
    table = decoded.table(rows, columns)
    known = table[[column.name for column in columns if column_type(column) == DataType.boolean]].notna().all(axis=1)
    return table[known | ~known.any()].reset_index(drop=True)


def inputs(features: Sequence[str], columns: Sequence[Column] = (), *, optional: Sequence[str] = ()) -> Schema:
    """The input columns by name; all numbers for a model without `columns`. `optional` names those that may hold missing values."""
    kinds = [column_type(column) for column in columns] or [DataType.double] * len(features)
    return Schema([ColSpec(kind, name, required=name not in optional) for kind, name in zip(kinds, features, strict=True)])


def column_type(column: Column) -> DataType:
    """MLflow's type of a column's values."""
    if column.kind == "category" or column.categories:
        return DataType.string
    return DataType.boolean if column.kind == "boolean" else DataType.double


def signature(about: Mapping[str, Any], taken: Schema | None = None) -> ModelSignature:
    """The model's input columns, numbers unless they are given, and its output columns, by name."""
    given: list[Any] = [ColSpec(_type_of(about["labels"]), "prediction"), *(ColSpec(DataType.double, f"probability_{label}") for label in about["labels"])]
    return ModelSignature(inputs=taken or inputs(about["features"]), outputs=Schema(given), params=ParamSchema([ParamSpec("first", DataType.long, 0)]))


def _type_of(labels: Sequence[Any]) -> DataType:
    if not labels:
        return DataType.double
    if all(isinstance(label, bool) for label in labels):
        return DataType.boolean
    if all(isinstance(label, int) for label in labels):
        return DataType.long
    return DataType.double if all(isinstance(label, int | float) for label in labels) else DataType.string


def _replace_example(folder: Path, mlflow_model: Model, table: pd.DataFrame, *, checked: bool) -> None:
    """Replace the windows of the input example by a table; of a model that MLflow does not check a request has another form."""
    from mlflow.models.utils import _save_example

    for name in ("artifact_path", "serving_input_path"):
        (folder / (mlflow_model.saved_input_example_info or {})[name]).unlink(missing_ok=True)
    _save_example(mlflow_model, table, str(folder))
    if not checked:
        records = json.loads(table.to_json(orient="records", double_precision=15))
        (folder / (mlflow_model.saved_input_example_info or {})["serving_input_path"]).write_text(json.dumps({"inputs": records}), encoding="utf-8")
