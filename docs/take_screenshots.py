"""Take the pictures of docs/images/ with headless Chromium; for maintainers.

    apt-get install chromium chromium-driver
    python -m docs.take_screenshots                          # runs the default lifecycle first
    python -m docs.take_screenshots --folder /tmp/figures    # of the run of `benchmarks.figures --folder`
    python -m docs.take_screenshots --batch april.html       # only batch-report.png, from a report of monitoring batch
    python -m docs.take_screenshots --taxi taxi.html         # only taxi-report.png, from the report of `make taxi`
    python -m docs.take_screenshots --table car_loan.html    # only table-report.png, from the report of docs/own_data.md's example
    python -m docs.take_screenshots --schema ADDRESS         # only table-schema.png, from the page of its version in `make ui`

It writes report.png (the report down to its plot), mlflow-run.png (the run that `make ui` opens), mlflow-runs.png (the runs list, parents
unfolded), mlflow-compare.png (the base model and its retrains compared) and mlflow-version.png (the version in service).

A fresh browser opens MLflow's pages at the addresses printed by `make ui`; all else is clicks, so a picture shows what a user sees.
"""

from __future__ import annotations

import argparse
import base64
import json
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
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from benchmarks import script
from benchmarks.figures import run_lifecycle
from driftloop.errors import DriftloopError
from driftloop.system.ports import HOST, free_ports
from driftloop.system.processes import Server
from driftloop.tracking import links

IMAGES = Path(__file__).parent / "images"
WIDTH, TALL = 1280, 2400  # CSS pixels; MLflow only draws the rows that fit the window
WAIT_S = 30
SERVER_WAIT_S = 120
BATCH_UNTIL = "#plot-feature-1"  # down to the feature that moved most
MOST_COMPARED = 4  # more runs are hard to read
NAME_WIDER = 130  # CSS pixels
SETTLE_S = 3  # charts are still drawn after their elements exist, and the page never goes idle
CHROMIUM_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars"
)

ASSISTANT = "[data-component-id='mlflow.assistant.chat_panel.close']"  # MLflow opens it on the first visit
# Marks the metrics' part of the page, found by its title, as the end of the picture.
MARK_METRICS = """
for (const part of document.querySelectorAll('.du-bois-light-collapse'))
    if (/^Metrics/.test(part.innerText.trim())) part.classList.add('in-picture');
"""
SCHEMA = "//*[normalize-space(text())='Schema']"
DESCRIPTION = ".note-editor-preview-content"
ROWS = ".ag-center-cols-container .ag-row"


def build_parser() -> argparse.ArgumentParser:
    """The flags of the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="the folder of `benchmarks.figures --folder`; default: run the lifecycle now")
    parser.add_argument("--batch", type=Path, help="a report of monitoring batch: take only its picture")
    parser.add_argument("--taxi", type=Path, help="a report of `make taxi`: take only its picture")
    parser.add_argument("--table", type=Path, help="a report of a table's lifecycle: take only its picture")
    parser.add_argument("--schema", metavar="ADDRESS", help="MLflow's page of a version: take only the picture of its schema")
    parser.add_argument("--columns", nargs="*", default=["test_accuracy", "watch_accuracy"], help="columns of the runs list, instead of the data set")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder for the pictures")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser")
    parser.add_argument("--chromedriver", default="/usr/bin/chromedriver", help="its driver, of the same version")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Take the pictures; return 0, or 1 if the lifecycle, the browser or a page failed."""
    args = build_parser().parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        if args.batch or args.taxi or args.table or args.schema:
            with _browser(args.chromium, args.chromedriver) as driver:
                if args.batch:
                    take_report(driver, args.batch, args.out / "batch-report.png", until=BATCH_UNTIL)
                if args.taxi:
                    take_report(driver, args.taxi, args.out / "taxi-report.png")
                if args.table:
                    take_report(driver, args.table, args.out / "table-report.png")
                if args.schema:
                    take_schema(driver, args.schema, args.out / "table-schema.png")
            return 0
        with script.place(args.folder) as place:
            folder = place / "default"
            result = run_lifecycle([], folder, reuse=True)
            run_ids = [result["run_id"], *(record["run_id"] for record in result["retrains"])]
            with _mlflow(folder) as url, _browser(args.chromium, args.chromedriver) as driver:
                experiment_id = _info(url, run_ids[0])["experiment_id"]
                names = [_info(url, run_id)["run_name"] for run_id in run_ids]
                take_report(driver, folder / "report.html", args.out / "report.png")
                take_run(driver, f"{url}/{links.run(experiment_id, run_ids[0])}", args.out / "mlflow-run.png")
                take_runs(driver, f"{url}/{links.experiment(experiment_id)}", args.out / "mlflow-runs.png", unfolded=names, columns=args.columns)
                take_compare(driver, url, experiment_id, run_ids[:MOST_COMPARED], args.out / "mlflow-compare.png")
                take_version(driver, f"{url}/{links.version('drift_model', result['served_version'])}", args.out / "mlflow-version.png")
    except (WebDriverException, subprocess.CalledProcessError, requests.RequestException, DriftloopError) as exc:
        print(f"take_screenshots: {type(exc).__name__}: {getattr(exc, 'msg', exc)}", file=sys.stderr)
        return 1
    return 0


def take_report(driver: WebDriver, report: Path, picture: Path, *, until: str = "figure") -> None:
    """The report from its verdict to the end of its plot, or of another element."""
    driver.get(report.resolve().as_uri())
    _capture(driver, picture, until=until)


def take_run(driver: WebDriver, address: str, picture: Path) -> None:
    """The page of one run, down to its description."""
    driver.get(address)
    _wait_for(driver, DESCRIPTION)
    _close_assistant(driver)
    _wait_for(driver, "//button[normalize-space()='Show more']").click()
    _capture(driver, picture, until=DESCRIPTION, margin=0)


def take_runs(driver: WebDriver, address: str, picture: Path, *, unfolded: list[str], columns: list[str]) -> None:
    """The runs list with these columns, the named runs unfolded."""
    driver.get(address)
    _wait_for(driver, ROWS)
    _close_assistant(driver)
    for name in unfolded:
        cell = _wait_for(driver, f"//a[normalize-space()='{name}']/ancestor::*[@role='gridcell']")
        cell.find_element("css selector", "button").click()
        time.sleep(1)
    _choose_columns(driver, columns)
    _capture(driver, picture, until=ROWS)


def take_compare(driver: WebDriver, url: str, experiment_id: str, run_ids: list[str], picture: Path) -> None:
    """The comparison of runs: the parameters that differ, and the metrics."""
    runs, experiments = (json.dumps(ids, separators=(",", ":")) for ids in (run_ids, [experiment_id]))
    driver.get(f"{url}/#/compare-runs?runs={runs}&experiments={experiments}&workflowType=machine_learning")
    _wait_for(driver, ".js-plotly-plot .main-svg")
    _close_assistant(driver)
    _wait_for(driver, "button[role=switch]").click()  # of the parameters
    driver.execute_script(MARK_METRICS)
    _capture(driver, picture, until=".in-picture", margin=0)


def take_version(driver: WebDriver, address: str, picture: Path) -> None:
    """The page of a registered version."""
    driver.get(address)
    _wait_for(driver, "[data-component-id*=modelversionview]")
    _close_assistant(driver)
    _capture(driver, picture, until="[role=table], table, [class*=markdown]")


def take_schema(driver: WebDriver, address: str, picture: Path) -> None:
    """The schema of a registered version, its inputs unfolded, down to the outputs."""
    driver.get(address)
    title = _wait_for(driver, SCHEMA)
    _close_assistant(driver)
    _wait_for(driver, "//*[starts-with(normalize-space(text()), 'Inputs (')]").click()
    time.sleep(1)
    driver.execute_script("arguments[0].classList.add('in-picture')", _wait_for(driver, "//*[starts-with(normalize-space(text()), 'Outputs (')]"))
    _capture(driver, picture, after=title, until=".in-picture")


def _close_assistant(driver: WebDriver) -> None:
    time.sleep(SETTLE_S)
    for close in driver.find_elements("css selector", ASSISTANT):
        close.click()


def _choose_columns(driver: WebDriver, names: list[str]) -> None:
    """Widen the names of the runs, and replace the columns of their origin."""
    handle = _wait_for(driver, "//*[contains(@class, 'ag-header-cell')][normalize-space()='Run Name']//*[contains(@class, 'ag-header-cell-resize')]")
    ActionChains(driver).drag_and_drop_by_offset(handle, NAME_WIDER, 0).perform()
    driver.find_element("css selector", "[data-testid=column-selection-dropdown]").click()
    search = _wait_for(driver, "input[placeholder='Search columns']")
    for name in ("Dataset", "Source", *names):
        search.send_keys(Keys.CONTROL, "a")
        search.send_keys(name)
        time.sleep(1)
        node = _wait_for(driver, f"//*[contains(@class, 'tree-treenode')][.//*[normalize-space(text())='{name}']]")
        node.find_element("css selector", "[class$=tree-checkbox], [class*='tree-checkbox ']").click()
    driver.find_element("css selector", "body").send_keys(Keys.ESCAPE)


@contextmanager
def _mlflow(folder: Path) -> Iterator[str]:
    """An MLflow server on the store in `folder`; yields its address."""
    port = free_ports()[0]
    url = f"http://{HOST}:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", script.store_uri(folder), "--workers", "1"]
    with Server([*command, "--host", HOST, "--port", str(port)], log=folder / "mlflow.log") as server:
        script.wait_until(lambda: script.answers(f"{url}/health"), servers={"mlflow": server}, within_s=SERVER_WAIT_S)
        yield url


def _info(url: str, run_id: str) -> dict[str, str]:
    answer = requests.get(f"{url}/api/2.0/mlflow/runs/get", params={"run_id": run_id}, timeout=WAIT_S)
    answer.raise_for_status()
    info: dict[str, str] = answer.json()["run"]["info"]
    return info


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


def _wait_for(driver: WebDriver, selector: str) -> WebElement:
    """The first element that a CSS selector or XPath finds."""
    how = "xpath" if selector.startswith("/") else "css selector"
    return WebDriverWait(driver, WAIT_S).until(lambda page: page.find_elements(how, selector), f"{driver.current_url} shows no {selector} after {WAIT_S} s")[0]


def _capture(driver: WebDriver, picture: Path, *, until: str, margin: int = 24, after: WebElement | None = None) -> None:
    """Write the page from its top, or an element, to the lowest edge of the elements that `until` selects."""
    time.sleep(SETTLE_S)
    top, left = (after.rect["y"] - margin / 3, after.rect["x"] - margin) if after else (0, 0)
    bottom = driver.execute_script("return Math.max(...[...document.querySelectorAll(arguments[0])].map(e => e.getBoundingClientRect().bottom))", until)
    clip = {"x": left, "y": top, "width": WIDTH - left, "height": min(bottom + margin, TALL) - top, "scale": 1}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "clip": clip})
    picture.write_bytes(base64.b64decode(shot["data"]))
    print(picture)


if __name__ == "__main__":
    raise SystemExit(main())
