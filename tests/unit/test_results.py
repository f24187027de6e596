"""The results of a watch hold one KPI, and print it under the name that its task gives it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from watch_sample import make_result

from driftloop.metrics.results import REGRESSION
from driftloop.system.json_values import plain


@pytest.mark.parametrize(("task", "name", "other"), [("classification", "accuracy", "mae"), (REGRESSION, "mae", "accuracy")])
def test_each_figure_is_printed_under_the_name_of_its_kpi_and_null_under_the_others(task: str, name: str, other: str) -> None:
    made = make_result(blocks=12, retrains=2)
    retrains, versions = (tuple(replace(one, task=task) for one in records) for records in (made.retrains, made.versions))
    result = replace(made, task=task, retrains=retrains, versions=versions)
    body = plain(result.as_json())
    assert (body[name], body[f"{name}_without_retraining"]) == (result.kpi, result.kpi_without_retraining)
    assert body[other] is body[f"{other}_without_retraining"] is None
    assert body["kpi"] == {"name": name, "value": result.kpi, "higher_is_better": task != REGRESSION}
    assert (body["retrains"][0][f"{name}_before"], body["retrains"][0][f"{other}_after"]) == (result.retrains[0].before, None)
    assert (body["versions"][0][name], body["versions"][0][f"{other}_unretrained"]) == (result.versions[0].kpi, None)
    assert body["blocks"] == 12
    assert "scores" not in body


def test_a_block_keeps_both_names_for_the_table_in_mlflow() -> None:
    row = make_result(blocks=3, retrains=0).scores[0].as_json()
    assert "kpi" not in row
    assert not math.isnan(row["accuracy"] + row["accuracy_unretrained"])
    assert math.isnan(row["mae"])
    assert math.isnan(row["mae_unretrained"])
