"""A watch result with realistic figures, made from a seed, for the tests of what is drawn from it."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from driftloop.metrics.results import BASELINES, BlockScore, RetrainRecord, VersionRecord, WatchResult

START = datetime(1998, 2, 15)
BLOCK_SIZE = 48
BASE_PARAMS = {"history": 0, "train_days": 270, "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4, "nesterov": True, "width": 32, "depth": 1}


def wilson(right: int, rows: int) -> tuple[float, float]:
    z = 1.959964
    share = right / rows
    centre = share + z * z / (2 * rows)
    half = z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return (centre - half) / (1 + z * z / rows), (centre + half) / (1 + z * z / rows)


def make_score(block: int, rng: np.random.Generator, *, skill: float, version: str, rows: int = BLOCK_SIZE) -> BlockScore:
    right = int(rng.binomial(rows, skill))
    lower, upper = wilson(right, rows)
    no_change = rng.binomial(rows, 0.85) / rows
    return BlockScore(
        block=block,
        start=31718 + BLOCK_SIZE * block,
        stop=31718 + BLOCK_SIZE * block + rows,
        rows=rows,
        timestamp=(START + timedelta(days=block)).isoformat(),
        until=(START + timedelta(days=block, hours=23, minutes=30)).isoformat(),
        short=rows < BLOCK_SIZE,
        version=version,
        kpi=right / rows,
        lower=lower,
        upper=upper,
        kappa=2 * right / rows - 1,
        kappa_temporal=1 - (1 - right / rows) / max(1 - no_change, 1 / rows),
        baselines={
            "no_change": no_change,
            "same_time_yesterday": rng.binomial(rows, 0.65) / rows if block else math.nan,
            "majority": rng.binomial(rows, 0.57) / rows,
        },
        kpi_unretrained=rng.binomial(rows, 0.71 - 0.1 * math.sin(block / 40)) / rows,
        threshold=0.6,
        drift=right / rows < 0.6,
    )


def make_retrain(block: int, *, version: str, lr: float) -> RetrainRecord:
    promoted = bool(version)
    return RetrainRecord(
        block=block,
        row=31718 + BLOCK_SIZE * (block + 1),
        timestamp=(START + timedelta(days=block + 1)).isoformat(),
        reason="the block's upper confidence bound 58.1 % lies under the threshold 60.0 %",
        promoted=promoted,
        decision="Promoted: better by more than noise." if promoted else "Kept the champion: the challenger is not better by more than noise.",
        params={**BASE_PARAMS, "lr": lr, "history": 0, "train_days": 28},
        champion_params=BASE_PARAMS,
        judge_rows=336,
        before=0.6131,
        after=0.7292 if promoted else 0.6161,
        p_value=0.0004 if promoted else 0.41,
        trials=8,
        seconds=21.4,
        run_id=f"{block:032x}",
        version=version,
    )


def make_version(version: str, scores: list[BlockScore], *, params: dict) -> VersionRecord:
    rows = sum(score.rows for score in scores)
    return VersionRecord(
        version=version,
        run_id="b" * 32,
        params=params,
        trained_start=18758,
        trained_stop=scores[0].start,
        first_block=scores[0].block,
        last_block=scores[-1].block,
        rows=rows,
        kpi=sum(score.kpi * score.rows for score in scores) / rows,
        kpi_unretrained=sum(score.kpi_unretrained * score.rows for score in scores) / rows,
    )


def make_result(blocks: int = 284, *, retrains: int = 4, seed: int = 7) -> WatchResult:
    """A stream of day blocks, the last one short; the retrains are spread evenly and every third is not promoted."""
    rng = np.random.default_rng(seed)
    at = [blocks * (number + 1) // (retrains + 1) for number in range(retrains)]
    records, bounds, versions = [], [0], ["1"]
    for number, block in enumerate(at):
        promoted = number % 3 != 2
        if promoted:
            versions.append(str(len(versions) + 1))
            bounds.append(block + 1)
        records.append(make_retrain(block, version=versions[-1] if promoted else "", lr=0.02 * (number + 1)))
    scores: list[list[BlockScore]] = []
    for version, (first, stop) in zip(versions, pairwise([*bounds, blocks]), strict=True):
        skills = np.linspace(0.84, 0.66, stop - first)
        scores.append(
            [make_score(first + i, rng, skill=skill, version=version, rows=10 if first + i == blocks - 1 > 0 else BLOCK_SIZE) for i, skill in enumerate(skills)]
        )
    served = [make_version(version, group, params=BASE_PARAMS) for version, group in zip(versions, scores, strict=True)]
    flat = tuple(score for group in scores for score in group)
    rows = sum(score.rows for score in flat)

    def over_all(name: str) -> float:
        return float(np.nansum([score.as_json()[name] * score.rows for score in flat]) / rows)

    return WatchResult(
        stream="ELEC",
        rows=rows,
        block_size=BLOCK_SIZE,
        threshold=0.6,
        kpi=over_all("accuracy"),
        kappa=0.52,
        kappa_temporal=-0.61,
        kpi_without_retraining=over_all("accuracy_unretrained"),
        baselines={name: over_all(name) for name in BASELINES},
        scores=flat,
        retrains=tuple(records),
        versions=tuple(served),
        served_version=versions[-1],
        seconds=187.2,
        run_id="a" * 32,
        notes=("The search was restricted to history 0, so the model sees no past row.",),
    )


def without_figures(result: WatchResult) -> WatchResult:
    """The same result with every share undefined."""
    shares = ("kpi", "lower", "upper", "kappa", "kappa_temporal", "kpi_unretrained", "threshold")
    undefined = dict.fromkeys(shares, math.nan) | {"baselines": dict.fromkeys(BASELINES, math.nan)}
    return replace(
        result,
        threshold=math.nan,
        kpi=math.nan,
        kappa=math.nan,
        kappa_temporal=math.nan,
        kpi_without_retraining=math.nan,
        baselines=dict.fromkeys(result.baselines, math.nan),
        scores=tuple(replace(score, **undefined) for score in result.scores),
        retrains=tuple(replace(record, before=math.nan, after=math.nan, p_value=math.nan, seconds=math.nan) for record in result.retrains),
        versions=tuple(replace(version, kpi=math.nan, kpi_unretrained=math.nan) for version in result.versions),
        seconds=math.nan,
    )
