"""Long-running services around the lifecycle: the prediction log, the monitor, and what starts a retrain."""

from driftloop.system import environment

environment.explain_missing()
