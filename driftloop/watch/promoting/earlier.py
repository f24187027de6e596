"""Earlier versions as candidates: where an old regime returns, the version that knew it needs no fit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from driftloop.data.streams import Stream
from driftloop.metrics import promotion
from driftloop.metrics.goal import Goal
from driftloop.metrics.results import RetrainRecord
from driftloop.training import trained_model
from driftloop.training.retrain import Cause, RetrainPlan, record_of
from driftloop.training.trained_model import KnownModel


def winner(
    stream: Stream, champion: KnownModel, candidates: Sequence[KnownModel], *, cause: Cause, plan: RetrainPlan, goal: Goal
) -> tuple[RetrainRecord, KnownModel] | None:
    """The earlier version that beats the champion on the judge's rows and reaches the goal there, the best of several; None without one.

    All are on trial together: each is judged at the level of a retrain divided by their number. One that is only better than a bad
    champion does not count, because a fit would be better still.

    Args:
        stream: the rows.
        champion: the version in service.
        candidates: earlier versions, each with its number.
        cause: why a retrain is due, and up to which row.
        plan: the judge's rows and level.
        goal: that the version has to reach.
    """
    started, doing, best = time.monotonic(), goal.task, None
    for known in candidates:
        start = max(cause.stop - plan.judge_rows, champion.trained[1], known.trained[1])
        if start >= cause.stop:
            continue
        losses = [trained_model.losses(one.model, stream, start, cause.stop, doing=doing) for one in (champion, known)]
        verdict = promotion.judge(doing, *losses, start=start, alpha=plan.alpha / len(candidates))
        reaches = not doing.better(goal.threshold, verdict.after)
        if verdict.better and reaches and (best is None or doing.better(verdict.after, best[0].after)):
            best = verdict, known
    if best is None:
        return None
    verdict, known = best
    verdict = replace(verdict, words=f"version {known.version} again, without a fit, {verdict.words}")
    record = record_of(stream, champion, cause, verdict, known.params, trials=0, seconds=time.monotonic() - started, run_id=known.run_id)
    return replace(record, version=known.version, kpi_name=doing.kpi if doing.chosen else ""), known
