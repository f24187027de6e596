"""The services around the lifecycle: prediction log, monitor, retrain hook, and batch monitoring."""

from driftloop.system import environment

environment.explain_missing()
