"""Batch monitoring: a window of the prediction log read, measured, judged, told and kept."""
