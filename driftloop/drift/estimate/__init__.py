"""Estimates of the KPI before the labels arrive, each with its measured error."""
