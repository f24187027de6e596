"""Drift: is the model bad, why, which features moved, and how long will the KPI hold?"""

from __future__ import annotations

from typing import Final

from ops.boards import Board, Choice, Row
from ops.overview import CHANGED, EVIDENCE, STREAM, VERDICT
from ops.panels import CHART, GOOD, LOOK, OTHER, QUIET, Column, Panel, Query, chart, listing, tile, timeline

OF_FEATURE: Final = '{stream=~"$stream",feature=~"$feature"}'
HORIZON: Final = 100  # blocks; a forecast beyond it, or infinite, is "not in sight"
SOON: Final = 5  # blocks; fewer are orange
MOVED: Final = ((0, "no", GOOD), (1, "moved", LOOK))


def board() -> Board:
    """The board of the verdicts and their causes."""
    return Board(
        "drift",
        "driftloop: drift",
        "Verdicts on the KPI and on the inputs, the forecast, and the features that moved.",
        (Choice("stream", "Stream", "driftloop_stream_info"), Choice("feature", "Feature", "driftloop_feature_distance")),
        (
            Row("Is the model bad, and why?", _verdicts()),
            Row("Forecast", _forecast()),
            Row("Features: $stream", _features(), each_stream=True),
        ),
    )


def _verdicts() -> tuple[Panel, ...]:
    return (
        timeline(
            "Is the model bad?",
            "drift: the KPI is worse than its threshold by more than noise. The alert KpiBelowThreshold fires and a retrain "
            "starts, unless the monitor has --fleet_alpha: then they follow the board fleet.",
            Query('driftloop_drift{stream=~"$stream",kind="performance"}', "{{stream}}"),
            states=VERDICT,
        ),
        timeline(
            "Why?",
            "data: the inputs are distributed differently. concept: the same inputs have different labels. both: data and concept. "
            "quality: rows hold invalid values. None of these alone means that the model is bad.",
            Query('driftloop_drift{stream=~"$stream",kind!="performance"}', "{{stream}}: {{kind}}"),
            states=CHANGED,
        ),
        chart("Evidence against the model", EVIDENCE, Query(f"driftloop_drift_evidence{STREAM}", "{{stream}}"), width=24, unit="percentunit", limit=1),
        timeline(
            "Which segments have become worse?",
            "Segments of streams that have some, at one false-alarm rate over all of a stream.",
            Query(f"driftloop_segment_drift{STREAM}", "{{stream}}: {{segment}}"),
            states=VERDICT,
        ),
        chart("KPI by segment", "On a segment's newest judged rows.", Query(f"driftloop_segment_kpi{STREAM}", "{{stream}}: {{segment}}"), height=6),
    )


def _forecast() -> tuple[Panel, ...]:
    blocks = f"clamp_max(driftloop_forecast_blocks{STREAM}, {HORIZON})"
    about = f"Blocks until the KPI crosses its threshold; early and late bound an 80 % interval. {HORIZON}: at least that many, or not in sight."
    return (
        tile(
            "Earliest crossing",
            about,
            Query(f'clamp_max(driftloop_forecast_blocks{{stream=~"$stream",edge="early"}}, {HORIZON})', "{{stream}}"),
            width=8,
            height=CHART,
            states=((HORIZON, "not in sight", GOOD),),
            steps=((None, LOOK), (SOON, QUIET)),
        ),
        chart("Blocks to the threshold", about, Query(blocks, "{{stream}} {{edge}}"), width=16, high=HORIZON, colour=OTHER),
    )


def _features() -> tuple[Panel, ...]:
    return (
        listing(
            "Features by distance",
            "Distance of the newest rows from the training rows (Kolmogorov-Smirnov, of categories total variation), with the calibrated p-value of all "
            "that can move in a feature: its values, and missing and new ones. Corrected for all features. "
            "moved: by more than chance.",
            (
                Column("Distance", f"max by (feature) (driftloop_feature_distance{OF_FEATURE})", bar=True),
                Column("p-value", f"max by (feature) (driftloop_feature_p_value{OF_FEATURE})"),
                Column("Moved", f"max by (feature) (driftloop_feature_moved{OF_FEATURE})", states=MOVED),
            ),
            width=10,
            height=10,
        ),
        chart(
            "Distance of each feature",
            "Distance from the training rows, from 0 (same distribution) to 1 (no overlap): Kolmogorov-Smirnov, of categories total variation.",
            Query(f"driftloop_feature_distance{OF_FEATURE}", "{{feature}}"),
            width=14,
            height=10,
            high=1,
        ),
        timeline(
            "Features that moved",
            "moved: by more than chance, by the calibrated p-value.",
            Query(f"driftloop_feature_moved{OF_FEATURE}", "{{feature}}"),
            states=MOVED,
            height=8,
        ),
        chart(
            "p-value of each distance",
            "Calibrated, corrected for all features. A low p-value means that the feature has moved.",
            Query(f"driftloop_feature_p_value{OF_FEATURE}", "{{feature}}"),
            high=1,
            colour=OTHER,
        ),
    )
