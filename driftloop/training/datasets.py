"""Logs a run's rows as MLflow dataset inputs: name, digest, source and span; the table itself is not copied."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import mlflow
import numpy as np
from mlflow.data.dataset import Dataset
from mlflow.data.sources import LocalArtifactDatasetSource  # type: ignore[attr-defined]  # MLflow defines it at import
from mlflow.types import ColSpec, DataType, Schema

from driftloop.tracking.mlflow_store import translated

if TYPE_CHECKING:
    from driftloop.data.streams import Stream

Span = tuple[int, int]
DIGEST: Final = 12  # hexadecimal digits; MLflow accepts at most 36


class UsedRows(Dataset):
    """Rows `span` of a stream: MLflow's description of a dataset, without the data."""

    def __init__(self, stream: Stream, span: Span) -> None:
        self._stream, self._span = stream, span
        super().__init__(LocalArtifactDatasetSource(str(Path(stream.source).absolute())), name=Path(stream.source).name)

    def _compute_digest(self) -> str:
        first, stop = self._span
        found = hashlib.sha256(f"{self._stream.sha256} {first} {stop} {self._stream.features}".encode())
        found.update(np.ascontiguousarray(self._stream.rows[first:stop]).data)
        found.update(np.ascontiguousarray(self._stream.labels[first:stop]).data)
        return found.hexdigest()[:DIGEST]

    @property
    def profile(self) -> dict[str, Any]:
        """The span of rows, and their times."""
        (first, stop), times = self._span, self._stream.times
        return {"rows": stop - first, "first_row": first, "stop_row": stop, "from": str(times[first])[:19], "until": str(times[stop - 1])[:19]}

    @property
    def schema(self) -> Schema:
        """The feature columns with the types of their values, not of their codes, and the label."""
        from driftloop.training.packaging import column_type  # imported here, because it takes torch

        label = DataType.long if self._stream.label_names else DataType.double
        return Schema([*(ColSpec(column_type(column), column.name) for column in self._stream.columns), ColSpec(label, "label")])

    def to_dict(self) -> dict[str, Any]:
        """The values that MLflow stores."""
        return {**super().to_dict(), "profile": json.dumps(self.profile), "schema": json.dumps({"mlflow_colspec": self.schema.to_dict()})}


def log(stream: Stream, spans: Mapping[str, Span | None]) -> None:
    """Log the active run's rows by purpose ("training", "validation", "test", ...); empty spans are left out."""
    used = {context: span for context, span in spans.items() if span and span[1] > span[0]}
    with translated("MLflow datasets"):
        tags: list[dict[str, str] | None] = [{"rows": f"{first} to {stop}"} for first, stop in used.values()]
        mlflow.log_inputs(datasets=[UsedRows(stream, span) for span in used.values()], contexts=list(used), tags_list=tags)
