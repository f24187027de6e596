"""How long until a declining accuracy falls under the threshold: draws from a Bayesian trend with wander.

The true accuracy of block b (1 = the first that this model served) is taken to be

    level(b) = start - (start - threshold) (b / C)^shape + wander(b)

so that without wander it meets the threshold at block C. The measured KPI adds binomial noise of the block's rows. Wander is
what the accuracy does beside the decline: an AR(1) from block to block and a part that is new in every block. Given C, the
shape and the size of the wander, the start has a normal posterior in closed form; the rest are weighed on a grid by their
marginal likelihood, and the paths ahead are drawn from the mixture (Bayesian linear model; Gelman et al. 2013, ch. 14).
Of C the prior is log-uniform, times the chance 1 / C that a model of that life is looked at just now (Gott 1993).

Gott: Implications of the Copernican principle for our future prospects. Nature 363, 1993.
"""

from __future__ import annotations

from dataclasses import dataclass

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
AR_SD = {0.0: 0.6, 0.01: 0.15, 0.02: 0.15, 0.04: 0.1}  # standard deviation of the AR(1) wander: prior weight
AR_KEPT = (0.6, 0.9)  # share of the AR(1) wander that is kept from block to block
FRESH_SD = {0.0: 0.55, 0.02: 0.25, 0.05: 0.1, 0.1: 0.05, 0.15: 0.05}  # of the wander that is new in every block
_NOISES = tuple(
    (sd, kept, fresh, weight * FRESH_SD[fresh] / (len(AR_KEPT) if sd else 1))
    for sd, weight in AR_SD.items()
    for kept in (AR_KEPT if sd else (0.0,))
    for fresh in FRESH_SD
)


@dataclass(frozen=True)
class _Posterior:
    """Of J noises and K declines: log weight (J, K), mean and deviation of the start (J, K), and the newest wander."""

    log_weight: np.ndarray
    start: np.ndarray
    start_sd: np.ndarray
    gain: np.ndarray  # (J, n): newest AR(1) wander from the residuals
    wander_sd: np.ndarray  # (J,)


def crossing_times(accuracies: np.ndarray, rows: np.ndarray, *, threshold: float, horizon: int, measured: bool = False) -> np.ndarray:
    """Draws of the number of blocks until the accuracy is under the threshold for the first time; inf beyond `horizon`.

    Args:
        accuracies: (n,) of the blocks since the model came into service; blocks that are nan are left out.
        rows: (n,) rows of each block.
        threshold: in 0..1.
        horizon: blocks ahead to look.
        measured: of the KPI as it will be measured, on blocks as large as the newest, rather than of the true accuracy. The
            true accuracy is taken to be not under the threshold now: what is asked is when it will be.

    Returns:
        (up to `DRAWS`,) 1 = the next block. Empty when hardly any draw has the true accuracy still above the threshold.
    """
    known = np.flatnonzero(~np.isnan(accuracies) & (rows > 0))[-NEWEST:]
    now, block = len(accuracies), known + 1.0
    shape, life, log_prior = _declines(now)
    fallen = (block / life[:, None]) ** shape[:, None]  # (K, n) share of the way from the start to the threshold
    target = accuracies[known] - threshold * fallen  # = start (1 - fallen) + wander + binomial noise
    posterior = _posterior(
        target, 1 - fallen, log_prior=log_prior, variance=_binomial_variance(accuracies[known], rows[known]), block=block, mean0=threshold + START
    )

    rng = np.random.default_rng(SEED)
    weight = np.exp(posterior.log_weight - posterior.log_weight.max())
    j, k = np.unravel_index(rng.choice(weight.size, size=3 * DRAWS, p=weight.ravel() / weight.sum()), weight.shape)
    start = posterior.start[j, k] + posterior.start_sd[j, k] * rng.standard_normal(len(j))
    residuals = target[k] - start[:, None] * (1 - fallen[k])
    wander = (posterior.gain[j] * residuals).sum(axis=1) + posterior.wander_sd[j] * rng.standard_normal(len(j))
    margin = (start - threshold) * (1 - (now / life[k]) ** shape[k]) + wander
    kept = np.flatnonzero((start > threshold) & ((margin >= 0) | measured))
    if len(kept) < DRAWS / 20:
        return np.empty(0)
    kept = kept[:DRAWS]
    ahead = np.arange(now + 1, now + horizon + 1)
    margins = (start[kept, None] - threshold) * (1 - (ahead / life[k[kept], None]) ** shape[k[kept], None])
    margins += _wander_ahead(rng, np.array(_NOISES)[j[kept], :3], wander[kept], horizon)
    if measured:
        size = int(rows[known[-1]])
        under = rng.binomial(size, np.clip(margins + threshold, 0, 1)) / size < threshold
    else:
        under = margins < 0
    return np.where(under.any(axis=1), under.argmax(axis=1) + 1.0, np.inf)


def _declines(now: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shape, life C and log prior of each decline on the grid, (K,) each; the last one does not decline."""
    shape, life = np.repeat(SHAPES, LIVES), np.tile(np.geomspace(*LIFE, LIVES), len(SHAPES))
    prior = 1 / life
    still_to_come = prior[life > now].sum()
    prior = prior / still_to_come if still_to_come else prior
    return np.append(shape, 1.0), np.append(life, np.inf), np.log(np.append(prior, NEVER))


def _binomial_variance(accuracies: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Of each block's KPI, around a straight line through all of them."""
    line = np.polynomial.Polynomial.fit(np.arange(len(accuracies)), accuracies, 1, w=np.sqrt(rows))
    level = np.clip(line(np.arange(len(accuracies))), 0.03, 0.97)
    return level * (1 - level) / rows


def _posterior(target: np.ndarray, steady: np.ndarray, *, log_prior: np.ndarray, variance: np.ndarray, block: np.ndarray, mean0: float) -> _Posterior:
    """The start's posterior and the weight of every noise and decline; `target` and `steady` (K, n)."""
    lag = np.abs(block[:, None] - block)
    precision0 = START_SD**-2
    parts = []
    for sd, kept, fresh, weight in _NOISES:
        ar = sd**2 * kept**lag if sd else np.zeros_like(lag)
        factor = linalg.cholesky(ar + np.diag(variance + fresh**2), lower=True)
        u, t = (linalg.solve_triangular(factor, side.T, lower=True) for side in (steady, target))  # (n, K), whitened
        precision = (u * u).sum(axis=0) + precision0
        mean = ((u * t).sum(axis=0) + mean0 * precision0) / precision
        misfit = (t * t).sum(axis=0) + mean0**2 * precision0 - mean**2 * precision
        log_weight = -0.5 * (misfit + np.log(precision)) - np.log(np.diag(factor)).sum() + np.log(weight) + log_prior
        gain = linalg.cho_solve((factor, True), ar[-1])
        parts.append((log_weight, mean, precision**-0.5, gain, np.sqrt(max(sd**2 - ar[-1] @ gain, 0))))
    return _Posterior(*(np.array(part) for part in zip(*parts, strict=True)))


def _wander_ahead(rng: np.random.Generator, noise: np.ndarray, newest: np.ndarray, horizon: int) -> np.ndarray:
    """Wander of the blocks ahead, (draws, horizon), going on from the newest."""
    sd, kept, fresh = noise.T[..., None]
    steps = sd * np.sqrt(1 - kept**2) * rng.standard_normal((len(noise), horizon))
    steps[:, 0] += kept[:, 0] * newest
    for share in np.unique(kept):
        same = kept[:, 0] == share
        steps[same] = signal.lfilter([1.0], [1.0, -share], steps[same], axis=1)
    return steps + fresh * rng.standard_normal(steps.shape)
