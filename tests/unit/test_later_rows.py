"""`watch.update`: later rows and labels give the verdicts of one watch over all rows together, in this process or another."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from predictions_sample import REFERENCE, ROWS, predictions, values

import driftloop as dl

COLUMNS = {"target": "y_true", "prediction": "y_pred", "time": "when", "reference": REFERENCE}
FIGURES = ["start", "end", "rows", "lower", "upper", "threshold", "evidence", "p_value", "estimated", "labelled", "effective_rows"]
BRIER = {"probability": "proba", "kpi": "brier"}
KINDS: dict[str, tuple[pd.DataFrame, dict[str, Any]]] = {
    "accuracy": (predictions(), {"block": 100, "probability": "proba"}),
    "accuracy by week": (predictions(), {"block": "W", "probability": "proba"}),
    "accuracy with a threshold": (predictions(), {"block": 100, "threshold": 0.85}),
    "brier": (predictions(), {"block": "D", **BRIER}),
    "brier with a threshold": (predictions(), {"block": 150, "threshold": 0.2, **BRIER}),
    "MAE": (values(), {"block": "W"}),
    "MAE with a threshold": (values(), {"block": 90, "threshold": 1.3}),
    "RMSE": (values(), {"block": 120, "kpi": "rmse"}),
    "F1 of whole blocks": (predictions(), {"block": 80, "probability": "proba", "kpi": "f1"}),
}


@pytest.fixture(autouse=True)
def no_library_warns() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def begun(table: pd.DataFrame, **settings: Any) -> dl.FrameWatch:
    return dl.watch(table, **COLUMNS | settings)


def in_parts(table: pd.DataFrame, edges: Sequence[int], *, folder: Path | None = None, **settings: Any) -> dl.FrameWatch:
    """A watch of the first rows, updated with the others; through a file each time where a folder is given."""
    watch = begun(table[: edges[0]], **settings)
    for first, last in zip(edges, [*edges[1:], len(table)], strict=True):
        if folder:
            watch = dl.load_watch(watch.save(folder / "state.json"))
        watch.update(table[first:last])
    return watch


def assert_same(found: dl.FrameWatch, whole: dl.FrameWatch, *, figures: Sequence[str] = FIGURES) -> None:
    """The same blocks and verdicts, the same kind, and the same figures of the whole watch."""
    for name in (*figures, whole.blocks.columns[4], "drift", "kind", "period"):
        one, other = found.blocks[name], whole.blocks[name]
        if other.dtype.kind == "f":
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12, err_msg=name)
        else:
            assert one.tolist() == other.tolist(), name
    assert found.verdict == whole.verdict
    assert found.kind == whole.kind
    assert found.forecast == whole.forecast
    assert found.findings == whole.findings
    assert found.result.kpi == pytest.approx(whole.result.kpi, abs=1e-12)
    assert found.result.baselines == pytest.approx(whole.result.baselines, abs=1e-12, nan_ok=True)
    assert found.result.rows == whole.result.rows


@pytest.mark.parametrize("edges", [[5000], [2450, 2451, 3000, 5999], list(range(2500, ROWS, 500)), list(range(3000, 4000, 37))], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_updates_give_the_verdicts_of_one_watch_over_all_rows(kind: str, edges: list[int]) -> None:
    table, settings = KINDS[kind]
    assert_same(in_parts(table, edges, **settings), begun(table, **settings))
