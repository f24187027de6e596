"""Batch monitoring: a window of the prediction log measured, reported and kept, as a Prefect flow. The measures and the report have rooms of their own."""
