"""Shares one false-alarm rate among all streams of the monitor.

A hundred models at alpha 0.05 give up to five false alarms. With `--fleet_alpha` each version of each of the K streams is tested at
fleet_alpha / K: the fleet reports it once its e-value has reached K / fleet_alpha. So

    the first versions      P(any of them without a change ever alarms) <= fleet_alpha, over the whole watch and all streams
    after R resets          the expected number of such alarms is at most fleet_alpha * (1 + R / K)

Nothing is assumed of how streams depend on each other or in which order their blocks arrive. Each rule bounds P(its e-value ever reaches
1 / alpha) by alpha (Ville's inequality), an event that does not depend on what else is looked at, and these events are summed (e-Bonferroni;
Vovk, Wang: E-values: Calibration, combination and applications, Annals of Statistics 49, 2021).

The closed test of mean e-values, which names segments (`driftloop.drift.segments.closed_test`), would not keep the rate here. Segments share one table
and one clock. Streams do not: what is an e-process on a stream's own blocks need not be one for somebody who also sees the other
streams and chooses the moment by them, so a mean of them is not bounded; the highest values are (Choe, Ramdas: Combining evidence across
filtrations, arXiv 2402.09698, 2024). Holm's step-down would keep it while no version is replaced; with resets its bound grows, and its gain is
little: with 10 of 100 streams in alarm an alarm at 1,800 instead of 2,000.

A rule at fleet_alpha / K is not the stream's own rule with a higher limit. What it allows for autocorrelated errors depends on its alpha
(`driftloop.drift.rules.variance`): benchmarks/fleet.md shows how often e-values of rules at 0.05 reach 2,000 where the accuracy wanders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from driftloop.errors import SettingsError
from monitoring.stream_settings import StreamConfig

LEAST: Final = 1e-9  # of one stream; the rules' arithmetic is not tried below


def each(fleet_alpha: float, streams: int) -> float:
    """The false-alarm rate of each version of each stream.

    Args:
        fleet_alpha: over all streams together, between 0 and 1.
        streams: how many there are.

    Raises:
        SettingsError: the rate is outside its range, or too small for so many streams.

    >>> each(0.05, 100)
    0.0005
    """
    if not 0 < fleet_alpha < 1:
        raise SettingsError(f"--fleet_alpha is {fleet_alpha}: give a false-alarm rate between 0 and 1, such as 0.05")
    found = fleet_alpha / max(streams, 1)
    if found < LEAST:
        raise SettingsError(f"--fleet_alpha {fleet_alpha:g} over {streams} streams leaves {found:g} each: give at least {LEAST * max(streams, 1):g}")
    return found


def shared(streams: Mapping[str, StreamConfig], fleet_alpha: float | None) -> dict[str, StreamConfig]:
    """The streams, each with its part of the fleet's rate; as they are for None.

    Raises:
        SettingsError: as `each`.
    """
    if fleet_alpha is None:
        return dict(streams)
    part = each(fleet_alpha, len(streams))
    return {name: replace(config, shared_alpha=part) for name, config in streams.items()}
