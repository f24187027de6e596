"""Model performance: how good is the served version, on how many labels, and how did the retrains end?"""

from __future__ import annotations

from typing import Final

from ops.boards import Board, Choice, Row
from ops.overview import CHAMPION, EVIDENCE, SERVED, STREAM, VERDICT, coverage_over_time
from ops.panels import BAD, GOOD, LOOK, NEUTRAL, OTHER, QUIET, Panel, Query, band, chart, coloured, dashed, in_unit_of_stream, tile, timeline

OF_VERSION: Final = '{stream=~"$stream",version=~"$version"}'
TRUSTWORTHY: Final = ((1, "trustworthy", GOOD), (0, "not trustworthy", LOOK))
OUTCOMES: Final = {
    "running": ("running", NEUTRAL),
    "promoted": ("promoted", GOOD),
    "kept": ("champion kept", OTHER),
    "retrained": ("retrained", GOOD),
    "failed": ("failed", BAD),
    "cut_off": ("cut off", LOOK),
}


def board() -> Board:
    """The board of a model's KPI, its labels, its versions and its retrains."""
    return Board(
        "performance",
        "driftloop: model performance",
        "The KPI of the served version against its threshold and its baselines, label coverage, versions and retrains.",
        (Choice("stream", "Stream", "driftloop_stream_info"), Choice("version", "Model version", "driftloop_kpi")),
        (
            Row("KPI and baselines: $stream", _kpi(), each_stream=True),
            Row("Is the model bad?", _verdict()),
            Row("Labels", _labels()),
            Row("Versions and retrains", _versions()),
        ),
    )


def _kpi() -> tuple[Panel, ...]:
    threshold = Query(f"max by (stream) (driftloop_kpi_threshold{STREAM})", "threshold")
    measured = chart(
        "KPI with its 95 % interval",
        "Of the served version on its newest labelled rows; the interval assumes independent rows. A point beyond the threshold may be noise: "
        "the verdict below weighs all blocks.",
        Query(f"driftloop_kpi{OF_VERSION}", "version {{version}}"),
        Query(f"max by (stream) (driftloop_kpi_lower{OF_VERSION})", "lower"),
        Query(f"max by (stream) (driftloop_kpi_upper{OF_VERSION})", "upper"),
        threshold,
        height=9,
        low=None,
    )
    compared = chart(
        "KPI and baselines",
        "The trivial baselines and the fallback on the same rows. A model that does not beat them is worthless, whatever its threshold.",
        Query(f"driftloop_kpi{OF_VERSION}", "version {{version}}"),
        Query(f"driftloop_kpi_baseline{STREAM}", "{{baseline}}"),
        threshold,
        height=9,
        low=None,
        colour=OTHER,
    )
    return (
        in_unit_of_stream(dashed(band(measured, "lower", "upper"), "threshold", LOOK)),
        in_unit_of_stream(dashed(coloured(compared, {"^version ": NEUTRAL}), "threshold", LOOK)),
    )


def _verdict() -> tuple[Panel, ...]:
    return (
        chart("Evidence against the model", EVIDENCE, Query(f"driftloop_drift_evidence{STREAM}", "{{stream}}"), unit="percentunit", limit=1),
        timeline(
            "Verdict on the KPI",
            "drift: worse than the threshold by more than noise. The drift board shows why.",
            Query('driftloop_drift{stream=~"$stream",kind="performance"}', "{{stream}}"),
            states=VERDICT,
            height=8,
        ),
        in_unit_of_stream(
            coloured(
                chart(
                    "KPI estimated without labels",
                    "From the model's confidence, or by a model of its loss, with the mean absolute error of earlier estimates. "
                    "Believe it where the next panel says trustworthy.",
                    Query(f"driftloop_kpi_estimated{STREAM}", "{{stream}} estimated"),
                    Query(f"driftloop_kpi{OF_VERSION} and on (stream) driftloop_kpi_estimated", "{{stream}} measured, version {{version}}"),
                    Query(f"driftloop_kpi_estimate_error{STREAM}", "{{stream}} error of the estimate"),
                ),
                {"estimated$": OTHER, "measured": NEUTRAL, "error of": QUIET},
            )
        ),
        timeline(
            "Trust in the estimate",
            "trustworthy: clearly better than predicting the mean.",
            Query(f"driftloop_kpi_estimate_trustworthy{STREAM}", "{{stream}}"),
            states=TRUSTWORTHY,
            height=8,
        ),
    )


def _labels() -> tuple[Panel, ...]:
    return (
        coverage_over_time(),
        chart(
            "Rows behind the KPI",
            "Number of labelled rows that the KPI is measured on.",
            Query(f"driftloop_kpi_rows{OF_VERSION}", "{{stream}} version {{version}}"),
            width=8,
        ),
        chart("Judged blocks", "Labelled blocks judged since the monitor started.", Query(f"driftloop_blocks_total{STREAM}", "{{stream}}"), width=8),
    )


def _versions() -> tuple[Panel, ...]:
    newest = " or ".join(f'{code} * driftloop_last_retrain{{stream=~"$stream",state="{state}"}}' for code, state in enumerate(OUTCOMES, 1))
    return (
        timeline(
            "Version served",
            "The version served over time.",
            Query(f"driftloop_model_version{STREAM}", "{{stream}} version {{version}}"),
            states=SERVED,
        ),
        timeline(
            "Champion in the registry",
            "Should be the served version: the alert ModelVersionMismatch fires after two minutes of difference.",
            Query(f"driftloop_champion_version{STREAM}", "{{stream}} version {{version}}"),
            states=CHAMPION,
        ),
        timeline(
            "Newest retrain",
            "State of the newest retrain started by an alert. The alert RetrainFailed fires on failed.",
            Query(f"max by (stream) ({newest})", "{{stream}}"),
            states=tuple((code, *look) for code, look in enumerate(OUTCOMES.values(), 1)),
            width=16,
        ),
        tile(
            "Retrains by outcome",
            "Retrains started by alerts, as far back as the retrain hook remembers.",
            Query(f"sum by (stream, state) (driftloop_retrains{STREAM})", "{{stream}} {{state}}"),
            width=8,
            height=6,
        ),
    )
