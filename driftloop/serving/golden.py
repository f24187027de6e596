"""Golden predictions: prove that a served version is the model that we mean, by what it answers."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from driftloop.errors import ServingError

if TYPE_CHECKING:
    from driftloop.serving.torchserve import TorchServeClient

GOLDEN_TOLERANCE = 1e-6  # of a probability
VALUE_TOLERANCE = 1e-5  # of a regression's value, relative where that is over 1


@dataclass(frozen=True)
class Golden:
    """Rows whose answer is known: (N, F), the (C, F) rows before them, and the local model's answer, probabilities (N, K) or values (N,)."""

    rows: np.ndarray
    context: np.ndarray
    outputs: np.ndarray


def prove(client: TorchServeClient, golden: Golden, *, name: str, version: str, run_ids: Set[str]) -> float:
    """The largest difference between a version's answers and the local model's.

    Args:
        client: the TorchServe that has the version.
        golden: what it must answer.
        name: model name.
        version: its version; it need not be the default.
        run_ids: the runs that may have trained it, by its answers; "" for an archive that does not say.

    Raises:
        ServingError: the difference is too large, or another version or run answers.
    """
    answer = client.predict(golden.rows, context=golden.context, name=name, version=version)
    gap, allowed = difference(answer.probabilities, golden.outputs), GOLDEN_TOLERANCE if golden.outputs.ndim == 2 else VALUE_TOLERANCE
    if not (gap <= allowed and set(answer.versions) == {version} and answer.run_ids <= run_ids):
        who = f"version {answer.version} of run {', '.join(answer.run_ids) or 'unknown'} answered"
        raise ServingError(f"golden predictions differ by {gap:.2g} from the local model's ({who})")
    return gap


def difference(served: np.ndarray, local: np.ndarray) -> float:
    """The largest difference between two answers, relative where values are over 1; inf when their shapes differ.

    >>> difference(np.array([20.0002]), np.array([20.0])) < 1.1e-5, difference(np.zeros((2, 2)), np.zeros(2))
    (True, inf)
    """
    if served.shape != local.shape:
        return float("inf")
    return float((np.abs(served - local) / np.maximum(1, np.abs(local))).max())
