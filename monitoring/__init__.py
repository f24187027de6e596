"""Long-running services around the lifecycle: the prediction log, the monitor, and the retrain hook."""

from driftloop.system import environment

environment.explain_missing()
