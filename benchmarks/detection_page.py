"""The page of the detection benchmark."""

from __future__ import annotations

import math
from statistics import mean, median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.detection import Contender, Result, Score

RULE = "significant"
NOISE = 0.03  # an F1 of 200 watches is known to about so much
SECOND_PARAMETER = "page_hinkley, delta .05"  # river's detector with more than its main parameter tuned


def page(results: Sequence[Result], contenders: Sequence[Contender], *, command: str, same_rate: bool) -> str:
    """The scores as Markdown."""
    names = [one.name for one in contenders]
    river = [one.name for one in contenders if one.river]
    plain = [name for name in river if name != SECOND_PARAMETER]
    watches = next(iter(next(iter(results[0].scores.values())).values())).watches
    lines = [
        "# Detection",
        "",
        f"Written by `{command}`, on two cores. Each kind: {watches} watches with the change and {watches} without, of 300 blocks; the change begins in",
        "one of the blocks 50 to 249, at once or over 30 blocks. A cell holds F1 and the median delay in blocks (0: the block in which the change begins;",
        "∞: most changes were not found within 30 blocks). An early alarm counts as false and its change as missed.",
        "",
        "| stream | block | change | " + " | ".join(names) + " | at least the best of river's | also with the second parameter |",
        "|---|---:|---|" + "---:|" * len(names) + "---|---|",
    ]
    counts, near = [0, 0], [0, 0]
    for one in results:
        for change, scores in one.scores.items():
            ours, theirs = scores[one.setting.ours if same_rate else RULE], [[scores[name] for name in group] for group in (plain, river)]
            met = [reaches(ours, group) for group in theirs]
            counts = [count + yes for count, yes in zip(counts, met, strict=True)]
            near = [count + reaches(ours, group, within=NOISE) for count, group in zip(near, theirs, strict=True)]
            cells = " | ".join(cell(scores[name]) for name in names)
            lines.append(f"| {one.setting.name} | {one.setting.block} | {change} | {cells} | " + " | ".join("yes" if yes else "no" for yes in met) + " |")
    kinds = sum(len(one.scores) for one in results)
    lines += [
        "| all kinds | | mean F1 / median of the delays | " + " | ".join(_together(results, name) for name in names) + " | | |",
        "",
        *([f"Over all kinds `{RULE}`, on SEA 2 points under, has {_together(results)}; {_best(results, plain)} the best of river's."] if same_rate else []),
        f"`{RULE}` as it ships (alpha .05) has an F1, to two digits, at least that of the best of river's detectors and a median delay no longer in",
        f"{counts[0]} of {kinds} kinds; {counts[1]} of {kinds} when Page-Hinkley's `delta` is chosen as well. An F1 is known to about ±{NOISE:g};",
        f"counting one that is at most so much under the best as equal: {near[0]} and {near[1]} of {kinds}.",
        *(["On SEA that is the rule 2 points under, for the threshold is an estimate there."] if same_rate else []),
        "",
        *_tuned(results, names, watches=watches),
    ]
    return "\n".join([*lines, "", *notes(contenders, "no more alarms than `significant` as it ships raises in" if same_rate else "at most 5 % of")])


def _together(results: Sequence[Result], name: str = "") -> str:
    """Mean F1 and median of the delays over all kinds, of a contender; "": of that whose rate the others are tuned to."""
    scores = [score[name or one.setting.ours] for one in results for score in one.scores.values()]
    delay = median(score.delay for score in scores)
    return f"{mean(score.f1 for score in scores):.2f} / {'∞' if math.isinf(delay) else f'{delay:g}'}"


def _best(results: Sequence[Result], names: Sequence[str]) -> str:
    """The contender with the highest mean F1, and what it has."""
    name = max(names, key=lambda one: mean(score[one].f1 for result in results for score in result.scores.values()))
    return f"`{name}` has {_together(results, name)},"


def _tuned(results: Sequence[Result], names: Sequence[str], *, watches: int) -> list[str]:
    lines = [
        "The settings that were tuned, with the share of the reported watches without drift (not those tuned on) that raise an alarm, in %:",
        "",
        "| stream | block | " + " | ".join(names) + " |",
        "|---|---:|" + "---:|" * len(names),
    ]
    for one in results:
        scores = next(iter(one.scores.values()))
        cells = " | ".join(f"{one.tuned[name]:g}: {100 * scores[name].false_alarms / watches:.1f}" for name in names)
        lines.append(f"| {one.setting.name} | {one.setting.block} | {cells} |")
    return lines


def notes(contenders: Sequence[Contender], allowed: str) -> list[str]:
    """What the rules are, and how they were set."""
    parameters = ", ".join(f"{one.name} `{one.parameter}`" for one in contenders if len(one.grid) > 1)
    return [
        "- Error streams: right 80 % of the time before the change. The threshold of `significant` is that accuracy, the level from which the detectors",
        "  see a change too; a second column shows it 2 points lower, which leaves a small fall little under the threshold.",
        "- Real model: a logistic regression on 2,000 rows of SEA with 10 % of the labels turned; the threshold is its accuracy on the next",
        "  1,000 rows, which is off its true one by a point or so.",
        f"- Tuned, to {allowed} other watches without drift (seed 10,000), the most sensitive value of a grid: {parameters}. The rest are river's",
        "  defaults, but for the column that names another. `significant, tuned` gets the same treatment.",
        "- KSWIN is left out: it takes half a millisecond a row, hours for one line.",
        "- The constants of `significant` were chosen on other streams (seeds from 10,000) of the same kinds as the error streams.",
        "",
    ]


def reaches(score: Score, others: Iterable[Score], *, within: float = 0.0) -> bool:
    """Whether a score is at least the best of the others, by F1 and then delay, and not slower than it; or at most `within` under its F1."""
    best = max(others, key=lambda one: (round(one.f1, 2), -one.delay))
    return round(score.f1, 2) >= round(best.f1, 2) - within - 1e-9 and score.delay <= best.delay


def cell(score: Score) -> str:
    """F1 and median delay."""
    return f"{score.f1:.2f} / {'∞' if math.isinf(score.delay) else f'{score.delay:.0f}'}"
