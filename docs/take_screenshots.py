"""Take the pictures of docs/images/ with headless Chromium; for maintainers.

    apt-get install chromium chromium-driver
    python -m docs.take_screenshots                          # runs the default lifecycle first
    python -m docs.take_screenshots --folder /tmp/figures    # of the run that `benchmarks.figures --folder` left there
    python -m docs.take_screenshots --batch april.html       # batch-report.png alone, of a report of monitoring.batch_flow
    python -m docs.take_screenshots --taxi taxi.html         # taxi-report.png alone, of the report of examples.nyc_taxi.lifecycle

It writes report.png (the report down to its plot), mlflow-runs.png (the runs list, parents expanded) and
mlflow-compare.png (the base model and its retrains beside each other).
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.wait import WebDriverWait

from benchmarks.figures import run_lifecycle

IMAGES = Path(__file__).parent / "images"
WIDTH, TALL = 1280, 2400  # CSS pixels; MLflow only draws the rows that fit the window
WAIT_S = 30
SERVER_WAIT_S = 120
BATCH_UNTIL = "#plot-feature-1"  # down to the feature that moved most
MOST_COMPARED = 4  # runs beside each other that can still be read
SETTLE_S = 3  # charts go on drawing after their elements are there; the page never goes idle, so that is no sign
CHROMIUM_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars"
)

# The parameters at their full length, then the metrics that MLflow shows without scrolling (marked), and nothing below them.
COMPARED_WHOLE = """
document.querySelectorAll('.mlflow-compare-table').forEach(e => e.style.maxHeight = 'none');
for (const part of document.querySelectorAll('.du-bois-light-collapse')) {
    if (/^(Artifacts|Tags)/.test(part.innerText.trim())) part.style.display = 'none';
    if (!/^Metrics/.test(part.innerText.trim())) continue;
    const shown = [...part.querySelectorAll('*')].find(e => e.scrollHeight > e.clientHeight + 4 && /auto|scroll/.test(getComputedStyle(e).overflowY));
    for (const name of part.querySelectorAll('a'))
        if (!shown || name.getBoundingClientRect().bottom < shown.getBoundingClientRect().bottom - 12) name.classList.add('in-picture');
}
"""
ASSISTANT_AWAY = """
document.querySelectorAll('[data-component-id*=assistant], [class*=assistant], [aria-label*=ssistant]').forEach(e => e.style.visibility = 'hidden')
"""


def build_parser() -> argparse.ArgumentParser:
    """The flags of the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where `benchmarks.figures --folder` left its runs; default: run the lifecycle now")
    parser.add_argument("--batch", type=Path, help="a report of monitoring.batch_flow: take its picture and no other")
    parser.add_argument("--taxi", type=Path, help="a report of examples.nyc_taxi.lifecycle: take its picture and no other")
    parser.add_argument("--columns", nargs="*", default=["metrics.val_accuracy", "params.history", "params.window", "params.lr"], help="of the runs list")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder of the pictures")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser")
    parser.add_argument("--chromedriver", default="/usr/bin/chromedriver", help="its driver, of the same version")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Take the pictures; 0, or 1 when the lifecycle, the browser or a page failed."""
    args = build_parser().parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        if args.batch or args.taxi:
            with _browser(args.chromium, args.chromedriver) as driver:
                if args.batch:
                    take_report(driver, args.batch, args.out / "batch-report.png", until=BATCH_UNTIL)
                if args.taxi:
                    take_report(driver, args.taxi, args.out / "taxi-report.png")
            return 0
        with contextlib.nullcontext(args.folder) if args.folder else tempfile.TemporaryDirectory(prefix="screenshots-") as made:
            folder = Path(made) / "default"
            result = run_lifecycle([], folder, reuse=True)
            run_ids = [result["run_id"], *(record["run_id"] for record in result["retrains"])]
            with _mlflow(folder) as url, _browser(args.chromium, args.chromedriver) as driver:
                experiment_id = _experiment_of(url, run_ids[0])
                take_report(driver, folder / "report.html", args.out / "report.png")
                _prepare_mlflow(driver, url, experiment_id, run_ids=run_ids, columns=args.columns)
                take_runs(driver, url, experiment_id, args.out / "mlflow-runs.png")
                take_compare(driver, url, experiment_id, run_ids[:MOST_COMPARED], args.out / "mlflow-compare.png")
    except (WebDriverException, subprocess.CalledProcessError, requests.RequestException) as exc:
        print(f"take_screenshots: {type(exc).__name__}: {getattr(exc, 'msg', exc)}", file=sys.stderr)
        return 1
    return 0


def take_report(driver: WebDriver, report: Path, picture: Path, *, until: str = "figure") -> None:
    """The report from its verdict to the end of its plot, or of another element."""
    driver.get(report.resolve().as_uri())
    _capture(driver, picture, until=until)


def take_runs(driver: WebDriver, url: str, experiment_id: str, picture: Path) -> None:
    """The runs list with parents and children."""
    driver.get(f"{url}/#/experiments/{experiment_id}/runs")
    _wait_for(driver, ".ag-center-cols-container .ag-row")
    _capture(driver, picture, until=".ag-center-cols-container .ag-row")


def take_compare(driver: WebDriver, url: str, experiment_id: str, run_ids: list[str], picture: Path) -> None:
    """The compare page of the given runs: validation accuracy over the parameters, and what differs between them."""
    runs, experiments = (json.dumps(ids, separators=(",", ":")) for ids in (run_ids, [experiment_id]))
    driver.get(f"{url}/#/compare-runs?runs={runs}&experiments={experiments}")
    _wait_for(driver, ".js-plotly-plot .main-svg")
    time.sleep(SETTLE_S)
    _choose_metric(driver, "val_accuracy", instead_of="train_loss")
    for switch in driver.find_elements("css selector", "button[role=switch]")[:2]:  # of the parameters and of the metrics
        switch.click()
    driver.execute_script(COMPARED_WHOLE)
    _capture(driver, picture, until=".in-picture")


def _choose_metric(driver: WebDriver, name: str, *, instead_of: str) -> None:
    """Exchange the metric of the parallel coordinates."""
    chosen = driver.find_element("xpath", f"//span[contains(@class, 'selection-item-content') and text()='{instead_of}']")
    chosen.find_element("xpath", "ancestor::div[contains(@class, 'select-selector')]").click()
    driver.switch_to.active_element.send_keys(name, Keys.ENTER, Keys.ESCAPE)
    chosen.find_element("xpath", "following-sibling::span").click()


def _prepare_mlflow(driver: WebDriver, url: str, experiment_id: str, *, run_ids: list[str], columns: list[str]) -> None:
    """Set what the UI remembers in the browser: expanded runs, columns, and no assistant beside them."""
    driver.get(f"{url}/health")  # the same origin, but no app that would write back what it remembers itself
    kinds = (column.split(".", 1) for column in columns)
    page = {"runsExpanded": dict.fromkeys(run_ids, True), "selectedColumns": [f"{kind}.`{name}`" for kind, name in kinds]}
    remembered = {
        f'MLflowLocalStorage-1.1-ExperimentPage-["{experiment_id}"]-ReactComponentState': page,
        "mlflow.workflowType_v1": "machine_learning",
        "mlflow.assistant.panelOpen_v1": False,
        "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": True,
    }
    for name, value in remembered.items():
        driver.execute_script("localStorage.setItem(arguments[0], arguments[1])", name, json.dumps(value))


@contextmanager
def _mlflow(folder: Path) -> Iterator[str]:
    """An MLflow server on the store in `folder`; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{folder.resolve() / 'mlflow.db'}", "--workers", "1"]
    with (folder / "mlflow.log").open("w") as log:
        server = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", url.rpartition(":")[2]], stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_for_server(url)
            yield url
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def _experiment_of(url: str, run_id: str) -> str:
    answer = requests.get(f"{url}/api/2.0/mlflow/runs/get", params={"run_id": run_id}, timeout=WAIT_S)
    answer.raise_for_status()
    return str(answer.json()["run"]["info"]["experiment_id"])


def _wait_for_server(url: str) -> None:
    end = time.monotonic() + SERVER_WAIT_S
    while True:
        try:
            return requests.get(f"{url}/health", timeout=5).raise_for_status()
        except requests.RequestException:
            if time.monotonic() > end:
                raise
        time.sleep(0.5)


@contextmanager
def _browser(chromium: str, chromedriver: str) -> Iterator[WebDriver]:
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    with tempfile.TemporaryDirectory(prefix="screenshots-") as profile:
        for flag in [*CHROMIUM_FLAGS.split(), f"--user-data-dir={profile}"]:
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(chromedriver))
        try:
            size = {"width": WIDTH, "height": TALL, "deviceScaleFactor": 1, "mobile": False}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            yield driver
        finally:
            driver.quit()


def _wait_for(driver: WebDriver, selector: str) -> None:
    WebDriverWait(driver, WAIT_S).until(lambda page: page.find_elements("css selector", selector), f"{driver.current_url} shows no {selector} after {WAIT_S} s")


def _capture(driver: WebDriver, picture: Path, *, until: str) -> None:
    """Write the page from its top to the lowest edge of the elements that `until` selects."""
    time.sleep(SETTLE_S)
    driver.execute_script(ASSISTANT_AWAY)
    bottom = driver.execute_script("return Math.max(...[...document.querySelectorAll(arguments[0])].map(e => e.getBoundingClientRect().bottom))", until)
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": min(bottom + 24, TALL), "scale": 1}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "clip": clip})
    picture.write_bytes(base64.b64decode(shot["data"]))
    print(picture)


if __name__ == "__main__":
    raise SystemExit(main())
