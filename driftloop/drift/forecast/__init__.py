"""Forecasts when the KPI will cross the threshold, from its trend or from the lifetimes of earlier versions."""
