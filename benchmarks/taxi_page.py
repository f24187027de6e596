"""The page of `benchmarks.taxi`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from benchmarks import script
from driftloop.report import wording

APRIL, NOVEMBER = "2020-04", "2020-11"
OWN: Final = ("model", "never retrained")  # all others are baselines
Month = Mapping[str, Any]


def page(ways: Mapping[str, Any], *, year_before: Mapping[str, Any], false_alarms: Mapping[str, float]) -> str:
    """The page.

    Args:
        ways: the result and the months of the lifecycle, for each way to watch; the first is the example's own.
        year_before: 2019 with the model of 2018.
        false_alarms: share of watches with an alarm by the kind of errors.
    """
    result, months = next(iter(ways.values())).values()
    rivals = [name for name in months[0]["maes"] if name not in OWN]
    worst_month, worst = max(year_before["months"].items(), key=lambda item: item[1])
    year = [f"{_year(months, name):.2f}" for name in (OWN[1], *rivals)]
    bias = wording.signed(_weighted(months, lambda month: month["bias"]))
    return script.page(
        "New York taxi: trained on 2018 and 2019, watched through 2020",
        "Written by `python -m benchmarks.taxi`. MAE in minutes by calendar month, lower is better. The trips of a week are scored when it ends, Sunday night, "
        "and a retrained model serves from Monday on, so a month may have several versions. The interval assumes independent days, but not independent trips "
        'within a day. "Refitted" baselines are fitted on the same trips as the version in service, "fixed" ones once on 2018 and 2019. The linear '
        "regression is that of the zoomcamp course: one-hot zone pairs, and the distance.",
        script.table(
            "month | trips: | version | **model**: | 95 % | bias: | never retrained: | pair, hour: refitted: | fixed: | linear: refitted: | fixed: "
            "| margin to the best baseline | set aside: | drift, week of",
            [
                *(_month(month, rivals) for month in months),
                ["**year**", f"{result['rows']:,}", "", f"**{_year(months, 'model'):.2f}**", "", bias, *year, "", "", ""],
            ],
        ),
        "## Targets",
        script.targets(_targets(result, months)),
        _limits(months),
        "## The effect of weeks and follow-ups",
        "The same year watched in other ways. A follow-up is a retrain whenever the number of rows since the drift has doubled (`--follow_up`); it is "
        "promoted only if better, like any other. Weekly blocks and follow-ups were chosen with 2020 known, which is why all four ways are shown; "
        "model, threshold and rule were not.",
        script.table(
            "blocks | year: | April: | worst month after: | months not ahead of every baseline: | months after April behind never retrained: "
            "| retrains: | promoted:",
            (_way(name, way["result"], way["months"]) for name, way in ways.items()),
        ),
        "## Findings of the watch",
        script.bullets(result["findings"]),
        "## Retrains",
        script.bullets(f"After {record['timestamp'][:10]}: {record['reason']}. {wording.sentence(record['decision'])}" for record in result["retrains"]),
        "## The threshold",
        f"A model fitted on 2018 alone has an MAE of {min(year_before['months'].values()):.2f} to {worst:.2f} minutes on the months of 2019 "
        f"(worst in {worst_month}); the threshold, {result['threshold']:g}, is {result['threshold'] / worst - 1:.0%} over the worst; 2020 had no part in it. "
        f"Of that year's {year_before['weeks']} weeks {year_before['weeks_over']} were over the threshold by chance; "
        f"the rule, watching them, raised {wording.count(year_before['alarms'], 'alarm')}.",
        "## False alarms of the rule",
        "Watches of 40 blocks of 400 errors with a mean exactly at the threshold; 400 of each kind (`benchmarks/loss_streams.py`); stated: at most 5 %.",
        script.table("errors | alarmed:", ([name, f"{share:.1%}"] for name, share in false_alarms.items())),
    )


def _month(month: Month, rivals: Sequence[str]) -> list[str]:
    maes, half = month["maes"], month["half"]
    found = [*(f"{kind} ({day})" for day, kind in month["drift"].items()), *("data quality" for _ in month["quality"])]
    return [
        month["month"],
        f"{month['rows']:,}",
        ", ".join(month["versions"]),
        f"**{maes['model']:.2f}**",
        f"{maes['model'] - half:.2f}–{maes['model'] + half:.2f}",
        wording.signed(month["bias"]),
        *(f"{maes[name]:.2f}" for name in (OWN[1], *rivals)),
        _interval(month["behind"]),
        f"{month['set_aside'] / (month['set_aside'] + month['rows']):.1%}",
        ", ".join(found) or "–",
    ]


def _interval(behind: Sequence[float]) -> str:
    middle, half = behind
    return f"{wording.signed(middle)} ({wording.signed(middle - half)} to {wording.signed(middle + half)})"


def _weighted(months: Sequence[Month], of: Callable[[Month], float]) -> float:
    return float(sum(month["rows"] * of(month) for month in months) / sum(month["rows"] for month in months))


def _year(months: Sequence[Month], name: str) -> float:
    return _weighted(months, lambda month: month["maes"][name])


def _not_ahead(months: Sequence[Month]) -> list[str]:
    return [f"{month['month']} by {_interval(month['behind'])}" for month in months if month["behind"][0] >= 0]


def _behind_never(months: Sequence[Month]) -> list[str]:
    return [month["month"] for month in months if month["month"] > APRIL and month["maes"]["model"] >= month["maes"][OWN[1]]]


def _way(name: str, result: Mapping[str, Any], months: Sequence[Month]) -> list[object]:
    maes = {month["month"]: month["maes"]["model"] for month in months}
    worst = max(mae for month, mae in maes.items() if month > APRIL)
    figures = (f"{mae:.2f}" for mae in (_year(months, "model"), maes[APRIL], worst))
    promoted = sum(record["promoted"] for record in result["retrains"])
    return [name, *figures, len(_not_ahead(months)), len(_behind_never(months)), len(result["retrains"]), promoted]


def _limits(months: Sequence[Month]) -> str:
    """What the targets do not show."""
    later = [month for month in months if month["month"] > APRIL]
    worst, biased = max(later, key=lambda month: month["maes"]["model"]), max(later, key=lambda month: abs(month["bias"]))
    return (
        f"After April problems remain: {worst['month']} has the largest MAE, {worst['maes']['model']:.2f}, and {biased['month']} the largest bias, "
        f"{wording.signed(biased['bias'])}. The city keeps changing, and between two follow-ups only an alarm starts a retrain."
    )


def _targets(result: Mapping[str, Any], months: Sequence[Month]) -> list[tuple[str, bool]]:
    drifted = [(month["month"], day) for month in months for day in month["drift"]]
    by_month = {month["month"]: month["maes"]["model"] for month in months}
    after, before = ({month: mae for month, mae in by_month.items() if (month > APRIL) == later and month != APRIL} for later in (True, False))
    first = next(iter(after.values()))
    over = ", ".join(f"{month} with {mae:.3f}" for month, mae in after.items() if mae > result["threshold"])
    not_ahead, behind, quality = _not_ahead(months), _behind_never(months), [month["month"] for month in months if month["quality"]]
    nearest = max(months, key=lambda month: month["behind"][0])
    except_in = f" (not in {', '.join(behind)})" if behind else ""
    margin = f"in {'; '.join(not_ahead)}" if not_ahead else f"least in {nearest['month']}, {_interval(nearest['behind'])} minutes"
    alarm = f"first alarm: the week of {drifted[0][1] if drifted else '–'}"
    level = f"{first:.2f}, before April at most {max(before.values()):.2f}"
    limit = f"{result['threshold']:g} minutes{f' ({over})' if over else ''}"
    found = bool(drifted) and drifted[0] == (APRIL, "2020-04-06")
    return [
        (f"the drift of April 2020 is detected by the end of the first week entirely in April ({alarm})", found),
        (f"November's jump of the distance is called data quality, in no other month ({', '.join(quality) or 'none'})", quality == [NOVEMBER]),
        (f"retrained and recovered: the month after April is back at the level before it ({level})", first <= max(before.values())),
        (f"after April no month is over the threshold of {limit}", not over),
        (f"ahead of both baselines, refitted and fixed, in every month ({margin})", not not_ahead),
        (f"after April ahead of the model that is never retrained in every month{except_in}", not behind),
    ]
