"""Has the KPI fallen since a reference period? For who cannot name a threshold.

against_reference     the rule: evidence that the mean loss has risen above that of the reference period, block by block
reference_level       what the reference period's losses say of their mean, and how uncertain that is
reference_dependence  how many of its rows carry the information of one
reference_drift       whether the reference period itself drifts
"""
