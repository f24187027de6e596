"""Choose the taxi model by 2018 and 2019 alone, and write how into benchmarks/taxi_choice.md.

    python -m benchmarks.taxi_choice                             # half an hour on two cores
    python -m benchmarks.taxi_choice --folder /tmp/taxi          # keep each fit's result there, and fit only what has none

No row of 2020 is looked at: the model that is chosen here meets it in benchmarks/taxi.md for the first time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import script, taxi
from benchmarks.taxi_candidates import CANDIDATES, ONE
from driftloop import cli, settings

END = np.datetime64("2020-01-01")
FIRST_CUT, SECOND_CUT = "2019-01", "2019-07"  # the month in which the scoring begins; all before it is fitted on
SEEDS = range(settings.SEED, settings.SEED + 3)

Scores = dict[str, dict[str, float]]  # a name for each fit -> its figures


def build_parser() -> cli.Parser:
    """The flags of the tool."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--folder", type=Path, help="folder for the results of the fits, which are not fitted again; default: a temporary one")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Fit and score all candidates, then write the page."""
    return script.run(build_parser(), measured, argv)


def measured(args: argparse.Namespace, given: str) -> str:
    """The page of the choice."""
    with contextlib.nullcontext(args.folder) if args.folder else tempfile.TemporaryDirectory(prefix="driftloop-taxi-") as folder:
        kept = Path(folder) / "choice.json"
        kept.parent.mkdir(parents=True, exist_ok=True)
        scores: Scores = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        stream = taxi._stream()
        for name in CANDIDATES:
            _score(stream, name, FIRST_CUT, scores, kept)
        for name in (ONE, leader(scores)):
            _score(stream, name, SECOND_CUT, scores, kept)
    return page(scores)


def key(name: str, cut: str, seed: int) -> str:
    """The name of a fit.

    >>> key("12 epochs", "2019-01", 7)
    '12 epochs | 2019-01 | 7'
    """
    return f"{name} | {cut} | {seed}"


def _score(stream: Any, name: str, cut: str, scores: Scores, kept: Path) -> None:
    """Fit a candidate on all before `cut` with each seed, and add the mean and the worst of the months up to 2020."""
    from driftloop import blocks, models
    from driftloop.training import fit

    first, end = (int(np.searchsorted(stream.times, moment)) for moment in (np.datetime64(cut), END))
    candidate = CANDIDATES[name]
    for seed in SEEDS:
        if (fitted := key(name, cut, seed)) in scores:
            continue
        done = fit(candidate.learner, stream, candidate.all_params, train=(0, first), max_epochs=candidate.epochs, seed=seed)
        months = [float(models.losses(done.model, stream, block.start, block.stop).mean()) for block in blocks.cut_months(stream.times, first, end)]
        scores[fitted] = {"mae": float(np.mean(months)), "worst": max(months)}
        kept.write_text(json.dumps(scores), encoding="utf-8")


def column(scores: Scores, name: str, cut: str, figure: str = "mae") -> list[float]:
    """A figure of a candidate, one value a seed."""
    return [scores[key(name, cut, seed)][figure] for seed in SEEDS]


def leader(scores: Scores) -> str:
    """The candidate in the lead after a fit on 2018, on the months of 2019; each in the order of the list has to take the lead by more than noise."""
    ahead = ONE
    for name in CANDIDATES:
        if _nearer(scores, name, ahead, FIRST_CUT):
            ahead = name
    return ahead


def taken(scores: Scores) -> str:
    """The leader, if the second cut says the same; else one network, as simple as it gets."""
    ahead = leader(scores)
    return ahead if _nearer(scores, ahead, ONE, SECOND_CUT) else ONE


def _nearer(scores: Scores, name: str, other: str, cut: str) -> bool:
    return max(column(scores, name, cut)) < min(column(scores, other, cut))


def page(scores: Scores) -> str:
    """The page, from the scores."""
    chosen, ahead = taken(scores), leader(scores)
    ranked = sorted(CANDIDATES, key=lambda name: float(np.mean(column(scores, name, FIRST_CUT))))
    lines = [
        "# How the taxi model was chosen",
        "",
        "Written by `python -m benchmarks.taxi_choice`. Each candidate is one change away from one network of width 64 and depth 2 that is fitted for "
        "6 epochs; the last one joins two that helped at the first seed. Each is fitted on 2018 and scored on the months of 2019, once with each of "
        f"{len(SEEDS)} seeds. MAE in minutes, the mean of the months; lower is better. Nothing of 2020 was fitted, scored or chosen by; yet the search was "
        "begun because of it: one network had been a hundredth of a minute behind the linear regression in April 2020.",
        "",
        "| candidate | mean MAE of 2019 | of each fit | worst month |",
        "|---|---:|---|---:|",
        *(_row(scores, name, chosen) for name in ranked),
        "",
        "The rule: one network leads at first; a candidate takes the lead if each of its fits is nearer than each of the leader's, tried in the order of "
        "`benchmarks/taxi_candidates.py`, what is simpler first. The last leader is taken if that also holds against one network when both are fitted up to "
        f"June 2019 and scored on July to December: {_told(scores, ahead)}, {_told(scores, ONE)}.",
        "",
        f"So **{chosen}** is what `examples/nyc_taxi/` fits. A fit may take twice as long as one network's and no more, because the lifecycle makes several; "
        "more networks were not tried for that reason. What it then reached in 2020 stands in `benchmarks/taxi.md`.",
    ]
    return "\n".join(lines) + "\n"


def _row(scores: Scores, name: str, chosen: str) -> str:
    maes, worst = (column(scores, name, FIRST_CUT, figure) for figure in ("mae", "worst"))
    shown = f"**{name}**" if name == chosen else name
    return f"| {shown} | {np.mean(maes):.3f} | {', '.join(f'{mae:.3f}' for mae in maes)} | {np.mean(worst):.2f} |"


def _told(scores: Scores, name: str) -> str:
    maes = column(scores, name, SECOND_CUT)
    return f"{name} {np.mean(maes):.3f} ({', '.join(f'{mae:.3f}' for mae in maes)})"


if __name__ == "__main__":
    sys.exit(main())
