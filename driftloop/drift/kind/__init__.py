"""Diagnoses why the KPI changed: the inputs, the labels' dependence on them, both, or neither."""
