"""Measures built by hand: a month of taxi with drift, calm days of ELEC, a window without rows, and names that try to break a page."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from monitoring.batch.measures.window_measures import (
    BlockMeasure,
    DriftMeasure,
    FeatureMeasure,
    ForecastMeasure,
    Interval,
    LabelMeasure,
    Measures,
    QualityMeasure,
    VersionMeasure,
    Window,
)
from monitoring.batch.report import measure_words
from monitoring.records.events import time_text

NAN = math.nan
NOTHING = Interval(NAN, NAN, NAN, 0)
HOSTILE = "</script><script>alert('1')</script>\"><img src=http://evil.example/x>{{ 7*7 }}%{x}\u2028\udcff<!--"
IN_BLOCKS = "the true accuracy falls under the threshold in 3 blocks or later than the horizon from now, about 9 (confidence 80%)"
NO_FORECAST = ForecastMeasure(NAN, NAN, NAN, "", "", "no forecast: 3 blocks are too few")


def window_of(first: datetime, last: datetime, name: str) -> Window:
    """The window between two times."""
    return Window(name, time_text(first), time_text(last))


def month_of(number: int) -> tuple[str, datetime, datetime]:
    """Name, start and stop of a month, counted from January 2018."""
    first, last = (datetime(2018 + each // 12, each % 12 + 1, 1, tzinfo=UTC) for each in (number, number + 1))
    return f"{first:%Y-%m}", first, last


def numeric(name: str, *, distance: float, p: float, moved: bool, bins: int = 20) -> FeatureMeasure:
    """A feature whose current rows lie lower the farther it has moved."""
    edges = tuple(float(edge) for edge in np.round(np.geomspace(0.1, 30, bins + 1), 2))
    reference = np.exp(-0.5 * ((np.arange(bins) - bins / 2) / 4) ** 2)
    current = np.exp(-0.5 * ((np.arange(bins) - bins / 2 + 12 * distance) / 4) ** 2)
    return FeatureMeasure(
        feature=name,
        statistic="ks",
        distance=distance,
        usual=0.061,
        p_noise=p / 5,
        p_wobble=p,
        corrected=min(1.0, 3 * p),
        moved=moved,
        missing=3,
        categorical=False,
        edges=edges,
        reference=tuple(map(float, reference / reference.sum())),
        current=tuple(map(float, current / current.sum())),
        message=f"{name}: KS {distance:.3f}, p (noise) {p / 5:.2g}, p (season) {p:.2g}{'; it moved' * moved}",
    )


def categorical(name: str, *, distance: float, p: float, moved: bool) -> FeatureMeasure:
    """A feature of which ten categories are drawn."""
    reference = np.linspace(0.12, 0.04, 10)
    current = reference * np.where(np.arange(10) % 2, 1 + distance, 1 - distance)
    return replace(
        numeric(name, distance=distance, p=p, moved=moved),
        categorical=True,
        edges=(237.0, 236.0, 161.0, 170.0, 162.0, 230.0, 186.0, 48.0, 234.0, 79.0),
        reference=tuple(map(float, reference)),
        current=tuple(map(float, current)),
    )


def named(name: str, *, moved: bool, categories: int = 4) -> FeatureMeasure:
    """A category whose values have names, one of them new and one long; with missing values."""
    reference = np.linspace(0.4, 0.05, categories)
    reference[1] = 0.0
    current = np.linspace(0.3, 0.1, categories)
    return replace(
        numeric(name, distance=0.12, p=0.004 if moved else 0.4, moved=moved),
        statistic="tv",
        categorical=True,
        edges=tuple(map(float, range(categories))),
        reference=tuple(map(float, reference / reference.sum() * 0.9)),
        current=tuple(map(float, current / current.sum() * 0.8)),
        message=f"{name}: TV 0.120 (20 % of values are new: hydrogen), p (noise) 0.0008, p (season) {'0.004; it moved' if moved else '0.4'}",
        names=("60K+ €", "hydrogen", "Gasthaus zum Löwen, Hinterzarten im Schwarzwald", *(f"value {number}" for number in range(3, categories))),
        words="20 % of values are new: hydrogen",
        missing_before=0.02,
        missing_now=0.14,
        missing=1400,
        unseen=2000,
        new=("hydrogen",),
    )


def cars() -> Measures:
    """A month of a stream with categories, a boolean and missing values."""
    full = taxi(3)
    boolean = replace(named("automatic", moved=False, categories=3), names=("true", "false"), edges=(1.0, 0.0), reference=(0.7, 0.3), current=(0.6, 0.4))
    power = replace(full.features[0], feature="power", missing_before=0.02, missing_now=0.02, message="power: KS 0.040, p (noise) 0.08, p (season) 0.4")
    calm = replace(boolean, words="true 70 % → 60 %", missing_before=0.0, missing_now=0.0, missing=0, unseen=0, new=())
    moved = "The inputs moved: fuel: 20 % of values are new: hydrogen; at most 5 % of windows without drift are reported as moved."
    verdict = replace(full.verdict, drift=True, data_drift=True, kind="data", data_message=moved)
    features = (named("fuel", moved=True), named("supplier", moved=False, categories=12), calm, power)
    return _worded(replace(full, stream="cars", verdict=verdict, features=features))


def taxi(number: int = 27, *, blocks: int = 20, rows: int = 10_000, seed: int = 0) -> Measures:
    """A month of taxi trips, January 2018 = 0; April 2020 (27) and the three months after it are drift."""
    name, first, last = month_of(number)
    drift, rng, step = 27 <= number < 31, np.random.default_rng(seed + number), (last - first) / max(blocks, 1)
    level = 3.9 if drift else 3.1 + 0.15 * math.sin(number)
    made = []
    for block in range(blocks):
        at = first + block * step
        value = level + 0.2 * float(rng.standard_normal())
        baselines = {"fallback": value + 0.4, "median": value + 2.1}
        kpi = Interval(value, value - 0.25, value + 0.25, rows // blocks)
        evidence = min(1.0, block / 10) if drift else 0.1 * block / blocks
        made.append(BlockMeasure(time_text(at), time_text(at + step * 0.99), "3", kpi, baselines, drift and block >= 10, evidence))
    features = [
        numeric("distance_miles", distance=0.21 if drift else 0.04, p=0.004 if drift else 0.41, moved=drift),
        categorical("pickup_zone", distance=0.18 if drift else 0.05, p=0.006 if drift else 0.33, moved=drift),
        categorical("dropoff_zone", distance=0.15 if drift else 0.05, p=0.01 if drift else 0.52, moved=drift),
        numeric("hour", distance=0.07, p=0.2, moved=False, bins=24),
        numeric("weekday", distance=0.02, p=0.9, moved=False, bins=7),
    ]
    kpi = Interval(level, level - 0.06, level + 0.06, rows)
    measures = Measures(
        stream="taxi",
        window=window_of(first, last, name),
        task="regression",
        kpi_name="mae",
        unit="minutes",
        higher_is_better=False,
        threshold=3.5,
        alpha=0.05,
        block_size=500,
        model="taxi_model",
        labels=LabelMeasure(rows, rows, {"median": 0.02, "p95": 0.05, "most": 1.2}),
        kpi=kpi,
        baselines={"fallback": Interval(level + 0.4, level + 0.33, level + 0.47, rows), "median": Interval(level + 2.1, level + 2, level + 2.2, rows)},
        kappa_temporal=NAN,
        by_fallback=12,
        latency_ms={"median": 2.1, "p95": 4.0, "p99": 9.5},
        versions=(VersionMeasure("3", "0123456789abcdef", rows, rows, rows if number < 12 else 0, made[0].first_time, made[-1].last_time, kpi),)
        if made
        else (),
        blocks=tuple(made),
        verdict=_taxi_drift() if drift else _calm(),
        features=tuple(features),
        quality=QualityMeasure(
            rows,
            31,
            {"distance_miles out_of_range": 21, "pickup_zone unknown_category": 10},
            (),
            ("tip_amount",),
            ("the mean of distance_miles would be 7.41 over all 10,031 rows and is 1.71 over the 10,000 usable ones: impossible values (up to 57,051)",),
            number == 34,
            "31 of 10,031 rows are bad (0.31%), no more than chance explains at 1.00% tolerated.",
        ),
        estimate="",
        forecast=NO_FORECAST,
        next_step="Retrain: python retrain_model.py --learner examples.nyc_taxi.learner:TAXI --until_time 2020-05-01T00:00:00Z" if drift else "Nothing to do.",
        notes=("Baselines are fitted on the training rows of version 3.",),
    )
    return _worded(measures)


def elec(*, blocks: int = 30) -> Measures:
    """A month of ELEC under its threshold in places, with two versions and half of the labels."""
    base, rng = taxi(0, blocks=blocks), np.random.default_rng(1)
    rows, made = 48, []
    for number, block in enumerate(base.blocks):
        value = 0.84 - 0.1 * number / blocks + 0.05 * float(rng.standard_normal())
        kpi = Interval(min(1.0, value), min(1.0, value) - 0.11, min(1.0, value + 0.1), rows)
        baselines = {"no_change": 0.85, "same_time_yesterday": NAN if number == 0 else 0.67, "majority": 0.58, "fallback": 0.6}
        made.append(replace(block, version="7" if number < 2 * blocks // 3 else "8", kpi=kpi, baselines=baselines, drift=number == blocks // 2))
    half = VersionMeasure("7", "abc", 960, 700, 120, made[0].first_time, made[19].last_time, Interval(0.81, 0.79, 0.83, 700)) if made else None
    other = VersionMeasure("8", "", 480, 40, 0, made[20].first_time, made[-1].last_time, Interval(0.76, 0.6, 0.87, 40)) if made else None
    kpi = Interval(0.8, 0.78, 0.82, 740)
    verdict = DriftMeasure(
        drift=True,
        kind="both",
        sentence="",
        kpi_drift=True,
        data_drift=True,
        kpi_message="At the alarm: accuracy 0.688 on 48 rows; e-value 24.1 against 'right at least 0.8 of the time'; alarm at 20 (α = 5 %).",
        data_message="The inputs moved: nswprice (KS 0.300; usual up to 0.061); at most 5 % of windows without drift are reported as moved.",
        kind_message="Data and concept drift: the accuracy went from 0.883 to 0.800, of which the inputs explain -0.031; "
        "the rest is -0.052 (-0.080 to -0.021).",
        explained=-0.031,
        rest=-0.052,
    )
    measures = replace(
        base,
        stream="elec",
        task="classification",
        kpi_name="accuracy",
        unit="",
        higher_is_better=True,
        threshold=0.8,
        block_size=48,
        model="drift_model",
        labels=LabelMeasure(1440, 740, {"median": 1.0, "p95": 3.5, "most": 9.0}),
        kpi=kpi,
        blocks=tuple(made),
        baselines={
            name: Interval(value, value - 0.03, value + 0.03, 740) for name, value in (("no_change", 0.85), ("same_time_yesterday", 0.67), ("majority", 0.58))
        },
        kappa_temporal=-0.33,
        by_fallback=0,
        versions=tuple(one for one in (half, other) if one),
        verdict=verdict,
        features=(numeric("nswprice", distance=0.3, p=0.001, moved=True), numeric("transfer", distance=0.1, p=0.3, moved=False)),
        quality=QualityMeasure(1440, 0, {}, (), (), (), False, "0 of 1,440 rows are bad (0.00%), no more than chance explains at 1.00% tolerated."),
        estimate="700 rows without labels: estimated accuracy 0.791 without labels; mean absolute error 0.040 on the last 14 blocks, "
        "against 0.065 for guessing the past mean.",
        forecast=ForecastMeasure(3, 9, math.inf, "2018-02-03", "", IN_BLOCKS),
        next_step="Retrain: python retrain_model.py --until_time 2018-02-01T00:00:00Z",
        notes=(),
    )
    return _worded(measures)


def empty(stream: str = "taxi") -> Measures:
    """A window without rows: every figure undefined."""
    full = taxi(28)
    return replace(
        full,
        stream=stream,
        labels=LabelMeasure(0, 0, {}),
        kpi=NOTHING,
        baselines={},
        by_fallback=0,
        latency_ms={},
        versions=(),
        blocks=(),
        features=(),
        quality=QualityMeasure(0, 0, {}, (), (), (), False, ""),
        next_step="",
        notes=("The window holds no rows.",),
        verdict=DriftMeasure(False, "cannot tell", "Cannot tell: the window holds no rows.", False, False, "", "", "", NAN, NAN),
    )


def undefined() -> Measures:
    """Rows, blocks and features, of which no figure is defined."""
    full = taxi()
    nothing = tuple(NAN for _ in range(20))
    return replace(
        full,
        labels=LabelMeasure(10_000, 0, {}),
        kpi=NOTHING,
        threshold=NAN,
        baselines={"fallback": NOTHING},
        latency_ms={"median": NAN},
        versions=tuple(replace(one, kpi=NOTHING) for one in full.versions),
        blocks=tuple(replace(block, kpi=NOTHING, baselines={"fallback": NAN}, evidence=NAN) for block in full.blocks),
        features=(
            replace(full.features[0], distance=NAN, usual=NAN, p_noise=NAN, p_wobble=NAN, corrected=NAN, current=nothing, moved=False),
            replace(full.features[1], distance=NAN, edges=(), reference=(), current=(), moved=False),
            replace(full.features[3], edges=(-math.inf, *full.features[3].edges[1:-1], math.inf)),
        ),
        verdict=replace(full.verdict, explained=NAN, rest=NAN),
    )


def hostile() -> Measures:
    """Every text is markup."""
    full = taxi()
    return replace(
        full,
        stream=HOSTILE,
        window=Window(HOSTILE, HOSTILE, HOSTILE),
        unit=HOSTILE,
        model=HOSTILE,
        baselines={HOSTILE: full.kpi},
        latency_ms={HOSTILE: 1.0},
        labels=LabelMeasure(9, 9, {HOSTILE: 1.0}),
        versions=(replace(full.versions[0], version=HOSTILE, run_id=HOSTILE, first_time=HOSTILE),),
        blocks=tuple(replace(block, first_time=HOSTILE, last_time=HOSTILE, version=HOSTILE, baselines={HOSTILE: 1.0}) for block in full.blocks),
        verdict=DriftMeasure(True, HOSTILE, HOSTILE, True, True, HOSTILE, HOSTILE, HOSTILE, 0.1, 0.2),
        features=tuple(
            replace(one, feature=HOSTILE, statistic=HOSTILE, message=HOSTILE, names=(HOSTILE,) * 10 * one.categorical, words=HOSTILE, new=(HOSTILE,))
            for one in full.features
        ),
        quality=QualityMeasure(9, 1, {HOSTILE: 1}, (HOSTILE,), (HOSTILE,), (HOSTILE,), True, HOSTILE),
        estimate=HOSTILE,
        forecast=ForecastMeasure(1, 2, 3, HOSTILE, HOSTILE, HOSTILE),
        next_step=HOSTILE,
        notes=(HOSTILE,),
    )


def _worded(measures: Measures) -> Measures:
    """With the sentence that is written of these figures."""
    return replace(measures, verdict=replace(measures.verdict, sentence=measure_words.headline(measures)))


def _taxi_drift() -> DriftMeasure:
    return DriftMeasure(
        drift=True,
        kind="both",
        sentence="",
        kpi_drift=True,
        data_drift=True,
        kpi_message="At the alarm: mean absolute error 3.902 on 500 rows; e-value 401 against 'at most 3.5'; alarm at 20 (α = 5 %); errors are capped at 21.4.",
        data_message="The inputs moved: distance_miles (KS 0.210; usual up to 0.061), pickup_zone (KS 0.180; usual up to 0.061) and dropoff_zone (KS 0.150; "
        "usual up to 0.061); at most 5 % of windows without drift are reported as moved.",
        kind_message="Data and concept drift: the MAE went from 3.100 to 3.900, of which the inputs explain +0.310; the rest is +0.490 (+0.380 to +0.600). "
        "On equal inputs the model's errors have changed (p 0.002, effective sample size of the reference rows 812); the inputs have moved.",
        explained=0.31,
        rest=0.49,
    )


def _calm() -> DriftMeasure:
    return DriftMeasure(
        drift=False,
        kind="none",
        sentence="",
        kpi_drift=False,
        data_drift=False,
        kpi_message="Latest judged block: mean absolute error 3.104 on 500 rows; e-value 0.01 against 'at most 3.5'; alarm at 20 (α = 5 %).",
        data_message="The inputs did not move beyond noise and the usual variation.",
        kind_message="",
        explained=NAN,
        rest=NAN,
    )
