"""Combines the e-values of many hypotheses so that the stated false-alarm rate holds over all of them together.

    any of them?     the mean of the e-values: it is one for the hypothesis that all of them are true, however they depend on each other
    which of them?   the closed test of those means. A hypothesis is rejected when the mean over *every* set with it reaches 1 / alpha

The first is the only symmetric way, up to a constant, to merge e-values of any dependence; the second is Algorithm 1 of the same paper and rejects
whatever e-Bonferroni and e-Holm reject (Vovk, Wang: E-values: Calibration, combination and applications, Annals of Statistics 49, 2021).

A mean of e-processes is an e-process. So with probability 1 - alpha no true hypothesis is rejected at any time, whichever of the others are true
and whenever one looks (Ville's inequality for the set of all true ones): the family-wise rate. e-BH (Wang, Ramdas: False discovery rate control
with e-values, JRSS-B 84, 2022) names more, but keeps only the false discovery rate: of twenty segments that it names one may be wrong.
"""

from __future__ import annotations

import numpy as np


def adjusted(evidence: np.ndarray) -> np.ndarray:
    """For each e-value the smallest mean over the sets of e-values that contain it: at least 1 / alpha means rejected.

    Args:
        evidence: e-values, (K,), 0 and more.

    >>> adjusted(np.array([100.0, 0.5, 0.5, 1.0])).tolist()
    [25.5, 0.5, 0.5, 0.6666666666666666]
    """
    order = np.argsort(evidence, kind="stable")
    ascending = evidence[order]
    # The worst set with a hypothesis adds the smallest others to it, how many is tried.
    smaller = np.concatenate([[0.0], np.cumsum(ascending)[:-1]])  # sum of the i smallest, (K,)
    means = (ascending[:, None] + smaller) / np.arange(1, len(evidence) + 1)  # (K, i)
    means[np.triu_indices(len(evidence), 1)] = np.inf  # the i smallest would contain itself
    found = np.empty_like(ascending)
    found[order] = means.min(axis=1, initial=np.inf)
    return found
