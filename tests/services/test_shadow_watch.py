"""A watch with --promote shadow: rows after a challenger's training decide, and the rows that it serves come after those."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from in_process_serving import InProcessServing
from script_fixtures import Ran, Workshop, data_flags, drifting_table, role

from driftloop.tracking.promotions import promotion_log
from driftloop.tracking.registry import Registry

SMALL = ("--max_epochs", 10, "--total_trials", 1, "--validation_rows", 10, "--judge_rows", 20, "--drift_rule", "threshold", "--threshold_accuracy", ".7")


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text("window: {choices: [20]}\nlr: {choices: [0.3]}\ndepth: {choices: [0]}\n")
    return path


def lifecycle(workshop: Workshop, csv: Path, space: Path, name: str, *more: object) -> Ran:
    flags = (*data_flags(csv), *SMALL, "--search_space", space, "--history", 0, "--block_size", 20, "--json", "--register_model_name", name)
    return workshop.run("lifecycle", *flags, "--mlflow_experiment_name", name, *more)


def result(done: Ran) -> dict[str, Any]:
    assert done.code == 0, done.err
    return done.result


def test_a_challenger_is_promoted_by_later_rows_and_serves_only_rows_after_those(
    workshop: Workshop, drifting_csv: Path, space: Path, without_server: list[InProcessServing]
) -> None:
    found = result(lifecycle(workshop, drifting_csv, space, "in_shadow", "--promote", "shadow"))
    promoted = [one for one in found["retrains"] if one["promoted"]]
    assert promoted and "blocks in shadow" in promoted[0]["decision"]
    first = promoted[0]
    version = next(one for one in found["versions"] if one["version"] == first["version"])
    with workshop.entered():
        log = promotion_log.newest_first(Registry(workshop.client, "in_shadow"))
    entry = next(one for one in log if one.after == first["version"] and one.action == "promoted")
    assert entry.rows is not None
    trained, (start, stop) = version["trained_stop"], entry.rows
    served_from = 420 + 20 * version["first_block"]
    assert trained == start == first["row"] < stop == served_from
    assert first["judge_rows"] == stop - start and first["accuracy_after"] > first["accuracy_before"]
    assert entry.evidence["e_value"] >= 20 and entry.evidence["alpha"] == 0.05
    run = workshop.client.get_run(first["run_id"])
    assert run.data.tags["driftloop.decision"] == first["decision"] and run.data.metrics["shadow_accuracy_after"] == first["accuracy_after"]
    assert without_server[-1].swaps == [one["version"] for one in found["versions"]]


def test_a_shadow_that_ends_with_the_stream_is_reported_and_promotes_nothing(
    workshop: Workshop, drifting_csv: Path, space: Path, without_server: list[InProcessServing]
) -> None:
    found = result(lifecycle(workshop, drifting_csv, space, "ends", "--promote", "shadow", "--test_data_rows", 60))
    assert found["retrains"][0]["decision"] == "not promoted: the stream ended before its shadow began"
    equal = result(lifecycle(workshop, drifting_csv, space, "cut", "--promote", "shadow", "--promote_alpha", "1e-9", "--test_data_rows", 80))
    assert "the stream ended with 1 of at most 30 shadow blocks" in equal["retrains"][0]["decision"]
    assert not equal["retrains"][0]["promoted"] and equal["served_version"] == "1"


def test_a_challenger_that_is_no_better_is_dropped_and_the_log_says_so(
    workshop: Workshop, tmp_path: Path, space: Path, without_server: list[InProcessServing]
) -> None:
    csv = tmp_path / "calm.csv"
    drifting_table(rows=1400, flip=1400).to_csv(csv, index=False)
    flags = ("--promote", "shadow", "--threshold_accuracy", ".999", "--shadow_blocks", 6, "--max_retrains", 2)
    found = result(lifecycle(workshop, csv, space, "calm", *flags))
    assert [one["promoted"] for one in found["retrains"]] == [False, False]
    assert all(one["judge_rows"] <= 120 for one in found["retrains"])
    with workshop.entered():
        actions = [one.action for one in promotion_log.newest_first(Registry(workshop.client, "calm"))]
    assert actions == ["refused", "refused", "deployed"]


def test_a_regression_and_another_kpi_can_be_judged_in_shadow(workshop: Workshop, tmp_path: Path, without_server: list[InProcessServing]) -> None:
    table = drifting_table(rows=900, flip=660)
    value = table.drop(columns="target").assign(target=table.x1 * (1 - 2 * (table.index >= 660)) + table.x2)
    value.to_csv(tmp_path / "value.csv", index=False)
    table.to_csv(tmp_path / "class.csv", index=False)
    common = ("--promote", "shadow", "--max_epochs", 3, "--block_size", 40, "--validation_rows", 40, "--json", "--drift_rule", "threshold", "--max_retrains", 2)
    for name, flags in (("value", ("--threshold", ".1")), ("class", ("--kpi", "f1", "--threshold", ".7"))):
        data = ("--data_path", tmp_path / f"{name}.csv", "--time_column", "time", "--register_model_name", f"of_{name}")
        done = workshop.run("lifecycle", *data, *common, *flags)
        found = result(done)
        assert found["retrains"], done.err
        assert json.dumps(found)


@pytest.mark.parametrize(
    "flags", [("--promote_alpha", 0), ("--promote_alpha", 1), ("--promote_alpha", "nan"), ("--shadow_blocks", 0), ("--promote", "approve"), ("--promote", "")]
)
def test_settings_of_a_shadow_that_cannot_be_are_one_line(workshop: Workshop, drifting_csv: Path, space: Path, flags: tuple[object, ...]) -> None:
    refused = lifecycle(workshop, drifting_csv, space, "refused", *flags)
    assert refused.code == 2 and str(flags[0]) in refused.complaint("lifecycle")


# Going back


def turning_table(*turns: int, rows: int) -> pd.DataFrame:
    """Rows whose label changes its meaning at each of these rows."""
    table = drifting_table(rows=rows, flip=rows)
    table["target"] = (table.target + (table.index.to_numpy()[:, None] >= np.array(turns)).sum(axis=1)) % 2
    return table


def test_a_challenger_that_is_good_for_ten_blocks_and_then_worse_is_undone(
    workshop: Workshop, tmp_path: Path, space: Path, without_server: list[InProcessServing]
) -> None:
    csv = tmp_path / "turning.csv"
    turning_table(1000, 1240, rows=1500).to_csv(csv, index=False)  # the base model is right, then for 12 blocks wrong, then right again
    flags = ("--train_until", "2024-01-21", "--max_retrains", 1, "--go_back")
    found = result(lifecycle(workshop, csv, space, "turning", *flags, "--promote", "shadow"))
    (back,) = found["rollbacks"]
    assert (back["from_version"], back["version"], found["served_version"]) == ("2", "1", "1")
    assert 1240 < back["row"] <= 1240 + 8 * 20 and back["e_value"] >= 20
    assert any("version 2 was undone and version 1 serves again" in note for note in found["notes"])
    assert without_server[-1].swaps == ["1", "2", "1"]
    with workshop.entered():
        registry = Registry(workshop.client, "turning")
        newest = promotion_log.newest_first(registry)[0]
        assert (newest.action, newest.before, newest.after, registry.holder("champion"), registry.holder("previous")) == ("rolled back", "2", "1", "1", None)
    assert newest.rows is not None and newest.rows[1] == back["row"]
    stays = result(lifecycle(workshop, csv, space, "staying", *flags[:-1], "--promote", "shadow"))
    assert stays["rollbacks"] == [] and stays["accuracy"] < found["accuracy"]


def test_a_challenger_that_stays_better_is_not_undone(workshop: Workshop, tmp_path: Path, space: Path, without_server: list[InProcessServing]) -> None:
    csv = tmp_path / "once.csv"
    turning_table(1000, rows=1500).to_csv(csv, index=False)
    found = result(lifecycle(workshop, csv, space, "once_only", "--train_until", "2024-01-21", "--max_retrains", 1, "--go_back", "--promote", "shadow"))
    assert found["retrains"][0]["promoted"] and found["rollbacks"] == [] and found["served_version"] == "2"


# Earlier versions


def recurring(workshop: Workshop, folder: Path, space: Path, name: str, *more: object) -> dict[str, Any]:
    """A lifecycle on a label whose meaning changes, returns after 20 blocks, and changes again."""
    turning_table(1000, 1400, 1800, 2200, rows=2600).to_csv(folder / "recurring.csv", index=False)
    flags = ("--train_until", "2024-01-21", "--judge_alpha", ".05", *more)
    return result(lifecycle(workshop, folder / "recurring.csv", space, name, *flags))


def after_a_return(workshop: Workshop, found: dict[str, Any]) -> float:
    """The accuracy in the ten blocks after each return of a meaning."""
    scores = mlflow_scores(workshop, found["run_id"])
    return float(np.mean([score for start in (1400, 1800, 2200) for score in scores[(start - 960) // 20 : (start - 960) // 20 + 10]]))


def mlflow_scores(workshop: Workshop, run_id: str) -> list[float]:
    deployment = next(run for run in workshop.children(run_id) if role(run) == "deployment")
    return [one.value for one in sorted(workshop.client.get_metric_history(deployment.info.run_id, "block/accuracy"), key=lambda one: one.step)]


def test_an_earlier_version_returns_with_its_regime_without_a_fit(
    workshop: Workshop, tmp_path: Path, space: Path, without_server: list[InProcessServing]
) -> None:
    plain = recurring(workshop, tmp_path, space, "refitted")
    found = recurring(workshop, tmp_path, space, "recurred", "--earlier_versions", 50)  # more than there are
    again = [one for one in found["retrains"] if one["decision"].startswith("version ") and one["promoted"]]
    assert again and all(one["trials"] == 0 and "without a fit" in one["decision"] for one in again)
    assert without_server[-1].swaps.count("1") >= 2, "the base model is back"
    assert after_a_return(workshop, found) >= after_a_return(workshop, plain) + 0.03
    assert len(found["versions"]) < len(plain["versions"])


def test_an_earlier_version_is_compared_in_shadow_first_where_that_is_asked_for(
    workshop: Workshop, tmp_path: Path, space: Path, without_server: list[InProcessServing]
) -> None:
    found = recurring(workshop, tmp_path, space, "recurred_in_shadow", "--earlier_versions", 3, "--promote", "shadow")
    assert without_server[-1].swaps.count("1") >= 2
    back = next(one for one in found["retrains"] if one["version"] == "1")
    assert "in shadow" in back["decision"] and back["promoted"] and back["trials"] == 0


def test_where_nothing_returns_no_earlier_version_is_promoted(
    workshop: Workshop, drifting_csv: Path, space: Path, without_server: list[InProcessServing]
) -> None:
    plain = result(lifecycle(workshop, drifting_csv, space, "plain"))
    tried = result(lifecycle(workshop, drifting_csv, space, "tried", "--earlier_versions", 3))
    assert (tried["accuracy"], len(tried["retrains"])) == (plain["accuracy"], len(plain["retrains"]))
