"""The page of the detection benchmark."""

from __future__ import annotations

import math
from statistics import mean, median
from typing import TYPE_CHECKING

from benchmarks import script

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.detection import Contender, Result, Score

RULE = "significant"
NOISE = 0.03  # standard error of an F1 of 200 watches, about
SECOND_PARAMETER = "page_hinkley, delta .05"  # river's detector with a second parameter tuned


def page(results: Sequence[Result], contenders: Sequence[Contender], *, command: str, same_rate: bool) -> str:
    """The scores as Markdown."""
    names = [one.name for one in contenders]
    river = [one.name for one in contenders if one.river]
    plain = [name for name in river if name != SECOND_PARAMETER]
    watches = next(iter(next(iter(results[0].scores.values())).values())).watches
    counts, near, rows = [0, 0], [0, 0], []
    for one in results:
        for change, scores in one.scores.items():
            ours, theirs = scores[one.setting.ours if same_rate else RULE], [[scores[name] for name in group] for group in (plain, river)]
            met = [reaches(ours, group) for group in theirs]
            counts = [count + yes for count, yes in zip(counts, met, strict=True)]
            near = [count + reaches(ours, group, within=NOISE) for count, group in zip(near, theirs, strict=True)]
            rows.append([one.setting.name, one.setting.block, change, *(cell(scores[name]) for name in names), *("yes" if yes else "no" for yes in met)])
    rows.append(["all kinds", "", "mean F1 / median of the delays", *(_together(results, name) for name in names), "", ""])
    kinds = sum(len(one.scores) for one in results)
    over_all = f"Over all kinds `{RULE}`, on SEA 2 points under, has {_together(results)}; {_best(results, plain)} the best of river's. " if same_rate else ""
    return script.page(
        "Detection",
        f"Written by `{command}`, on two cores. Each kind: {watches} watches with the change and {watches} without, of 300 blocks; the change begins in "
        "one of the blocks 50 to 249, at once or over 30 blocks. A cell holds F1 and the median delay in blocks (0: the block in which the change begins; "
        "∞: most changes were not found within 30 blocks). An early alarm counts as false and its change as missed.",
        script.table(f"stream | block: | change | {': | '.join(names)}: | at least the best of river's | also with the second parameter", rows),
        f"{over_all}`{RULE}` at its defaults (alpha .05) has at least the F1, to two digits, of the best of river's detectors and at most its median delay in "
        f"{counts[0]} of {kinds} kinds; {counts[1]} of {kinds} when Page-Hinkley's `delta` is tuned as well. An F1 is known to about ±{NOISE:g}; "
        f"counting one at most that far under the best as equal: {near[0]} and {near[1]} of {kinds}."
        + (" On SEA the rule is the one 2 points under, because the threshold is an estimate there." if same_rate else ""),
        _tuned(results, names, watches=watches),
        script.bullets(notes(contenders, "at most the number of alarms that `significant` raises at its defaults in" if same_rate else "at most 5 % of")),
    )


def _together(results: Sequence[Result], name: str = "") -> str:
    """Mean F1 and median of the delays of a contender over all kinds; "": of the one whose rate the others are tuned to."""
    scores = [score[name or one.setting.ours] for one in results for score in one.scores.values()]
    delay = median(score.delay for score in scores)
    return f"{mean(score.f1 for score in scores):.2f} / {'∞' if math.isinf(delay) else f'{delay:g}'}"


def _best(results: Sequence[Result], names: Sequence[str]) -> str:
    """The contender with the highest mean F1, with its scores."""
    name = max(names, key=lambda one: mean(score[one].f1 for result in results for score in result.scores.values()))
    return f"`{name}` has {_together(results, name)},"


def _tuned(results: Sequence[Result], names: Sequence[str], *, watches: int) -> str:
    rows = []
    for one in results:
        scores = next(iter(one.scores.values()))
        rows.append([one.setting.name, one.setting.block, *(f"{one.tuned[name]:g}: {100 * scores[name].false_alarms / watches:.1f}" for name in names)])
    words = "The tuned settings, with the share of the reported watches without drift (not those tuned on) that raise an alarm, in %:"
    return "\n\n".join([words, script.table(f"stream | block: | {': | '.join(names)}:", rows)])


def notes(contenders: Sequence[Contender], allowed: str) -> list[str]:
    """What the rules are, and how they were tuned."""
    parameters = ", ".join(f"{one.name} `{one.parameter}`" for one in contenders if len(one.grid) > 1)
    return [
        "Error streams: the model is right 80 % of the time before the change. The threshold of `significant` is that accuracy, the level from which the "
        "detectors see a change, too; a second column shows it 2 points lower, which leaves little of a small fall under the threshold.",
        "Real model: a logistic regression on 2,000 rows of SEA with 10 % of the labels flipped; the threshold is its accuracy on the next "
        "1,000 rows, an estimate that is off by a point or so.",
        f"Tuned, to {allowed} other watches without drift (seed 10,000): the most sensitive value of a grid of {parameters}. All other parameters are "
        "river's defaults, except in the column that names another. `significant, tuned` is treated alike.",
        "KSWIN is left out: it takes half a millisecond a row, hours for one line.",
        "The constants of `significant` were chosen on other streams (seeds from 10,000) of the same kinds as the error streams.",
    ]


def reaches(score: Score, others: Iterable[Score], *, within: float = 0.0) -> bool:
    """Whether a score has at least the F1 of the best of the others, or at most `within` less, and is no slower; the best is by F1, then delay."""
    best = max(others, key=lambda one: (round(one.f1, 2), -one.delay))
    return round(score.f1, 2) >= round(best.f1, 2) - within - 1e-9 and score.delay <= best.delay


def cell(score: Score) -> str:
    """F1 and median delay."""
    return f"{score.f1:.2f} / {'∞' if math.isinf(score.delay) else f'{score.delay:.0f}'}"
