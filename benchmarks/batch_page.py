"""The page of `benchmarks.batch`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from benchmarks import script
from monitoring.batch.measures.window_measures import Measures

MONTH_S, LARGE_S, LARGE_MIB = 15.0, 90.0, 1536.0
APRIL, NOVEMBER = "2020-04", "2020-11"


def page(months: Sequence[Measures], *, seconds: Sequence[float], filled: Mapping[str, float], large: Mapping[str, float]) -> str:
    """The page as Markdown.

    Args:
        months: the measures of the 36 months.
        seconds: how long each took.
        filled: records of the taxi log, and the seconds to fill it.
        large: rows of the large window, seconds to read and to measure it, and the peak memory of the process in MiB.
    """
    titles = "month | rows: | refused: | labels: | **MAE**: | 95 % | in-sample: | fallback: | median: | verdict | kind | inputs that moved | data quality | s:"
    drifted = [f"{one.window.name}: {one.verdict.sentence}" for one in months if one.verdict.drift or one.quality.jumps]
    return script.page(
        "Batch monitoring: 36 months of New York's taxis, and a million events",
        "Written by `python -m benchmarks.batch`. A model trained on 2018 predicts all trips; each month is read from the log in an embedded MongoDB, "
        "measured and stored. MAE in minutes, lower is better; the threshold is 3.5. The model was trained on the months marked in-sample: "
        "their MAE says nothing about new trips.",
        script.table(titles, (_month(one, took) for one, took in zip(months, seconds, strict=True))),
        "## Targets",
        script.targets(_targets(months, seconds, large)),
        "## Verdicts",
        script.bullets([*drifted, *(f"{one.window.name}, data quality: {text}." for one in months for text in one.quality.jumps)]),
        "## Speed",
        f"- The taxi log: {int(filled['records']):,} records filled in {filled['seconds']:.0f} s, {filled['records'] / filled['seconds']:,.0f} per second.\n"
        f"- The slowest month took {max(seconds):.1f} s from the log to its document in the database, the median {sorted(seconds)[len(seconds) // 2]:.1f} s.\n"
        f"- {int(large['rows']):,} events in one window: {large['seconds']:.0f} s, {large['peak_mib']:.0f} MiB at the peak of the measuring process. "
        f"Reading and dropping them takes {large['reading_s']:.0f} s: the embedded server is written in Python and keeps one core busy all the time, "
        "while the measuring runs in parallel.",
    )


def _month(one: Measures, took: float) -> tuple[object, ...]:
    old = sum(version.in_sample for version in one.versions)
    constants = (one.baselines[name].value if name in one.baselines else math.nan for name in ("fallback", "median"))
    return (
        one.window.name,
        f"{one.labels.rows:,}",
        f"{one.quality.refused:,}",
        f"{one.labels.coverage:.0%}",
        f"**{one.kpi.value:.2f}**",
        f"{one.kpi.lower:.2f}–{one.kpi.upper:.2f}",
        "all" if old == one.labels.rows else f"{old:,}" if old else "–",
        *(f"{value:.2f}" for value in constants),
        "drift" if one.verdict.drift else "–",
        one.verdict.kind,
        ", ".join(test.feature for test in one.features if test.moved) or "–",
        "impossible values move a mean" if one.quality.jumps else "many bad rows" if one.quality.bad else "–",
        f"{took:.1f}",
    )


def _targets(months: Sequence[Measures], seconds: Sequence[float], large: Mapping[str, float]) -> list[tuple[str, bool]]:
    named = {one.window.name: one for one in months}
    april, calm = named[APRIL], [name for name in named if name < "2020"]
    false = [name for name in calm if named[name].verdict.drift]
    allowed = math.ceil(april.alpha * len(calm))
    jumps = [name for name, one in named.items() if one.quality.jumps]
    rows, whole = int(large["rows"]), large["rows"] >= 1_000_000
    calm_words = f"at most {allowed} of the {len(calm)} months of 2018 and 2019 are called drift, the stated {april.alpha:.0%} ({', '.join(false) or 'none'})"
    return [
        (f"April 2020 is called drift ({april.verdict.kind})", april.verdict.drift),
        (calm_words, len(false) <= allowed),
        (f"November 2020's distance is called data quality (months whose means impossible values move: {', '.join(jumps) or 'none'})", NOVEMBER in jumps),
        (f"a month from the log to its document in at most {MONTH_S:.0f} s ({max(seconds):.1f} s)", max(seconds) <= MONTH_S),
        (f"1,000,000 events in at most {LARGE_S:.0f} s ({rows:,} in {large['seconds']:.0f} s)", whole and large["seconds"] <= LARGE_S),
        (f"1,000,000 events in at most {LARGE_MIB:.0f} MiB ({rows:,} in {large['peak_mib']:.0f} MiB)", whole and large["peak_mib"] <= LARGE_MIB),
    ]
