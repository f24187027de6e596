"""watch_table.py: from the shell to the verdict, the report and the run in MLflow."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from predictions_sample import FALL, REFERENCE, predictions, values
from script_fixtures import Workshop, role
from segments_sample import SEGMENT_REFERENCE, regional

from driftloop.settings import ROOT
from driftloop.system import lock

FLAGS = ("--target", "y_true", "--prediction", "y_pred", "--time_column", "when")
SECONDS = 10.0  # of processor time, from the shell to the report of 100,000 rows


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    predictions().to_csv(tmp_path / "mine.csv", index=False)
    return Workshop(tmp_path)


def test_a_fall_is_reported_logged_and_fails(workshop: Workshop) -> None:
    done = workshop.run(
        "watch_table", "--data_path", "mine.csv", *FLAGS, "--probability", "proba", "--reference_until", "2024-04-10", "--block_by", "week",
        "--report", "r.html", "--json", "--fail_on_drift", "--mlflow_experiment_name", "theirs",
    )  # fmt: skip
    assert done.code == 10
    assert done.result["drift"] and done.result["reference"]["rows"] == REFERENCE
    assert done.result["kpi"]["name"] == "accuracy"
    assert "reference period" in (workshop.folder / "r.html").read_text()
    (run,) = workshop.runs("theirs")
    assert (role(run), run.info.status, run.info.run_id) == ("table", "FINISHED", done.result["run_id"])
    assert run.data.params["prediction"] == "y_pred"
    assert run.data.metrics["watch_accuracy"] == done.result["accuracy"]
    assert run.data.metrics["watch_accuracy_of_reference"] == done.result["reference"]["kpi"]
    assert not {name for name in run.data.metrics if "retrain" in name}
    history = workshop.client.get_metric_history(run.info.run_id, "block/accuracy")
    assert len(history) == done.result["blocks"] + sum(one.timestamp < 1712707200000 for one in history)
    assert {"report.html", "blocks.csv", "blocks.json"} <= {file.path for file in workshop.client.list_artifacts(run.info.run_id)}
    first = next(at for at, one in enumerate(workshop.client.get_metric_history(run.info.run_id, "block/drift")) if one.value)
    assert run.data.tags["driftloop.drift_block"] == str(first)


def test_a_steady_model_passes_and_the_terminal_says_so(workshop: Workshop) -> None:
    predictions(fall=6000).to_csv(workshop.folder / "mine.csv", index=False)
    done = workshop.run("watch_table", "--data_path", "mine.csv", *FLAGS, "--reference_rows", REFERENCE, "--fail_on_drift")
    assert done.code == 0
    assert "0 blocks of 100 drifted" in " ".join(done.out.split())
    assert "served" not in done.out and "etrain" not in done.out


def test_a_regression_in_parquet(workshop: Workshop) -> None:
    values().to_parquet(workshop.folder / "mine.parquet")
    done = workshop.run("watch_table", "--data_path", "mine.parquet", *FLAGS, "--unit", "minutes", "--json")
    assert done.code == 0
    assert done.result["drift"] and done.result["unit"] == "minutes" and done.result["mae"] > 1


def test_a_fall_in_one_segment_fails_and_is_logged(workshop: Workshop) -> None:
    regional().to_csv(workshop.folder / "mine.csv", index=False)
    done = workshop.run(
        "watch_table", "--data_path", "mine.csv", *FLAGS, "--reference_rows", SEGMENT_REFERENCE, "--segments", "region,x", "--report", "r.html",
        "--json", "--fail_on_drift", "--mlflow_experiment_name", "theirs",
    )  # fmt: skip
    assert done.code == 10 and not done.result["drift"]
    assert done.result["segments"]["named"] == ["region: west"] and done.result["segments"]["judged"] == 8
    assert "the worst is region: west" in " ".join((workshop.folder / "r.html").read_text().split())
    (run,) = workshop.runs("theirs")
    assert (run.data.metrics["segments/judged"], run.data.metrics["segments/named"]) == (8, 1)
    assert run.data.metrics["segment/region/west/drift"] == 1 and run.data.metrics["segment/region/west/kpi_after"] < 0.7
    assert run.data.params["segments"] == "region,x"
    assert {"segments.csv", "segments.json"} <= {file.path for file in workshop.client.list_artifacts(run.info.run_id)}


def test_metrics_are_of_ten_segments_of_a_column_and_any_name_is_logged(workshop: Workshop) -> None:
    names = ["北京", "上海", "a/b", "..", "x" * 300, "50 %", "<i>", *(f"z{at}" for at in range(20))]
    table = regional()
    table.assign(zone=[names[at % len(names)] for at in table.index]).to_csv(workshop.folder / "mine.csv", index=False)
    done = workshop.run("watch_table", "--data_path", "mine.csv", *FLAGS, "--segments", "zone", "--json", "--mlflow_experiment_name", "theirs")
    assert done.code == 0 and done.result["segments"]["judged"] == len(names)
    (run,) = workshop.runs("theirs")
    assert sum(name.startswith("segment/zone/") and name.endswith("/drift") for name in run.data.metrics) == 10


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        ((), 2, "give --data_path and --target and --prediction"),
        (("--data_path", "none.csv", *FLAGS), 3, "none.csv"),
        (("--data_path", "mine.csv", *FLAGS, "--reference_until", "2020-01-01"), 2, "has no row"),
        (("--data_path", "mine.csv", *FLAGS, "--reference_until", "2024-04-10", "--reference_rows", "5"), 2, "are both given"),
        (("--data_path", "mine.csv", *FLAGS, "--reference_rows", "5"), 3, "has 5 rows with a label, needs at least 16"),
        (("--data_path", "mine.csv", *FLAGS, "--kpi", "brier"), 2, "give --probability"),
        (("--data_path", "mine.csv", *FLAGS, "--probability", "x"), 3, "not in 0..1"),
        (("--data_path", "mine.csv", *FLAGS, "--segments", "fule"), 3, "did you mean 'fuel'"),
        (("--data_path", "mine.csv", *FLAGS, "--segments", "y_true"), 2, "holds the labels or predictions"),
        (("--data_path", "mine.csv", *FLAGS, "--report", "."), 1, "the report cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_run(workshop: Workshop, flags: tuple[str, ...], code: int, told: str) -> None:
    done = workshop.run("watch_table", *flags)
    assert done.code == code
    assert told in done.err and len(done.err.strip().splitlines()) == 1
    assert not (workshop.folder / "mlflow.db").exists()


def test_a_hundred_thousand_rows_take_ten_seconds(tmp_path: Path) -> None:
    predictions(rows=100_000, fall=70_000).to_csv(tmp_path / "mine.csv", index=False)
    flags = ["--probability", "proba", "--reference_rows", "40000", "--block_by", "month", "--report", "r.html"]
    command = [sys.executable, "-c", "import resource, sys; sys.path.insert(0, sys.argv.pop(1)); import watch_table; code = watch_table.main(sys.argv[1:]);"
               "used = resource.getrusage(resource.RUSAGE_SELF); print(used.ru_utime + used.ru_stime); sys.exit(code)", str(ROOT)]  # fmt: skip
    begun = time.monotonic()
    done = subprocess.run([*command, "--data_path", "mine.csv", *FLAGS, *flags], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    took = float(done.stdout.splitlines()[-1])
    assert took < SECONDS, f"{took:.1f} s of processor time in {time.monotonic() - begun:.1f} s"
    assert (tmp_path / "r.html").exists() and FALL


def test_a_state_continues_the_watch_with_later_rows_and_late_labels(workshop: Workshop) -> None:
    table, folder = predictions().assign(number=lambda given: range(len(given))), workshop.folder
    late = table.astype({"y_true": object})
    late.loc[4300:4499, "y_true"] = None
    late[:4500].to_csv(folder / "first.csv", index=False)
    table[4300:4500][["number", "y_true"]].to_csv(folder / "labels.csv", index=False)
    table[4500:].to_csv(folder / "second.csv", index=False)
    table.to_csv(folder / "all.csv", index=False)
    how = (*FLAGS, "--id_column", "number", "--reference_rows", REFERENCE, "--block_size", 100, "--segments", "fuel,x", "--json")
    parts = [workshop.run("watch_table", "--data_path", f"{name}.csv", *how, "--state", "state.json") for name in ("first", "labels", "second")]
    whole = workshop.run("watch_table", "--data_path", "all.csv", *how)
    assert [part.code for part in parts] == [0, 0, 0]
    assert parts[-1].result["verdict"] == whole.result["verdict"]
    assert parts[-1].result["accuracy"] == whole.result["accuracy"]
    assert parts[-1].result["segments"] == whole.result["segments"]
    assert parts[-1].result["drifted_blocks"] == whole.result["drifted_blocks"] > 0
    other = workshop.run("watch_table", "--data_path", "second.csv", *how, "--state", "state.json", "--threshold", 0.8)
    assert other.code == 2 and "--threshold is not as when --state state.json was begun" in other.err


def test_a_damaged_state_and_one_that_is_in_use_are_one_line_before_anything_is_logged(workshop: Workshop) -> None:
    (workshop.folder / "state.json").write_text("{}")
    damaged = workshop.run("watch_table", "--data_path", "mine.csv", *FLAGS, "--state", "state.json", "--mlflow_experiment_name", "theirs")
    assert damaged.code == 3 and "is no state of a watch" in damaged.err
    with lock.hold(workshop.folder / "state.json.lock", taken=""):
        taken = workshop.run("watch_table", "--data_path", "mine.csv", *FLAGS, "--state", "state.json", "--mlflow_experiment_name", "theirs")
    assert taken.code == 2 and "another watch_table.py is continuing it" in taken.err
    nowhere = workshop.run("watch_table", "--data_path", "mine.csv", *FLAGS, "--state", "none/state.json")
    assert nowhere.code == 2 and "--state none/state.json: cannot lock it" in nowhere.err
    assert workshop.client.get_experiment_by_name("theirs") is None
