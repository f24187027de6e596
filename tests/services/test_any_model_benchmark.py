"""The benchmark beside NannyML and Evidently: its page has missed targets and every tool's words; a tool is run and measured as stated."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import any_model_page, any_model_peers
from benchmarks.any_model_peers import CELL, EVIDENTLY, LOGGED, NANNYML, OURS, OnTable, ToolRun
from driftloop.settings import ROOT

SILENT = {"blocks": 100, "alarms": 0, "first": "", "kind": "none", "kpi": "accuracy", "before": 0.94, "after": 0.91, "change": "worse"}
ALARMED = SILENT | {"alarms": 47, "first": "2019-04-12 05:29", "kind": "data"}
CHUNKS = {"chunks": 10, "alarms": 5, "first": "2019-04-30 09:27"}
THEIRS = {
    NANNYML: {"realised": CHUNKS, "estimated": CHUNKS | {"alarms": 0}, "drifted": {"car_value": 6}},
    EVIDENTLY: {"kpi": "Accuracy metric: passed", "scores": [], "drifted": ["car_value"], "whole": False},
}
RUNS = {tool: ToolRun(3.0, 400.0, said) for tool, said in ({OURS: ALARMED, CELL: ALARMED, LOGGED: {}} | THEIRS).items()}
MADE = OnTable("car_loan", 100_000, 7, RUNS, 8.0, {OURS: SILENT} | THEIRS)


def test_the_section_says_what_each_tool_says_and_what_the_kpi_did():
    page = any_model_page.section([MADE], rounds=3)
    assert "all rows of each" in page
    assert "**missed**" not in page
    assert "| car_loan | ours | no alarm in 100 blocks | 47 of 100 blocks, the first until 2019-04-12 05:29; kind: data |" in page
    assert "realised KPI: 5 of 10 chunks, the first until 2019-04-30 09:27; estimated KPI: no alert in 10 chunks; inputs: 1 of 7" in page
    assert "car_loan: the accuracy was 0.94 in the reference period and 0.91 in the analysis, worse." in page


def test_the_section_states_where_ours_is_behind():
    ahead = replace(MADE, runs=RUNS | {tool: ToolRun(4.0, 500.0, THEIRS[tool]) for tool in THEIRS})
    assert any_model_page.behind([ahead]) == ""
    slow = replace(ahead, name="cards", runs=ahead.runs | {OURS: ToolRun(4.5, 450.0, ALARMED), EVIDENTLY: ToolRun(9.0, 300.0, THEIRS[EVIDENTLY])})
    told = any_model_page.behind([ahead, slow])
    assert "slower than NannyML on cards (4.5 against 4.0 s); more memory than Evidently on cards (450 against 300 MiB)" in told
    assert "car_loan" not in told


@pytest.mark.parametrize(("tool", "words"), [(OURS, "from the shell"), (LOGGED, "logged to MLflow"), (CELL, "a notebook's cell")])
def test_a_time_over_its_target_is_a_miss(tool, words):
    slow = replace(MADE, runs=RUNS | {tool: replace(RUNS[tool], seconds=11.0)})
    assert [words in text for text, met in any_model_page.targets([MADE, slow]) if not met] == [True]


def test_an_alarm_of_ours_in_the_reference_period_is_a_miss():
    noisy = replace(MADE, reference=MADE.reference | {OURS: ALARMED})
    assert [text for text, met in any_model_page.targets([noisy]) if not met] == ["no alarm in the reference period: car_loan"]


def small_table(folder: Path) -> None:
    """The bundled car_loan's oldest rows with predictions that are right but for every tenth, in a folder as the tools read it."""
    frame = pd.read_csv(ROOT / "data" / "tables" / "car_loan.csv.gz").head(2000).drop(columns="id")
    frame["repaid"] = frame["repaid"].astype(int)
    frame["y_pred"] = (frame["repaid"] + (frame.index % 10 == 0)) % 2
    frame["y_pred_proba"] = 0.1 + 0.8 * frame["y_pred"]
    frame.to_csv(folder / "car_loan.csv", index=False)
    (folder / "spec.json").write_text(json.dumps(any_model_peers.spec(frame, "repaid", str(frame["timestamp"].iloc[1000]))))


def test_ours_runs_in_a_process_of_its_own_whose_time_and_memory_are_measured(tmp_path):
    small_table(tmp_path)
    run = any_model_peers.watched(any_model_peers.command(OURS, tmp_path, "car_loan", {}), folder=tmp_path)
    assert (tmp_path / "report.html").exists()
    assert 0.3 < run.seconds < 60
    assert 80 < run.mib < 2000
    assert run.said["blocks"] == 50
    assert run.said["alarms"] == 0
    assert run.said["kpi"] == "accuracy"
    assert run.said["before"] == pytest.approx(0.9)


def test_a_tool_that_fails_stops_the_benchmark(tmp_path, capsys):
    with pytest.raises(subprocess.CalledProcessError):
        any_model_peers.watched([sys.executable, "-c", "raise SystemExit('no such thing')"], folder=tmp_path)
    assert "no such thing" in capsys.readouterr().err


def test_the_description_of_a_table_tells_numbers_from_categories():
    frame = pd.DataFrame(
        {"n": [1.5], "flag": [True], "word": ["a"], "y": ["b"], "y_pred": ["b"], "y_pred_proba_a": [0.1], "y_pred_proba_b": [0.9], "timestamp": ["2024"]}
    )
    told = any_model_peers.spec(frame, "y", "2024-05-01")
    assert (told["numerical"], told["categorical"]) == (["n"], ["flag", "word"])
    assert (told["classes"], told["task"]) == (["a", "b"], "classification")
