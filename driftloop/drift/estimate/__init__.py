"""The KPI before the labels come, with its own measured error beside it."""
