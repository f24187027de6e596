"""Forecasts how long until a declining accuracy falls under the threshold: draws from a Bayesian trend with wander.

The true accuracy of block b (1 = the first that this model served) is taken to be

    level(b) = start - (start - threshold) (b / C)^shape + wander(b)

so that without wander it meets the threshold at block C. The measured KPI adds binomial noise of the block's rows. Wander is
how the accuracy varies around the decline: an AR(1) from block to block plus independent noise per block. Given C, the
shape and the size of the wander, the start has a normal posterior in closed form; the rest are weighted on a grid by their
marginal likelihood, and the paths ahead are drawn from the mixture (Bayesian linear model; Gelman et al. 2013, ch. 14).
The prior of C is log-uniform, times 1 / C, the chance that a model of that lifetime is observed now (Gott 1993).
Earlier versions can enter the prior.

Gott: Implications of the Copernican principle for our future prospects. Nature 363, 1993.
Ibrahim, Chen: Power prior distributions for regression models. Statistical Science 15, 2000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import linalg, signal

DRAWS = 1000
SEED = 7  # of the draws, so that the same KPIs give the same forecast
NEWEST = 300  # blocks that are fitted; older ones are left out
SHAPES = (1.0, 1.5, 2.0)  # straight to accelerating
LIVES = 100  # values of C on the grid
LIFE = (4.0, 600.0)  # blocks, the range of C
NEVER = 0.005  # prior chance that the accuracy does not decline at all
START_SD = 0.15  # of the start above the threshold, around START
START = 0.1
VERSIONS = 20  # newest earlier versions that the prior is learned from
BORROWED = 0.3  # weight of their evidence
MIN_STARTS = 4  # earlier versions whose starts predict the next one's
LEAST_START_SD = 0.02
MIN_LINE = 5  # blocks
AR_SD = {0.0: 0.6, 0.01: 0.15, 0.02: 0.15, 0.04: 0.1}  # standard deviation of the AR(1) wander: prior weight
AR_KEPT = (0.6, 0.9)  # autocorrelation of the AR(1) wander
FRESH_SD = {0.0: 0.55, 0.02: 0.25, 0.05: 0.1, 0.1: 0.05, 0.15: 0.05}  # standard deviation of the independent part in each block
_NOISES = tuple(
    (sd, kept, fresh, weight * FRESH_SD[fresh] / (len(AR_KEPT) if sd else 1))
    for sd, weight in AR_SD.items()
    for kept in (AR_KEPT if sd else (0.0,))
    for fresh in FRESH_SD
)


Blocks = tuple[np.ndarray, np.ndarray]  # accuracies and rows of the blocks of a version, (n,) each; nan or 0 rows: unknown


@dataclass(frozen=True)
class _Prior:
    """Of J noises and K declines: shape and life C (K,), log weight (J, K); and the start, normal."""

    shape: np.ndarray
    life: np.ndarray
    log_weight: np.ndarray
    start: float
    start_sd: float


@dataclass(frozen=True)
class _Posterior:
    """After n blocks: log weight, mean and deviation of the start (J, K), and the terms of the newest wander."""

    log_weight: np.ndarray
    start: np.ndarray
    start_sd: np.ndarray
    gain: np.ndarray  # (J, n): newest AR(1) wander from the residuals
    wander_sd: np.ndarray  # (J,) of the rest
    target: np.ndarray  # (K, n) = start * steady + wander + binomial noise
    steady: np.ndarray  # (K, n) share of the decline that is still ahead


def crossing_times(
    accuracies: np.ndarray, rows: np.ndarray, *, threshold: float, horizon: int, measured: bool = False, earlier: Sequence[Blocks] = ()
) -> np.ndarray:
    """Draws of the number of blocks until the accuracy is under the threshold for the first time; inf beyond `horizon`.

    Args:
        accuracies: (n,) of the blocks since the model went into service, at least one known; nan blocks are left out.
        rows: (n,) rows of each block.
        threshold: in 0..1.
        horizon: blocks ahead to look.
        measured: forecast the KPI as it will be measured, on blocks as large as the newest, not the true accuracy. The
            true accuracy is assumed not to be under the threshold now.
        earlier: the blocks of earlier versions, oldest first, assumed to decline and wander alike.

    Returns:
        (up to `DRAWS`,) 1 = the next block. Empty when hardly any draw has the true accuracy still above the threshold.
    """
    now = len(accuracies)
    prior = _borrowed(_declines(now, threshold), earlier, threshold)
    posterior = _fit((accuracies, rows), prior, threshold)

    rng = np.random.default_rng(SEED)
    weight = np.exp(posterior.log_weight - posterior.log_weight.max())
    j, k = np.unravel_index(rng.choice(weight.size, size=3 * DRAWS, p=weight.ravel() / weight.sum()), weight.shape)
    start = posterior.start[j, k] + posterior.start_sd[j, k] * rng.standard_normal(len(j))
    residuals = posterior.target[k] - start[:, None] * posterior.steady[k]
    wander = (posterior.gain[j] * residuals).sum(axis=1) + posterior.wander_sd[j] * rng.standard_normal(len(j))
    shape, life = prior.shape[k], prior.life[k]
    margin = (start - threshold) * (1 - (now / life) ** shape) + wander
    kept = np.flatnonzero((start > threshold) & ((margin >= 0) | measured))
    if len(kept) < DRAWS / 20:
        return np.empty(0)
    kept = kept[:DRAWS]
    ahead = np.arange(now + 1, now + horizon + 1)
    margins = (start[kept, None] - threshold) * (1 - (ahead / life[kept, None]) ** shape[kept, None])
    margins += _wander_ahead(rng, np.array(_NOISES)[j[kept], :3], wander[kept], horizon)
    if measured:
        size = int(rows[rows > 0][-1])
        under = rng.binomial(size, np.clip(margins + threshold, 0, 1)) / size < threshold
    else:
        under = margins < 0
    return np.where(under.any(axis=1), under.argmax(axis=1) + 1.0, np.inf)


def _declines(now: int, threshold: float) -> _Prior:
    """Prior for a version of this age before its KPIs are seen; the last entry on the grid is "no decline"."""
    shape, life = np.repeat(SHAPES, LIVES), np.tile(np.geomspace(*LIFE, LIVES), len(SHAPES))
    chance = 1 / life
    still_to_come = chance[life > now].sum()
    chance = np.append(chance / still_to_come if still_to_come else chance, NEVER)
    noise = np.array([weight for *_, weight in _NOISES])
    return _Prior(np.append(shape, 1.0), np.append(life, np.inf), np.log(noise)[:, None] + np.log(chance), threshold + START, START_SD)


def _borrowed(prior: _Prior, earlier: Sequence[Blocks], threshold: float) -> _Prior:
    """The prior updated by the newest earlier versions, down-weighted against the current one (power prior, Ibrahim, Chen 2000)."""
    earlier = [blocks for blocks in earlier if np.any(~np.isnan(blocks[0]) & (blocks[1] > 0))][-VERSIONS:]
    if not earlier:
        return prior
    log_weight, starts = prior.log_weight, []
    for accuracies, rows in earlier:
        evidence, start = _evidence(tuple(accuracies.tolist()), tuple(rows.tolist()), threshold)
        log_weight = log_weight + BORROWED * evidence
        starts.append(start.flat[np.argmax(evidence + prior.log_weight)])
    known = len(starts) >= MIN_STARTS
    return replace(
        prior,
        log_weight=log_weight - log_weight.max(),
        start=float(np.mean(starts)) if known else prior.start,
        start_sd=max(float(np.std(starts, ddof=1)), LEAST_START_SD) if known else prior.start_sd,
    )


@lru_cache(maxsize=8 * VERSIONS)  # the same versions are requested at every block
def _evidence(accuracies: tuple[float, ...], rows: tuple[int, ...], threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Log likelihood of each noise and decline for one version, and the start under each, (J, K)."""
    prior = _declines(0, threshold)
    fitted = _fit((np.array(accuracies), np.array(rows)), replace(prior, log_weight=np.zeros_like(prior.log_weight)), threshold)
    return fitted.log_weight, fitted.start


def _fit(blocks: Blocks, prior: _Prior, threshold: float) -> _Posterior:
    accuracies, rows = blocks
    known = np.flatnonzero(~np.isnan(accuracies) & (rows > 0))[-NEWEST:]
    accuracies, rows, block = accuracies[known], rows[known], known + 1.0
    fallen = (block / prior.life[:, None]) ** prior.shape[:, None]
    target, steady = accuracies - threshold * fallen, 1 - fallen
    variance = _binomial_variance(accuracies, rows)
    lag = np.abs(block[:, None] - block)
    precision0 = prior.start_sd**-2
    parts = []
    for (sd, kept, fresh, _), log_prior in zip(_NOISES, prior.log_weight, strict=True):
        ar = sd**2 * kept**lag if sd else np.zeros_like(lag)
        factor = linalg.cholesky(ar + np.diag(variance + fresh**2), lower=True)
        u, t = (linalg.solve_triangular(factor, side.T, lower=True) for side in (steady, target))  # (n, K), whitened
        precision = (u * u).sum(axis=0) + precision0
        mean = ((u * t).sum(axis=0) + prior.start * precision0) / precision
        misfit = (t * t).sum(axis=0) + prior.start**2 * precision0 - mean**2 * precision
        log_weight = log_prior - 0.5 * (misfit + np.log(precision)) - np.log(np.diag(factor)).sum()
        gain = linalg.cho_solve((factor, True), ar[-1])
        parts.append((log_weight, mean, precision**-0.5, gain, np.sqrt(max(sd**2 - ar[-1] @ gain, 0))))
    log_weight, start, start_sd, gain, wander_sd = (np.array(part) for part in zip(*parts, strict=True))
    return _Posterior(log_weight, start, start_sd, gain, wander_sd, target, steady)


def _binomial_variance(accuracies: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Variance of each block's KPI: around a straight line through all of them, or around the mean if they are few."""
    if len(rows) < MIN_LINE:
        level = np.full(len(rows), (accuracies @ rows + 1) / (rows.sum() + 2))
    else:
        line = np.polynomial.Polynomial.fit(np.arange(len(rows)), accuracies, 1, w=np.sqrt(rows))
        level = np.clip(line(np.arange(len(rows))), 0.03, 0.97)
    return level * (1 - level) / rows


def _wander_ahead(rng: np.random.Generator, noise: np.ndarray, newest: np.ndarray, horizon: int) -> np.ndarray:
    """Wander of the blocks ahead, (draws, horizon), continuing from the newest."""
    sd, kept, fresh = noise.T[..., None]
    steps = sd * np.sqrt(1 - kept**2) * rng.standard_normal((len(noise), horizon))
    steps[:, 0] += kept[:, 0] * newest
    for share in np.unique(kept):
        same = kept[:, 0] == share
        steps[same] = signal.lfilter([1.0], [1.0, -share], steps[same], axis=1)
    return steps + fresh * rng.standard_normal(steps.shape)
