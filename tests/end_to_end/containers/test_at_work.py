"""The containers do what the processes of `make monitor` do: predictions, labels, an alert, a retrain, a new version, and the month's batch report."""

from __future__ import annotations

import logging
import time

from tests.end_to_end.containers.stack import MLFLOW, MONITOR, PREFECT, PROMETHEUS, Stack, wait
from tests.end_to_end.containers.traffic import Traffic

LOG = logging.getLogger("containers")
JOBS = {"prediction_service", "monitor", "retrain_hook", "torchserve", "prometheus"}
WINDOW = "1998-03"  # of which the log has every row after the drift's test
ROWS = 4800


def test_prometheus_reaches_every_target(stack: Stack) -> None:
    wait(lambda: stack.targets() == dict.fromkeys(JOBS, "up"), "every target to be up", patience_s=120)


def test_a_prediction_and_its_label_are_in_the_log(stack: Stack, traffic: Traffic) -> None:
    answers = traffic.block()
    assert {answer["version"] for answer in answers} == {"1"}
    assert not [answer for answer in answers if answer["fallback"]]
    label = int(traffic.stream.label_names[traffic.stream.labels[traffic.row - 1]])
    found = wait(lambda: (one := traffic.logged(answers[-1]["id"])) and "label" in one and one, "the label in the log", patience_s=60)
    assert (found["version"], found["prediction"], found["label"]) == ("1", answers[-1]["prediction"], label)


def test_drifted_traffic_ends_in_a_new_version_with_nobody_touching_anything(stack: Stack, traffic: Traffic) -> None:
    began, stop = time.monotonic(), traffic.row + ROWS
    while traffic.row < stop:
        traffic.block()
    firing = wait(
        lambda: [one for one in stack.get(f"{PROMETHEUS}/api/v1/alerts")["data"]["alerts"] if one["labels"]["alertname"] == "KpiBelowThreshold"], "the alert"
    )
    LOG.info("the alert %s: %.0f s after the first drifted row", firing[0]["state"], time.monotonic() - began)
    (started,) = wait(stack.retrains, "a retrain")
    LOG.info("the retrain runs: %.0f s after the first drifted row", time.monotonic() - began)
    assert started["alert"] == "KpiBelowThreshold"
    ended = wait(lambda: (one := stack.retrains()[0])["state"] != "running" and one, "the retrain's end")
    LOG.info("the retrain has ended: %s", ended["message"])
    assert (ended["state"], ended["version"]) == ("promoted", "2"), ended["message"]
    answer = wait(lambda: (one := traffic.arrives()) and one["version"] == "2" and one, "the new version's answer", patience_s=60)
    LOG.info("version %s answers: %.0f s after the first drifted row", answer["version"], time.monotonic() - began)
    wait(lambda: stack.get(f"{MONITOR}/streams/elec")["champion"] == "2", "the monitor to know the new champion", patience_s=120)


def test_the_batch_service_measures_a_window(stack: Stack) -> None:
    measured(stack, WINDOW)


def measured(stack: Stack, window: str) -> None:
    """Let the batch service measure a window, as its schedule does each month; MLflow has the report then, and the monitor links to it."""
    login = ("driftloop", stack.secrets["PREFECT_PASSWORD"])
    (deployment,) = stack.post(f"{PREFECT}/api/deployments/filter", {}, auth=login)
    # The hook has just retrained and would refuse another one.
    given = {**deployment["parameters"], "window": window, "options": {**deployment["parameters"]["options"], "on_drift": "advise"}}
    run = stack.post(f"{PREFECT}/api/deployments/{deployment['id']}/create_flow_run", {"parameters": given}, auth=login)

    def state() -> str:
        return str(stack.get(f"{PREFECT}/api/flow_runs/{run['id']}", auth=login)["state"]["type"])

    assert wait(lambda: (kind := state()) in {"COMPLETED", "FAILED", "CRASHED"} and kind, "the window to be measured") == "COMPLETED"
    report = stack.http.get(f"{MONITOR}/reports/elec", timeout=30, allow_redirects=False)
    assert report.status_code in {302, 303, 307}
    assert report.headers["Location"].startswith(MLFLOW)
