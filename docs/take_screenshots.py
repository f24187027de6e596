"""Take the pictures of docs/images/ with headless Chromium; for maintainers.

    apt-get install chromium chromium-driver && pip install selenium
    python docs/take_screenshots.py --report report.html
    mlflow server --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port 5000
    python docs/take_screenshots.py --mlflow_url http://127.0.0.1:5000 --experiment_id 1 --run_ids PARENT RETRAIN RETRAIN

The first writes report.png (the report down to its plot), the last mlflow-runs.png (the runs
list, the named runs expanded) and mlflow-compare.png (the named runs beside each other).
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.wait import WebDriverWait

IMAGES = Path(__file__).parent / "images"
WIDTH, TALL = 1280, 2400  # CSS pixels; MLflow only draws the rows that fit the window
WAIT_S = 30
SETTLE_S = 3  # charts go on drawing after their elements are there; the page never goes idle, so that is no sign
CHROMIUM_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars"
)


def build_parser() -> argparse.ArgumentParser:
    """The flags of the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", type=Path, help="a report.html to take report.png of")
    parser.add_argument("--mlflow_url", help="address of a running MLflow server, without a slash at the end")
    parser.add_argument("--experiment_id", default="0", help="the experiment of the runs")
    parser.add_argument("--run_ids", nargs="+", default=[], help="the base run, then the retrains to expand and to compare with it")
    parser.add_argument("--columns", nargs="*", default=["metrics.val_accuracy", "params.history", "params.window", "params.lr"], help="of the runs list")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder of the pictures")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser")
    parser.add_argument("--chromedriver", default="/usr/bin/chromedriver", help="its driver, of the same version")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Take the pictures that were asked for; 0, or 1 when the browser or a page failed."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if not args.report and not args.mlflow_url:
        parser.error("give --report, --mlflow_url or both")
    if args.mlflow_url and len(args.run_ids) < 2:
        parser.error("--mlflow_url needs --run_ids with at least two runs to compare")
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        with _browser(args.chromium, args.chromedriver) as driver:
            if args.report:
                take_report(driver, args.report, args.out / "report.png")
            if args.mlflow_url:
                _prepare_mlflow(driver, args.mlflow_url, args.experiment_id, run_ids=args.run_ids, columns=args.columns)
                take_runs(driver, args.mlflow_url, args.experiment_id, args.out / "mlflow-runs.png")
                take_compare(driver, args.mlflow_url, args.experiment_id, args.run_ids, args.out / "mlflow-compare.png")
    except WebDriverException as exc:
        print(f"take_screenshots: {type(exc).__name__}: {exc.msg}", file=sys.stderr)
        return 1
    return 0


def take_report(driver: WebDriver, report: Path, picture: Path) -> None:
    """The report from its verdict to the end of its plot."""
    driver.get(report.resolve().as_uri())
    _capture(driver, picture, until="figure")


def take_runs(driver: WebDriver, url: str, experiment_id: str, picture: Path) -> None:
    """The runs list with parents and children."""
    driver.get(f"{url}/#/experiments/{experiment_id}/runs")
    _wait_for(driver, ".ag-center-cols-container .ag-row")
    _capture(driver, picture, until=".ag-center-cols-container .ag-row")


def take_compare(driver: WebDriver, url: str, experiment_id: str, run_ids: list[str], picture: Path) -> None:
    """The compare page of the given runs, from its chart to the table of parameters."""
    runs, experiments = (json.dumps(ids, separators=(",", ":")) for ids in (run_ids, [experiment_id]))
    driver.get(f"{url}/#/compare-runs?runs={runs}&experiments={experiments}")
    _wait_for(driver, ".js-plotly-plot .main-svg")
    _capture(driver, picture, until="table")


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
    driver.execute_script("document.querySelectorAll('[data-component-id*=assistant]').forEach(e => e.style.visibility = 'hidden')")
    bottom = driver.execute_script("return Math.max(...[...document.querySelectorAll(arguments[0])].map(e => e.getBoundingClientRect().bottom))", until)
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": min(bottom + 24, TALL), "scale": 1}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "clip": clip})
    picture.write_bytes(base64.b64decode(shot["data"]))
    print(picture)


if __name__ == "__main__":
    raise SystemExit(main())
