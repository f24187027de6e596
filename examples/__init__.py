"""Examples of the lifecycle on other streams."""

from driftloop.system import environment

environment.explain_missing()
