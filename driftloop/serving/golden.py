"""Golden predictions: verify by its answers that a served version is the intended model."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from driftloop.errors import ServingError

if TYPE_CHECKING:
    from driftloop.data.schema.schema import Column
    from driftloop.serving.torchserve import TorchServeClient
    from driftloop.serving.torchserve_client import ServedAnswer

GOLDEN_TOLERANCE = 1e-6  # of a probability
VALUE_TOLERANCE = 1e-5  # tolerance of a regression's value, relative above 1


@dataclass(frozen=True)
class Golden:
    """Rows with known answers: (N, F), the (C, F) rows before them, and the local model's answers, probabilities (N, K) or values (N,).

    `columns` are those of a model that takes values as they are: they name the rows' codes.
    """

    rows: np.ndarray
    context: np.ndarray
    outputs: np.ndarray
    columns: tuple[Column, ...] = ()


def with_unusual(rows: np.ndarray, columns: Sequence[Column]) -> tuple[np.ndarray, tuple[Column, ...]]:
    """Rows (N, F) of a model that takes values as they are, then one without any value and one with texts that no row of the table has; and columns
    that name these texts.

    >>> from driftloop.data.schema.schema import Column
    >>> rows, columns = with_unusual(np.array([[0.5, 1.0]]), [Column("x", "feature", "number"), Column("c", "feature", "category", categories=("a", "b"))])
    >>> rows.tolist(), columns[1].categories
    ([[0.5, 1.0], [nan, nan], [0.5, 2.0]], ('a', 'b', 'unseen'))
    """
    named = tuple(replace(column, categories=(*column.categories, _unseen(column.categories))) if column.categories else column for column in columns)
    unseen = [len(column.categories) if column.categories else value for column, value in zip(columns, rows[-1], strict=True)]
    return np.concatenate([rows, np.full((1, rows.shape[1]), np.nan), [unseen]]), named


def _unseen(categories: Sequence[str]) -> str:
    text = "unseen"
    while text in categories:
        text += "_"
    return text


def prove(client: TorchServeClient, golden: Golden, *, name: str, version: str, run_ids: Set[str]) -> ServedAnswer:
    """Check that a version answers like the local model; return its answer.

    `run_ids` are the accepted run ids in the answers; "" for an archive without one.

    Raises:
        ServingError: the difference is too large, or another version or run answers.
    """
    answer = client.predict(golden.rows, context=golden.context, name=name, version=version, columns=golden.columns)
    gap, allowed = difference(answer.probabilities, golden.outputs), GOLDEN_TOLERANCE if golden.outputs.ndim == 2 else VALUE_TOLERANCE
    if not (gap <= allowed and set(answer.versions) == {version} and answer.run_ids <= run_ids):
        who = f"version {answer.version} of run {', '.join(answer.run_ids) or 'unknown'} answered"
        raise ServingError(f"golden predictions differ by {gap:.2g} from the local model's ({who})")
    return answer


def difference(served: np.ndarray, local: np.ndarray) -> float:
    """The largest difference between two answers, relative for values above 1; inf when their shapes differ.

    >>> difference(np.array([20.0002]), np.array([20.0])) < 1.1e-5, difference(np.zeros((2, 2)), np.zeros(2))
    (True, inf)
    """
    if served.shape != local.shape:
        return float("inf")
    return float((np.abs(served - local) / np.maximum(1, np.abs(local))).max())
