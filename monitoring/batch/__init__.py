"""Batch monitoring: a Prefect flow that measures a window of the prediction log, reports on it and stores the results. Measures and report are rooms in it."""
