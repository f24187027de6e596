"""The page of the taxi year, from what `benchmarks.taxi` measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from driftloop.report import wording

APRIL, NOVEMBER = "2020-04", "2020-11"
OWN: Final = ("model", "never retrained")  # what answered and is no baseline
Month = Mapping[str, Any]


def page(found: Mapping[str, Any]) -> str:
    """The page.

    Args:
        found: as `benchmarks.taxi.found_in` gives it; the first of its ways is the example's own.
    """
    result, months = next(iter(found["ways"].values())).values()
    rivals = [name for name in months[0]["maes"] if name not in OWN]
    before = found["year_before"]
    worst = max(before["months"].items(), key=lambda item: item[1])
    lines = [
        "# New York taxi: trained on 2018 and 2019, watched through 2020",
        "",
        "Written by `python -m benchmarks.taxi`. MAE in minutes by calendar month, lower is better. The trips of a week are scored when it ends, Sunday night, "
        "and what is retrained then serves from Monday on, so a month may have more than one version. The interval takes days as independent, trips of a day "
        'not. "Refitted" baselines are fitted on the same trips as the version that served, "fixed" ones once on 2018 and 2019. The linear regression is that '
        "of the zoomcamp course: one-hot pairs of zones, and the distance.",
        "",
        "| month | trips | version | **model** | 95 % | bias | never retrained | pair, hour: refitted | fixed | linear: refitted | fixed "
        "| less the nearest | aside | drift, week of |",
        "|---|---:|---|---:|---|---:|---:|---:|---:|---:|---:|---|---:|---|",
        *(_month(month, rivals) for month in months),
        f"| **year** | {result['rows']:,} | | **{_year(months, 'model'):.2f}** | | {wording.signed(_weighted(months, lambda month: month['bias']))} "
        f"| {' | '.join(f'{_year(months, name):.2f}' for name in (OWN[1], *rivals))} | | | |",
        "",
        "## Targets",
        *(f"- {'met' if met else '**missed**'}: {words}" for words, met in _targets(result, months)),
        "",
        _left(months),
        "",
        "## What a week and follow-ups bring",
        "The same year watched in other ways. A follow-up is a retrain whenever the rows since the drift have doubled (`--follow_up`); like any other it is "
        "promoted only if better. That the example watches weeks and follows up was decided with 2020 known, so all four ways stand here; "
        "model, threshold and rule were not.",
        "",
        "| blocks | year | April | worst month after | months not ahead of every baseline | months after April behind never retrained | retrains | promoted |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        *(_way(name, way["result"], way["months"]) for name, way in found["ways"].items()),
        "",
        "## What the watch said",
        *(f"- {words}" for words in result["findings"]),
        "",
        "## Retrains",
        *(f"- After {record['timestamp'][:10]}: {record['reason']}. {wording.sentence(record['decision'])}" for record in result["retrains"]),
        "",
        "## The threshold",
        f"A model fitted on 2018 alone has on the months of 2019 an MAE of {min(before['months'].values()):.2f} to {worst[1]:.2f} minutes "
        f"(worst in {worst[0]}); the threshold, {result['threshold']:g}, lies {result['threshold'] / worst[1] - 1:.0%} over the worst; 2020 chose nothing. "
        f"Of that year's {before['weeks']} weeks {before['weeks_over']} lay over the threshold by chance; "
        f"the rule, watching them, gave {wording.count(before['alarms'], 'alarm')}.",
        "",
        "## False alarms of the rule",
        "Watches of 40 blocks of 400 errors whose mean is exactly the threshold; 400 of each kind (`benchmarks/loss_streams.py`); stated: 5 % at most.",
        "",
        "| errors | alarmed |",
        "|---|---:|",
        *(f"| {name} | {share:.1%} |" for name, share in found["false_alarms"].items()),
    ]
    return "\n".join(lines) + "\n"


def _month(month: Month, rivals: Sequence[str]) -> str:
    maes, half = month["maes"], month["half"]
    told = [*(f"{kind} ({day})" for day, kind in month["drift"].items()), *("data quality" for _ in month["quality"])]
    return (
        f"| {month['month']} | {month['rows']:,} | {', '.join(month['versions'])} | **{maes['model']:.2f}** "
        f"| {maes['model'] - half:.2f}–{maes['model'] + half:.2f} "
        f"| {wording.signed(month['bias'])} | {' | '.join(f'{maes[name]:.2f}' for name in (OWN[1], *rivals))} | {_interval(month['behind'])} "
        f"| {month['set_aside'] / (month['set_aside'] + month['rows']):.1%} | {', '.join(told) or '–'} |"
    )


def _interval(behind: Sequence[float]) -> str:
    middle, half = behind
    return f"{wording.signed(middle)} ({wording.signed(middle - half)} to {wording.signed(middle + half)})"


def _weighted(months: Sequence[Month], of: Any) -> float:
    return float(sum(month["rows"] * of(month) for month in months) / sum(month["rows"] for month in months))


def _year(months: Sequence[Month], name: str) -> float:
    return _weighted(months, lambda month: month["maes"][name])


def _not_ahead(months: Sequence[Month]) -> list[str]:
    return [f"{month['month']} by {_interval(month['behind'])}" for month in months if month["behind"][0] >= 0]


def _behind_never(months: Sequence[Month]) -> list[str]:
    return [month["month"] for month in months if month["month"] > APRIL and month["maes"]["model"] >= month["maes"][OWN[1]]]


def _way(name: str, result: Mapping[str, Any], months: Sequence[Month]) -> str:
    by_month = {month["month"]: month["maes"]["model"] for month in months}
    retrains = result["retrains"]
    return (
        f"| {name} | {_year(months, 'model'):.2f} | {by_month[APRIL]:.2f} | {max(mae for month, mae in by_month.items() if month > APRIL):.2f} "
        f"| {len(_not_ahead(months))} | {len(_behind_never(months))} | {len(retrains)} | {sum(record['promoted'] for record in retrains)} |"
    )


def _left(months: Sequence[Month]) -> str:
    """What the targets do not say."""
    worst = max((month for month in months if month["month"] > APRIL), key=lambda month: month["maes"]["model"])
    leaning = max(months, key=lambda month: abs(month["bias"]) if month["month"] > APRIL else 0)
    return (
        f"Not all is well after April: {worst['month']} has the largest MAE, {worst['maes']['model']:.2f}, and {leaning['month']} the largest bias, "
        f"{wording.signed(leaning['bias'])}. The city goes on changing, and between two follow-ups only an alarm would start a retrain."
    )


def _targets(result: Mapping[str, Any], months: Sequence[Month]) -> list[tuple[str, bool]]:
    drifted = [(month["month"], day) for month in months for day in month["drift"]]
    by_month = {month["month"]: month["maes"]["model"] for month in months}
    after, before = ({month: mae for month, mae in by_month.items() if (month > APRIL) == later and month != APRIL} for later in (True, False))
    first = next(iter(after.values()))
    over = ", ".join(f"{month} with {mae:.3f}" for month, mae in after.items() if mae > result["threshold"])
    not_ahead, behind, quality = _not_ahead(months), _behind_never(months), [month["month"] for month in months if month["quality"]]
    nearest = max(months, key=lambda month: month["behind"][0])
    told = f" (not in {', '.join(behind)})" if behind else ""
    margin = f"in {'; '.join(not_ahead)}" if not_ahead else f"least in {nearest['month']}, {_interval(nearest['behind'])} minutes"
    return [
        (
            "the drift of April 2020 is found by the end of the first week that lies wholly in April "
            f"(first alarm: the week of {drifted[0][1] if drifted else '–'})",
            bool(drifted) and drifted[0] == (APRIL, "2020-04-06"),
        ),
        (f"November's jump of the distance is called data quality, and no other month's is (told of: {', '.join(quality) or 'none'})", quality == [NOVEMBER]),
        (
            f"retrained and recovered: the month after April is back at the level before it ({first:.2f}, before April at most {max(before.values()):.2f})",
            first <= max(before.values()),
        ),
        (f"after April no month is over the threshold of {result['threshold']:g} minutes{f' ({over})' if over else ''}", not over),
        (f"ahead of both baselines, refitted and fixed, in every month ({margin})", not not_ahead),
        (f"after April ahead of the model that is never retrained in every month{told}", not behind),
    ]
