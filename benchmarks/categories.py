"""Count the false alarms of the tests of categories and missing values, and how often they find a drift that is there.

    python -m benchmarks.categories                  # two processes, about three minutes; writes benchmarks/categories.md

One column a table. Its categories are coded as a stream's are: those of the reference first, later ones as they appear. The reference stands
for the training rows, the block for the newest ones.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import script
from driftloop.cli import parsing

if TYPE_CHECKING:
    import numpy as np

LEVELS = ((2, "alike"), (10, "alike"), (200, "alike"), (200, "mostly rare"))
MISSING = (0.0, 0.01, 0.3)
BLOCKS = (20, 100, 1000)
CORRELATIONS = (0.0, 0.5)
REFERENCE = 1000
SHIFT, MISSING_AFTER, NEW = 0.1, 0.1, 0.05
ALPHA, PERMUTATIONS = 0.05, 299
FIRST_SEED = 50_000  # what is chosen in the tests was chosen on seeds under 1,000


@dataclass(frozen=True)
class Setting:
    """How the tables of one line are drawn."""

    levels: int
    shape: str  # alike: equal shares; mostly rare: the shares fall with the power 1.5 of the rank
    missing: float
    block: int
    correlation: float  # chance that a row repeats the one before
    reference: int = REFERENCE
    statistic: str = "ks"  # as `compare` takes it
    drift: str = ""  # share, missing or new; empty: none


@dataclass(frozen=True)
class Outcome:
    """What the tests came to on the tables of one setting."""

    setting: Setting
    seeds: int
    moved: int
    by: dict[str, int]  # tables in which each aspect was named
    unknown: int  # tables in which the values could not be tested


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--seeds", type=parsing.whole(1), default=200, help="tables of each setting without drift (default: %(default)s)")
    parser.add_argument("--drift_seeds", type=parsing.whole(1), default=100, help="tables of each setting with a drift (default: %(default)s)")
    return parser


def measured(args: argparse.Namespace) -> str:
    """The page of false alarms and of drifts that were found."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        work = [(setting, args.seeds) for setting in still()] + [(setting, args.drift_seeds) for setting in drifting()]
        found = pool.starmap(run, work, chunksize=1)
    return page(found, command=args.command)


def still() -> list[Setting]:
    """The settings without drift."""
    product = itertools.product
    full = [Setting(n, shape, missing, block, r) for r, block, (n, shape), missing in product(CORRELATIONS, BLOCKS, LEVELS, MISSING)]
    equal = [Setting(n, shape, 0.01, block, r, reference=block) for r, block, (n, shape) in product(CORRELATIONS, BLOCKS[:2], LEVELS)]
    js = [Setting(n, shape, 0.0, 100, r, statistic="js") for r, (n, shape) in product(CORRELATIONS, LEVELS)]
    return full + equal + js


def drifting() -> list[Setting]:
    """The settings with one."""
    return [
        Setting(n, shape, 0.01 if drift == "missing" else 0.0, block, r, drift=drift)
        for drift, r, block, (n, shape) in itertools.product(("share", "missing", "new"), CORRELATIONS, BLOCKS, LEVELS[:3])
    ]


def run(setting: Setting, seeds: int) -> Outcome:
    """Draw the tables and test them."""
    import math

    from driftloop.data.schema.schema import Column
    from driftloop.drift.inputs.distribution import compare

    moved = unknown = 0
    by = {"values": 0, "missing": 0, "unseen": 0}
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        column, known = coded(drawn(setting, seed), setting.reference)
        (test,) = compare(
            column[: setting.reference, None],
            column[setting.reference :, None],
            names=["column"],
            columns=[Column("column", "feature", "category")],
            known=[known],
            statistic=setting.statistic,  # type: ignore[arg-type]
            alpha=ALPHA,
            permutations=PERMUTATIONS,
        )
        moved += test.moved
        unknown += math.isnan(test.aspects[0].p_value)
        for aspect in test.aspects:
            by[aspect.name] += aspect.moved
    script.say(f"{setting}: {moved} of {seeds}")
    return Outcome(setting, seeds, moved, by, unknown)


def repeats(rng: np.random.Generator, rows: int, correlation: float) -> np.ndarray:
    """The row whose value each row has, (rows,): with this chance that of the row before, else its own."""
    import numpy as np

    fresh = rng.random(rows) >= correlation
    fresh[0] = True
    return np.maximum.accumulate(np.where(fresh, np.arange(rows), 0))


def drawn(setting: Setting, seed: int) -> np.ndarray:
    """The categories of the reference's rows, then of the block's; nan where a value is missing."""
    import numpy as np

    rng, rows = np.random.default_rng(seed), setting.reference + setting.block
    weights = np.ones(setting.levels) if setting.shape == "alike" else np.arange(1.0, setting.levels + 1) ** -1.5
    shares = weights / weights.sum()

    def runs(draw: Callable[[int], np.ndarray], many: int) -> np.ndarray:
        repeated = repeats(rng, many, setting.correlation)
        return draw(many)[repeated]

    values = runs(lambda many: rng.choice(setting.levels, size=many, p=shares).astype(np.float64), rows)
    values[runs(lambda many: rng.random(many) < setting.missing, rows)] = np.nan
    if setting.drift:
        share, value = {
            "share": (SHIFT / (1 - shares[0]), 0.0),
            "missing": ((MISSING_AFTER - setting.missing) / (1 - setting.missing), np.nan),
            "new": (NEW, float(setting.levels)),
        }[setting.drift]
        block = values[setting.reference :]
        block[runs(lambda many: rng.random(many) < share, setting.block)] = value
    return values


def coded(values: np.ndarray, reference: int) -> tuple[np.ndarray, int]:
    """The codes as a stream has them, and how many of them the reference knows."""
    import numpy as np

    there = ~np.isnan(values)
    known = np.unique(values[:reference][there[:reference]])
    places = {value: float(code) for code, value in enumerate(dict.fromkeys([*known, *values[there]]))}
    codes = values.copy()
    codes[there] = [places[value] for value in values[there]]
    return codes, len(known)


def page(outcomes: Iterable[Outcome], *, command: str) -> str:
    """The figures as Markdown."""
    from driftloop.metrics import kpi

    outcomes = list(outcomes)
    calm = [one for one in outcomes if not one.setting.drift]
    main_calm = [one for one in calm if one.setting.reference == REFERENCE]
    seeds, above = calm[0].seeds, sum(kpi.wilson_interval(one.moved, one.seeds)[0] > ALPHA for one in main_calm)
    tables, alarms = sum(one.seeds for one in main_calm), sum(one.moved for one in main_calm)
    return script.page(
        "Tests of categories and missing values: false alarms and power",
        f"Written by `{command}`, on two cores. One column a table; a reference of {REFERENCE:,} rows and a block of newer ones; seeds {FIRST_SEED:,} up "
        f"(what was chosen in the tests was chosen on other seeds). alpha is {ALPHA:g} for the whole column: values, missing and new ones together; "
        f"{PERMUTATIONS} permutations. Categories are alike (equal shares) or mostly rare: shares fall with the power 1.5 of the rank, so that 146 of 200 are "
        "under 0.1 %. With autocorrelation 0.5 every other row repeats the one before, and so do missing values. Intervals: Wilson, 95 %.",
        "## False alarms",
        f"{seeds} tables a line. In all {100 * alarms / tables:.1f} % of {tables:,} tables; the interval of {above} of {len(main_calm)} "
        f"lines lies above {100 * ALPHA:g} % ({len(main_calm) * 0.025:.0f} would by chance at exactly {100 * ALPHA:g} %).",
        script.table(
            "block: | autocorrelation: | categories | distance | no value missing, % | 1 missing, % | 30 missing, %",
            _calm_lines(main_calm),
        ),
        "### A reference as short as the block",
        "Autocorrelation cannot be measured well on so few rows; 1 % of the values are missing.",
        script.table(
            "reference and block: | autocorrelation: | categories | alarms, % | values untested, %:",
            ([*_key(one), script.share(one.moved, one.seeds), f"{100 * one.unknown / one.seeds:.0f}"] for one in calm if one.setting.reference != REFERENCE),
        ),
        "## Power",
        f"{outcomes[-1].seeds} tables a line: found, and named by the aspect that moved. The share of one category rises by {100 * SHIFT:g} points; "
        f"the missing share rises from 1 to {100 * MISSING_AFTER:g} %; a category that the reference does not have takes {100 * NEW:g} % of the rows.",
        script.table(
            "block: | autocorrelation: | categories | a share, %: | as values: | missing, %: | as missing: | a new category, %: | as new:",
            _power_lines([one for one in outcomes if one.setting.drift]),
        ),
    )


def _key(one: Outcome) -> list[str]:
    setting = one.setting
    kind = f"{setting.levels}, {setting.shape}" if setting.levels > 2 else "2"
    return [str(setting.block), f"{setting.correlation:g}", kind]


def _calm_lines(outcomes: list[Outcome]) -> list[list[str]]:
    lines: dict[tuple[str, ...], dict[float, str]] = {}
    for one in outcomes:
        name = "Jensen-Shannon" if one.setting.statistic == "js" else "total variation"
        lines.setdefault((*_key(one), name), {})[one.setting.missing] = script.share(one.moved, one.seeds)
    return [[*key, *(rates.get(missing, "") for missing in MISSING)] for key, rates in lines.items()]


def _power_lines(outcomes: list[Outcome]) -> list[list[str]]:
    lines: dict[tuple[str, ...], list[str]] = {}
    for one in outcomes:
        named = one.by[{"share": "values", "missing": "missing", "new": "unseen"}[one.setting.drift]]
        lines.setdefault(tuple(_key(one)), []).extend(f"{100 * many / one.seeds:.0f}" for many in (one.moved, named))
    return [[*key, *figures] for key, figures in lines.items()]


if __name__ == "__main__":
    sys.exit(script.run(build_parser(), measured))
