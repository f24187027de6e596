"""How a back-test's figures are written: its KPI, threshold and blocks, for the terminal, the plot and the recommendation."""

from __future__ import annotations

from driftloop.backtest.outcome import BacktestResult
from driftloop.report import wording
from driftloop.report.kpi_words import Figures


def of(result: BacktestResult) -> Figures:
    """The format of a result's KPI."""
    return Figures(result.task, result.unit, result.kpi_name)


def blocks_of(result: BacktestResult) -> str:
    """The number and size of the blocks."""
    blocks = wording.count(result.blocks, "block")
    return f"{blocks} of {result.block_size:,}" if result.block_by == "rows" else f"{blocks}, one per calendar {result.block_by}"


def labels_of(result: BacktestResult) -> str:
    """When labels arrive, and of how many rows."""
    late, share = result.label_delay_blocks, result.label_share
    which = "labels" if share == 1 else f"labels of {100 * share:g} % of the rows"
    when = f"{wording.count(late, 'block')} after their block has ended" if late else "when a block ends"
    return f"{which} arrive {when}"


def threshold_of(result: BacktestResult) -> str:
    """The threshold with its KPI, other than an accuracy, and unit."""
    figures = of(result)
    return f"{figures.name} {result.threshold:g} {figures.unit}".strip() if figures.plain else f"{wording.percent(result.threshold)} %"
