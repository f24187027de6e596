"""The page of `benchmarks.batch`, from what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from monitoring.batch.measures.window_measures import Measures

MONTH_S, LARGE_S, LARGE_MIB = 15.0, 90.0, 1536.0
APRIL, NOVEMBER = "2020-04", "2020-11"


def page(months: Sequence[Measures], *, seconds: Sequence[float], filled: Mapping[str, float], large: Mapping[str, float]) -> str:
    """The page as Markdown.

    Args:
        months: the measures of the 36 months.
        seconds: that each took.
        filled: records of the taxi log, and the seconds that filling it took.
        large: rows of the large window, the seconds that reading and measuring it took, and the peak memory of the process in MiB.
    """
    lines = [
        "# Batch monitoring: 36 months of New York's taxis, and a million events",
        "",
        "Written by `python -m benchmarks.batch`. A model trained on 2018 answers all trips; each month is read from the log in an embedded MongoDB, "
        "measured and kept. MAE in minutes, lower is better; the threshold is 3.5. The model was trained on the months marked in-sample: their MAE says "
        "nothing of new trips.",
        "",
        "| month | rows | refused | labels | **MAE** | 95 % | in-sample | fallback | median | verdict | kind | inputs that moved | data quality | s |",
        "|---|---:|---:|---:|---:|---|---:|---:|---:|---|---|---|---|---:|",
        *(_month(one, took) for one, took in zip(months, seconds, strict=True)),
        "",
        "## Targets",
        *(f"- {'met' if met else '**missed**'}: {words}" for words, met in _targets(months, seconds, large)),
        "",
        "## What was said",
        *(f"- {one.window.name}: {one.verdict.sentence}" for one in months if one.verdict.drift or one.quality.jumps),
        *(f"- {one.window.name}, data quality: {text}." for one in months for text in one.quality.jumps),
        "",
        "## Speed",
        f"- The taxi log: {int(filled['records']):,} records filled in {filled['seconds']:.0f} s, {filled['records'] / filled['seconds']:,.0f} a second.",
        f"- The slowest month took {max(seconds):.1f} s from the log to its document in the database, the median {sorted(seconds)[len(seconds) // 2]:.1f} s.",
        f"- {int(large['rows']):,} events in one window: {large['seconds']:.0f} s, {large['peak_mib']:.0f} MiB at the peak of the measuring process. "
        f"To read them from the embedded server and drop them takes {large['reading_s']:.0f} s: it is written in Python and keeps one core busy all the time, "
        "while the measuring goes on beside it.",
    ]
    return "\n".join(lines) + "\n"


def _month(one: Measures, took: float) -> str:
    old = sum(version.in_sample for version in one.versions)
    moved = ", ".join(test.feature for test in one.features if test.moved)
    quality = "impossible values move a mean" if one.quality.jumps else "many bad rows" if one.quality.bad else ""
    constants = (one.baselines[name].value if name in one.baselines else math.nan for name in ("fallback", "median"))
    return (
        f"| {one.window.name} | {one.labels.rows:,} | {one.quality.refused:,} | {one.labels.coverage:.0%} | **{one.kpi.value:.2f}** | "
        f"{one.kpi.lower:.2f}–{one.kpi.upper:.2f} | {'all' if old == one.labels.rows else f'{old:,}' if old else '–'} | "
        f"{' | '.join(f'{value:.2f}' for value in constants)} | {'drift' if one.verdict.drift else '–'} | {one.verdict.kind} | {moved or '–'} | "
        f"{quality or '–'} | {took:.1f} |"
    )


def _targets(months: Sequence[Measures], seconds: Sequence[float], large: Mapping[str, float]) -> list[tuple[str, bool]]:
    named = {one.window.name: one for one in months}
    calm = [name for name in named if name < "2020"]
    false = [name for name in calm if named[name].verdict.drift]
    allowed = math.ceil(named[APRIL].alpha * len(calm))
    jumps = [name for name, one in named.items() if one.quality.jumps]
    rows = int(large["rows"])
    return [
        (f"April 2020 is called drift ({named[APRIL].verdict.kind})", named[APRIL].verdict.drift),
        (
            f"of the {len(calm)} months of 2018 and 2019 no more than the stated {named[APRIL].alpha:.0%} are called drift: at most {allowed} "
            f"(called: {', '.join(false) or 'none'})",
            len(false) <= allowed,
        ),
        (f"November 2020's distance is called data quality (means that impossible values move: {', '.join(jumps) or 'none'})", NOVEMBER in jumps),
        (f"a month from the log to its document in at most {MONTH_S:.0f} s ({max(seconds):.1f} s)", max(seconds) <= MONTH_S),
        (f"1,000,000 events in at most {LARGE_S:.0f} s ({rows:,} in {large['seconds']:.0f} s)", rows >= 1_000_000 and large["seconds"] <= LARGE_S),
        (
            f"1,000,000 events in at most {LARGE_MIB:.0f} MiB ({rows:,} in {large['peak_mib']:.0f} MiB)",
            rows >= 1_000_000 and large["peak_mib"] <= LARGE_MIB,
        ),
    ]
